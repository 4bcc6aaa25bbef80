// The status of a Pod of one container, as a kubelet would write it.
// Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodStatus
#ifndef UNMCP_KUBE_EMBEDDED_POD_STATUS_H_
#define UNMCP_KUBE_EMBEDDED_POD_STATUS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "kube/object.h"

namespace unmcp::kube {

// What is known of the container.
struct ContainerView {
  std::string name, image;
  std::string id;  // of the present life, or the last
  int restart_count = 0;
  // One of {"running": …}, {"waiting": …}, {"terminated": …}.
  Json state = Json::object();
  // {} or {"terminated": …}: how the life before ended.
  Json last_state = Json::object();
  // It has ended for good.
  bool finished = false;
  // What a readiness probe says, true without one, and why not.
  bool answers = true;
  std::string why_not_ready;
  // Of our own, beside the four that every Pod has: type, status, reason and
  // message of each.
  std::vector<Json> conditions;
};

Json RunningState(absl::Time started);
Json WaitingState(const std::string& reason, const std::string& message);
Json TerminatedState(const std::string& container_id, int exit_code, const std::string& reason,
                     const std::string& message, absl::Time started, absl::Time finished);

// What to merge into the Pod's status. `before` is the status now: conditions
// that stay keep their times.
Json PodStatusOf(const ContainerView& container, const Json& before, absl::Time now);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_POD_STATUS_H_
