// Which parts of a Pod mean nothing to a process of this machine.
#ifndef UNMCP_KUBE_EMBEDDED_POD_HONORED_H_
#define UNMCP_KUBE_EMBEDDED_POD_HONORED_H_

#include <string>
#include <vector>

#include "kube/object.h"

namespace unmcp::kube {

// The paths of fields that are set and have no effect on the embedded node:
// "spec.volumes", "spec.containers[0].livenessProbe". What holds anyway here
// (hostNetwork, tolerations) is not among them, nor what is empty or false.
std::vector<std::string> FieldsWithoutEffect(const Object& pod);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_POD_HONORED_H_
