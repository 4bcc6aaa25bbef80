// Servers that speak MCP on their standard streams: one message a line.
#ifndef UNMCP_APISERVER_UPSTREAM_STDIO_H_
#define UNMCP_APISERVER_UPSTREAM_STDIO_H_

#include <memory>

#include "apiserver/upstream.h"
#include "bridge/line_framer.h"
#include "common/event_loop.h"
#include "kube/cluster.h"

namespace unmcp::apiserver {

// Attaches to a running container. An attempt that fails is repeated, unless
// the container's life is over: news of that comes from the controller.
class StdioUpstream final : public Upstream, public kube::AttachHandler {
 public:
  struct Options {
    EventLoop* loop = nullptr;
    kube::Cluster* cluster = nullptr;
    kube::ObjectRef pod;
    kube::AttachOptions attach;
  };
  // `handler` outlives this.
  StdioUpstream(Options options, Handler* handler);
  ~StdioUpstream() override;

  void Send(std::string message) override;
  size_t pending() const override;

 private:
  // kube::AttachHandler
  void OnOutput(absl::string_view bytes) override;
  void OnWritable() override {}
  void OnClosed(absl::Status why) override;

  void Attach();
  void OnAttached(absl::StatusOr<std::unique_ptr<kube::Attachment>> attachment);

  const Options options_;
  Handler* const handler_;
  std::unique_ptr<kube::Attachment> attachment_;
  bool closed_ = false;
  bridge::LineFramer framer_;
  Timer retry_;
  // Tells callbacks that outlive this that it has gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_UPSTREAM_STDIO_H_
