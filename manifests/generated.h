// The manifests that follow from the proto schema. What is committed under
// crds/ is written by `bazel run //manifests:generate`; a test compares.
#ifndef UNMCP_MANIFESTS_GENERATED_H_
#define UNMCP_MANIFESTS_GENERATED_H_

#include <map>
#include <string>

namespace unmcp {

// File name in manifests/crds → content.
std::map<std::string, std::string> GeneratedManifests();

}  // namespace unmcp

#endif  // UNMCP_MANIFESTS_GENERATED_H_
