#include "session/call_table.h"

#include <algorithm>

#include "absl/hash/hash.h"
#include "absl/strings/numbers.h"

namespace unmcp::session {

void CallTable::Add(uint64_t id, Call call) {
  call.session->calls.push_back({id, absl::HashOf(absl::string_view(call.client_id))});
  calls_.emplace(id, std::move(call));
}

Call* CallTable::Find(uint64_t id) {
  const auto it = calls_.find(id);
  return it == calls_.end() ? nullptr : &it->second;
}

std::optional<Call> CallTable::Take(uint64_t id) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return std::nullopt;
  Call call = std::move(it->second);
  calls_.erase(it);
  auto& open = call.session->calls;
  const auto mine = std::find_if(open.begin(), open.end(), [id](const auto& o) { return o.upstream_id == id; });
  *mine = open.back();
  open.pop_back();
  return call;
}

uint64_t CallTable::IdOf(const ClientSession& session, absl::string_view client_id) const {
  const size_t hash = absl::HashOf(client_id);
  for (const auto& open : session.calls) {
    if (open.client_id_hash == hash && calls_.at(open.upstream_id).client_id == client_id) return open.upstream_id;
  }
  return 0;
}

std::vector<std::pair<uint64_t, Call>> CallTable::TakeAllOf(ClientSession* session) {
  std::vector<std::pair<uint64_t, Call>> taken;
  taken.reserve(session->calls.size());
  for (const auto& open : session->calls) {
    const auto it = calls_.find(open.upstream_id);
    taken.emplace_back(it->first, std::move(it->second));
    calls_.erase(it);
  }
  session->calls.clear();
  return taken;
}

std::vector<std::pair<uint64_t, Call>> CallTable::TakeAll() {
  std::vector<std::pair<uint64_t, Call>> taken;
  taken.reserve(calls_.size());
  for (auto& [id, call] : calls_) {
    call.session->calls.clear();
    taken.emplace_back(id, std::move(call));
  }
  calls_.clear();
  return taken;
}

ClientSession* CallTable::OnlyBusySession() const {
  ClientSession* only = nullptr;
  for (const auto& [id, call] : calls_) {
    if (!call.sent || call.session == only) continue;
    if (only != nullptr) return nullptr;
    only = call.session;
  }
  return only;
}

uint64_t CallTable::OnlySentCall() const {
  uint64_t only = 0;
  for (const auto& [id, call] : calls_) {
    if (!call.sent) continue;
    if (only != 0) return 0;
    only = id;
  }
  return only;
}

uint64_t ParseId(absl::string_view raw) {
  uint64_t id = 0;
  // Not SimpleAtoi alone: it takes "+5" and " 5" too, which JSON does not.
  return !raw.empty() && raw[0] >= '1' && raw[0] <= '9' && absl::SimpleAtoi(raw, &id) ? id : 0;
}

}  // namespace unmcp::session
