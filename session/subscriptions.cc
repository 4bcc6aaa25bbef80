#include "session/subscriptions.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace unmcp::session {
namespace {

// "file:///a" holds "file:///a/b" and "file:///a#x", and not "file:///ab".
bool Within(absl::string_view uri, absl::string_view outer) {
  if (outer.empty() || !absl::StartsWith(uri, outer)) return false;
  return outer.back() == '/' || absl::string_view("/?#").find(uri[outer.size()]) != absl::string_view::npos;
}

}  // namespace

Subscriptions::Joined Subscriptions::Subscribe(absl::string_view uri, ClientSession* session, uint64_t call) {
  const auto [it, first] = by_uri_.try_emplace(uri);
  Entry& entry = it->second;
  if (std::find(entry.sessions.begin(), entry.sessions.end(), session) == entry.sessions.end()) {
    entry.sessions.push_back(session);
    ++session->subscriptions;
  }
  if (!entry.pending) return Joined::kStands;
  entry.waiting.push_back(call);
  return first ? Joined::kFirst : Joined::kWaits;
}

void Subscriptions::Asked(absl::string_view uri, uint64_t id) { pending_.emplace(id, uri); }

Subscriptions::Answer Subscriptions::Answered(uint64_t id, bool accepted) {
  const auto asked = pending_.find(id);
  if (asked == pending_.end()) return {};
  const auto it = by_uri_.find(asked->second);
  pending_.erase(asked);
  Entry& entry = it->second;
  Answer answer{.calls = std::move(entry.waiting), .unsubscribe = ""};
  entry.waiting.clear();
  entry.pending = false;
  if (!accepted) {
    for (ClientSession* session : entry.sessions) --session->subscriptions;
    by_uri_.erase(it);
  } else if (entry.sessions.empty()) {
    answer.unsubscribe = it->first;
    by_uri_.erase(it);
  }
  return answer;
}

bool Subscriptions::Remove(Entry* entry, ClientSession* session) {
  const auto it = std::find(entry->sessions.begin(), entry->sessions.end(), session);
  if (it == entry->sessions.end()) return false;
  entry->sessions.erase(it);
  --session->subscriptions;
  // While the answer is out, the entry stays for those who wait for it.
  return entry->sessions.empty() && !entry->pending;
}

bool Subscriptions::Unsubscribe(absl::string_view uri, ClientSession* session) {
  const auto it = by_uri_.find(uri);
  if (it == by_uri_.end() || !Remove(&it->second, session)) return false;
  by_uri_.erase(it);
  return true;
}

std::vector<std::string> Subscriptions::Drop(ClientSession* session) {
  std::vector<std::string> last;
  if (session->subscriptions == 0) return last;
  for (auto it = by_uri_.begin(); it != by_uri_.end();) {
    const auto current = it++;
    if (!Remove(&current->second, session)) continue;
    last.push_back(current->first);
    by_uri_.erase(current);
  }
  return last;
}

std::vector<ClientSession*> Subscriptions::Listeners(absl::string_view uri) const {
  const auto exact = by_uri_.find(uri);
  if (exact != by_uri_.end()) return exact->second.sessions;
  std::vector<ClientSession*> listeners;
  for (const auto& [outer, entry] : by_uri_) {
    if (!Within(uri, outer)) continue;
    for (ClientSession* session : entry.sessions) {
      if (std::find(listeners.begin(), listeners.end(), session) == listeners.end()) listeners.push_back(session);
    }
  }
  return listeners;
}

void Subscriptions::Clear() {
  for (auto& [uri, entry] : by_uri_) {
    for (ClientSession* session : entry.sessions) session->subscriptions = 0;
  }
  by_uri_.clear();
  pending_.clear();
}

}  // namespace unmcp::session
