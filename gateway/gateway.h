// The HTTP edge of unmcp: REST and server-sent events in front, gRPC and the
// Link behind. It holds no state but that of the requests under way.
//
//   /api/v1/servers/{uid}/sse, …/message   MCP over HTTP+SSE, as exchanges on the Link
//   whatever is annotated in unmcp.v1      REST, as gRPC calls; streams as server-sent events
//   /openapi.json                          all of this, described for programs
//   /health, /ready, /metrics              for those who operate it
//
// Every request is checked in this order: Host, Origin (403), route (404),
// method (405), content type (415), size (413). Every error is JSON (see
// http_status.h).
#ifndef UNMCP_GATEWAY_GATEWAY_H_
#define UNMCP_GATEWAY_GATEWAY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "gateway/http_server.h"
#include "grpcpp/channel.h"
#include "link/caller.h"

namespace prometheus {
class Registry;
}

namespace unmcp::gateway {

// Example:
//
//   EventLoop loop("gateway");
//   auto caller = link::Caller::Create({.loop = &loop, .channel = channel});
//   UNMCP_ASSIGN_OR_RETURN(auto gateway, gateway::Gateway::Create({.loop = &loop, .port = 8080, .channel = channel,
//                                        .caller = caller.get(), .registry = &registry}));
//   loop.Start();
//   loop.Post([&] { gateway->SetServing(true); });
//   …
//   loop.Post([&] { gateway->Shutdown(absl::Seconds(5), [&] { done.Notify(); }); });
//
// Thread safety: Create and the destructor on the loop's thread, or while the
// loop does not run; everything else on the loop, but port() from anywhere.
class Gateway {
 public:
  struct Options {
    EventLoop* loop = nullptr;  // outlives the gateway, as everything here does
    std::string host = "127.0.0.1";
    int port = 8080;  // 0 picks a free one
    // To the apiserver, for REST calls, its health and its figures.
    std::shared_ptr<grpc::Channel> channel;
    // To the apiserver, for MCP.
    link::Caller* caller = nullptr;
    // The gateway's own figures. /metrics has the apiserver's, too, which it
    // asks for: they are in another registry.
    prometheus::Registry* registry = nullptr;
    // Beside localhost and `host`: see AccessPolicy.
    std::vector<std::string> allowed_hosts = {};
    std::vector<std::string> allowed_origins = {};
    HttpServer::Limits limits = {};
    // Shown by /health.
    std::string version = "";
    // The proto package whose annotated services are served.
    std::string proto_package = "unmcp.v1";
  };

  // Listens from here on. Errors: those of HttpServer::Create; INVALID_ARGUMENT
  // or ALREADY_EXISTS when an annotation cannot be served or two routes clash.
  static absl::StatusOr<std::unique_ptr<Gateway>> Create(Options options);
  ~Gateway();

  int port() const;

  // What /ready says first of all: false until it is called, and again false
  // before a shutdown, so that nobody is sent here any more.
  void SetServing(bool serving);

  // Stops listening; ends event streams in good order (the clients connect
  // again, elsewhere); lets other answers go out; cuts off what is left after
  // `grace`. `done` runs on the loop. Once.
  void Shutdown(absl::Duration grace, absl::AnyInvocable<void()> done);

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_GATEWAY_H_
