// What the embedded cluster knows of Kubernetes' own kinds: the few defaults
// and rules that unmcp's controllers and node depend on. A real API server
// knows many more; what passes there passes here.
#ifndef UNMCP_KUBE_EMBEDDED_BUILTIN_H_
#define UNMCP_KUBE_EMBEDDED_BUILTIN_H_

#include <vector>

#include "kube/errors.h"
#include "kube/object.h"

namespace unmcp::kube {

inline constexpr int kDefaultPodGraceSeconds = 30;

// Pods: restartPolicy, terminationGracePeriodSeconds, phase Pending. Services:
// type, port protocols. Secrets and ConfigMaps: config_objects.h.
void FillBuiltinDefaults(const Kind& kind, Json& object);

std::vector<FieldError> ValidateBuiltin(const Kind& kind, const Json& object);

// A Pod's spec does not change once it exists, but for the node it is bound
// to, images, tolerations and deadlines; nor do immutable Secrets and ConfigMaps.
std::vector<FieldError> ValidateBuiltinUpdate(const Kind& kind, const Json& old, const Json& object);

// How long a Pod's containers may take to end when it is deleted: 0 means that
// nothing runs and the Pod can go at once. `requested` < 0 takes the Pod's own.
int PodGraceSeconds(const Object& pod, int requested);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_BUILTIN_H_
