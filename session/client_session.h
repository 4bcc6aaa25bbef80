// One client's session: its stream, and what the hub has to remember of it.
#ifndef UNMCP_SESSION_CLIENT_SESSION_H_
#define UNMCP_SESSION_CLIENT_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "session/exchange.h"

namespace unmcp::session {

// What may wait for a client that is slow to read. Some hundred answers of the
// usual size; a client that never reads costs this and no more. One message
// that is larger passes when nothing else waits, and comes on top.
inline constexpr size_t kMaxQueuedBytes = 8 * 1024 * 1024;

// Kept small: there is one for every client that is connected, idle ones too.
// Lives on the hub's scheduler.
class ClientSession final : public ExchangeHandler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The client has gone.
    virtual void OnStreamClosed(ClientSession* session) = 0;
  };

  // A call that has not been answered: its upstream id, and a hash of the id
  // that the client gave it.
  struct OpenCall {
    uint64_t upstream_id;
    size_t client_id_hash;
  };

  ClientSession(Owner* owner, std::string id, std::unique_ptr<Exchange> stream)
      : owner_(owner), id_(std::move(id)), stream_(std::move(stream)) {}

  const std::string& id() const { return id_; }
  Exchange* stream() { return stream_.get(); }

  // Sends a message as an event. False when the client has left too much
  // unread: nothing was sent, and the session should be ended.
  [[nodiscard]] bool Deliver(std::string message, absl::string_view event = "");

  // No more events come or go. With `in_good_order` what was sent still
  // reaches the client; otherwise it is thrown away.
  void End(bool in_good_order);
  bool ended() const { return stream_ == nullptr; }

  // ---- the hub's notes ------------------------------------------------------

  // Has been answered `initialize`, here or before it reconnected.
  bool initialized = false;
  // What the client said it can serve.
  bool sampling = false, elicitation = false, roots = false;
  // By logging/setLevel: an index of kLogLevels, or -1.
  int8_t log_level = -1;
  int subscriptions = 0;
  // Bytes of its messages that wait for the server.
  size_t held_bytes = 0;
  std::vector<OpenCall> calls;

  // ---- ExchangeHandler ------------------------------------------------------

  void OnMessage(std::string) override {}  // a GET has no body that means anything
  void OnClosed() override { owner_->OnStreamClosed(this); }

 private:
  Owner* const owner_;
  const std::string id_;
  std::unique_ptr<Exchange> stream_;
  size_t queue_limit_ = kMaxQueuedBytes;
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_CLIENT_SESSION_H_
