// Reads manifests: objects in the form of Kubernetes, as people write them.
#ifndef UNMCP_APISERVER_MANIFEST_H_
#define UNMCP_APISERVER_MANIFEST_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "apiserver/secret_values.h"
#include "kube/object.h"

namespace unmcp::apiserver {

// A manifest that has been checked.
struct Manifest {
  // apiVersion, kind, metadata (name, namespace, labels, annotations), and of a
  // Secret or ConfigMap its data. The spec of an MCPServer or MCPPool is in `spec`.
  kube::Object object;
  kube::Kind kind;
  std::optional<Spec> spec;
};

// `ns`: the one namespace that is served. What an API server adds to an object
// (status, uid, resourceVersion, managedFields, …) is not looked at; stringData
// becomes data. INVALID_ARGUMENT names the field: "spec.command: must be a
// list, not text".
//
// Thread safety: a function only.
absl::StatusOr<Manifest> ReadManifest(const kube::Json& json, const std::string& ns);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_MANIFEST_H_
