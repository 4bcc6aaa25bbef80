// Writes manifests/crds/*.yaml into the source tree:
//
//   bazel run //manifests:generate
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "manifests/generated.h"

int main(int argc, char** argv) {
  // Bazel says where the source tree is; the program runs elsewhere.
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (argc != 2 || workspace == nullptr) {
    std::cerr << "run this with: bazel run //manifests:generate\n";
    return 2;
  }
  const auto files = unmcp::GeneratedManifests(argv[1]);
  if (!files.ok()) {
    std::cerr << files.status().message() << "\n";
    return 1;
  }
  for (const auto& [name, content] : *files) {
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
