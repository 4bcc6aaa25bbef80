// Waiting until a server is as it was asked to be, with progress where somebody
// looks on.
#ifndef UNMCP_CLI_COMMANDS_AWAIT_H_
#define UNMCP_CLI_COMMANDS_AWAIT_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/context.h"

namespace unmcp {

// Until a command that waits gives up. Longer than a server may take to start
// (startupTimeout, 2 minutes unless it says otherwise), and a queue before it.
inline constexpr absl::Duration kDefaultWait = absl::Minutes(5);

// Looks at the server each time that it has changed, beginning with what it is;
// nullptr when it is gone. An answer ends the waiting.
using Judge = absl::FunctionRef<std::optional<absl::Status>(const v1::MCPServer* server)>;

// `what` is what is waited for: "server \"time\" to be Ready".
// DEADLINE_EXCEEDED after `timeout` says how the server is then.
absl::Status AwaitServer(const v1::MCPServer& server, const std::string& what, absl::Duration timeout, Context& context,
                         Judge judge);

// Until no server belongs to the pool and it is gone itself.
absl::Status AwaitPoolGone(const v1::MCPPool& pool, absl::Duration timeout, Context& context);

// "Waiting: the pool is full", "Starting".
std::string PhaseAndReason(const v1::MCPServer& server);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_AWAIT_H_
