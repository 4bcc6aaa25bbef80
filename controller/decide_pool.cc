#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "controller/decide.h"
#include "controller/status.h"

namespace unmcp::controller {

PoolPlan DecidePool(const PoolSnapshot& seen) {
  const v1::MCPPoolSpec& spec = seen.pool.spec();
  const size_t limit = spec.has_max_servers_limit() ? spec.max_servers_limit() : kDefaultMaxServers;
  const int max_active = spec.has_max_servers_active() ? spec.max_servers_active() : kDefaultMaxServers;
  PoolPlan plan;

  if (seen.members.size() > limit) {
    std::vector<const PoolMember*> by_age;
    by_age.reserve(seen.members.size());
    for (const PoolMember& member : seen.members) by_age.push_back(&member);
    auto first_ignored = by_age.begin() + static_cast<ptrdiff_t>(limit);
    std::nth_element(by_age.begin(), first_ignored, by_age.end(), [](const PoolMember* a, const PoolMember* b) {
      return std::tie(a->created, a->uid) < std::tie(b->created, b->uid);
    });
    for (auto it = first_ignored; it != by_age.end(); ++it) plan.ignored.insert((*it)->uid);
  }

  // Who has a grant keeps it while there is a reason to; the order of grants
  // in status does not change, so that a write is as small as its meaning.
  absl::flat_hash_map<std::string, const PoolMember*> members;
  members.reserve(seen.members.size());
  for (const PoolMember& member : seen.members) members.emplace(member.uid, &member);
  int discovering = 0;
  for (const v1::Grant& grant : seen.pool.status().grants()) {
    auto it = members.find(grant.server_uid());
    if (it == members.end()) {
      if (!seen.held.contains(grant.server_uid())) continue;
    } else {
      const PoolMember& member = *it->second;
      if (!member.alive && (member.want == Want::kNone || plan.ignored.contains(member.uid))) continue;
      if (member.want == Want::kDiscovery) ++discovering;
    }
    if (plan.granted.insert(grant.server_uid()).second) *plan.status.add_grants() = grant;
  }

  std::vector<const PoolMember*> asking;
  for (const PoolMember& member : seen.members) {
    const bool asks = member.alive || (member.want != Want::kNone && !plan.ignored.contains(member.uid));
    if (asks && !plan.granted.contains(member.uid)) asking.push_back(&member);
  }
  // What runs already (it came from another pool) first, then who waits for
  // longest; what nobody waits for, last.
  std::sort(asking.begin(), asking.end(), [](const PoolMember* a, const PoolMember* b) {
    const auto key = [](const PoolMember* m) {
      return std::make_tuple(!m->alive, -static_cast<int>(m->want), m->wanted_since, m->created);
    };
    return std::forward_as_tuple(key(a), a->uid) < std::forward_as_tuple(key(b), b->uid);
  });
  int waiting = 0;
  for (const PoolMember* member : asking) {
    const bool discovery = !member->alive && member->want == Want::kDiscovery;
    if (plan.status.grants_size() < max_active && !(discovery && discovering >= kMaxConcurrentDiscoveries)) {
      if (discovery) ++discovering;
      plan.granted.insert(member->uid);
      v1::Grant* grant = plan.status.add_grants();
      grant->set_server_uid(member->uid);
      grant->set_server_name(member->name);
    } else if (!discovery) {
      // A discovery that has to wait its turn is nobody's concern.
      plan.waiting.insert(member->uid);
      ++waiting;
    }
  }

  plan.status.set_observed_generation(seen.pool.generation());
  plan.status.set_active_servers_count(plan.status.grants_size());
  plan.status.set_pending_servers_count(waiting);
  plan.status.set_total_servers_count(static_cast<int>(seen.members.size()));
  plan.status.set_unmanaged_servers_count(static_cast<int>(plan.ignored.size()));
  plan.status.set_managed_servers_count(static_cast<int>(seen.members.size() - plan.ignored.size()));
  *plan.status.mutable_conditions() = seen.pool.status().conditions();
  SetCondition(plan.status.mutable_conditions(), "Full",
               waiting > 0 ? ConditionValue{"True", "ServersWaiting",
                                            absl::StrCat(waiting, " servers wait for one of the ", max_active,
                                                         " that may run at once to end; raise spec.maxServersActive "
                                                         "to run more")}
                           : ConditionValue{"False", "HasRoom", "Every server that was asked for may run."},
               seen.pool.generation(), seen.now);
  plan.patch = MergePatch(seen.pool.status(), plan.status);
  return plan;
}

}  // namespace unmcp::controller
