// One MCP server as the data path sees it: its sessions, and the upstream that
// they are for, when there is one.
#ifndef UNMCP_APISERVER_SERVER_RUNTIME_H_
#define UNMCP_APISERVER_SERVER_RUNTIME_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "apiserver/upstream.h"
#include "apiserver/upstream_access.h"
#include "common/event_loop.h"
#include "common/random.h"
#include "http/http_client.h"
#include "kube/cluster.h"
#include "session/shared_hub.h"
#include "unmcp/v1/state.pb.h"

namespace unmcp::apiserver {

// Joins a SharedHub to the server that the controller routes it to: connects as
// spec.transport says, asks for a wake, answers drains.
//
// A server in a Pod is connected to as soon as its route is published: it was
// started because somebody waits for it. One that runs elsewhere (spec.url) has
// a route always; it is connected to when somebody needs it, and when it is not
// known yet what it is, and let go after idleTimeout.
//
// Lives on one EventLoop.
class ServerRuntime final : public session::SharedHub::Host, public Upstream::Handler {
 public:
  // What the runtime has to say to the controller.
  class Uplink {
   public:
    virtual ~Uplink() = default;
    virtual void Demand(const std::string& uid) = 0;
    virtual void Discovered(v1::Discovery discovery) = 0;
    // activity() changed; called per message.
    virtual void ActivityChanged(ServerRuntime* runtime) = 0;
    // Whether a controller listens now.
    virtual bool has_controller() const = 0;
  };

  struct Options {
    EventLoop* loop = nullptr;
    kube::Cluster* cluster = nullptr;
    http::Client* http = nullptr;
    Random* random = nullptr;
    Uplink* uplink = nullptr;
    std::string version;  // of unmcp
  };
  ServerRuntime(Options options, std::shared_ptr<const v1::PublishedServer> published);
  ~ServerRuntime() override;

  void Publish(std::shared_ptr<const v1::PublishedServer> published);
  void Handle(session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange);
  // Whether the life may end; see Drain in state.proto.
  bool TryDrain(int64_t incarnation);
  void CancelDrain();
  // Somebody waits for the server, and it is not up.
  bool waiting() const { return waiting_; }
  // A controller has come or gone.
  void OnControllerChange();
  // Ends all sessions.
  void CloseAll(absl::string_view why);

  session::HubActivity activity() const { return hub_->activity(); }
  const v1::MCPServer& server() const { return published_->server(); }

 private:
  // session::SharedHub::Host
  void Wake() override;
  void OnRefused() override;
  void SendUpstream(std::string message) override;
  size_t upstream_pending() const override;
  void OnDiscovered(const session::Discovered& discovered) override;
  void OnHandshakeFailed(absl::Status why) override;
  void OnActivity() override;
  // Upstream::Handler
  void OnOpen() override;
  void OnMessage(absl::string_view message) override { hub_->OnUpstreamMessage(message); }
  void OnOversized(absl::string_view head, absl::string_view tail, size_t length) override {
    hub_->OnUpstreamOversized(head, tail, length);
  }
  void OnClosed(absl::Status why) override;

  const v1::MCPServerSpec& spec() const;
  absl::Duration StartupTimeout() const;
  bool elsewhere() const { return !spec().url().empty(); }
  bool stdio() const;
  // Whether what is published says where to connect to.
  bool Routed() const;

  void Connect();
  void ConnectHttp(absl::StatusOr<ResolvedAccess> access);
  // Where an HTTP server is.
  absl::StatusOr<std::string> Url() const;
  // The upstream has gone, by itself.
  void Ended(absl::Status why);
  // Lets go of the upstream; the life goes on.
  void Disconnect(absl::Status why);
  // Lets go of the life too.
  void Leave(absl::Status why);
  // The same as soon as nothing is in flight; then what is published holds.
  void LeaveWhenQuiet();
  void LeaveBy(absl::Time until);
  void WatchIdleness();
  void SetWaiting(bool waiting);
  void FailWake(session::Unavailable why);
  // Tells the controller that this life is of no use.
  void ReportFailure(absl::string_view why);

  const Options options_;
  std::shared_ptr<const v1::PublishedServer> published_;
  std::unique_ptr<session::SharedHub> hub_;
  // The life that is connected to, or is to be.
  std::optional<v1::Route> route_;
  // It is not to be connected to again: it ends, or has ended.
  bool spent_ = false;
  uint64_t attempt_ = 0;  // what belongs to an older Connect is ignored
  bool connecting_ = false;  // reading what Secrets hold
  bool over_stdio_ = false;  // how this life is spoken to
  std::unique_ptr<Upstream> upstream_;
  std::vector<std::unique_ptr<Upstream>> ended_;  // destroyed in the loop's next turn
  bool open_ = false;                             // the hub knows of it
  bool handshaken_ = false;
  ResolvedAccess access_;   // what goes to it: its values are secrets
  bool counting_tools_ = false;
  // What this life's discovery brought: said again to a controller that comes
  // later, since one that has missed it would start the server once more.
  std::optional<v1::Discovery> discovery_;
  bool waiting_ = false;
  absl::Time demanded_at_ = absl::InfinitePast();
  bool draining_ = false;
  absl::Time used_at_ = absl::InfinitePast();
  Timer wake_timer_;
  Timer news_timer_;   // for news of the life's own end
  Timer leave_timer_;  // LeaveWhenQuiet
  Timer idle_timer_;   // of a server that runs elsewhere
  // Tells callbacks that outlive the runtime that it has gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SERVER_RUNTIME_H_
