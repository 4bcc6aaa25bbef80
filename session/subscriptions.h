// Who listens to which resource. The server sees one subscription per URI,
// however many clients share it.
#ifndef UNMCP_SESSION_SUBSCRIPTIONS_H_
#define UNMCP_SESSION_SUBSCRIPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "session/client_session.h"

namespace unmcp::session {

// Example:
//
//   switch (subscriptions.Subscribe(uri, session, call)) {
//     case Subscriptions::Joined::kFirst:   // ask the server, then Asked(uri, id)
//     case Subscriptions::Joined::kWaits:   // the answer is on its way
//     case Subscriptions::Joined::kStands:  // answer the call now
//   }
class Subscriptions {
 public:
  enum class Joined { kFirst, kWaits, kStands };

  // Adds a session (once, however often it asks). Unless kStands, `call` waits
  // for Answered.
  Joined Subscribe(absl::string_view uri, ClientSession* session, uint64_t call);
  // The server was asked for `uri` with request `id`.
  void Asked(absl::string_view uri, uint64_t id);

  struct Answer {
    std::vector<uint64_t> calls;  // that waited for it
    std::string unsubscribe;      // nobody is left: tell the server; else ""
  };
  // The server answered request `id`; nullptr-like (empty calls) when it is not
  // one of ours: see IsPending.
  Answer Answered(uint64_t id, bool accepted);
  bool IsPending(uint64_t id) const { return pending_.contains(id); }

  // Removes a session from one URI. True: the server has to be told.
  bool Unsubscribe(absl::string_view uri, ClientSession* session);
  // Removes a session that ends; returns the URIs that the server has to be told.
  std::vector<std::string> Drop(ClientSession* session);

  // Who wants to hear that `uri` was updated. A server may name a resource
  // within the one that was subscribed to.
  std::vector<ClientSession*> Listeners(absl::string_view uri) const;

  size_t size() const { return by_uri_.size(); }
  void Clear();

 private:
  struct Entry {
    std::vector<ClientSession*> sessions;
    std::vector<uint64_t> waiting;  // calls, while the server has not answered
    bool pending = true;
  };
  // Whether the entry is to be removed, the server having it and nobody else.
  static bool Remove(Entry* entry, ClientSession* session);

  absl::flat_hash_map<std::string, Entry> by_uri_;
  absl::flat_hash_map<uint64_t, std::string> pending_;  // request to URI
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_SUBSCRIPTIONS_H_
