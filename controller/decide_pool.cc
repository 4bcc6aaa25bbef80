#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/decide.h"
#include "controller/status.h"

namespace unmcp::controller {
namespace {

using Members = std::vector<const PoolMember*>;

class PoolDecider {
 public:
  explicit PoolDecider(const PoolSnapshot& seen)
      : seen_(seen), spec_(seen.pool.spec()),
        max_active_(spec_.has_max_servers_active() ? spec_.max_servers_active() : kDefaultMaxServers) {}

  PoolPlan Decide() {
    Ignore();
    ChooseWarm();
    Grant();
    ChooseYielding();
    Report();
    return std::move(plan_);
  }

 private:
  static bool Older(const PoolMember* a, const PoolMember* b) {
    return std::tie(a->created, a->uid) < std::tie(b->created, b->uid);
  }
  bool Ignored(const PoolMember& member) const { return plan_.ignored.contains(member.uid); }

  // With what the pool itself wants of it.
  Want WantOf(const PoolMember& member) const {
    const bool warm = plan_.warm.contains(member.uid) && (member.alive || !member.backing_off);
    return warm ? std::max(member.want, Want::kWarm) : member.want;
  }
  // Runs, or is to run, though nobody has asked for it.
  bool Unasked(const PoolMember& member) const {
    const Want want = WantOf(member);
    return want == Want::kDiscovery || want == Want::kWarm;
  }
  // Of those, the ones that keep a core busy with their start.
  bool StartsUnasked(const PoolMember& member) const {
    return Unasked(member) && !(WantOf(member) == Want::kWarm && member.ready);
  }

  void Ignore() {
    const size_t limit = spec_.has_max_servers_limit() ? spec_.max_servers_limit() : kDefaultMaxServers;
    if (seen_.members.size() <= limit) return;
    Members by_age;
    by_age.reserve(seen_.members.size());
    for (const PoolMember& member : seen_.members) by_age.push_back(&member);
    const auto first_ignored = by_age.begin() + static_cast<ptrdiff_t>(limit);
    std::nth_element(by_age.begin(), first_ignored, by_age.end(), Older);
    for (auto it = first_ignored; it != by_age.end(); ++it) plan_.ignored.insert((*it)->uid);
  }

  // Those used last. One that fails stays chosen: another in its place would
  // not be what somebody is likely to ask for next, and a machine on which
  // everything fails must not go through all that it has.
  void ChooseWarm() {
    const size_t wanted = std::min<size_t>(spec_.min_servers_warm(), std::max(0, max_active_));
    if (wanted == 0) return;
    Members able;
    for (const PoolMember& member : seen_.members) {
      if (member.may_run && !Ignored(member)) able.push_back(&member);
    }
    const size_t count = std::min(wanted, able.size());
    std::partial_sort(able.begin(), able.begin() + static_cast<ptrdiff_t>(count), able.end(),
                      [](const PoolMember* a, const PoolMember* b) {
                        return a->last_used != b->last_used ? a->last_used > b->last_used : Older(a, b);
                      });
    for (size_t i = 0; i < count; ++i) plan_.warm.insert(able[i]->uid);
  }

  void Grant() {
    absl::flat_hash_map<std::string, const PoolMember*> members;
    members.reserve(seen_.members.size());
    for (const PoolMember& member : seen_.members) members.emplace(member.uid, &member);
    // A life keeps its grant; one that has not begun yet asks with the others,
    // so that who has waited for longer goes first, and none begins over a cap
    // that has been lowered.
    int starting = 0;
    for (const v1::Grant& grant : seen_.pool.status().grants()) {
      auto it = members.find(grant.server_uid());
      const bool alive = it == members.end() ? seen_.held.contains(grant.server_uid()) : it->second->alive;
      if (!alive || !plan_.granted.insert(grant.server_uid()).second) continue;
      if (it != members.end() && StartsUnasked(*it->second)) ++starting;
    }
    Members asking;
    for (const PoolMember& member : seen_.members) {
      const bool asks = member.alive || (WantOf(member) != Want::kNone && !Ignored(member));
      if (asks && !plan_.granted.contains(member.uid)) asking.push_back(&member);
    }
    // What runs already (it came from another pool) first, then who waits for
    // longest; what nobody waits for, last.
    std::sort(asking.begin(), asking.end(), [this](const PoolMember* a, const PoolMember* b) {
      const auto key = [this](const PoolMember* m) {
        return std::make_tuple(!m->alive, -static_cast<int>(WantOf(*m)), m->wanted_since, m->created);
      };
      return std::forward_as_tuple(key(a), a->uid) < std::forward_as_tuple(key(b), b->uid);
    });
    for (const PoolMember* member : asking) {
      const bool unasked = !member->alive && Unasked(*member);
      const bool room = static_cast<int>(plan_.granted.size()) < max_active_;
      if (room && !(unasked && starting >= kMaxConcurrentDiscoveries)) {
        if (unasked) ++starting;
        plan_.granted.insert(member->uid);
      } else if (!unasked) {
        // A discovery that has to wait its turn is nobody's concern.
        plan_.waiting.insert(member->uid);
        waiting_.push_back(member);
      }
    }
    // The order of grants in status does not change, so that a write is as
    // small as its meaning.
    absl::flat_hash_set<std::string> written;
    for (const v1::Grant& grant : seen_.pool.status().grants()) {
      if (!plan_.granted.contains(grant.server_uid()) || !written.insert(grant.server_uid()).second) continue;
      *plan_.status.add_grants() = grant;
    }
    for (const PoolMember* member : asking) {
      if (!plan_.granted.contains(member->uid) || written.contains(member->uid)) continue;
      v1::Grant* const grant = plan_.status.add_grants();
      grant->set_server_uid(member->uid);
      grant->set_server_name(member->name);
    }
  }

  // Who leaves the pool, so that those who wait get their turn, and so that no
  // more run than may.
  void ChooseYielding() {
    const auto waiters = static_cast<int>(std::count_if(
        waiting_.begin(), waiting_.end(), [this](const PoolMember* m) { return WantOf(*m) >= Want::kDemand; }));
    const int over = std::max(0, static_cast<int>(plan_.granted.size()) - max_active_);
    int leaving = 0;
    for (const std::string& uid : seen_.held) leaving += plan_.granted.contains(uid) ? 1 : 0;
    Members rest;
    for (const PoolMember& member : seen_.members) {
      if (!member.alive || !plan_.granted.contains(member.uid)) continue;
      const bool idle = WantOf(member) == Want::kNone && !Refused(member);
      if (member.stopping || Ignored(member) || idle) {
        ++leaving;
      } else {
        rest.push_back(&member);
      }
    }
    // Once chosen it stays so for as long as it can be: else one after the
    // other would be asked, and none stopped.
    std::sort(rest.begin(), rest.end(), [this](const PoolMember* a, const PoolMember* b) {
      const auto key = [this](const PoolMember* m) {
        return std::make_tuple(!m->yielding, !Unasked(*m), m->busy, StartsForSomebody(*m), m->last_used, m->created);
      };
      return std::forward_as_tuple(key(a), a->uid) < std::forward_as_tuple(key(b), b->uid);
    });
    const int forced = over - leaving;
    const int needed = forced + waiters;
    const auto chosen = [this] { return static_cast<int>(plan_.yielding.size()); };
    for (const PoolMember* member : rest) {
      if (chosen() >= needed) break;
      if (!MayGiveWay(*member)) continue;
      plan_.yielding.emplace(member->uid, chosen() < forced ? Yield::kOverCap : Yield::kGiveWay);
    }
    // Over the cap, those in use go, too: after their calls.
    for (const PoolMember* member : rest) {
      if (chosen() < forced) plan_.yielding.emplace(member->uid, Yield::kOverCap);
    }
    int places = -forced;
    for (const PoolMember* member : rest) {
      if (!member->busy && !StartsForSomebody(*member) && !Refused(*member)) ++places;
    }
    for (const PoolMember* member : waiting_) {
      if (places-- > 0) plan_.next.insert(member->uid);
    }
    if (chosen() >= needed) return;
    for (const PoolMember* member : rest) {
      const absl::Time fit = FitToGiveWay(*member);
      if (fit > seen_.now) plan_.look_again = std::min(plan_.look_again, fit);
    }
  }

  bool Refused(const PoolMember& member) const { return seen_.now < member.refused_until; }

  bool StartsForSomebody(const PoolMember& member) const { return !member.ready && !Unasked(member); }

  // From when on it may be asked; InfiniteFuture while it is in use.
  absl::Time FitToGiveWay(const PoolMember& member) const {
    if (member.busy || StartsForSomebody(member)) return absl::InfiniteFuture();
    return std::max(member.refused_until, member.last_used + kMinAwake);
  }
  bool MayGiveWay(const PoolMember& member) const { return FitToGiveWay(member) <= seen_.now; }

  void Report() {
    v1::MCPPoolStatus& status = plan_.status;
    int waiting = 0;
    int warm = 0;
    for (const PoolMember& member : seen_.members) {
      if (plan_.waiting.contains(member.uid)) ++waiting;
      if (member.ready && !member.stopping && plan_.warm.contains(member.uid)) ++warm;
    }
    status.set_observed_generation(seen_.pool.generation());
    status.set_active_servers_count(status.grants_size());
    status.set_pending_servers_count(waiting);
    status.set_total_servers_count(static_cast<int>(seen_.members.size()));
    status.set_unmanaged_servers_count(static_cast<int>(plan_.ignored.size()));
    status.set_managed_servers_count(static_cast<int>(seen_.members.size() - plan_.ignored.size()));
    for (const v1::Condition& condition : seen_.pool.status().conditions()) {
      if (condition.type() != "Warm" || spec_.min_servers_warm() > 0) *status.add_conditions() = condition;
    }
    Condition("Full", waiting > 0
                          ? ConditionValue{"True", "ServersWaiting",
                                           absl::StrCat(waiting, " servers wait for one of the ", max_active_,
                                                        " that may run at once to end; raise spec.maxServersActive "
                                                        "to run more")}
                          : ConditionValue{"False", "HasRoom", "Every server that was asked for may run."});
    if (spec_.min_servers_warm() > 0) ReportWarm(warm);
    plan_.patch = MergePatch(seen_.pool.status(), status);
  }

  void ReportWarm(int warm) {
    const std::string of = absl::StrCat(warm, " of ", spec_.min_servers_warm(), " servers are kept running");
    if (warm >= spec_.min_servers_warm()) {
      Condition("Warm", {"True", "EnoughWarm", absl::StrCat(of, ".")});
    } else if (spec_.min_servers_warm() > max_active_) {
      Condition("Warm", {"False", "PoolTooSmall",
                         absl::StrCat(of, ": no more than spec.maxServersActive (", max_active_,
                                      ") may run at once; raise it, or lower spec.minServersWarm")});
    } else if (static_cast<int>(plan_.warm.size()) < spec_.min_servers_warm()) {
      Condition("Warm", {"False", "TooFewServers",
                         absl::StrCat(of, ": the pool has ", plan_.warm.size(), " that may run")});
    } else {
      Condition("Warm", {"False", "NotYet",
                         absl::StrCat(of, ": the others are starting, fail to start, or have given their place to "
                                          "servers that were asked for")});
    }
  }

  void Condition(const char* type, const ConditionValue& value) {
    SetCondition(plan_.status.mutable_conditions(), type, value, seen_.pool.generation(), seen_.now);
  }

  const PoolSnapshot& seen_;
  const v1::MCPPoolSpec& spec_;
  const int max_active_;
  Members waiting_;  // in their order
  PoolPlan plan_;
};

}  // namespace

PoolPlan DecidePool(const PoolSnapshot& seen) { return PoolDecider(seen).Decide(); }

}  // namespace unmcp::controller
