// Writes manifests/crds/*.yaml into the source tree:
//
//   bazel run //manifests:generate
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "manifests/generated.h"

int main() {
  // Bazel says where the source tree is; the program runs elsewhere.
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) {
    std::cerr << "run this with: bazel run //manifests:generate\n";
    return 2;
  }
  for (const auto& [name, content] : unmcp::GeneratedManifests()) {
    const std::string path = absl::StrCat(workspace, "/manifests/crds/", name);
    std::ofstream file(path, std::ios::binary);
    file << content;
    file.close();
    if (!file) {
      std::cerr << path << ": cannot be written\n";
      return 1;
    }
    std::cout << "wrote manifests/crds/" << name << "\n";
  }
  return 0;
}
