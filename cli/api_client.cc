#include "cli/api_client.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "unmcp/v1/manifest_service.grpc.pb.h"
#include "unmcp/v1/pool_service.grpc.pb.h"
#include "unmcp/v1/server_service.grpc.pb.h"
#include "unmcp/v1/session_service.grpc.pb.h"

namespace unmcp {
namespace {

constexpr char kFromServer[] = "unmcp.dev/from-server";

// Room for the longest line of a server (see bridge/line_framer.h), and for
// pages of large specs.
constexpr int kMaxMessageBytes = 64 << 20;
// Specs may be as large as a Kubernetes object, a megabyte: a page stays under
// the bound above even so, nearly always.
constexpr int kPageSize = 200;

// Somebody waits, and the machine is this one: the library's own minute of
// back-off is for others.
constexpr int kFirstReconnectMs = 100;
constexpr int kLastReconnectMs = 2000;

// How often is looked whether unmcp has come back elsewhere.
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);

std::chrono::system_clock::time_point Deadline(absl::Duration timeout) { return absl::ToChronoTime(absl::Now() + timeout); }

std::shared_ptr<grpc::Channel> NewChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A proxy for the web (http_proxy) is not on the way to this machine.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// Whether somebody is there. A refusal is an answer; silence takes the timeout.
bool Answers(grpc::Channel* channel, absl::Duration timeout) {
  const auto deadline = Deadline(timeout);
  for (;;) {
    const grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) return true;
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || !channel->WaitForStateChange(state, deadline)) return false;
  }
}

absl::Status NotRunning(const std::string& address) {
  return absl::UnavailableError(absl::StrCat("unmcp is not running at ", address,
                                             ": start it with `unmcp up`, or name another with --server"));
}

// Codes by the reasons that Kubernetes gives.
absl::string_view Reason(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument: return "Invalid";
    case absl::StatusCode::kNotFound: return "NotFound";
    case absl::StatusCode::kAlreadyExists: return "AlreadyExists";
    case absl::StatusCode::kAborted: return "Conflict";
    case absl::StatusCode::kPermissionDenied: return "Forbidden";
    case absl::StatusCode::kUnauthenticated: return "Unauthorized";
    case absl::StatusCode::kUnavailable: return "ServiceUnavailable";
    case absl::StatusCode::kDeadlineExceeded: return "Timeout";
    case absl::StatusCode::kResourceExhausted: return "TooManyRequests";
    case absl::StatusCode::kFailedPrecondition: return "FailedPrecondition";
    case absl::StatusCode::kUnimplemented: return "MethodNotAllowed";
    default: return "InternalError";
  }
}

}  // namespace

bool IsFromServer(const absl::Status& status) { return status.GetPayload(kFromServer).has_value(); }

std::string ErrorText(const absl::Status& status) {
  if (!IsFromServer(status)) return absl::StrCat("error: ", status.message());
  return absl::StrCat("Error from server (", Reason(status.code()), "): ", status.message());
}

struct ApiClient::Stubs {
  explicit Stubs(std::string to)
      : address(std::move(to)),
        channel(NewChannel(address)),
        servers(v1::ServerService::NewStub(channel)),
        pools(v1::PoolService::NewStub(channel)),
        manifests(v1::ManifestService::NewStub(channel)),
        sessions(v1::SessionService::NewStub(channel)) {}

  // What a call ended with, in words for people.
  absl::Status Error(const grpc::Status& ended) const {
    absl::Status status = FromGrpc(ended);
    if (status.ok()) return status;
    // Both mean "unavailable"; only one of them is unmcp's word.
    if (absl::IsUnavailable(status) && channel->GetState(false) != GRPC_CHANNEL_READY) {
      return absl::UnavailableError(absl::StrCat("the connection to unmcp at ", address, " was lost (", status.message(),
                                                 "): is it still running?"));
    }
    if (absl::IsUnimplemented(status)) {
      status = absl::UnimplementedError(
          absl::StrCat("unmcp at ", address, " does not know this request; it may be older than this command"));
    }
    status.SetPayload(kFromServer, absl::Cord());
    return status;
  }

  // One call. `Stub` and `method` are a generated stub and its blocking method.
  template <typename Response, typename Stub, typename Method, typename Request>
  absl::StatusOr<Response> Call(Stub* stub, Method method, const Request& request) const {
    grpc::ClientContext context;
    context.set_deadline(Deadline(kCallTimeout));
    Response response;
    UNMCP_RETURN_IF_ERROR(Error((stub->*method)(&context, request, &response)));
    return response;
  }

  // One stream of answers.
  template <typename Response, typename Stub, typename Method, typename Request>
  absl::Status Stream(Stub* stub, Method method, const Request& request, absl::Time deadline,
                      absl::FunctionRef<bool(const Response&)> take) const {
    grpc::ClientContext context;
    if (deadline != absl::InfiniteFuture()) context.set_deadline(absl::ToChronoTime(deadline));
    const auto reader = (stub->*method)(&context, request);
    Response response;
    while (reader->Read(&response)) {
      if (take(response)) continue;
      context.TryCancel();
      reader->Finish();
      return absl::OkStatus();
    }
    return Error(reader->Finish());
  }

  const std::string address;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::ServerService::Stub> servers;
  const std::unique_ptr<v1::PoolService::Stub> pools;
  const std::unique_ptr<v1::ManifestService::Stub> manifests;
  const std::unique_ptr<v1::SessionService::Stub> sessions;
};

ApiClient::ApiClient(Options options) : options_(std::move(options)) {}
ApiClient::~ApiClient() = default;

absl::Status ApiClient::Connect() {
  for (const std::string& address : options_.addresses) {
    address_ = address;
    stubs_ = std::make_unique<Stubs>(address);
    if (Answers(stubs_->channel.get(), options_.connect_timeout)) return absl::OkStatus();
  }
  return NotRunning(address_);
}

absl::Status ApiClient::Reconnect(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  for (;;) {
    const absl::Duration left = deadline - absl::Now();
    const bool may_move = options_.address_now != nullptr;
    if (stubs_->channel->WaitForConnected(Deadline(may_move ? std::min(left, kLookAgain) : left))) return absl::OkStatus();
    const std::string address = may_move ? options_.address_now() : "";
    if (!address.empty() && address != address_) {
      address_ = address;
      stubs_ = std::make_unique<Stubs>(address);
    } else if (absl::Now() >= deadline) {
      return NotRunning(address_);
    }
  }
}

absl::StatusOr<std::vector<v1::MCPServer>> ApiClient::ListServers(const v1::ListServersRequest& filter) {
  std::vector<v1::MCPServer> servers;
  v1::ListServersRequest request = filter;
  request.set_page_size(kPageSize);
  do {
    UNMCP_ASSIGN_OR_RETURN(auto page, stubs_->Call<v1::ListServersResponse>(
                                          stubs_->servers.get(), &v1::ServerService::Stub::ListServers, request));
    for (v1::MCPServer& server : *page.mutable_items()) servers.push_back(std::move(server));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return servers;
}

absl::StatusOr<std::vector<v1::MCPPool>> ApiClient::ListPools() {
  std::vector<v1::MCPPool> pools;
  v1::ListPoolsRequest request;
  request.set_page_size(kPageSize);
  do {
    UNMCP_ASSIGN_OR_RETURN(auto page, stubs_->Call<v1::ListPoolsResponse>(stubs_->pools.get(),
                                                                          &v1::PoolService::Stub::ListPools, request));
    for (v1::MCPPool& pool : *page.mutable_items()) pools.push_back(std::move(pool));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return pools;
}

absl::StatusOr<v1::MCPServer> ApiClient::GetServer(const std::string& name) {
  v1::GetServerRequest request;
  request.set_uid(name);
  return stubs_->Call<v1::MCPServer>(stubs_->servers.get(), &v1::ServerService::Stub::GetServer, request);
}

absl::StatusOr<v1::MCPPool> ApiClient::GetPool(const std::string& name) {
  v1::GetPoolRequest request;
  request.set_name(name);
  return stubs_->Call<v1::MCPPool>(stubs_->pools.get(), &v1::PoolService::Stub::GetPool, request);
}

absl::Status ApiClient::DeleteServer(const std::string& name) {
  v1::DeleteServerRequest request;
  request.set_uid(name);
  return stubs_
      ->Call<v1::DeleteServerResponse>(stubs_->servers.get(), &v1::ServerService::Stub::DeleteServer, request)
      .status();
}

absl::Status ApiClient::DeletePool(const std::string& name) {
  v1::DeletePoolRequest request;
  request.set_name(name);
  return stubs_->Call<v1::DeletePoolResponse>(stubs_->pools.get(), &v1::PoolService::Stub::DeletePool, request)
      .status();
}

absl::StatusOr<v1::MCPServer> ApiClient::StartServer(const std::string& name) {
  v1::StartServerRequest request;
  request.set_uid(name);
  return stubs_->Call<v1::MCPServer>(stubs_->servers.get(), &v1::ServerService::Stub::StartServer, request);
}

absl::StatusOr<v1::MCPServer> ApiClient::StopServer(const std::string& name, bool suspend) {
  v1::StopServerRequest request;
  request.set_uid(name);
  request.set_suspend(suspend);
  return stubs_->Call<v1::MCPServer>(stubs_->servers.get(), &v1::ServerService::Stub::StopServer, request);
}

absl::StatusOr<std::vector<v1::ServerEvent>> ApiClient::ListServerEvents(const std::string& name) {
  v1::ListServerEventsRequest request;
  request.set_uid(name);
  UNMCP_ASSIGN_OR_RETURN(const auto events,
                         stubs_->Call<v1::ListServerEventsResponse>(
                             stubs_->servers.get(), &v1::ServerService::Stub::ListServerEvents, request));
  return std::vector<v1::ServerEvent>(events.items().begin(), events.items().end());
}

absl::StatusOr<v1::ApplyResponse> ApiClient::Apply(const v1::ApplyRequest& request) {
  return stubs_->Call<v1::ApplyResponse>(stubs_->manifests.get(), &v1::ManifestService::Stub::Apply, request);
}

std::string ApiClient::Namespace() {
  // There is always a pool, and it is where everything is.
  const auto pools = ListPools();
  return pools.ok() && !pools->empty() && !pools->front().namespace_().empty() ? pools->front().namespace_()
                                                                                : "default";
}

absl::Status ApiClient::WatchServers(const v1::WatchServersRequest& filter, absl::Time deadline,
                                     absl::FunctionRef<bool(const v1::ServerChange&)> take) {
  v1::WatchServersRequest request = filter;
  request.set_watch(true);
  return stubs_->Stream<v1::ServerChange>(stubs_->servers.get(), &v1::ServerService::Stub::WatchServers, request,
                                          deadline, take);
}

absl::Status ApiClient::WatchPools(absl::Time deadline, absl::FunctionRef<bool(const v1::PoolChange&)> take) {
  v1::WatchPoolsRequest request;
  request.set_watch(true);
  return stubs_->Stream<v1::PoolChange>(stubs_->pools.get(), &v1::PoolService::Stub::WatchPools, request, deadline,
                                        take);
}

absl::Status ApiClient::FollowServerLogs(const std::string& name, int tail_lines,
                                         absl::FunctionRef<bool(const v1::ServerLogs&)> take) {
  v1::FollowServerLogsRequest request;
  request.set_uid(name);
  request.set_follow(true);
  request.set_tail_lines(tail_lines);
  return stubs_->Stream<v1::ServerLogs>(stubs_->servers.get(), &v1::ServerService::Stub::FollowServerLogs, request,
                                        absl::InfiniteFuture(), take);
}

absl::StatusOr<std::string> ApiClient::GetServerLogs(const std::string& name, int tail_lines) {
  v1::GetServerLogsRequest request;
  request.set_uid(name);
  request.set_tail_lines(tail_lines);
  UNMCP_ASSIGN_OR_RETURN(auto logs, stubs_->Call<v1::ServerLogs>(stubs_->servers.get(),
                                                                 &v1::ServerService::Stub::GetServerLogs, request));
  return std::move(*logs.mutable_text());
}

class ApiClient::Session final : public McpSession {
 public:
  explicit Session(const Stubs* stubs) : stubs_(stubs), stream_(stubs->sessions->Connect(&context_)) {}
  ~Session() override {
    if (finished_) return;
    Cancel();
    stream_->Finish();
  }

  bool Open(const std::string& server) {
    v1::ConnectRequest request;
    request.mutable_open()->set_server(server);
    std::string nothing;
    return stream_->Write(request) && Receive(&nothing);
  }

  bool Send(absl::string_view message) override {
    v1::ConnectRequest request;
    request.set_payload(message.data(), message.size());
    return stream_->Write(request);
  }

  bool Receive(std::string* message) override {
    v1::ConnectResponse response;
    if (!stream_->Read(&response)) return false;
    *message = std::move(*response.mutable_payload());
    return true;
  }

  void Cancel() override { context_.TryCancel(); }

  absl::Status Finish() override {
    finished_ = true;
    return stubs_->Error(stream_->Finish());
  }

 private:
  const Stubs* const stubs_;
  grpc::ClientContext context_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::ConnectRequest, v1::ConnectResponse>> stream_;
  bool finished_ = false;
};

absl::StatusOr<std::unique_ptr<McpSession>> ApiClient::OpenSession(const std::string& server) {
  auto session = std::make_unique<Session>(stubs_.get());
  if (session->Open(server)) return session;
  const absl::Status why = session->Finish();
  // A stream that ends well before it is open is no session.
  return why.ok() ? absl::UnavailableError("unmcp ended the session before it was open; try again") : why;
}

}  // namespace unmcp
