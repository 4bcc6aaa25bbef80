// The gateway, and its end of the Link.
#ifndef UNMCP_SERVE_GATEWAY_PART_H_
#define UNMCP_SERVE_GATEWAY_PART_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/event_loop.h"
#include "gateway/api_caller.h"
#include "gateway/gateway.h"
#include "grpcpp/channel.h"
#include "link/caller.h"
#include "link/completion.h"
#include "prometheus/registry.h"

namespace unmcp {

// Serves when the Link is up and the apiserver says that it serves; /ready says
// what is missing until then. Example:
//
//   UNMCP_ASSIGN_OR_RETURN(auto part, GatewayPart::Create({.loop = &loop, .apiserver_socket = path, .on_ready = …}));
//   loop.Start();
//   …
//   part->BeginStop();
//   part->Stop();
//   loop.Stop();
//
// Thread safety: methods from the main thread; destroyed when the loop has
// stopped.
class GatewayPart {
 public:
  struct Options {
    EventLoop* loop = nullptr;  // not started yet; outlives this
    // An apiserver in another process, or …
    std::string apiserver_socket;
    // … in this one, on this loop.
    std::shared_ptr<grpc::Channel> api, internal;
    link::CompletionDriver* completions = nullptr;

    std::string host;
    int port = 0;
    std::vector<std::string> allowed_hosts, allowed_origins;
    // Once, on the loop: clients are served.
    absl::AnyInvocable<void()> on_ready;
  };

  // Listens from here on. Errors: those of Gateway::Create.
  static absl::StatusOr<std::unique_ptr<GatewayPart>> Create(Options options);

  int port() const { return gateway_->port(); }

  // /ready says no from here on.
  void BeginStop();
  // Ends streams in good order, and the Link.
  void Stop();

 private:
  explicit GatewayPart(Options options);
  void OnLink(bool connected);
  void AskForHealth();

  Options options_;
  bool was_linked_ = false;
  prometheus::Registry registry_;
  std::unique_ptr<link::CompletionDriver> own_completions_;
  std::unique_ptr<link::Caller> caller_;
  std::unique_ptr<gateway::Gateway> gateway_;
  Timer health_timer_;
  std::unique_ptr<gateway::ApiCaller> health_caller_;
};

}  // namespace unmcp

#endif  // UNMCP_SERVE_GATEWAY_PART_H_
