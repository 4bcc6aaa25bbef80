// What a Pod's container may take of this machine.
#ifndef UNMCP_KUBE_EMBEDDED_LIMITS_H_
#define UNMCP_KUBE_EMBEDDED_LIMITS_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kube/object.h"

namespace unmcp::kube {

// 0: not limited.
struct ContainerLimits {
  int64_t memory_bytes = 0;
  int64_t cpu_millis = 0;  // thousandths of a core
  bool any() const { return memory_bytes > 0 || cpu_millis > 0; }
};

// A Kubernetes quantity ("512Mi", "0.5", "500m", "1e3") in thousandths, rounded
// up, or nothing when it is none, negative or beyond int64_t.
// Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
std::optional<int64_t> ParseQuantityMillis(absl::string_view text);

// Of resources.limits. INVALID_ARGUMENT names the field.
absl::StatusOr<ContainerLimits> LimitsOf(const Json& container);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_LIMITS_H_
