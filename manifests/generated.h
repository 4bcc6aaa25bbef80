// The manifests that follow from the proto schema. What is committed under
// crds/ is written by `bazel run //manifests:generate`; a test compares.
#ifndef UNMCP_MANIFESTS_GENERATED_H_
#define UNMCP_MANIFESTS_GENERATED_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace unmcp {

// File name in manifests/crds → content. `descriptors_path` is where the
// output of //proto/schema:descriptors is. NOT_FOUND when it is not there.
absl::StatusOr<std::map<std::string, std::string>> GeneratedManifests(const std::string& descriptors_path);

}  // namespace unmcp

#endif  // UNMCP_MANIFESTS_GENERATED_H_
