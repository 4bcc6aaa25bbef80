#include "apiserver/upstream_stdio.h"

#include <utility>

#include "glog/logging.h"

namespace unmcp::apiserver {
namespace {

// Between attempts to attach to a life that is published but does not answer.
constexpr absl::Duration kAttachRetry = absl::Milliseconds(100);

}  // namespace

StdioUpstream::StdioUpstream(Options options, Handler* handler)
    : options_(std::move(options)), handler_(handler), retry_(options_.loop) {
  Attach();
}

StdioUpstream::~StdioUpstream() { *alive_ = false; }

void StdioUpstream::Attach() {
  options_.cluster->Attach(
      options_.pod, options_.attach,
      [this, alive = alive_,
       loop = options_.loop](absl::StatusOr<std::unique_ptr<kube::Attachment>> attachment) mutable {
        loop->Post([this, alive = std::move(alive), attachment = std::move(attachment)]() mutable {
          if (*alive) OnAttached(std::move(attachment));
        });
      });
}

void StdioUpstream::OnAttached(absl::StatusOr<std::unique_ptr<kube::Attachment>> attachment) {
  if (!attachment.ok()) {
    LOG(WARNING) << "cannot attach to Pod " << options_.pod.name << ": " << attachment.status();
    // A life that has ended is followed by news of it; anything else passes.
    if (!absl::IsNotFound(attachment.status())) retry_.Set(kAttachRetry, [this] { Attach(); });
    return;
  }
  attachment_ = *std::move(attachment);
  handler_->OnOpen();
  attachment_->Start(options_.loop, this);
}

void StdioUpstream::Send(std::string message) {
  if (closed_) return;
  message.push_back('\n');
  attachment_->Write(std::move(message));
}

size_t StdioUpstream::pending() const { return attachment_ ? attachment_->pending() : 0; }

void StdioUpstream::OnOutput(absl::string_view bytes) {
  framer_.Feed(
      bytes, [this](absl::string_view line) { handler_->OnMessage(line); },
      [this](const bridge::OversizedLine& line) { handler_->OnOversized(line.head, line.tail, line.length); });
}

void StdioUpstream::OnClosed(absl::Status why) {
  closed_ = true;
  handler_->OnClosed(std::move(why));
}

}  // namespace unmcp::apiserver
