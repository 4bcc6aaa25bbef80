// Watches everything that is ever written while servers are demanded, used,
// edited, moved and deleted, a pool grows and shrinks, and controllers die: at
// no version may more run than the pool allows, and who waits is served.

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/observed.h"
#include "controller/world.h"
#include "gtest/gtest.h"

namespace unmcp::controller {
namespace {

using kube::Json;

constexpr int kServers = 20;
constexpr int kCap = 3;

std::string Name(int i) { return absl::StrCat("s", i); }

// Every version of pools and Pods, in the order in which they were written.
class History {
 public:
  explicit History(World* world) : pools_(Watch(world, kube::MCPPoolKind())), pods_(Watch(world, kube::PodKind())) {}
  ~History() {
    pools_->Stop();
    pods_->Stop();
  }

  std::vector<kube::WatchEvent> Events() {
    std::vector<kube::WatchEvent> all = pools_->events();
    for (const kube::WatchEvent& event : pods_->events()) all.push_back(event);
    std::stable_sort(all.begin(), all.end(), [](const kube::WatchEvent& a, const kube::WatchEvent& b) {
      return Version(a) < Version(b);
    });
    return all;
  }

 private:
  static std::unique_ptr<kube::WatchRecorder> Watch(World* world, const kube::Kind& kind) {
    return std::make_unique<kube::WatchRecorder>(
        world->cluster(), kind, "default",
        kube::WatchOptions{.label_selector = "",
                           .resource_version = kube::AwaitList(world->cluster(), kind, "default")->resource_version});
  }
  static int64_t Version(const kube::WatchEvent& event) {
    int64_t version = 0;
    EXPECT_TRUE(absl::SimpleAtoi(event.object.resource_version(), &version));
    return version;
  }

  std::unique_ptr<kube::WatchRecorder> pools_;
  std::unique_ptr<kube::WatchRecorder> pods_;
};

// A Pod needs a grant for all of its life, and no pool's Pods become more than
// it allows: over a cap that was lowered they only become fewer.
void ExpectCapsHold(const std::vector<kube::WatchEvent>& events) {
  std::map<std::string, v1::MCPPool> pools;
  std::map<std::string, std::string> pods;  // name → uid of its server
  std::map<std::string, int> running;
  for (const kube::WatchEvent& event : events) {
    const bool deleted = event.type == kube::WatchEventType::kDeleted;
    const std::string name = event.object.name();
    if (event.object.kind() == kube::PodKind().kind) {
      if (deleted) {
        pods.erase(name);
      } else {
        pods[name] = event.object.controller_uid();
      }
    } else if (deleted) {
      pools.erase(name);
    } else {
      pools[name] = *ReadPool(event.object);
    }
    std::set<std::string> granted;
    for (const auto& [pool_name, pool] : pools) {
      int count = 0;
      for (const v1::Grant& grant : pool.status().grants()) {
        granted.insert(grant.server_uid());
        for (const auto& [pod, server] : pods) count += server == grant.server_uid() ? 1 : 0;
      }
      ASSERT_LE(count, std::max(pool.spec().max_servers_active(), running[pool_name]))
          << "at version " << event.object.resource_version() << " pool " << pool_name << " runs too many";
      running[pool_name] = count;
    }
    for (const auto& [pod, server] : pods) {
      ASSERT_TRUE(granted.contains(server))
          << "at version " << event.object.resource_version() << " Pod " << pod << " has no grant";
    }
  }
}

class HistoryTest : public testing::TestWithParam<int> {
 protected:
  void DeclareAll() {
    world_.CreatePool("small", {{"maxServersActive", kCap}, {"defaultIdleTimeout", 60}});
    world_.CreatePool("other", {{"maxServersActive", 2}, {"defaultIdleTimeout", 30}});
    world_.Settle();
    history_ = std::make_unique<History>(&world_);
    // What was there before the watch began is not told.
    world_.PatchPool("small", {{"maxServersLimit", 50}});
    world_.PatchPool("other", {{"maxServersLimit", 50}});
    for (int i = 0; i < kServers; ++i) world_.CreateServer(Name(i), {{"pool", "small"}});
    world_.RunUntil([&] { return AllAsleep(); }, "all are discovered");
  }
  bool AllAsleep() {
    for (int i = 0; i < kServers; ++i) {
      if (world_.Phase(Name(i)) != "Asleep") return false;
    }
    return true;
  }
  int Below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }

  void Step() {
    const std::string name = Name(Below(kServers));
    const std::string phase = world_.Phase(name);
    switch (Below(16)) {
      case 0: case 1: case 2: case 3:
        return world_.Demand(name);
      case 4: case 5: case 6:
        if (phase == "Ready") world_.Use(name, Below(2));
        return;
      case 7: case 8:
        return EndCalls();
      case 9:
        return world_.PatchServer(name, {{"args", {absl::StrCat(Below(1000))}}});
      case 10:
        return world_.PatchServer(name, {{"pool", Below(2) == 0 ? "small" : "other"}});
      case 11:
        world_.Delete(kube::MCPServerKind(), name);
        world_.Settle();
        return world_.CreateServer(name, {{"pool", "small"}});
      case 12: {
        // Between what is decided and what is written a person may always be
        // faster: the cap is what it is once it is seen.
        world_.Settle();
        world_.PatchPool("small", {{"maxServersActive", Below(kCap + 1)}});
        return world_.Settle();
      }
      case 13:
        return world_.CutAfterWrites(1 + Below(8));
      case 14:
        return world_.RestartController();
      default:
        return world_.RunFor(absl::Seconds(Below(20)));
    }
  }
  void EndCalls() {
    for (int i = 0; i < kServers; ++i) {
      if (world_.Phase(Name(i)) == "Ready") world_.Use(Name(i), 0);
    }
  }
  std::vector<std::string> Waiting() {
    std::vector<std::string> names;
    for (int i = 0; i < kServers; ++i) {
      if (world_.Waits(Name(i))) names.push_back(Name(i));
    }
    return names;
  }

  std::mt19937 random_{static_cast<unsigned>(GetParam())};
  World world_;
  std::unique_ptr<History> history_;
};

TEST_P(HistoryTest, TheCapHoldsAndEverybodyIsServed) {
  DeclareAll();
  for (int step = 0; step < 150 && !HasFatalFailure(); ++step) {
    Step();
    if (Below(3) > 0) world_.Settle();
  }
  world_.CutAfterWrites(-1);
  world_.PatchPool("small", {{"maxServersActive", kCap}});
  EndCalls();
  // Clients that were told to come again do so.
  for (int i = 0; i < 60 && !Waiting().empty() && !HasFatalFailure(); ++i) {
    for (const std::string& name : Waiting()) world_.Demand(name);
    world_.RunFor(absl::Seconds(10));
  }
  EXPECT_EQ(Waiting(), std::vector<std::string>());
  ExpectCapsHold(history_->Events());
  world_.RunUntil([&] { return AllAsleep(); }, "all have gone to sleep");
  EXPECT_TRUE(world_.Pods().empty());
  EXPECT_EQ(world_.Pool("small").status().grants_size(), 0);
  EXPECT_EQ(world_.Pool("other").status().grants_size(), 0);
}

TEST_P(HistoryTest, WhoComesFirstIsServedFirstWhateverDies) {
  DeclareAll();
  std::vector<int> order(kServers);
  for (int i = 0; i < kServers; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random_);
  const size_t before = history_->Events().size();
  std::map<std::string, int> turn;
  for (int i = 0; i < kServers; ++i) {
    turn[world_.Server(Name(order[i])).uid()] = i;
    world_.Demand(Name(order[i]));
    world_.RunFor(absl::Milliseconds(500));
    if (i % 5 == 2) world_.CutAfterWrites(1 + Below(6));
    if (i % 7 == 3) world_.RestartController();
  }
  world_.RunUntil([&] { return Waiting().empty(); }, "all have been served");
  const std::vector<kube::WatchEvent> events = history_->Events();
  ExpectCapsHold(events);
  std::set<int> served;
  for (size_t i = before; i < events.size(); ++i) {
    if (events[i].object.kind() != kube::MCPPoolKind().kind || events[i].object.name() != "small") continue;
    const v1::MCPPool pool = *ReadPool(events[i].object);
    for (const v1::Grant& grant : pool.status().grants()) {
      served.insert(turn.at(grant.server_uid()));
    }
    ASSERT_TRUE(served.empty() || *served.rbegin() + 1 == static_cast<int>(served.size()))
        << "number " << *served.rbegin() << " was served before somebody who had come before";
  }
  EXPECT_EQ(served.size(), static_cast<size_t>(kServers));
}

INSTANTIATE_TEST_SUITE_P(Seeds, HistoryTest, testing::Range(1, 4));

}  // namespace
}  // namespace unmcp::controller
