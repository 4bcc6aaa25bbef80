// `unmcp call`: calls a tool of a server, as an MCP client would.
#ifndef UNMCP_CLI_COMMANDS_CALL_H_
#define UNMCP_CLI_COMMANDS_CALL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/context.h"

namespace unmcp {

struct CallOptions {
  std::string server;
  std::string tool;                    // "": lists the tools
  std::vector<std::string> arguments;  // NAME=VALUE, see tool_arguments.h
  std::string json;                    // an object with arguments
  bool as_json = false;                // the whole result, not its text
};

// Text of the result goes to the output as it is, one block a line or more;
// other content as JSON. A result that says isError is an error with its text.
absl::Status RunCall(const CallOptions& options, Context& context);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_CALL_H_
