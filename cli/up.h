// `unmcp up`: controller, apiserver, gateway and the embedded cluster with its
// node, in one process on this machine.
//
// The parts are those of the separate binaries and speak to each other over
// the same gRPC services, on in-process channels. Threads: one for the data
// path (gateway, Link, apiserver, sessions), one for the controller, one for
// the node, one for the cluster's store, and gRPC's own.
#ifndef UNMCP_CLI_UP_H_
#define UNMCP_CLI_UP_H_

#include <memory>
#include <ostream>

#include "absl/status/statusor.h"
#include "cli/options.h"
#include "serve/process.h"

namespace unmcp {

// Takes the data directory and the ports, applies the manifests, and prints
// `ready http://…` when clients can connect, then a line for each server as it
// becomes known. Errors say what to do.
//
// `out` outlives it; nothing but what the user is promised goes there. Before
// there is a second thread.
absl::StatusOr<std::unique_ptr<Program>> CreateUp(UpOptions options, Fatal fatal, std::ostream& out);

}  // namespace unmcp

#endif  // UNMCP_CLI_UP_H_
