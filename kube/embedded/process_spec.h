// What process a Pod's container is on the embedded node.
#ifndef UNMCP_KUBE_EMBEDDED_PROCESS_SPEC_H_
#define UNMCP_KUBE_EMBEDDED_PROCESS_SPEC_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bridge/supervisor.h"
#include "kube/object.h"

namespace unmcp::kube {

// Why a container cannot be run here: the reason and message of its waiting
// state.
struct NotRunnable {
  std::string reason;  // "ImageNotRunnable", "CreateContainerConfigError"
  std::string message;
  // Something outside the Pod is missing that may come yet. Otherwise it is not
  // tried again, as a Pod's spec does not change.
  bool may_change = false;
};

// Secrets and ConfigMaps by kind ("Secret") and name; one that does not exist
// is absent.
using ConfigObjects = std::map<std::pair<std::string, std::string>, Object>;

// The Secrets and ConfigMaps that the container's env and envFrom name.
std::vector<ObjectRef> ConfigRefsOf(const Object& pod);

// Fills `process` with command and args, workingDir, and `inherited` ("NAME=value")
// with the container's env over it: envFrom, then env. As in Kubernetes, $(NAME)
// in command, args and values stands for a variable of the container's env that
// comes before, $$ for $, a fieldRef for a field of the Pod, and a secretKeyRef
// or configMapKeyRef for a value in `config`; what is optional and missing is
// left out. False with `why` filled in when the Pod asks for what is not there,
// or only a cluster has: an image without a command, resourceFieldRef.
// Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container
bool ProcessOf(const Object& pod, const std::vector<std::string>& inherited, const ConfigObjects& config,
               bridge::ProcessSpec* process, NotRunnable* why);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_PROCESS_SPEC_H_
