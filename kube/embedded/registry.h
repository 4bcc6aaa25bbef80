// Which kinds the embedded cluster serves, and what is particular to each.
#ifndef UNMCP_KUBE_EMBEDDED_REGISTRY_H_
#define UNMCP_KUBE_EMBEDDED_REGISTRY_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kube/embedded/schema.h"
#include "kube/errors.h"
#include "kube/object.h"

namespace unmcp::kube {

struct KindInfo {
  Kind kind;
  // Status is written through /status alone.
  bool status_subresource = false;
  // metadata.generation counts changes of the spec.
  bool counts_generation = false;
  // Null for the built-in kinds (builtin.h).
  std::unique_ptr<const Schema> schema;
};

// Immutable after Create; thread safe.
class Registry {
 public:
  // The built-in kinds of kube/object.h and those of `crds`
  // (apiextensions.k8s.io/v1 CustomResourceDefinition documents; of each the
  // storage version). INVALID_ARGUMENT names the CRD that is wrong.
  static absl::StatusOr<std::unique_ptr<const Registry>> Create(const std::vector<Json>& crds);

  // Null when the kind is not served. The group and plural decide.
  const KindInfo* Find(const Kind& kind) const;
  // By what an owner reference says. Null when not served.
  const KindInfo* Find(const std::string& api_version, const std::string& kind) const;

 private:
  std::map<std::string, KindInfo> kinds_;  // by GroupResource
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_REGISTRY_H_
