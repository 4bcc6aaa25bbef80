// What `unmcp connect` remembers of a session, so that another can take its
// place without the host noticing: what is in flight, and what has to be said
// again to a new session.
//
//   host message  → Refuse, then Register → send
//   from the server → Arrived             → to the host, or not
//   session lost  → Lost                  → to the host
//   new session   → Initialize, Restore   → send
#ifndef UNMCP_CLI_COMMANDS_SESSION_LEDGER_H_
#define UNMCP_CLI_COMMANDS_SESSION_LEDGER_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"

namespace unmcp {

// Requests of a host without an answer: more than any host has, and a bound on
// what a mad one makes us remember.
inline constexpr size_t kMaxInFlight = 10'000;
// Resources a host is subscribed to.
inline constexpr size_t kMaxSubscriptions = 10'000;

// Thread safety: thread safe.
class SessionLedger {
 public:
  // The answer to a host's message that cannot be sent on, since it is no
  // JSON-RPC message or one too many; nullopt: it can.
  std::optional<std::string> Refuse(absl::string_view message) const;

  // Whether `message` (that was not refused) is a request: what is worth a new
  // session.
  static bool IsRequest(absl::string_view message);

  // Notes a message of the host that is about to be sent. False: nobody waits
  // for it any more (an answer to a request of a session that was lost).
  bool Register(absl::string_view message);
  // Notes that it could not be sent after all.
  void Unregister(absl::string_view message);

  enum class Arrival {
    kForHost,
    kOurs,           // an answer to what Restore said
    kReinitialized,  // the answer to Initialize
    kRefused,        // the same, an error
  };
  // Notes a message of the server.
  Arrival Arrived(absl::string_view message);

  // Errors for all that is in flight: the session has ended.
  std::vector<std::string> Lost(absl::string_view why);

  // The initialize that the host's session began with, for a new one; "" if the
  // host has not got that far.
  std::string Initialize() const;
  // After its answer: that the client is initialized, the log level, the
  // subscriptions.
  std::vector<std::string> Restore() const;

  size_t in_flight() const;
  // A session has to be there even when nothing is sent.
  bool subscribed() const;

 private:
  mutable Mutex mutex_;
  std::set<std::string> in_flight_ ABSL_GUARDED_BY(mutex_);         // ids of the host's requests, raw
  std::set<std::string> server_requests_ ABSL_GUARDED_BY(mutex_);   // ids of the server's, raw
  std::string initializing_id_ ABSL_GUARDED_BY(mutex_);             // raw; of an initialize without an answer
  std::string initializing_ ABSL_GUARDED_BY(mutex_);                // with an id of ours
  std::string initialize_ ABSL_GUARDED_BY(mutex_);                  // once it was answered well
  bool initialized_ ABSL_GUARDED_BY(mutex_) = false;
  std::string log_level_ ABSL_GUARDED_BY(mutex_);                   // with an id of ours
  std::map<std::string, std::string> subscriptions_ ABSL_GUARDED_BY(mutex_);  // by raw URI; the same
};

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_SESSION_LEDGER_H_
