// spec.podTemplate: everything of a Pod that a server's other fields do not
// say. Plain JSON, merged over what unmcp makes of those.
#ifndef UNMCP_CONTROLLER_POD_TEMPLATE_H_
#define UNMCP_CONTROLLER_POD_TEMPLATE_H_

#include <string>

#include "absl/status/status.h"
#include "kube/object.h"

namespace unmcp::controller {

// Whether the template leaves alone what has to be unmcp's: the Pod's identity
// and owner, labels and annotations of unmcp.dev, and the standard streams of
// the server's container, on which it is spoken to.
//
// INVALID_ARGUMENT: "spec.podTemplate.metadata.name: is unmcp's to set, …".
// `path` is where the template stands.
absl::Status CheckPodTemplate(const kube::Json& pod_template, const std::string& path);

enum class Nulls {
  // They remove what is there: the last merge, over a Pod.
  kApply,
  // They stay, to remove later: one template over another. (A null under an
  // object of the upper template is the one thing that is lost.)
  kKeep,
};

// JSON merge patch (RFC 7386), but containers and initContainers, which are
// merged by name. `upper` has passed CheckPodTemplate.
void MergePodTemplate(const kube::Json& upper, Nulls nulls, kube::Json* lower);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_POD_TEMPLATE_H_
