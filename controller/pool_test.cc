// Pools at work: who runs when not all can, what is kept running, and what
// somebody does by hand. World is a whole cluster and a controller.

#include <string>

#include "absl/strings/match.h"
#include "common/annotations.h"
#include "controller/controller.h"
#include "controller/status.h"
#include "controller/world.h"
#include "gtest/gtest.h"

namespace unmcp::controller {
namespace {

using kube::Json;

class PoolTest : public testing::Test {
 protected:
  void UntilPhase(const std::string& name, const std::string& phase) {
    world_.RunUntil([&] { return world_.Phase(name) == phase; }, (name + " is " + phase).c_str());
  }
  // A server that has been discovered and sleeps.
  void Declare(const std::string& name, Json spec = {}) {
    world_.CreateServer(name, std::move(spec));
    UntilPhase(name, "Asleep");
    world_.RunFor(absl::Seconds(1));  // no two are equally old
  }
  void Wake(const std::string& name) {
    world_.Demand(name);
    UntilPhase(name, "Ready");
  }
  std::string Reason(const std::string& name, const std::string& condition) {
    const v1::Condition* found = world_.Condition(name, condition);
    return found == nullptr ? "" : found->reason();
  }
  int64_t Incarnation(const std::string& name) { return world_.Server(name).status().incarnation(); }
  absl::Time Now() { return world_.scheduler().Now(); }

  World world_;
};

TEST_F(PoolTest, TheLongestIdleGivesWayToWhoWaits) {
  world_.CreatePool("two", {{"maxServersActive", 2}, {"defaultIdleTimeout", 3600}});
  for (const char* name : {"a", "b", "c"}) Declare(name, {{"pool", "two"}});
  Wake("a");
  Wake("b");
  world_.RunFor(absl::Minutes(1));
  world_.Use("a");
  world_.RunFor(absl::Minutes(1));
  const absl::Time asked = Now();
  Wake("c");
  EXPECT_LT(Now() - asked, absl::Seconds(2));
  EXPECT_EQ(world_.Phase("a"), "Ready");
  EXPECT_EQ(world_.Phase("b"), "Asleep") << "it was idle for longest, its open session or not";
  EXPECT_EQ(world_.most_pods(), 2u);
  // And back: its client speaks again.
  world_.RunFor(absl::Minutes(1));
  Wake("b");
  EXPECT_EQ(world_.Phase("a"), "Asleep");
  EXPECT_EQ(world_.Phase("c"), "Ready");
}

TEST_F(PoolTest, WhatIsInUseOrHasJustBeenDoesNotGiveWay) {
  world_.CreatePool("one", {{"maxServersActive", 1}, {"defaultIdleTimeout", 3600}});
  for (const char* name : {"a", "b"}) Declare(name, {{"pool", "one"}});
  Wake("a");
  world_.Use("a", /*calls_in_flight=*/1);
  world_.Demand("b");
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Phase("b"), "Waiting");
  EXPECT_EQ(world_.drains_asked(), 2) << "after the discoveries none: it is known to be busy";
  world_.Use("a", 0);
  world_.RunFor(kMinAwake - absl::Seconds(1));
  EXPECT_EQ(world_.Phase("a"), "Ready");
  UntilPhase("b", "Ready");
  EXPECT_EQ(world_.Phase("a"), "Asleep");
}

TEST_F(PoolTest, ARefusedDrainMeansAnother) {
  world_.CreatePool("two", {{"maxServersActive", 2}, {"defaultIdleTimeout", 3600}});
  for (const char* name : {"a", "b", "c"}) Declare(name, {{"pool", "two"}});
  Wake("a");
  world_.RunFor(absl::Minutes(1));
  Wake("b");
  world_.RunFor(absl::Minutes(1));
  world_.secretly_busy.insert("a");  // its apiserver has not told yet
  Wake("c");
  EXPECT_EQ(world_.Phase("a"), "Ready");
  EXPECT_EQ(world_.Phase("b"), "Asleep");
}

TEST_F(PoolTest, TheOrderOfWaitingOutlivesTheController) {
  world_.CreatePool("one", {{"maxServersActive", 1}, {"defaultIdleTimeout", 3600}});
  for (const char* name : {"a", "b", "c"}) Declare(name, {{"pool", "one"}});
  Wake("a");
  world_.Use("a", 1);
  world_.Demand("c");
  world_.RunFor(absl::Seconds(2));
  world_.Demand("b");
  UntilPhase("b", "Waiting");
  world_.RestartController();
  world_.Settle();
  world_.Use("a", 0);
  UntilPhase("c", "Ready");
  EXPECT_EQ(world_.Phase("b"), "Waiting");
  UntilPhase("b", "Ready");
}

TEST_F(PoolTest, ALoweredCapEndsTheLongestIdle) {
  world_.CreatePool("p", {{"defaultIdleTimeout", 3600}});
  for (const char* name : {"a", "b", "c"}) Declare(name, {{"pool", "p"}});
  for (const char* name : {"a", "b", "c"}) {
    Wake(name);
    world_.RunFor(absl::Seconds(20));
  }
  world_.PatchPool("p", {{"maxServersActive", 1}});
  UntilPhase("b", "Asleep");
  EXPECT_EQ(world_.Phase("a"), "Asleep");
  world_.RunFor(absl::Minutes(5));
  EXPECT_EQ(world_.Phase("c"), "Ready") << "the rest goes on";
  EXPECT_EQ(Incarnation("a"), 2);
  world_.PatchPool("p", {{"maxServersActive", 0}});
  UntilPhase("c", "Asleep");
  EXPECT_EQ(world_.Pool("p").status().grants_size(), 0);
}

TEST_F(PoolTest, ARaisedCapServesWhoWaits) {
  world_.CreatePool("p", {{"maxServersActive", 0}});
  world_.CreateServer("a", {{"pool", "p"}});
  world_.Settle();
  world_.Demand("a");
  UntilPhase("a", "Waiting");
  EXPECT_NE(world_.Published("a").unavailable().message().find("spec.maxServersActive"), std::string::npos);
  world_.PatchPool("p", {{"maxServersActive", 1}});
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Ready");
}

TEST_F(PoolTest, ThoseUsedLastStayWarm) {
  world_.CreatePool("p", {{"minServersWarm", 1}, {"defaultIdleTimeout", 10}});
  Json in_pool = {{"pool", "p"}};
  world_.CreateServer("a", in_pool);
  UntilPhase("a", "Ready");
  Declare("b", in_pool);
  world_.RunFor(absl::Minutes(5));
  EXPECT_EQ(world_.Phase("a"), "Ready") << "the older of those that nobody has used";
  EXPECT_EQ(Reason("a", "Requested"), "Warm");
  EXPECT_TRUE(IsTrue(world_.Pool("p").status().conditions(), "Warm"));
  Wake("b");
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Phase("b"), "Ready") << "used last";
  EXPECT_EQ(world_.Phase("a"), "Asleep");
  EXPECT_EQ(Incarnation("b"), 2) << "it just went on";
  world_.RestartController();
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Phase("b"), "Ready");
  EXPECT_EQ(world_.Phase("a"), "Asleep");
  world_.PatchPool("p", {{"minServersWarm", 0}});
  UntilPhase("b", "Asleep");
}

TEST_F(PoolTest, AWarmServerGivesWayAndComesBack) {
  world_.CreatePool("p", {{"maxServersActive", 1}, {"minServersWarm", 1}, {"defaultIdleTimeout", 20}});
  world_.CreateServer("a", {{"pool", "p"}});
  UntilPhase("a", "Ready");
  world_.CreateServer("b", {{"pool", "p"}});
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Phase("a"), "Ready") << "nobody is waited for";
  Wake("b");
  EXPECT_EQ(world_.Phase("a"), "Asleep");
  world_.RunFor(absl::Minutes(5));
  EXPECT_EQ(world_.Phase("b"), "Ready") << "now it is the one used last";
  EXPECT_EQ(world_.most_pods(), 1u);
}

TEST_F(PoolTest, AWarmServerThatFailsBacksOffAndNoneTakesItsPlace) {
  world_.CreatePool("p", {{"minServersWarm", 1}});
  world_.crashing.insert("a");
  world_.CreateServer("a", {{"pool", "p"}, {"startupTimeout", 10}});
  world_.RunFor(absl::Seconds(2));
  Declare("b", {{"pool", "p"}});
  world_.RunFor(absl::Minutes(20));
  EXPECT_EQ(world_.Phase("b"), "Asleep");
  EXPECT_EQ(Incarnation("b"), 1);
  EXPECT_LT(Incarnation("a"), 12);
  EXPECT_EQ(world_.Pool("p").status().conditions_size(), 2);
  world_.crashing.clear();
  UntilPhase("a", "Ready");
}

TEST_F(PoolTest, ARaisedLimitMakesManagedWhatWasIgnored) {
  world_.CreatePool("p", {{"maxServersLimit", 1}});
  Declare("a", {{"pool", "p"}});
  world_.CreateServer("b", {{"pool", "p"}});
  UntilPhase("b", "Ignored");
  EXPECT_NE(world_.Published("b").unavailable().message().find("raise the limit"), std::string::npos);
  world_.PatchPool("p", {{"maxServersLimit", 2}});
  UntilPhase("b", "Asleep");
  EXPECT_EQ(world_.Pool("p").status().managed_servers_count(), 2);
}

TEST_F(PoolTest, AnEditedIdleTimeoutReachesServersAtOnce) {
  world_.CreatePool("p", {{"defaultIdleTimeout", 3600}});
  Declare("a", {{"pool", "p"}});
  Wake("a");
  world_.RunFor(absl::Minutes(1));
  world_.PatchPool("p", {{"defaultIdleTimeout", 30}});
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Asleep");
  Wake("a");
  world_.PatchPool("p", {{"defaultIdleTimeout", -1}});
  world_.RunFor(absl::Minutes(10));
  EXPECT_EQ(world_.Phase("a"), "Ready");
}

TEST_F(PoolTest, PoolsAndServersArePublishedAtTheVersionThatIsThere) {
  world_.CreatePool("p", {{"maxServersActive", 7}});
  Declare("a", {{"pool", "p"}});
  world_.Annotate("a", "example.com/unknown", "leads to no write");
  world_.Settle();
  EXPECT_EQ(world_.Published("a").server().resource_version(), world_.Server("a").resource_version());
  const v1::MCPPool published = world_.PublishedPool("p");
  EXPECT_EQ(published.resource_version(), world_.Pool("p").resource_version());
  EXPECT_EQ(published.spec().max_servers_active(), 7);
  EXPECT_EQ(published.status().total_servers_count(), 1);
  world_.RestartController();
  world_.Settle();
  EXPECT_EQ(world_.PublishedPool("p").resource_version(), published.resource_version());
  world_.Delete(kube::MCPPoolKind(), "p");
  world_.Settle();
  EXPECT_EQ(world_.PublishedPool("p").uid(), "");
}

TEST_F(PoolTest, StartByHandWakesOnceAndStopEndsItUntilSomebodyAsks) {
  Declare("a", {{"idleTimeout", 30}});
  world_.Annotate("a", kStartedAtAnnotation, AnnotationTime(Now()));
  world_.Annotate("a", kStartedByAnnotation, "me");
  UntilPhase("a", "Ready");
  EXPECT_EQ(Reason("a", "Requested"), "StartedByHand");
  world_.RestartController();
  UntilPhase("a", "Asleep");
  world_.RestartController();
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(Incarnation("a"), 2) << "no restart repeats it";

  Wake("a");
  EXPECT_EQ(Reason("a", "Requested"), "Clients");
  world_.scheduler().Advance(absl::Seconds(2));
  world_.Annotate("a", kStoppedAtAnnotation, AnnotationTime(Now()));
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Asleep");
  EXPECT_EQ(Reason("a", "Requested"), "StoppedByHand");
  world_.RestartController();
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(Incarnation("a"), 3);
  Wake("a");
  world_.RestartController();
  world_.RunFor(absl::Seconds(10));
  EXPECT_EQ(world_.Phase("a"), "Ready") << "the stop is over";
}

TEST_F(PoolTest, StartOfWhatRunsKeepsItAwakeForLonger) {
  Declare("a", {{"idleTimeout", 60}});
  Wake("a");
  world_.RunFor(absl::Seconds(50));
  world_.Annotate("a", kStartedAtAnnotation, AnnotationTime(Now()));
  world_.RunFor(absl::Seconds(50));
  EXPECT_EQ(world_.Phase("a"), "Ready");
  EXPECT_EQ(Incarnation("a"), 2);
  world_.RunFor(absl::Seconds(20));
  EXPECT_EQ(world_.Phase("a"), "Asleep");
}

TEST_F(PoolTest, AFullDiskIsToldToWhoWaits) {
  Declare("a");
  Declare("b");
  world_.write_failure = absl::ResourceExhaustedError("disk full");
  world_.Demand("a");
  world_.Settle();
  world_.RunFor(absl::Seconds(1));
  const v1::Unavailable unavailable = world_.Published("a").unavailable();
  EXPECT_EQ(unavailable.reason(), "StorageFull");
  EXPECT_NE(unavailable.message().find("disk full"), std::string::npos);
  EXPECT_EQ(unavailable.retry_after_seconds(), 10);
  EXPECT_FALSE(world_.Published("b").has_unavailable()) << "nobody waits for it";
  world_.write_failure = absl::OkStatus();
  UntilPhase("a", "Ready");
  EXPECT_FALSE(world_.Published("a").has_unavailable());
  EXPECT_TRUE(world_.Published("a").has_route());
}

TEST_F(PoolTest, AClusterThatIsAwayIsToldToWhoWaits) {
  Declare("a");
  world_.write_failure = absl::UnavailableError("connection refused");
  world_.Demand("a");
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "ClusterUnavailable");
  world_.RunFor(kDemandLifetime + absl::Seconds(40));
  EXPECT_FALSE(world_.Published("a").has_unavailable()) << "nobody waits any more: the next may try";
  world_.write_failure = absl::OkStatus();
  Wake("a");
}

TEST_F(PoolTest, WhatIsDoneIsCounted) {
  world_.CreatePool("one", {{"maxServersActive", 1}, {"defaultIdleTimeout", 60}});
  for (const char* name : {"a", "b"}) Declare(name, {{"pool", "one"}});
  Wake("a");
  Wake("b");
  world_.crashing.insert("c");
  world_.CreateServer("c", {{"startupTimeout", 5}});
  UntilPhase("b", "Asleep");
  const std::string text = world_.Metrics();
  for (const char* line : {
           "unmcp_controller_starts_total{reason=\"Discovery\"} ",
           "unmcp_controller_starts_total{reason=\"Clients\"} 2",
           "unmcp_controller_stops_total{reason=\"GaveWay\"} 1",
           "unmcp_controller_stops_total{reason=\"Idle\"} 3",
           "unmcp_controller_start_failures_total{reason=\"CrashLoopBackOff\"} ",
           "unmcp_controller_wake_seconds_count 2",
           "unmcp_controller_writes_total{code=\"OK\",kind=\"Pod\",verb=\"create\"} ",
           "controller_runtime_reconcile_total{controller=\"mcppool\",result=\"success\"} ",
           "workqueue_adds_total",
       }) {
    EXPECT_TRUE(absl::StrContains(text, line)) << line << "\nis not in\n" << text;
  }
}

TEST_F(PoolTest, ADeletedPoolTakesItsServersAndTheDefaultIsMadeByARestart) {
  Declare("a");
  world_.Delete(kube::MCPPoolKind(), "default");
  world_.RunUntil([&] { return !world_.Exists(kube::MCPServerKind(), "a"); }, "the server goes with its pool");
  world_.CreateServer("b");
  world_.Settle();
  EXPECT_EQ(Reason("b", "Accepted"), "PoolNotFound");
  EXPECT_NE(world_.Condition("b", "Accepted")->message().find("a restart of unmcp makes it"), std::string::npos);
  world_.RestartController();
  UntilPhase("b", "Asleep");
}

}  // namespace
}  // namespace unmcp::controller
