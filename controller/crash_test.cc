// Stops the controller after every write that it makes, in every scenario, and
// lets another take over: the end has to be the same. The write is made and its
// answer lost, the worst that can happen; "before the write" is "after the one
// before".

#include <functional>
#include <map>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/annotations.h"
#include "controller/observed.h"
#include "controller/status.h"
#include "controller/world.h"
#include "gtest/gtest.h"

namespace unmcp::controller {
namespace {

using kube::Json;

struct Scenario {
  const char* name;
  // From when on writes are counted and cut.
  std::function<void(World&)> before;
  std::function<void(World&)> run;
  // Pods that may exist at once, of all servers.
  size_t most_pods;

  friend void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }
};

void UntilPhase(World& world, const std::string& name, const std::string& phase) {
  world.RunUntil([&] { return world.Phase(name) == phase; }, phase.c_str());
}

void DeclareAsleep(World& world, const std::string& name, Json spec) {
  world.CreateServer(name, std::move(spec));
  UntilPhase(world, name, "Asleep");
}

void DeclareReady(World& world, const std::string& name, Json spec) {
  DeclareAsleep(world, name, std::move(spec));
  world.Demand(name);
  UntilPhase(world, name, "Ready");
}

const Scenario kScenarios[] = {
    {"Create", [](World&) {}, [](World& world) { DeclareAsleep(world, "a", {{"idleTimeout", 5}}); }, 1},
    {"Demand", [](World& world) { DeclareAsleep(world, "a", {{"idleTimeout", 600}}); },
     [](World& world) {
       world.Demand("a");
       UntilPhase(world, "a", "Ready");
     },
     1},
    {"IdleToSleep", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 3}}); },
     [](World& world) { UntilPhase(world, "a", "Asleep"); }, 1},
    {"SpecChange", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 600}}); },
     [](World& world) {
       world.PatchServer("a", {{"args", {"--new"}}});
       world.RunUntil(
           [&] {
             const v1::MCPServer server = world.Server("a");
             return server.status().phase() == "Ready" && server.status().observed_generation() == 2 &&
                    IsTrue(server.status().conditions(), "Discovered");
           },
           "the new spec runs");
     },
     1},
    {"PodDeletedByOthers", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 600}}); },
     [](World& world) {
       world.Delete(kube::PodKind(), "a-2");
       world.RunUntil([&] { return world.Phase("a") == "Ready" && !world.Exists(kube::PodKind(), "a-2"); },
                      "the next life");
     },
     1},
    {"PoolFull",
     [](World& world) {
       world.CreatePool("one", {{"maxServersActive", 1}});
       DeclareAsleep(world, "a", {{"pool", "one"}, {"idleTimeout", 4}});
       DeclareAsleep(world, "b", {{"pool", "one"}, {"idleTimeout", 4}});
     },
     [](World& world) {
       world.Demand("a");
       world.Demand("b");
       bool a = false, b = false;
       world.RunUntil(
           [&] {
             a |= world.Phase("a") == "Ready";
             b |= world.Phase("b") == "Ready";
             return a && b && world.Phase("a") == "Asleep" && world.Phase("b") == "Asleep";
           },
           "both have had their turn");
     },
     1},
    {"GivingWay",
     [](World& world) {
       world.CreatePool("one", {{"maxServersActive", 1}});
       DeclareAsleep(world, "b", {{"pool", "one"}, {"idleTimeout", 600}});
       DeclareReady(world, "a", {{"pool", "one"}, {"idleTimeout", 600}});
       world.RunFor(kMinAwake);
     },
     [](World& world) {
       world.Demand("b");
       world.RunUntil([&] { return world.Phase("b") == "Ready" && world.Phase("a") == "Asleep"; }, "a gave way to b");
     },
     1},
    {"LoweredCap",
     [](World& world) {
       world.CreatePool("one", {{"maxServersActive", 2}});
       DeclareReady(world, "a", {{"pool", "one"}, {"idleTimeout", 600}});
       DeclareReady(world, "b", {{"pool", "one"}, {"idleTimeout", 600}});
     },
     [](World& world) {
       world.PatchPool("one", {{"maxServersActive", 1}});
       world.RunUntil([&] { return world.Pods().size() == 1 && world.Pool("one").status().grants_size() == 1; },
                      "one is left");
     },
     2},
    {"Warm",
     [](World& world) {
       world.CreatePool("one", {{"minServersWarm", 1}});
       world.Settle();
     },
     [](World& world) {
       world.CreateServer("a", {{"pool", "one"}, {"idleTimeout", 5}});
       UntilPhase(world, "a", "Ready");
       world.RunFor(absl::Seconds(20));
     },
     1},
    {"StoppedByHand", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 600}}); },
     [](World& world) {
       world.scheduler().Advance(absl::Seconds(1));
       world.Annotate("a", kStoppedAtAnnotation, AnnotationTime(world.scheduler().Now()));
       UntilPhase(world, "a", "Asleep");
     },
     1},
    {"StartedByHand", [](World& world) { DeclareAsleep(world, "a", {{"idleTimeout", 5}}); },
     [](World& world) {
       world.Annotate("a", kStartedAtAnnotation, AnnotationTime(world.scheduler().Now()));
       UntilPhase(world, "a", "Ready");
       UntilPhase(world, "a", "Asleep");
     },
     1},
    {"ServerDeleted", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 600}}); },
     [](World& world) {
       world.Delete(kube::MCPServerKind(), "a");
       world.RunUntil([&] { return world.Pods().empty() && world.Pool("default").status().grants_size() == 0; },
                      "nothing is left of it");
     },
     1},
    {"DeletedAndMadeAnew", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 600}}); },
     [](World& world) {
       world.Delete(kube::MCPServerKind(), "a");
       DeclareAsleep(world, "a", {{"idleTimeout", 5}});
     },
     2},
    {"FailedStart",
     [](World& world) {
       DeclareAsleep(world, "a", {{"startupTimeout", 3}, {"idleTimeout", 5}});
       world.crashing.insert("a");
     },
     [](World& world) {
       world.Demand("a");
       world.RunUntil([&] { return world.Server("a").status().incarnation() >= 3; }, "it was tried again");
       world.crashing.clear();
       UntilPhase(world, "a", "Ready");
       UntilPhase(world, "a", "Asleep");
     },
     1},
    {"EditDuringACall", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 600}}); },
     [](World& world) {
       world.Use("a", /*calls_in_flight=*/1);
       world.PatchServer("a", {{"args", {"--new"}}});
       world.RunUntil(
           [&] {
             const v1::MCPServer server = world.Server("a");
             return server.status().phase() == "Ready" && server.status().observed_generation() == 2 &&
                    IsTrue(server.status().conditions(), "Discovered");
           },
           "the new spec runs");
       world.Use("a", 0);
     },
     1},
    {"Elsewhere", [](World&) {},
     [](World& world) {
       world.CreateServer("a", {{"url", "http://example.test/"}});
       UntilPhase(world, "a", "Ready");
     },
     0},
    {"ElsewhereAndNotThere", [](World& world) { world.rude.insert("a"); },
     [](World& world) {
       world.CreateServer("a", {{"url", "http://example.test/"}});
       world.RunUntil([&] { return world.Server("a").status().incarnation() >= 2; }, "it was tried again");
       world.rude.clear();
       UntilPhase(world, "a", "Ready");
     },
     0},
    {"ElsewhereAndBack", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 10}}); },
     [](World& world) {
       world.PatchServer("a", {{"command", nullptr}, {"url", "http://example.test/"}});
       world.RunUntil(
           [&] {
             return world.Phase("a") == "Ready" && world.Pods().empty() &&
                    world.Server("a").status().observed_generation() == 2;
           },
           "it is reached elsewhere");
       world.PatchServer("a", {{"command", {"mcp-server"}}, {"url", nullptr}});
       world.RunUntil(
           [&] {
             const v1::MCPServer server = world.Server("a");
             return server.status().phase() == "Asleep" && server.status().observed_generation() == 3 &&
                    IsTrue(server.status().conditions(), "Discovered");
           },
           "it is a process again");
     },
     1},
    {"Suspend", [](World& world) { DeclareReady(world, "a", {{"idleTimeout", 20}}); },
     [](World& world) {
       world.PatchServer("a", {{"suspend", true}});
       UntilPhase(world, "a", "Asleep");
       world.PatchServer("a", {{"suspend", nullptr}});
       world.RunUntil(
           [&] {
             const v1::MCPServer server = world.Server("a");
             return server.status().phase() == "Asleep" && server.status().observed_generation() == 3;
           },
           "it has been looked at again");
     },
     1},
    {"PoolChange",
     [](World& world) {
       world.CreatePool("other", {{"maxServersActive", 1}});
       DeclareReady(world, "a", {{"idleTimeout", 600}});
     },
     [](World& world) {
       world.PatchServer("a", {{"pool", "other"}});
       world.RunUntil(
           [&] {
             return world.Phase("a") == "Ready" && world.Pool("other").status().grants_size() == 1 &&
                    world.Pool("default").status().grants_size() == 0;
           },
           "the pools agree");
     },
     1},
};

// What has to be the same in the end, however often somebody died.
std::string EndState(World& world) {
  std::string state;
  for (const char* name : {"a", "b"}) {
    const v1::MCPServer server = world.Server(name);
    if (server.name().empty()) continue;
    absl::StrAppend(&state, name, ": ", server.status().phase(), ", generation ",
                    server.status().observed_generation(), ", tools ", server.status().tool_count(), ", service ",
                    world.Exists(kube::ServiceKind(), name) ? "yes" : "no");
    std::map<std::string, std::string> conditions;
    for (const v1::Condition& condition : server.status().conditions()) {
      conditions[condition.type()] = condition.status();
    }
    for (const auto& [type, status] : conditions) absl::StrAppend(&state, ", ", type, "=", status);
    // A life more or less is fine; that the Pod is the recorded one is not.
    for (const kube::Object& pod : world.Pods()) {
      if (pod.controller_uid() != server.uid()) continue;
      absl::StrAppend(&state, ", a Pod of ",
                      ReadPod(pod).incarnation == server.status().incarnation() ? "this" : "ANOTHER", " life");
    }
    absl::StrAppend(&state, "\n");
  }
  absl::StrAppend(&state, "Pods: ", world.Pods().size(), "\n");
  for (const char* name : {"default", "one", "other"}) {
    const v1::MCPPool pool = world.Pool(name);
    absl::StrAppend(&state, name, ": active ", pool.status().active_servers_count(), ", pending ",
                    pool.status().pending_servers_count(), ", total ", pool.status().total_servers_count(), "\n");
  }
  return state;
}

class CrashTest : public testing::TestWithParam<Scenario> {};

TEST_P(CrashTest, TheEndIsTheSameWhereverItStops) {
  const Scenario& scenario = GetParam();
  std::string expected;
  int64_t lives = 0;
  int writes = 0;
  {
    World world;
    scenario.before(world);
    world.Settle();
    const int before = world.writes();
    scenario.run(world);
    world.Settle();
    writes = world.writes() - before;
    expected = EndState(world);
    lives = world.Server("a").status().incarnation();
    EXPECT_LE(world.most_pods_of_one(), scenario.most_pods);
    EXPECT_LE(world.most_pods(), scenario.most_pods);
  }
  ASSERT_GT(writes, 0);
  ASSERT_LT(writes, 100);
  for (int cut = 1; cut <= writes; ++cut) {
    SCOPED_TRACE(absl::StrCat("stopped after write ", cut, " of ", writes));
    World world;
    scenario.before(world);
    world.Settle();
    world.CutAfterWrites(cut);
    scenario.run(world);
    world.Settle();
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(EndState(world), expected);
    // The cluster has a thread of its own: which news come together, and so how
    // many writes are needed, may differ by a few between runs.
    EXPECT_TRUE(world.controllers() == 2 || cut > writes - 3) << "the cut did not happen";
    EXPECT_LE(world.most_pods_of_one(), scenario.most_pods);
    EXPECT_LE(world.most_pods(), scenario.most_pods) << "maxServersActive holds at every moment";
    // One life more; and the number of a dying namesake's Pod is left out.
    EXPECT_LE(world.Server("a").status().incarnation(), lives + 2);
    if (HasFailure()) return;  // one account of it is enough
  }
}

INSTANTIATE_TEST_SUITE_P(Scenarios, CrashTest, testing::ValuesIn(kScenarios),
                         [](const testing::TestParamInfo<Scenario>& info) { return info.param.name; });

}  // namespace
}  // namespace unmcp::controller
