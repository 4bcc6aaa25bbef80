#include "manifests/generated.h"

#include "absl/strings/str_cat.h"
#include "cli/yaml.h"
#include "nlohmann/json.hpp"
#include "proto/schema/crd.h"

namespace unmcp {

std::map<std::string, std::string> GeneratedManifests() {
  std::map<std::string, std::string> files;
  for (const nlohmann::json& crd : AllCrds(/*described=*/true)) {
    files[absl::StrCat(crd["spec"]["names"]["plural"].get<std::string>(), ".yaml")] =
        absl::StrCat("# Written by `bazel run //manifests:generate` from proto/unmcp/v1/resources.proto.\n",
                     WriteYaml(crd));
  }
  return files;
}

}  // namespace unmcp
