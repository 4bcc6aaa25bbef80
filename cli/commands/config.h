// `unmcp config`: what to put into the configuration of an MCP client.
#ifndef UNMCP_CLI_COMMANDS_CONFIG_H_
#define UNMCP_CLI_COMMANDS_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/context.h"

namespace unmcp {

enum class McpHost { kClaude, kClaudeCode, kCursor, kVsCode };

struct ConfigOptions {
  McpHost host = McpHost::kClaude;
  std::vector<std::string> servers;  // none: all
  std::string url;                   // of the gateway; "": context.http_url
};

// The snippet on the output; where it goes, on the other stream.
absl::Status RunConfig(const ConfigOptions& options, Context& context);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_CONFIG_H_
