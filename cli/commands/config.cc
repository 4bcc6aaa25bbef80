#include "cli/commands/config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace unmcp {
namespace {

using Json = nlohmann::ordered_json;  // in the order that people write

constexpr char kClaudeHelp[] =
    R"(Claude Desktop: put this into claude_desktop_config.json (Settings, Developer, Edit Config), beside the
mcpServers that are there, and restart Claude Desktop. The file is
  macOS    ~/Library/Application Support/Claude/claude_desktop_config.json
  Windows  %APPDATA%\Claude\claude_desktop_config.json
  Linux    ~/.config/Claude/claude_desktop_config.json
Claude Code, instead:
)";

constexpr char kClaudeCodeHelp[] = "Run these where you use Claude Code; add --scope user for all your projects.\n";

constexpr char kCursorHelp[] =
    R"(Cursor: put this into ~/.cursor/mcp.json, or .cursor/mcp.json of a project, beside the mcpServers that are
there. Cursor asks whether to enable what is new.
)";

constexpr char kVsCodeHelp[] =
    R"(VS Code: put this into .vscode/mcp.json of a workspace, or the file that the command "MCP: Open User
Configuration" opens, beside the servers that are there, and press Start above each.
)";

// A word for a shell.
std::string ShellWord(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                             "0123456789-_./:=@%+,") == std::string::npos;
  return plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", R"('\'')"}}), "'");
}

std::string Document(const char* key, const Json& servers) { return Json{{key, servers}}.dump(2) + "\n"; }

class Writer {
 public:
  Writer(std::string url, const Context& context)
      : url_(absl::StripSuffix(url, "/")), context_(context) {}

  std::string Url(const std::string& name) const { return absl::StrCat(url_, "/api/v1/servers/", name, "/sse"); }

  std::string ClaudeCodeLine(const std::string& name) const {
    return absl::StrCat("claude mcp add --transport sse ", name, " ", ShellWord(Url(name)), "\n");
  }

  // What runs `unmcp connect` from anywhere.
  Json Command(const std::string& name) const {
    Json args = {"connect", name};
    for (const std::string& flag : context_.connection_flags) args.push_back(flag);
    return {{"command", context_.program}, {"args", std::move(args)}};
  }

 private:
  const std::string url_;
  const Context& context_;
};

}  // namespace

absl::Status RunConfig(const ConfigOptions& options, Context& context) {
  std::vector<std::string> names;
  if (options.servers.empty()) {
    UNMCP_ASSIGN_OR_RETURN(const auto servers, context.api.ListServers());
    for (const v1::MCPServer& server : servers) names.push_back(server.name());
    if (names.empty()) {
      return absl::NotFoundError("there are no servers yet: declare one, for instance with `unmcp apply -f FILE`");
    }
  }
  for (const std::string& name : options.servers) {
    UNMCP_ASSIGN_OR_RETURN(const v1::MCPServer server, context.api.GetServer(name));
    names.push_back(server.name());
  }

  const Writer writer(options.url.empty() ? context.http_url : options.url, context);
  Json servers = Json::object();
  std::string lines;
  for (const std::string& name : names) {
    absl::StrAppend(&lines, writer.ClaudeCodeLine(name));
    switch (options.host) {
      case McpHost::kClaude: servers[name] = writer.Command(name); break;
      case McpHost::kClaudeCode: break;
      case McpHost::kCursor: servers[name] = {{"url", writer.Url(name)}}; break;
      case McpHost::kVsCode: servers[name] = {{"type", "sse"}, {"url", writer.Url(name)}}; break;
    }
  }
  switch (options.host) {
    case McpHost::kClaude:
      context.err << kClaudeHelp << "  " << absl::StrReplaceAll(absl::StripSuffix(lines, "\n"), {{"\n", "\n  "}})
                  << "\n\n" << std::flush;
      context.out << Document("mcpServers", servers);
      break;
    case McpHost::kClaudeCode:
      context.err << kClaudeCodeHelp << "\n" << std::flush;
      context.out << lines;
      break;
    case McpHost::kCursor:
      context.err << kCursorHelp << "\n" << std::flush;
      context.out << Document("mcpServers", servers);
      break;
    case McpHost::kVsCode:
      context.err << kVsCodeHelp << "\n" << std::flush;
      context.out << Document("servers", servers);
      break;
  }
  context.out.flush();
  return absl::OkStatus();
}

}  // namespace unmcp
