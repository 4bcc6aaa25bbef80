// `unmcp logs`: what a server's process writes to its standard error.
#ifndef UNMCP_CLI_COMMANDS_LOGS_H_
#define UNMCP_CLI_COMMANDS_LOGS_H_

#include <string>

#include "absl/status/status.h"
#include "cli/context.h"

namespace unmcp {

struct LogsOptions {
  std::string server;
  bool follow = false;  // until its process has ended
  int tail = 0;         // the last so many lines; 0: all that are kept
};

absl::Status RunLogs(const LogsOptions& options, Context& context);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_LOGS_H_
