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

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bridge/supervisor.h"
#include "cli/options.h"

namespace unmcp {

// Example (see cli/main.cc):
//
//   UNMCP_ASSIGN_OR_RETURN(auto up, Up::Create(options, std::move(supervisor), std::cout));
//   UNMCP_RETURN_IF_ERROR(up->Start());
//   … wait for a signal …
//   up->Stop();
//
// Thread safety: methods from the main thread.
class Up {
 public:
  // Takes the data directory and the ports. Errors say what to do. `supervisor`
  // was launched before the process had a second thread. `out` outlives it;
  // nothing but what the user is promised goes there.
  static absl::StatusOr<std::unique_ptr<Up>> Create(UpOptions options, std::unique_ptr<bridge::Supervisor> supervisor,
                                                    std::ostream& out);
  // Starts everything, applies the manifests, and prints `ready http://…` when
  // clients can connect, then a line for each server as it becomes known.
  virtual absl::Status Start() = 0;
  // Called on some thread if unmcp cannot go on (the supervisor has gone).
  virtual void OnFatal(absl::AnyInvocable<void(absl::Status)> fatal) = 0;
  // Readiness goes first, then streams are closed in good order, then every
  // server's process is stopped. Takes 8 s at the most.
  virtual void Stop() = 0;
  virtual ~Up() = default;
};

}  // namespace unmcp

#endif  // UNMCP_CLI_UP_H_
