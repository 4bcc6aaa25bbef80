// What an API server makes of requests: Create, Patch and Delete with the
// semantics of Kubernetes, on objects in memory. Every call either makes
// exactly one write in the Store, or none and says why.
// Source: k8s.io/apiserver, pkg/registry/rest and pkg/registry/generic.
#ifndef UNMCP_KUBE_EMBEDDED_API_H_
#define UNMCP_KUBE_EMBEDDED_API_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "kube/cluster.h"
#include "kube/embedded/registry.h"
#include "kube/embedded/store.h"

namespace unmcp::kube {

// Thread compatible. What it is given outlives it.
class Api {
 public:
  Api(Store* store, const Registry* registry, std::function<absl::Time()> now, Random* random)
      : store_(store), registry_(registry), now_(std::move(now)), random_(random) {}

  // As kube::Cluster.
  absl::StatusOr<Object> Get(const ObjectRef& ref) const;
  absl::StatusOr<ObjectList> List(const Kind& kind, const std::string& ns, const ListOptions& options) const;
  absl::StatusOr<Object> Create(const Kind& kind, Object object);
  absl::StatusOr<Object> Patch(const ObjectRef& ref, const Json& merge_patch, const PatchOptions& options);
  absl::Status Delete(const ObjectRef& ref, const DeleteOptions& options);

  // Stores an object without any check, or removes it when it is being deleted
  // and nothing holds it any more. For the garbage collector's changes of
  // metadata, which a schema that has become stricter must not stop.
  absl::StatusOr<Object> Write(const Key& key, Object object);

  // Whether a node finishes the Pods that it has taken: without one, Delete
  // does not wait for it.
  void set_has_node(bool has_node) { has_node_ = has_node; }

 private:
  absl::StatusOr<const KindInfo*> Served(const Kind& kind) const;
  // Prunes, fills defaults in, and validates.
  std::vector<FieldError> Admit(const KindInfo& info, Json& json) const;
  absl::Status SetName(const KindInfo& info, const std::string& ns, Json& metadata);

  Store* const store_;
  const Registry* const registry_;
  const std::function<absl::Time()> now_;
  Random* const random_;
  bool has_node_ = false;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_API_H_
