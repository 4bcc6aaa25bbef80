#include "manifests/generated.h"

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/yaml.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "proto/schema/crd.h"

namespace unmcp {

absl::StatusOr<std::map<std::string, std::string>> GeneratedManifests(const std::string& descriptors_path) {
  std::ifstream file(descriptors_path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(descriptors_path, ": cannot be read; use bazel run"));
  std::ostringstream bytes;
  bytes << file.rdbuf();
  UNMCP_ASSIGN_OR_RETURN(const auto described, DescribedPool(bytes.str()));

  std::map<std::string, std::string> files;
  for (const nlohmann::json& crd : AllCrds(described.get())) {
    files[absl::StrCat(crd["spec"]["names"]["plural"].get<std::string>(), ".yaml")] =
        absl::StrCat("# Written by `bazel run //manifests:generate` from proto/unmcp/v1/resources.proto.\n",
                     WriteYaml(crd));
  }
  return files;
}

}  // namespace unmcp
