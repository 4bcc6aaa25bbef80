// What process a Pod's container is on the embedded node.
#ifndef UNMCP_KUBE_EMBEDDED_PROCESS_SPEC_H_
#define UNMCP_KUBE_EMBEDDED_PROCESS_SPEC_H_

#include <string>
#include <vector>

#include "bridge/supervisor.h"
#include "kube/object.h"

namespace unmcp::kube {

// Why a container cannot be run here: the reason and message of its waiting
// state. A Pod's spec does not change, so it is not tried again.
struct NotRunnable {
  std::string reason;  // "ImageNotRunnable", "CreateContainerConfigError"
  std::string message;
};

// Fills `process` with command and args, workingDir, and `inherited` ("NAME=value")
// with the container's env over it. As in Kubernetes, $(NAME) in command, args
// and values stands for a variable of the container's env that comes before,
// $$ for $, and a fieldRef for a field of the Pod. False with `why` filled in
// when the Pod asks for what only a cluster has: an image without a command,
// Secrets, ConfigMaps, several containers.
// Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container
bool ProcessOf(const Object& pod, const std::vector<std::string>& inherited, bridge::ProcessSpec* process,
               NotRunnable* why);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_PROCESS_SPEC_H_
