// The configuration files of MCP clients, read as MCPServers: Claude Desktop's,
// Claude Code's, Cursor's, Windsurf's and Cline's `mcpServers`, and VS Code's
// `servers` with `inputs`, in a file of their own or in its settings.
#ifndef UNMCP_CLI_IMPORT_CLIENT_CONFIG_H_
#define UNMCP_CLI_IMPORT_CLIENT_CONFIG_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/import/placeholders.h"
#include "kube/object.h"
#include "nlohmann/json.hpp"

namespace unmcp {

// Whether a document is such a file, by its content.
bool IsClientConfig(const nlohmann::json& document);

struct ImportOptions {
  // Of the file; "-" for standard input. Places in it are relative to it.
  std::string path;
  std::string ns;
  // The process's own environment variables.
  absl::FunctionRef<std::optional<std::string>(const std::string& name)> environment;
  InputValues* inputs;
  // The servers get names only: nothing else is read, looked up or asked for.
  bool names_only = false;
};

struct Imported {
  std::vector<kube::Object> servers;
  // What the user has to be told: a name that was changed, a setting that means
  // nothing here. Whole sentences without the file's name.
  std::vector<std::string> notes;
};

// Example: {"mcpServers": {"My Time": {"command": "uvx", "args": ["mcp-server-time"]}}}
// is one MCPServer "my-time", and a note about its name.
//
// `$` before `(` or another `$` in a command or its arguments is doubled, since
// Kubernetes would take it for a reference to a variable.
//
// Clients run the servers of a project's file (.mcp.json, .vscode/mcp.json, …) in
// the project: so does a server whose command line names something that is there.
//
// INVALID_ARGUMENT names the field by its path: "mcpServers.time.args[1]: …".
absl::StatusOr<Imported> ImportClientConfig(const nlohmann::json& document, const ImportOptions& options);

// `name` as one that Kubernetes takes: lower case, '-' for what is neither
// letter nor digit, beginning with a letter, at most 63 characters.
std::string FitName(absl::string_view name);

}  // namespace unmcp

#endif  // UNMCP_CLI_IMPORT_CLIENT_CONFIG_H_
