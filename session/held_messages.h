// Messages that wait for the server to be there, in the order they came.
#ifndef UNMCP_SESSION_HELD_MESSAGES_H_
#define UNMCP_SESSION_HELD_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "session/client_session.h"

namespace unmcp::session {

// What one session may have waiting: a burst of calls while a server starts. A
// single message that is larger is held when it is the session's first.
inline constexpr size_t kMaxHeldBytesPerSession = 4 * 1024 * 1024;
// And all sessions of a server together, so that many clients of one that will
// not start do not eat the machine.
inline constexpr size_t kMaxHeldBytes = 64 * 1024 * 1024;

class HeldMessages {
 public:
  struct Message {
    ClientSession* session = nullptr;  // nullptr: the hub's own
    uint64_t call = 0;                 // upstream id, when it is a call
    std::string text;
  };

  bool Fits(const ClientSession& session, size_t bytes) const {
    return bytes_ + bytes <= kMaxHeldBytes &&
           (session.held_bytes == 0 || session.held_bytes + bytes <= kMaxHeldBytesPerSession);
  }

  void Add(Message message) {
    bytes_ += message.text.size();
    if (message.session != nullptr) message.session->held_bytes += message.text.size();
    queue_.push_back(std::move(message));
  }

  std::optional<Message> Next() {
    if (queue_.empty()) return std::nullopt;
    Message message = std::move(queue_.front());
    queue_.pop_front();
    Forget(message);
    return message;
  }

  void DropCall(uint64_t call) {
    DropIf([call](const Message& m) { return m.call == call; });
  }
  void DropSession(const ClientSession* session) {
    if (session->held_bytes > 0) DropIf([session](const Message& m) { return m.session == session; });
  }
  void Clear() {
    DropIf([](const Message&) { return true; });
  }

  bool empty() const { return queue_.empty(); }

 private:
  void Forget(const Message& message) {
    bytes_ -= message.text.size();
    if (message.session != nullptr) message.session->held_bytes -= message.text.size();
  }
  template <typename Predicate>
  void DropIf(Predicate predicate) {
    std::erase_if(queue_, [&](const Message& message) {
      if (!predicate(message)) return false;
      Forget(message);
      return true;
    });
  }

  std::deque<Message> queue_;
  size_t bytes_ = 0;
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_HELD_MESSAGES_H_
