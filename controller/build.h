// The Pods and Services that the controller makes of an MCPServer.
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

// Changes exactly when a Pod made of this spec would be another one. What does
// not reach the Pod (idleTimeout, pool, suspend) does not roll it.
std::string SpecHash(const v1::MCPServerSpec& spec);

kube::Object BuildPod(const v1::MCPServer& server, int64_t incarnation);

// Headless, and selecting one incarnation: it never leads to a Pod of an
// earlier life that is still ending.
kube::Object BuildService(const v1::MCPServer& server, int64_t incarnation);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_BUILD_H_
