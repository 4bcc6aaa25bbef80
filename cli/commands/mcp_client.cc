#include "cli/commands/mcp_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;

constexpr char kProtocolVersion[] = "2025-06-18";
constexpr char kClientVersion[] = "1";
// A server with more tools than this has a cursor that goes round.
constexpr int kMaxToolPages = 1000;

}  // namespace

absl::StatusOr<std::unique_ptr<McpClient>> McpClient::Open(ApiClient& api, const std::string& server,
                                                           OnNotification on_notification) {
  UNMCP_ASSIGN_OR_RETURN(auto session, api.OpenSession(server));
  std::unique_ptr<McpClient> client(new McpClient(std::move(session), std::move(on_notification)));
  UNMCP_RETURN_IF_ERROR(client
                            ->Request("initialize", {{"protocolVersion", kProtocolVersion},
                                                     {"capabilities", Json::object()},
                                                     {"clientInfo", {{"name", "unmcp"}, {"version", kClientVersion}}}})
                            .status());
  client->Send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  return client;
}

absl::StatusOr<Json> McpClient::Request(const std::string& method, const Json& params) {
  const int id = ++last_id_;
  Send({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
  std::string text;
  while (session_->Receive(&text)) {
    // Not as strict as with what people write: it came through the session library.
    Json message = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!message.is_object()) continue;
    if (message.contains("method")) {
      if (message.contains("id")) {
        Answer(message);
      } else {
        on_notification_(message);
      }
    } else if (message.value("id", Json()) == id) {
      if (!message.contains("error")) return message.value("result", Json::object());
      const Json& error = message["error"];
      const Json words = error.is_object() ? error.value("message", Json()) : Json();
      return absl::UnknownError(words.is_string() ? words.get<std::string>() : JsonText(error));
    }
  }
  const absl::Status why = session_->Finish();
  return why.ok() ? absl::UnavailableError("the session ended before there was an answer") : why;
}

absl::StatusOr<std::vector<Json>> McpClient::ListTools() {
  std::vector<Json> tools;
  Json params = Json::object();
  for (int page = 0; page < kMaxToolPages; ++page) {
    UNMCP_ASSIGN_OR_RETURN(const Json result, Request("tools/list", params));
    if (result.is_object() && result.contains("tools") && result["tools"].is_array()) {
      for (const Json& tool : result["tools"]) {
        if (tool.is_object() && tool.contains("name") && tool["name"].is_string()) tools.push_back(tool);
      }
    }
    const Json cursor = result.is_object() ? result.value("nextCursor", Json()) : Json();
    if (!cursor.is_string()) break;
    params["cursor"] = cursor;
  }
  return tools;
}

void McpClient::Answer(const Json& request) {
  Json answer = {{"jsonrpc", "2.0"}, {"id", request["id"]}};
  if (request["method"] == "ping") {
    answer["result"] = Json::object();
  } else {
    answer["error"] = {{"code", -32601}, {"message", "this client is a command and cannot do that"}};
  }
  Send(answer);
}

bool McpClient::Send(const Json& message) { return session_->Send(JsonText(message)); }

}  // namespace unmcp
