#include "session/client_session.h"

namespace unmcp::session {

bool ClientSession::Deliver(std::string message, absl::string_view event) {
  if (ended()) return true;
  const size_t queued = stream_->queued();
  if (queued == 0) queue_limit_ = kMaxQueuedBytes + (message.size() > kMaxQueuedBytes ? message.size() : 0);
  if (queued + message.size() > queue_limit_) return false;
  stream_->Send(std::move(message), event);
  return true;
}

void ClientSession::End(bool in_good_order) {
  if (ended()) return;
  // Out of reach first: the exchange may answer from within.
  const std::unique_ptr<Exchange> stream = std::move(stream_);
  stream->SetHandler(nullptr);
  if (in_good_order) stream->Close();
}

}  // namespace unmcp::session
