// Secrets and ConfigMaps, as the API server stores them.
// Source: k8s.io/kubernetes, pkg/apis/core/validation (ValidateSecret,
// ValidateConfigMap and their updates) and pkg/apis/core/v1/conversion.go.
//
// Errors name keys and never show a Secret's values.
//
// Thread safety: functions only.
#ifndef UNMCP_KUBE_EMBEDDED_CONFIG_OBJECTS_H_
#define UNMCP_KUBE_EMBEDDED_CONFIG_OBJECTS_H_

#include <cstddef>
#include <vector>

#include "kube/errors.h"
#include "kube/object.h"

namespace unmcp::kube {

// All values of one object together, decoded: Kubernetes' own limit.
inline constexpr size_t kMaxConfigBytes = 1 << 20;

// Secrets: type Opaque, and stringData moved into data. What is malformed
// stays, for the functions below.
void NormalizeConfigObject(const Kind& kind, Json& object);

std::vector<FieldError> ValidateConfigObject(const Kind& kind, const Json& object);

// A Secret's type never changes; what is immutable stays so, with its data.
std::vector<FieldError> ValidateConfigObjectUpdate(const Kind& kind, const Json& old, const Json& object);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_CONFIG_OBJECTS_H_
