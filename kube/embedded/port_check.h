// Whether a container's port is free, and who has it.
#ifndef UNMCP_KUBE_EMBEDDED_PORT_CHECK_H_
#define UNMCP_KUBE_EMBEDDED_PORT_CHECK_H_

#include <optional>
#include <string>
#include <vector>

#include "kube/object.h"

namespace unmcp::kube {

// The TCP ports that the container says it listens on.
std::vector<int> ContainerPorts(const Json& container);

// Nothing when a program can listen on 127.0.0.1:`port`; else who does,
// "process 4711 (node)" or "another process". Does not block.
std::optional<std::string> PortHolder(int port);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_PORT_CHECK_H_
