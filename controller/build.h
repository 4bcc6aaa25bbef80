// The Pods and Services that the controller makes of an MCPServer. All take
// the effective spec (effective_spec.h).
#ifndef UNMCP_CONTROLLER_BUILD_H_
#define UNMCP_CONTROLLER_BUILD_H_

#include <cstdint>
#include <string>

#include "kube/object.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::controller {

// An image is required by Kubernetes even where nothing runs images: the
// embedded node runs the command on the machine itself and does not look at
// this name, which no registry can resolve.
inline constexpr char kNoImage[] = "unmcp.invalid/host";

std::string PodName(const std::string& server, int64_t incarnation);

// Changes exactly when a process made of this spec would be another one, or,
// of a server that runs elsewhere, when the way to it would be. What does not
// reach it (idleTimeout, pool, suspend) does not restart it.
std::string SpecHash(const v1::MCPServerSpec& spec);

// `hash` is the spec's; the spec has passed its checks.
kube::Object BuildPod(const v1::MCPServer& server, const v1::MCPServerSpec& spec, const std::string& hash,
                      int64_t incarnation);

// Headless, and selecting one incarnation: it never leads to a Pod of an
// earlier life that is still ending. It has the port of a server that listens.
kube::Object BuildService(const v1::MCPServer& server, const v1::MCPServerSpec& spec, int64_t incarnation);
// The ports of that Service; empty for a server that does not listen.
kube::Json ServicePorts(const v1::MCPServerSpec& spec);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_BUILD_H_
