// The gRPC API, as client commands use it: calls that block, errors that can be
// shown.
//
//   ApiClient api({.addresses = {"127.0.0.1:9090"}});
//   UNMCP_RETURN_IF_ERROR(api.Connect());
//   UNMCP_ASSIGN_OR_RETURN(const v1::MCPServer server, api.GetServer("time"));
#ifndef UNMCP_CLI_API_CLIENT_H_
#define UNMCP_CLI_API_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "unmcp/v1/manifest_service.pb.h"
#include "unmcp/v1/pool_service.pb.h"
#include "unmcp/v1/server_service.pb.h"

namespace unmcp {

// Where unmcp listens unless it is told otherwise.
inline constexpr char kDefaultServer[] = "127.0.0.1:9090";

// Until a command says that nobody is there. A person waits for it.
inline constexpr absl::Duration kConnectTimeout = absl::Seconds(3);

// For a call that reads or writes; what takes longer is a stream.
inline constexpr absl::Duration kCallTimeout = absl::Seconds(30);

// Whether the API itself answered with this error (and not: nobody answered, a
// file cannot be read, …).
bool IsFromServer(const absl::Status& status);

// An error as kubectl would show it: "Error from server (NotFound): …" or
// "error: …".
std::string ErrorText(const absl::Status& status);

// A session with an MCP server (SessionService.Connect). Messages are whole
// JSON-RPC messages. One thread sends while another receives.
class McpSession {
 public:
  virtual ~McpSession() = default;
  // Blocks while the server does not take more. False: the session has ended.
  virtual bool Send(absl::string_view message) = 0;
  // Blocks until there is one. False: the session has ended.
  virtual bool Receive(std::string* message) = 0;
  // Ends it: what Send and Receive wait for in other threads fails. Thread safe.
  virtual void Cancel() = 0;
  // Why it ended. After Receive has returned false, once.
  virtual absl::Status Finish() = 0;
};

// Thread safety: thread safe once connected.
class ApiClient {
 public:
  struct Options {
    // HOST:PORT or unix:PATH; the first that answers is used. Of several, only
    // the last is where the user expects unmcp to be.
    std::vector<std::string> addresses = {kDefaultServer};
    absl::Duration connect_timeout = kConnectTimeout;
    // Where it is now, "" if that is not known: one that was started again may
    // listen elsewhere. Null: always at the same address.
    std::function<std::string()> address_now = nullptr;
  };
  explicit ApiClient(Options options);
  ~ApiClient();

  // Finds out who answers; UNAVAILABLE says what to do when nobody does. Again
  // after a connection was lost: it waits up to `patience` for unmcp to come
  // back, where the first one takes a refusal for an answer. No session is open
  // and no call in flight meanwhile.
  absl::Status Connect();
  absl::Status Reconnect(absl::Duration patience);
  // The one that answered.
  const std::string& address() const { return address_; }

  // Every page of it.
  absl::StatusOr<std::vector<v1::MCPServer>> ListServers(const v1::ListServersRequest& filter = {});
  absl::StatusOr<std::vector<v1::MCPPool>> ListPools();
  absl::StatusOr<v1::MCPServer> GetServer(const std::string& name);
  absl::StatusOr<v1::MCPPool> GetPool(const std::string& name);
  absl::Status DeleteServer(const std::string& name);
  absl::Status DeletePool(const std::string& name);
  absl::StatusOr<v1::MCPServer> StartServer(const std::string& name);
  absl::StatusOr<v1::MCPServer> StopServer(const std::string& name, bool suspend);
  absl::StatusOr<std::vector<v1::ServerEvent>> ListServerEvents(const std::string& name);
  absl::StatusOr<v1::ApplyResponse> Apply(const v1::ApplyRequest& request);
  // The namespace that is served.
  std::string Namespace();

  // Streams: `take` gets each message, and ends the stream (with OK) by
  // returning false. DEADLINE_EXCEEDED after `deadline`; UNAVAILABLE when the
  // stream is cut off. Logs end with OK when the server's process does.
  absl::Status WatchServers(const v1::WatchServersRequest& filter, absl::Time deadline,
                            absl::FunctionRef<bool(const v1::ServerChange&)> take);
  absl::Status WatchPools(absl::Time deadline, absl::FunctionRef<bool(const v1::PoolChange&)> take);
  absl::Status FollowServerLogs(const std::string& name, int tail_lines,
                                absl::FunctionRef<bool(const v1::ServerLogs&)> take);
  absl::StatusOr<std::string> GetServerLogs(const std::string& name, int tail_lines);

  // Opens a session with a server; returns when it is open. The client outlives
  // the session.
  absl::StatusOr<std::unique_ptr<McpSession>> OpenSession(const std::string& server);

 private:
  struct Stubs;
  class Session;

  const Options options_;
  std::string address_;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace unmcp

#endif  // UNMCP_CLI_API_CLIENT_H_
