// One MCP server as the data path sees it: its sessions, and the process they
// are for, when there is one.
#ifndef UNMCP_APISERVER_SERVER_RUNTIME_H_
#define UNMCP_APISERVER_SERVER_RUNTIME_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "bridge/line_framer.h"
#include "common/event_loop.h"
#include "common/random.h"
#include "kube/cluster.h"
#include "session/shared_hub.h"
#include "unmcp/v1/state.pb.h"

namespace unmcp::apiserver {

// Joins a SharedHub to the process that the controller routes it to: attaches
// to the Pod, frames its lines, asks for a wake, answers drains.
//
// Lives on one EventLoop.
class ServerRuntime final : public session::SharedHub::Host, public kube::AttachHandler {
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
  // kube::AttachHandler
  void OnOutput(absl::string_view bytes) override;
  void OnWritable() override {}
  void OnClosed(absl::Status why) override;

  void Attach();
  void OnAttached(absl::StatusOr<std::unique_ptr<kube::Attachment>> attachment);
  void Detach(absl::Status why);
  void SetWaiting(bool waiting);
  void FailWake(session::Unavailable why);
  // Tells the controller that this life is of no use.
  void ReportFailure(absl::string_view why);

  const Options options_;
  std::shared_ptr<const v1::PublishedServer> published_;
  std::unique_ptr<session::SharedHub> hub_;
  // The life that is attached to, or is being; its container_id is empty when
  // there is none. A life whose attachment has closed is not attached to again.
  v1::Route route_;
  uint64_t attempt_ = 0;  // answers to an older Attach are ignored
  std::unique_ptr<kube::Attachment> attachment_;
  std::unique_ptr<bridge::LineFramer> framer_;
  bool counting_tools_ = false;
  // What this life's discovery brought: said again to a controller that comes
  // later, since one that has missed it would start the server once more.
  std::optional<v1::Discovery> discovery_;
  bool waiting_ = false;
  absl::Time demanded_at_ = absl::InfinitePast();
  bool draining_ = false;
  Timer wake_timer_;
  Timer retry_timer_;
  // Tells callbacks that outlive the runtime that it has gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SERVER_RUNTIME_H_
