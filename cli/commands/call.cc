#include "cli/commands/call.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/mcp_client.h"
#include "cli/commands/tool_arguments.h"
#include "cli/output.h"
#include "common/proto_json.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;

std::string TextMember(const Json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

std::string NameOf(const Json& tool) { return TextMember(tool, "name"); }

void PrintTools(const std::vector<Json>& tools, bool as_json, Context& context) {
  if (as_json) {
    context.out << PrettyJson(tools) << std::flush;
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& tool : tools) {
    const std::string description = TextMember(tool, "description");
    rows.push_back({NameOf(tool), DescribeToolArguments(tool.value("inputSchema", Json())),
                    description.substr(0, description.find('\n'))});
  }
  if (rows.empty()) {
    context.err << "The server has no tools." << std::endl;
  } else {
    Table({"TOOL", "ARGUMENTS", "DESCRIPTION"}, /*headers=*/true, /*colors=*/false).Print(rows, context.out);
  }
}

absl::StatusOr<Json> FindTool(const std::vector<Json>& tools, const std::string& name, const std::string& server) {
  for (const Json& tool : tools) {
    if (NameOf(tool) == name) return tool;
  }
  return absl::NotFoundError(absl::StrCat(
      "server \"", server, "\" has no tool \"", name, "\"; it has: ",
      tools.empty() ? "none" : absl::StrJoin(tools, ", ", [](std::string* out, const Json& tool) {
        out->append(NameOf(tool));
      })));
}

// The blocks of a result, each ending its line.
std::string ContentText(const Json& result) {
  std::string text;
  const Json content = result.is_object() ? result.value("content", Json::array()) : Json::array();
  for (const Json& block : content) {
    if (TextMember(block, "type") == "text") {
      absl::StrAppend(&text, TextMember(block, "text"));
    } else {
      absl::StrAppend(&text, JsonText(block));
    }
    if (!absl::EndsWith(text, "\n")) text += '\n';
  }
  if (text.empty() && result.is_object() && result.contains("structuredContent")) {
    return PrettyJson(result["structuredContent"]);
  }
  return text;
}

// What a notifications/progress says.
std::string ProgressText(const Json& message) {
  const Json params = message.value("params", Json::object());
  if (const std::string text = TextMember(params, "message"); !text.empty()) return text;
  const Json done = params.value("progress", Json()), total = params.value("total", Json());
  if (!done.is_number()) return "";
  return total.is_number() ? absl::StrCat(JsonText(done), " of ", JsonText(total)) : JsonText(done);
}

}  // namespace

absl::Status RunCall(const CallOptions& options, Context& context) {
  Progress progress(context.terminal, context.err);
  progress.Show(absl::StrCat("connecting to server \"", options.server, "\", starting it if it sleeps"));
  UNMCP_ASSIGN_OR_RETURN(auto client, McpClient::Open(context.api, options.server, [&](const Json& message) {
                           if (message["method"] != "notifications/progress") return;
                           progress.Show(absl::StrCat(options.tool, ": ", ProgressText(message)));
                         }));
  UNMCP_ASSIGN_OR_RETURN(const std::vector<Json> tools, client->ListTools());
  if (options.tool.empty()) {
    progress.Clear();
    PrintTools(tools, options.as_json, context);
    return absl::OkStatus();
  }
  UNMCP_ASSIGN_OR_RETURN(const Json tool, FindTool(tools, options.tool, options.server));
  UNMCP_ASSIGN_OR_RETURN(const Json arguments, BuildToolArguments(tool.value("inputSchema", Json()), options.arguments,
                                                                  options.json));
  progress.Show(absl::StrCat("calling ", options.tool));
  Json params = {{"name", options.tool}, {"arguments", arguments}};
  if (context.terminal.progress) params["_meta"] = {{"progressToken", options.tool}};
  UNMCP_ASSIGN_OR_RETURN(const Json result, client->Request("tools/call", params));
  progress.Clear();

  const bool failed = result.is_object() && result.value("isError", Json(false)) == true;
  const std::string text = ContentText(result);
  if (options.as_json) {
    context.out << PrettyJson(result) << std::flush;
  } else if (!failed) {
    context.out << text << std::flush;
  }
  if (!failed) return absl::OkStatus();
  return absl::UnknownError(text.empty() ? absl::StrCat("the tool \"", options.tool, "\" failed")
                                         : std::string(absl::StripTrailingAsciiWhitespace(text)));
}

}  // namespace unmcp
