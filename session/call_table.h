// Which call of which client stands behind an id that the server knows.
#ifndef UNMCP_SESSION_CALL_TABLE_H_
#define UNMCP_SESSION_CALL_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "session/client_session.h"

namespace unmcp::session {

// A client's request that has not been answered.
struct Call {
  enum class Kind : uint8_t {
    kForwarded,   // goes to the server as it is
    kInitialize,  // waits for the canonical handshake
    kSetLevel,    // waits for it as well: whether the server logs is in there
    kSubscribe,   // waits for the server's answer to our own subscription
  };
  Kind kind = Kind::kForwarded;
  bool sent = false;  // the server has it
  ClientSession* session = nullptr;
  // Raw, so that numbers and strings stay apart and come back byte for byte.
  std::string client_id = "";
  std::string progress_token = "";  // the empty string: the client asked for no progress
};

// Keyed by integers that are never used twice, so late answers find nothing.
// A session's own list (ClientSession::calls) is kept in step.
class CallTable {
 public:
  // For everything that the server needs a name for: requests, tokens.
  uint64_t NewId() { return ++last_id_; }

  void Add(uint64_t id, Call call);
  // nullptr when there is no such call. Valid until the table changes.
  Call* Find(uint64_t id);
  std::optional<Call> Take(uint64_t id);
  // The upstream id of a session's open call; 0 when it has none by this id.
  uint64_t IdOf(const ClientSession& session, absl::string_view client_id) const;

  // Removes and returns all calls of a session / all calls.
  std::vector<std::pair<uint64_t, Call>> TakeAllOf(ClientSession* session);
  std::vector<std::pair<uint64_t, Call>> TakeAll();

  // The session whose calls the server is working on, when it is only one.
  ClientSession* OnlyBusySession() const;

  // The call that the server is working on, when it is only one; else 0.
  uint64_t OnlySentCall() const;

  size_t size() const { return calls_.size(); }

 private:
  uint64_t last_id_ = 0;
  absl::flat_hash_map<uint64_t, Call> calls_;
};

// The raw text of an id that we gave out, as a number; 0 for anything else.
uint64_t ParseId(absl::string_view raw);

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_CALL_TABLE_H_
