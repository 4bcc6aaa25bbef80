#include "cli/commands/logs.h"

#include <string>

#include "common/status_macros.h"

namespace unmcp {

absl::Status RunLogs(const LogsOptions& options, Context& context) {
  if (options.follow) {
    return context.api.FollowServerLogs(options.server, options.tail, [&](const v1::ServerLogs& logs) {
      context.out << logs.text() << std::flush;
      return context.out.good();
    });
  }
  UNMCP_ASSIGN_OR_RETURN(const std::string text, context.api.GetServerLogs(options.server, options.tail));
  context.out << text << std::flush;
  return absl::OkStatus();
}

}  // namespace unmcp
