// `unmcp server` beside an unmcp-controller of this machine: apiserver and
// gateway in one process.
#ifndef UNMCP_CLI_SERVER_H_
#define UNMCP_CLI_SERVER_H_

#include <memory>
#include <ostream>

#include "absl/status/statusor.h"
#include "cli/options.h"
#include "serve/process.h"

namespace unmcp {

// With a cluster socket, a data directory, or both. Takes the ports; prints
// `ready http://…` when clients can connect, which waits for the controller.
// `out` outlives it.
absl::StatusOr<std::unique_ptr<Program>> CreateServer(const FleetOptions& options, std::ostream& out);

}  // namespace unmcp

#endif  // UNMCP_CLI_SERVER_H_
