// `unmcp connect`: a stdio MCP server that is a client of ours, so that whatever
// can only run a command uses a server that unmcp runs.
#ifndef UNMCP_CLI_COMMANDS_CONNECT_H_
#define UNMCP_CLI_COMMANDS_CONNECT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/context.h"

namespace unmcp {

struct ConnectOptions {
  std::string server;
  // For unmcp to come back, before a request that waits for it gets an error:
  // a restart takes a second or two.
  absl::Duration patience = absl::Seconds(10);
  // For answers to what is in flight, when the host has closed its end.
  absl::Duration drain = absl::Seconds(30);
};

// Newline-delimited JSON-RPC on context.input_fd and output_fd ⇄ a session.
//
// When the session is lost, what is in flight is answered with an error; the
// host's next request (or at once, if it is subscribed to something) gets a new
// session, to which the host's initialize is said again. Returns at the end of
// the input, when what is in flight has been answered; or with an error when
// there is no first session.
absl::Status RunConnect(const ConnectOptions& options, Context& context);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_CONNECT_H_
