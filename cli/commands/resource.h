// How people name resources: kubectl's forms.
//
//   servers                    all of a kind; also server, mcp, mcpservers, …
//   servers time weather       some of a kind
//   server/time pool/default   each with its kind
//   servers,pools  all         several kinds
//
// Thread safety: functions only.
#ifndef UNMCP_CLI_COMMANDS_RESOURCE_H_
#define UNMCP_CLI_COMMANDS_RESOURCE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace unmcp {

enum class ResourceKind { kServer, kPool };

struct Resources {
  ResourceKind kind = ResourceKind::kServer;
  std::vector<std::string> names;  // none: all of the kind
};

// Grouped by kind, in the order given. INVALID_ARGUMENT says which kinds there
// are, or which form is wrong. There is at least one argument.
absl::StatusOr<std::vector<Resources>> ParseResources(const std::vector<std::string>& args);

// A server's name, given as NAME or server/NAME.
absl::StatusOr<std::string> ParseServerName(const std::string& arg);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_RESOURCE_H_
