// An MCP client for commands: one session, one request at a time.
//
//   UNMCP_ASSIGN_OR_RETURN(auto client, McpClient::Open(api, "time", on_notification));
//   UNMCP_ASSIGN_OR_RETURN(const nlohmann::json result, client->Request("tools/list", nlohmann::json::object()));
#ifndef UNMCP_CLI_COMMANDS_MCP_CLIENT_H_
#define UNMCP_CLI_COMMANDS_MCP_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/api_client.h"
#include "nlohmann/json.hpp"

namespace unmcp {

// Thread compatible. `api` outlives it.
class McpClient {
 public:
  using OnNotification = std::function<void(const nlohmann::json& message)>;

  // Connects and initializes, which starts the server if it sleeps.
  static absl::StatusOr<std::unique_ptr<McpClient>> Open(ApiClient& api, const std::string& server,
                                                         OnNotification on_notification);

  // The result. UNKNOWN, with the server's words, when the answer is an error;
  // else why the session ended. What the server asks meanwhile is refused: this
  // client can do nothing for it.
  absl::StatusOr<nlohmann::json> Request(const std::string& method, const nlohmann::json& params);

  // Every page of tools/list.
  absl::StatusOr<std::vector<nlohmann::json>> ListTools();

 private:
  McpClient(std::unique_ptr<McpSession> session, OnNotification on_notification)
      : session_(std::move(session)), on_notification_(std::move(on_notification)) {}

  void Answer(const nlohmann::json& request);
  bool Send(const nlohmann::json& message);

  const std::unique_ptr<McpSession> session_;
  const OnNotification on_notification_;
  int last_id_ = 0;
};

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_MCP_CLIENT_H_
