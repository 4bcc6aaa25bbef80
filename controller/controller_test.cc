#include "controller/controller.h"

#include "controller/observed.h"
#include "controller/status.h"
#include "controller/world.h"
#include "gtest/gtest.h"

namespace unmcp::controller {
namespace {

using kube::Json;

class ControllerTest : public testing::Test {
 protected:
  void UntilPhase(const std::string& name, const std::string& phase) {
    world_.RunUntil([&] { return world_.Phase(name) == phase; }, phase.c_str());
  }
  // A server that has been discovered and sleeps.
  void Declare(const std::string& name, Json spec = {}) {
    world_.CreateServer(name, std::move(spec));
    UntilPhase(name, "Asleep");
  }
  std::string Reason(const std::string& name, const std::string& condition) {
    const v1::Condition* found = world_.Condition(name, condition);
    return found == nullptr ? "" : found->reason();
  }

  World world_;
};

TEST_F(ControllerTest, MakesTheDefaultPool) {
  world_.Settle();
  EXPECT_TRUE(world_.Exists(kube::MCPPoolKind(), "default"));
}

TEST_F(ControllerTest, ANewServerIsDiscoveredAndPutToSleepAtOnce) {
  world_.CreateServer("a", {{"idleTimeout", 600}});
  const absl::Time before = world_.scheduler().Now();
  UntilPhase("a", "Asleep");
  EXPECT_LT(world_.scheduler().Now() - before, absl::Seconds(5)) << "nobody asked: no idleTimeout to wait for";
  const v1::MCPServer server = world_.Server("a");
  EXPECT_EQ(server.status().server_info().name(), "a");
  EXPECT_EQ(server.status().tool_count(), 13);
  EXPECT_EQ(server.status().incarnation(), 1);
  EXPECT_TRUE(server.status().has_stopped_at());
  EXPECT_TRUE(world_.Pods().empty());
  EXPECT_EQ(world_.Pool("default").status().grants_size(), 0);
  EXPECT_EQ(world_.Pool("default").status().total_servers_count(), 1);
  EXPECT_FALSE(world_.Published("a").has_unavailable());
  world_.RunFor(absl::Minutes(10));
  EXPECT_EQ(world_.Server("a").status().incarnation(), 1) << "it is not started for nothing";
  // default pool; counts, owner, first status, Service; grant, status, Pod, selector; Ready, Discovered, Stopping,
  // delete, Asleep; the grant's release. Two may fall together.
  EXPECT_LE(world_.writes(), 16);
}

TEST_F(ControllerTest, DemandStartsASleeperAndIdlenessEndsIt) {
  Declare("a", {{"idleTimeout", 60}});
  const int writes = world_.writes();
  world_.Demand("a");
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Ready") << "no timer is in the way of a wake";
  // Grant; status; Pod; the Service's selector; status (Ready).
  EXPECT_EQ(world_.writes() - writes, 5);
  const v1::PublishedServer published = world_.Published("a");
  EXPECT_EQ(published.route().incarnation(), 2);
  EXPECT_EQ(published.route().pod(), "a-2");
  EXPECT_EQ(published.route().pod_uid(), world_.Pods()[0].uid());
  EXPECT_EQ(published.route().container(), kContainer);
  EXPECT_FALSE(published.route().container_id().empty());
  EXPECT_EQ(world_.Pool("default").status().active_servers_count(), 1);

  world_.RunFor(absl::Seconds(50));
  world_.Use("a");
  world_.RunFor(absl::Seconds(50));
  EXPECT_EQ(world_.Phase("a"), "Ready") << "used 50 s ago";
  world_.RunFor(absl::Seconds(15));
  EXPECT_EQ(world_.Phase("a"), "Asleep");
  EXPECT_EQ(world_.Server("a").status().total_requests(), 1);
  EXPECT_TRUE(world_.Pods().empty());
  EXPECT_EQ(world_.Pool("default").status().grants_size(), 0);
  EXPECT_FALSE(world_.Published("a").has_route());
}

TEST_F(ControllerTest, AWakeWritesStatusBeforeThePodAndTheServiceLast) {
  Declare("a");
  world_.kubelet_works = false;
  world_.Demand("a");
  world_.Settle();
  const v1::MCPServer server = world_.Server("a");
  EXPECT_EQ(server.status().phase(), "Starting");
  EXPECT_TRUE(IsTrue(server.status().conditions(), "Started"));
  const auto pod = world_.Pods()[0];
  EXPECT_EQ(pod.name(), "a-2");
  EXPECT_EQ(pod.controller_uid(), server.uid());
  EXPECT_EQ(pod.labels()["unmcp.dev/server"], "a");
  EXPECT_EQ(pod.labels()["unmcp.dev/incarnation"], "2");
  const Json& container = pod.spec()["containers"][0];
  EXPECT_EQ(container["stdin"], true);
  EXPECT_EQ(container["command"], Json::array({"mcp-server"}));
  const auto service = kube::AwaitGet(world_.cluster(), {kube::ServiceKind(), "default", "a"});
  ASSERT_TRUE(service.ok());
  EXPECT_EQ(service->spec()["selector"]["unmcp.dev/incarnation"], "2");
  EXPECT_EQ(service->spec()["clusterIP"], "None");
  EXPECT_FALSE(world_.Published("a").has_route()) << "nothing runs yet";
}

TEST_F(ControllerTest, ACallInFlightKeepsAServerAwakeAndAnOpenSessionDoesNot) {
  Declare("a", {{"idleTimeout", 10}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.Use("a", /*calls_in_flight=*/1);
  world_.RunFor(absl::Minutes(5));
  EXPECT_EQ(world_.Phase("a"), "Ready");
  world_.Use("a", 0);  // its session stays open
  world_.RunFor(absl::Seconds(15));
  EXPECT_EQ(world_.Phase("a"), "Asleep");
}

TEST_F(ControllerTest, ARefusedDrainIsAskedAgain) {
  Declare("a", {{"idleTimeout", 10}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.apiservers_busy = true;
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Phase("a"), "Ready");
  EXPECT_GT(world_.drains_asked(), 5);
  EXPECT_LT(world_.drains_asked(), 15) << "every five seconds, not all the time";
  world_.apiservers_busy = false;
  world_.RunFor(absl::Seconds(6));
  EXPECT_EQ(world_.Phase("a"), "Asleep");
}

TEST_F(ControllerTest, NobodySleepsWhileAnApiserverIsAway) {
  Declare("a", {{"idleTimeout", 10}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.apiservers_there = false;
  world_.RestartApiserver("api-1");
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Phase("a"), "Ready");
  world_.apiservers_there = true;
  world_.RestartApiserver("api-2");
  world_.RunFor(absl::Seconds(10));
  EXPECT_EQ(world_.Phase("a"), "Asleep");
}

TEST_F(ControllerTest, MinusOneNeverSleepsOnceStarted) {
  world_.CreateServer("a", {{"idleTimeout", -1}});
  UntilPhase("a", "Ready");
  world_.RunFor(absl::Minutes(10));
  EXPECT_EQ(world_.Phase("a"), "Ready");
  EXPECT_EQ(world_.Server("a").status().incarnation(), 1);
}

TEST_F(ControllerTest, ThePoolsIdleTimeoutIsTheDefault) {
  world_.CreatePool("quick", {{"defaultIdleTimeout", 5}});
  Declare("a", {{"pool", "quick"}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.RunFor(absl::Seconds(8));
  EXPECT_EQ(world_.Phase("a"), "Asleep");
}

TEST_F(ControllerTest, SuspendStopsAndKeepsStopped) {
  Declare("a", {{"idleTimeout", 3600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.PatchServer("a", {{"suspend", true}});
  UntilPhase("a", "Asleep");
  EXPECT_EQ(Reason("a", "Ready"), "Suspended");
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "Suspended");
  world_.Demand("a");
  world_.RunFor(absl::Minutes(1));
  EXPECT_TRUE(world_.Pods().empty());
  EXPECT_EQ(Reason("a", "Accepted"), "Accepted");
}

TEST_F(ControllerTest, ASpecChangeRollsThePodOnce) {
  Declare("a", {{"idleTimeout", 600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.PatchServer("a", {{"args", {"--new"}}});
  world_.RunUntil([&] { return world_.Server("a").status().incarnation() == 3 && world_.Phase("a") == "Ready"; },
                  "the new Pod runs");
  EXPECT_EQ(world_.Pods()[0].spec()["containers"][0]["args"], Json::array({"--new"}));
  world_.RunFor(absl::Minutes(5));
  EXPECT_EQ(world_.Server("a").status().incarnation(), 3);
  EXPECT_EQ(Reason("a", "Discovered"), "Discovered");
  EXPECT_EQ(world_.most_pods_of_one(), 1u);
}

TEST_F(ControllerTest, WhatDoesNotReachThePodDoesNotRollIt) {
  Declare("a", {{"idleTimeout", 600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.PatchServer("a", {{"idleTimeout", 500}});
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Server("a").status().incarnation(), 2);
  EXPECT_EQ(Reason("a", "Discovered"), "Discovered");
  EXPECT_EQ(world_.Server("a").status().observed_generation(), 2);
}

TEST_F(ControllerTest, AnEditThatDoesNotReachTheProcessDoesNotStartASleeper) {
  Declare("a");
  world_.PatchServer("a", {{"idleTimeout", 500}});
  world_.RunFor(absl::Minutes(1));
  world_.PatchServer("a", {{"suspend", true}});
  world_.RunFor(absl::Minutes(1));
  world_.PatchServer("a", {{"suspend", false}});
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Server("a").status().incarnation(), 1);
  EXPECT_EQ(world_.Server("a").status().observed_generation(), 4);
  EXPECT_EQ(Reason("a", "Discovered"), "Discovered");
}

TEST_F(ControllerTest, AnEditWaitsForACallAndNotForEver) {
  Declare("a", {{"idleTimeout", 600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.Use("a", /*calls_in_flight=*/1);
  world_.PatchServer("a", {{"args", {"--new"}}});
  world_.RunFor(kEditGrace - absl::Seconds(2));
  EXPECT_EQ(world_.Server("a").status().incarnation(), 2);
  EXPECT_EQ(world_.Phase("a"), "Ready");
  world_.RunUntil([&] { return world_.Server("a").status().incarnation() == 3 && world_.Phase("a") == "Ready"; },
                  "the new Pod runs");
  world_.Use("a", /*calls_in_flight=*/1);
  world_.PatchServer("a", {{"args", {"--newer"}}});
  world_.RunFor(absl::Seconds(3));
  world_.Use("a", 0);
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(world_.Server("a").status().incarnation(), 4) << "the call is over: why wait";
}

TEST_F(ControllerTest, WhatAPoolSaysReachesItsServers) {
  world_.CreatePool("shop", Json::object());
  Declare("a", {{"pool", "shop"}, {"idleTimeout", 600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.PatchPool("shop", {{"serverDefaults", {{"env", {{{"name", "A"}, {"value", "1"}}}}}}});
  world_.RunUntil([&] { return world_.Server("a").status().incarnation() == 3 && world_.Phase("a") == "Ready"; },
                  "it runs with that");
  EXPECT_EQ(world_.Pods()[0].spec()["containers"][0]["env"], Json({{{"name", "A"}, {"value", "1"}}}));
  EXPECT_EQ(world_.Published("a").effective_spec().env(0).name(), "A");
  EXPECT_EQ(world_.Published("a").server().spec().env_size(), 0);
  world_.PatchPool("shop", {{"defaultIdleTimeout", 7}});
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(world_.Server("a").status().incarnation(), 3);
}

TEST_F(ControllerTest, AServerElsewhereIsReadyWithoutAPodOrAPlace) {
  world_.CreatePool("none", {{"maxServersActive", 0}});
  world_.CreateServer("a", {{"pool", "none"}, {"url", "http://example.test/mcp"}});
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Ready");
  EXPECT_EQ(world_.Published("a").route().incarnation(), 1);
  EXPECT_EQ(world_.Published("a").effective_spec().transport().type(), "streamable-http");
  EXPECT_EQ(world_.Server("a").status().tool_count(), 13);
  EXPECT_EQ(world_.Pool("none").status().active_servers_count(), 0);
  EXPECT_EQ(world_.Pool("none").status().managed_servers_count(), 1);
  EXPECT_FALSE(world_.Exists(kube::ServiceKind(), "a"));
  const std::string version = world_.Server("a").resource_version();
  world_.RestartController();
  world_.RunFor(absl::Minutes(10));
  EXPECT_EQ(world_.Server("a").resource_version(), version);
  EXPECT_EQ(world_.most_pods(), 0u);
}

TEST_F(ControllerTest, AServerElsewhereThatCannotBeReachedIsDegradedUntilItIs) {
  world_.rude.insert("a");
  world_.CreateServer("a", {{"url", "http://example.test/mcp"}});
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Degraded");
  EXPECT_EQ(Reason("a", "Ready"), "Unreachable");
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "Unreachable");
  world_.RunFor(absl::Minutes(30));
  EXPECT_LT(world_.Server("a").status().incarnation(), 15) << "with back-off";
  world_.rude.clear();
  world_.RunUntil([&] { return world_.Phase("a") == "Ready"; }, "it has been reached");
  EXPECT_FALSE(world_.Published("a").has_unavailable());
}

TEST_F(ControllerTest, AProcessThatNeverAnswersIsNeverReady) {
  world_.silent.insert("a");
  world_.CreateServer("a", {{"startupTimeout", 10}});
  for (int i = 0; i < 120; ++i) {
    world_.RunFor(absl::Seconds(1));
    ASSERT_NE(world_.Phase("a"), "Ready");
  }
  EXPECT_EQ(world_.Phase("a"), "Degraded");
  EXPECT_EQ(Reason("a", "Discovered"), "StartTimeout");
}

TEST_F(ControllerTest, WhatTheNodeSaysOfAPodIsAmongTheServersConditions) {
  world_.pod_conditions = {{{"type", "unmcp.dev/LimitsEnforced"}, {"status", "False"}, {"reason", "NotEnforced"}}};
  Declare("a");
  EXPECT_EQ(Reason("a", "LimitsEnforced"), "NotEnforced");
}

TEST_F(ControllerTest, APodDeletedByOthersIsReplacedWhileInUse) {
  Declare("a", {{"idleTimeout", 600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.Delete(kube::PodKind(), "a-2");
  world_.RunUntil([&] { return world_.Server("a").status().incarnation() == 3 && world_.Phase("a") == "Ready"; },
                  "the next life");
  EXPECT_EQ(world_.most_pods_of_one(), 1u);
}

TEST_F(ControllerTest, AServiceDeletedByOthersComesBack) {
  Declare("a");
  world_.Delete(kube::ServiceKind(), "a");
  world_.Settle();
  EXPECT_TRUE(world_.Exists(kube::ServiceKind(), "a"));
}

TEST_F(ControllerTest, AForeignPodOfThatNameIsLeftAlone) {
  Declare("a");
  kube::Object foreign(kube::PodKind(), "default", "a-2");
  foreign.json()["spec"] = {{"containers", {{{"name", "x"}, {"image", "x"}}}}};
  ASSERT_TRUE(kube::AwaitCreate(world_.cluster(), kube::PodKind(), foreign).ok());
  world_.Demand("a");
  UntilPhase("a", "Ready");
  EXPECT_EQ(world_.Published("a").route().pod(), "a-3");
  EXPECT_TRUE(world_.Exists(kube::PodKind(), "a-2"));
}

TEST_F(ControllerTest, AServerMadeAnewUnderTheSameNameStartsBesideTheDyingPod) {
  Declare("a", {{"idleTimeout", 3600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.kubelet_works = false;
  world_.Delete(kube::MCPServerKind(), "a");
  world_.Settle();
  world_.CreateServer("a");
  world_.Settle();
  world_.Demand("a");
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Starting");
  EXPECT_TRUE(world_.Exists(kube::PodKind(), "a-3"));
  world_.kubelet_works = true;
  UntilPhase("a", "Ready");
  EXPECT_FALSE(world_.Exists(kube::PodKind(), "a-2"));
}

TEST_F(ControllerTest, AFullPoolMakesWaitAndServesInOrder) {
  world_.CreatePool("small", {{"maxServersActive", 1}});
  Declare("a", {{"pool", "small"}, {"idleTimeout", 30}});
  Declare("b", {{"pool", "small"}, {"idleTimeout", 30}});
  Declare("c", {{"pool", "small"}, {"idleTimeout", 30}});
  world_.Demand("c");
  UntilPhase("c", "Ready");
  world_.Demand("b");
  world_.Settle();
  world_.scheduler().Advance(absl::Seconds(1));
  world_.Demand("a");
  UntilPhase("a", "Waiting");
  EXPECT_EQ(world_.Phase("b"), "Waiting");
  EXPECT_FALSE(world_.Published("b").has_unavailable()) << "c is idle: it is about to give way";
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "PoolFull");
  EXPECT_EQ(world_.Pool("small").status().pending_servers_count(), 2);
  UntilPhase("b", "Ready");
  EXPECT_EQ(world_.Phase("a"), "Waiting");
  UntilPhase("a", "Ready");
  EXPECT_EQ(world_.most_pods(), 1u);
}

TEST_F(ControllerTest, AWaitThatNobodyRenewsIsForgotten) {
  world_.CreatePool("small", {{"maxServersActive", 1}});
  Declare("a", {{"pool", "small"}, {"idleTimeout", 3600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.CreateServer("b", {{"pool", "small"}});
  world_.Settle();
  world_.Demand("b");
  UntilPhase("b", "Waiting");
  world_.RunFor(kDemandLifetime + absl::Seconds(5));
  EXPECT_EQ(world_.Phase("b"), "Asleep");
  EXPECT_FALSE(world_.Published("b").has_unavailable()) << "the next client may ask again";
}

TEST_F(ControllerTest, TheYoungestOverTheLimitAreIgnored) {
  world_.CreatePool("small", {{"maxServersLimit", 1}});
  Declare("b", {{"pool", "small"}});
  world_.scheduler().Advance(absl::Seconds(5));
  world_.CreateServer("a", {{"pool", "small"}});
  UntilPhase("a", "Ignored");
  EXPECT_EQ(world_.Phase("b"), "Asleep");
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "OverLimit");
  EXPECT_EQ(world_.Pool("small").status().unmanaged_servers_count(), 1);
  world_.Delete(kube::MCPServerKind(), "b");
  UntilPhase("a", "Asleep");
  EXPECT_EQ(world_.Server("a").status().tool_count(), 13);
}

TEST_F(ControllerTest, APoolThatDoesNotExistIsACondition) {
  world_.CreateServer("a", {{"pool", "later"}});
  world_.Settle();
  EXPECT_EQ(Reason("a", "Accepted"), "PoolNotFound");
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "PoolNotFound");
  world_.CreatePool("later", Json::object());
  UntilPhase("a", "Asleep");
  EXPECT_EQ(Reason("a", "Accepted"), "Accepted");
}

TEST_F(ControllerTest, AnImageWithoutACommandIsACondition) {
  world_.CreateServer("a", {{"image", "some/image"}});
  world_.Settle();
  EXPECT_EQ(Reason("a", "Accepted"), "ImageWithoutCommand");
  EXPECT_TRUE(world_.Pods().empty());
}

TEST_F(ControllerTest, AServerIsOwnedByItsPoolAndMovesWithIt) {
  world_.CreatePool("other", Json::object());
  Declare("a", {{"idleTimeout", 600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  const auto owner = [&] {
    return kube::AwaitGet(world_.cluster(), {kube::MCPServerKind(), "default", "a"})->owners()[0].name;
  };
  EXPECT_EQ(owner(), "default");
  world_.PatchServer("a", {{"pool", "other"}});
  world_.Settle();
  EXPECT_EQ(owner(), "other");
  EXPECT_EQ(world_.Phase("a"), "Ready");
  EXPECT_EQ(world_.Server("a").status().incarnation(), 2) << "there was room: it ran on";
  EXPECT_EQ(world_.Pool("other").status().active_servers_count(), 1);
  EXPECT_EQ(world_.Pool("default").status().active_servers_count(), 0);
  world_.Delete(kube::MCPPoolKind(), "other");
  world_.RunUntil([&] { return !world_.Exists(kube::MCPServerKind(), "a"); }, "the server goes with its pool");
}

TEST_F(ControllerTest, ACrashLoopIsDegradedWithItsLastWords) {
  Declare("a", {{"startupTimeout", 30}});
  world_.crashing.insert("a");
  world_.Demand("a");
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Degraded");
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "CrashLoopBackOff");
  EXPECT_NE(world_.Published("a").unavailable().message().find("exit code 3: no such file"), std::string::npos);
  world_.crashing.clear();
  world_.Settle();
  EXPECT_EQ(world_.Phase("a"), "Degraded") << "so it has been each time";
  EXPECT_FALSE(world_.Published("a").has_unavailable()) << "who waits is not made to wait for that";
  world_.RunFor(kSettleTime);
  EXPECT_EQ(world_.Phase("a"), "Ready");
}

TEST_F(ControllerTest, AServerThatEndsAMomentAfterEachStartIsNotReadyBetween) {
  Declare("a");
  world_.crashing.insert("a");
  world_.Demand("a");
  UntilPhase("a", "Degraded");
  for (int i = 0; i < 8; ++i) {
    world_.crashing = i % 2 == 0 ? std::set<std::string>() : std::set<std::string>{"a"};
    world_.RunFor(absl::Seconds(2));
    ASSERT_EQ(world_.Phase("a"), "Degraded");
  }
}

TEST_F(ControllerTest, ADiscoveryThatFailsIsTriedAFewTimesThenWaitsForADemand) {
  world_.crashing.insert("a");
  world_.CreateServer("a", {{"startupTimeout", 10}});
  world_.RunFor(absl::Minutes(30));
  EXPECT_EQ(world_.Server("a").status().incarnation(), kMaxDiscoveryTries);
  EXPECT_EQ(world_.Phase("a"), "Degraded");
  EXPECT_EQ(Reason("a", "Discovered"), "CrashLoopBackOff");
  EXPECT_TRUE(world_.Pods().empty());
  EXPECT_EQ(world_.Pool("default").status().grants_size(), 0);
  EXPECT_FALSE(world_.Published("a").has_unavailable()) << "who asks now is worth a try";
  world_.crashing.clear();
  world_.Demand("a");
  UntilPhase("a", "Ready");
  EXPECT_EQ(Reason("a", "Discovered"), "Discovered");
}

TEST_F(ControllerTest, AProcessThatComesAndGoesIsNotADiscoveryThatTakesForEver) {
  world_.silent.insert("a");
  world_.CreateServer("a", {{"startupTimeout", 30}});
  for (int i = 0; i < 300; ++i) {
    world_.crashing = i % 2 == 0 ? std::set<std::string>{"a"} : std::set<std::string>{};
    world_.RunFor(absl::Seconds(4));
  }
  EXPECT_EQ(world_.Server("a").status().incarnation(), kMaxDiscoveryTries);
  EXPECT_TRUE(world_.Pods().empty());
  EXPECT_EQ(world_.Phase("a"), "Degraded");
}

TEST_F(ControllerTest, AProcessThatComesAndGoesIsNotInUseForEver) {
  Declare("a", {{"idleTimeout", 30}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  for (int i = 0; i < 20; ++i) {
    world_.crashing = i % 2 == 0 ? std::set<std::string>{"a"} : std::set<std::string>{};
    world_.RunFor(absl::Seconds(4));
  }
  EXPECT_EQ(world_.Phase("a"), "Asleep");
}

TEST_F(ControllerTest, AFailedDiscoveryIsTriedAgainWithAnotherSpec) {
  world_.crashing.insert("a");
  world_.CreateServer("a", {{"startupTimeout", 10}});
  world_.RunFor(absl::Minutes(30));
  world_.crashing.clear();
  world_.PatchServer("a", {{"args", {"--works"}}});
  UntilPhase("a", "Asleep");
  EXPECT_EQ(world_.Server("a").status().tool_count(), 13);
}

TEST_F(ControllerTest, AHandshakeThatFailsIsAFailedStart) {
  world_.rude.insert("a");
  world_.CreateServer("a");
  UntilPhase("a", "Degraded");
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "HandshakeFailed");
  EXPECT_GE(world_.Published("a").unavailable().retry_after_seconds(), 1);
  world_.rude.clear();
  UntilPhase("a", "Asleep");
  EXPECT_EQ(world_.Server("a").status().tool_count(), 13);
}

TEST_F(ControllerTest, AStartThatTakesTooLongFails) {
  Declare("a", {{"startupTimeout", 20}});
  world_.kubelet_works = false;
  world_.Demand("a");
  world_.RunUntil([&] { return Reason("a", "Ready") == "StartTimeout"; }, "the start has failed");
  EXPECT_EQ(world_.Published("a").unavailable().reason(), "StartTimeout");
  world_.kubelet_works = true;
  world_.RunUntil([&] { return world_.Pods().empty(); }, "its Pod is gone");
}

TEST_F(ControllerTest, ActivityIsNeitherLostNorCountedTwiceByRestarts) {
  Declare("a", {{"idleTimeout", 600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  for (int i = 0; i < 5; ++i) world_.Use("a");
  world_.RunFor(absl::Minutes(2));
  EXPECT_EQ(world_.Server("a").status().total_requests(), 5);
  EXPECT_EQ(world_.Server("a").status().current_connections(), 1);
  world_.RestartController();
  world_.RunFor(absl::Minutes(2));
  EXPECT_EQ(world_.Server("a").status().total_requests(), 5);
  for (int i = 0; i < 3; ++i) world_.Use("a");
  world_.Settle();
  world_.RestartApiserver("api-2");
  for (int i = 0; i < 4; ++i) world_.Use("a");
  world_.RunFor(absl::Minutes(4));
  EXPECT_EQ(world_.Server("a").status().total_requests(), 12);
  EXPECT_EQ(world_.Server("a").status().activity().entries_size(), 1);
  world_.RestartController();
  world_.Settle();
  world_.Use("a");
  world_.RunFor(absl::Minutes(4));
  EXPECT_EQ(world_.Server("a").status().total_requests(), 13);
}

TEST_F(ControllerTest, ActivityAloneIsWrittenOnceAMinute) {
  Declare("a", {{"idleTimeout", 600}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  world_.RunFor(absl::Minutes(2));
  const int writes = world_.writes();
  for (int i = 0; i < 120; ++i) {
    world_.Use("a");
    world_.scheduler().Advance(absl::Seconds(1));
    world_.Settle();
  }
  EXPECT_GE(world_.writes() - writes, 2);
  EXPECT_LE(world_.writes() - writes, 3);
}

TEST_F(ControllerTest, ARestartOfTheControllerChangesNothing) {
  Declare("a");
  Declare("b", {{"idleTimeout", 600}});
  world_.Demand("b");
  UntilPhase("b", "Ready");
  const std::string a = world_.Server("a").resource_version();
  const std::string b = world_.Server("b").resource_version();
  world_.RestartController();
  world_.RunFor(absl::Seconds(5));
  EXPECT_EQ(world_.Server("a").resource_version(), a);
  EXPECT_EQ(world_.Server("b").resource_version(), b);
}

TEST_F(ControllerTest, EventsTellWhy) {
  Declare("a", {{"idleTimeout", 10}});
  world_.Demand("a");
  UntilPhase("a", "Ready");
  UntilPhase("a", "Asleep");
  std::set<std::string> reasons;
  const auto events = kube::AwaitList(world_.cluster(), kube::EventKind(), "default");
  for (const kube::Object& event : events->items) {
    EXPECT_EQ(event.json()["involvedObject"]["name"], "a");
    reasons.insert(event.json()["reason"].get<std::string>());
  }
  EXPECT_EQ(reasons, (std::set<std::string>{"Starting", "Ready", "Stopping"}));
}

}  // namespace
}  // namespace unmcp::controller
