#include "controller/decide.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/status.h"
#include "controller/want.h"
#include "gtest/gtest.h"

namespace unmcp::controller {
namespace {

using Verb = Write::Verb;

const absl::Time kNow = absl::FromUnixSeconds(1'750'000'000);

// After each change of the spec.
void Redeclare(ServerSnapshot* seen) {
  seen->declared = std::make_shared<Declaration>(Declare(seen->server.spec(), nullptr, seen->runs_images));
}

// A server that has been discovered, in a pool with room, and one apiserver.
ServerSnapshot Known() {
  ServerSnapshot seen;
  seen.now = kNow;
  seen.server.set_uid("uid");
  seen.server.set_name("a");
  seen.server.set_namespace_("default");
  seen.server.set_generation(1);
  seen.server.set_resource_version("5");
  seen.server.mutable_spec()->set_pool("default");
  seen.server.mutable_spec()->add_command("mcp-server");
  Redeclare(&seen);
  seen.server.mutable_status()->set_discovered_hash(seen.declared->hash);
  seen.owner_pool_uid = "pool-uid";
  seen.service = {.exists = true, .ours = true, .resource_version = "6", .incarnation = 0};
  seen.pool = {.exists = true, .uid = "pool-uid", .decided = true};
  seen.apiservers = {.connected = {"api"}, .complete = true};
  return seen;
}

ServerSnapshot Sleeping() {
  ServerSnapshot seen = Known();
  seen.server.mutable_status()->set_phase("Asleep");
  SetCondition(seen.server.mutable_status()->mutable_conditions(), "Discovered", {"True", "Discovered", ""}, 1, kNow);
  return seen;
}

void GiveLife(ServerSnapshot* seen, const std::string& phase) {
  v1::MCPServerStatus* status = seen->server.mutable_status();
  status->set_phase(phase);
  status->set_incarnation(4);
  *status->mutable_started_at() = ToTimestamp(kNow - absl::Seconds(1));
  SetCondition(status->mutable_conditions(), "Started", {"True", "Starting", ""}, 1, kNow);
  SetCondition(status->mutable_conditions(), "Ready", {phase == "Ready" ? "True" : "False", phase, ""}, 1,
               kNow - absl::Hours(2));
  seen->service.incarnation = 4;
  seen->pool.granted = true;
}

ObservedPod RunningPod(const ServerSnapshot& seen) {
  ObservedPod pod;
  pod.name = "a-4";
  pod.uid = "pod-uid";
  pod.incarnation = 4;
  pod.spec_hash = seen.declared->hash;
  pod.ready = pod.running = true;
  pod.container_id = "c1";
  pod.running_since = kNow;
  return pod;
}

// In use until half a minute from now.
ServerSnapshot Running(const std::string& phase = "Ready") {
  ServerSnapshot seen = Sleeping();
  GiveLife(&seen, phase);
  seen.pods = {RunningPod(seen)};
  seen.memory.pod_seen = 4;
  seen.memory.served_at = kNow - absl::Seconds(30);
  return seen;
}

void Demand(ServerSnapshot* seen) {
  seen->memory.demanded = true;
  seen->memory.demanded_since = seen->memory.demanded_at = kNow;
}

std::string Phase(const ServerPlan& plan) { return plan.published.server().status().phase(); }

// "status create:pods delete:pods …"
std::string Writes(const ServerPlan& plan) {
  std::string text;
  for (const Write& write : plan.writes) {
    switch (write.verb) {
      case Verb::kCreate: absl::StrAppend(&text, "create:", write.ref.kind.plural, " "); break;
      case Verb::kPatch: absl::StrAppend(&text, "patch:", write.ref.kind.plural, " "); break;
      case Verb::kPatchStatus: absl::StrAppend(&text, "status "); break;
      case Verb::kConfirmAbsent: absl::StrAppend(&text, "absent:", write.ref.name, " "); break;
      case Verb::kDelete: absl::StrAppend(&text, "delete:", write.ref.name, " "); break;
    }
  }
  return text;
}

TEST(DecideServer, ASleeperStaysAsleepAndNothingIsWritten) {
  ServerSnapshot seen = Sleeping();
  // The plan of the first look is what the second look sees.
  const ServerPlan first = DecideServer(seen);
  *seen.server.mutable_status() = first.published.server().status();
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Asleep");
  EXPECT_EQ(Writes(plan), "");
  EXPECT_FALSE(plan.published.has_route());
  EXPECT_FALSE(plan.published.has_unavailable());
  EXPECT_EQ(plan.look_again, absl::InfiniteFuture());
}

TEST(DecideServer, WithoutAnAnswerOfThePoolADemandIsRequested) {
  ServerSnapshot seen = Sleeping();
  Demand(&seen);
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Requested");
  EXPECT_FALSE(plan.starts);
}

TEST(DecideServer, AFullPoolMakesItWait) {
  ServerSnapshot seen = Sleeping();
  Demand(&seen);
  seen.pool.waiting = true;
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Waiting");
  EXPECT_EQ(plan.published.unavailable().reason(), "PoolFull");
  EXPECT_EQ(plan.look_again, kNow + kDemandLifetime);
  seen.pool.next = true;
  EXPECT_EQ(Phase(DecideServer(seen)), "Waiting");
  EXPECT_FALSE(DecideServer(seen).published.has_unavailable()) << "for moments: nobody is sent away";
}

TEST(DecideServer, AGrantStartsIt) {
  ServerSnapshot seen = Sleeping();
  Demand(&seen);
  seen.pool.granted = true;
  seen.server.mutable_status()->set_incarnation(3);
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Starting");
  EXPECT_EQ(Writes(plan), "status create:pods patch:services ");
  EXPECT_TRUE(plan.starts);
  EXPECT_EQ(plan.writes[0].resource_version, "5");
  EXPECT_EQ(plan.writes[0].body["status"]["incarnation"], 4);
  EXPECT_EQ(plan.writes[1].ref.name, "a-4");
  EXPECT_EQ(plan.look_again, kNow + absl::Seconds(kDefaultStartupTimeoutSeconds));
}

TEST(DecideServer, AGrantAloneDoesNot) {
  ServerSnapshot seen = Sleeping();
  seen.pool.granted = true;
  EXPECT_EQ(Phase(DecideServer(seen)), "Asleep");
}

TEST(DecideServer, NoNewLifeBesideAnOldPod) {
  ServerSnapshot seen = Sleeping();
  Demand(&seen);
  seen.pool.granted = true;
  seen.server.mutable_status()->set_incarnation(4);
  seen.pods = {RunningPod(seen)};  // of a life that is over
  const ServerPlan plan = DecideServer(seen);
  EXPECT_FALSE(plan.starts);
  EXPECT_NE(Writes(plan).find("delete:a-4"), std::string::npos);
}

TEST(DecideServer, AnInterruptedStartGoesOnWithTheSameIncarnation) {
  ServerSnapshot seen = Sleeping();
  GiveLife(&seen, "Starting");
  Demand(&seen);
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.published.server().status().incarnation(), 4);
  EXPECT_NE(Writes(plan).find("create:pods"), std::string::npos);
}

TEST(DecideServer, AnInterruptedStartThatNobodyWantsAnyMoreIsLookedForBeforeItEnds) {
  ServerSnapshot seen = Sleeping();
  GiveLife(&seen, "Starting");
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Asleep");
  EXPECT_EQ(Writes(plan), "absent:a-4 status ");
}

TEST(DecideServer, ARunningPodIsReadyAndRouted) {
  ServerSnapshot seen = Running("Starting");
  Demand(&seen);
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Ready");
  EXPECT_EQ(plan.published.route().incarnation(), 4);
  EXPECT_EQ(plan.published.route().pod_uid(), "pod-uid");
  EXPECT_EQ(plan.published.route().container_id(), "c1");
  EXPECT_FALSE(plan.memory.demanded) << "who waited has got it";
  EXPECT_EQ(plan.look_again, kNow + absl::Seconds(60)) << "idle time counts from when it was handed over";
}

TEST(DecideServer, ARouteNeedsThePodOfThisIncarnation) {
  ServerSnapshot seen = Running();
  seen.pods[0].incarnation = 3;
  const ServerPlan plan = DecideServer(seen);
  EXPECT_FALSE(plan.published.has_route());
  EXPECT_NE(Writes(plan).find("delete:a-4"), std::string::npos);
}

TEST(DecideServer, ARunningContainerIsRoutedBeforeThePodIsReady) {
  ServerSnapshot seen = Running("Starting");
  seen.pods[0].ready = false;
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Starting");
  EXPECT_TRUE(plan.published.has_route());
}

TEST(DecideServer, IdlenessAsksBeforeItStops) {
  ServerSnapshot seen = Running();
  seen.memory.served_at = kNow - absl::Seconds(60);
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.drain, 4);
  EXPECT_EQ(Phase(plan), "Ready");
  EXPECT_EQ(Writes(plan).find("delete"), std::string::npos);

  seen.memory = plan.memory;
  plan = DecideServer(seen);
  EXPECT_EQ(plan.drain, 0) << "asked once";

  seen.memory.drain = ServerMemory::Drain::kDrained;
  plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Stopping");
  EXPECT_EQ(Writes(plan), "status delete:a-4 ");
  EXPECT_EQ(plan.writes.back().uid, "pod-uid");
  EXPECT_FALSE(plan.published.has_route());
  EXPECT_EQ(plan.drain_end, ServerPlan::DrainEnd::kLifeEnded);
}

TEST(DecideServer, ADemandWithdrawsTheDrain) {
  ServerSnapshot seen = Running();
  seen.memory.served_at = absl::InfinitePast();
  seen.memory.drain = ServerMemory::Drain::kDrained;
  seen.memory.drain_incarnation = 4;
  Demand(&seen);
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Ready");
  EXPECT_TRUE(plan.published.has_route());
  EXPECT_EQ(plan.drain_end, ServerPlan::DrainEnd::kWithdrawn);
}

TEST(DecideServer, AnAnswerForAnotherLifeDoesNotStopThisOne) {
  ServerSnapshot seen = Running();
  seen.memory.served_at = absl::InfinitePast();
  seen.memory.drain = ServerMemory::Drain::kDrained;
  seen.memory.drain_incarnation = 3;
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Ready");
  EXPECT_EQ(plan.drain, 4);
}

TEST(DecideServer, ARefusedDrainWaits) {
  ServerSnapshot seen = Running();
  seen.memory.served_at = absl::InfinitePast();
  seen.memory.drain = ServerMemory::Drain::kRefused;
  seen.memory.drain_incarnation = 4;
  seen.memory.drain_retry_at = kNow + absl::Seconds(2);
  EXPECT_EQ(DecideServer(seen).drain, 0);
  EXPECT_EQ(DecideServer(seen).look_again, kNow + absl::Seconds(2));
  seen.now += absl::Seconds(2);
  EXPECT_EQ(DecideServer(seen).drain, 4);
}

TEST(DecideServer, StoppingIsCarriedOnWithoutAskingAgain) {
  ServerSnapshot seen = Running("Stopping");
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.drain, 0);
  EXPECT_NE(Writes(plan).find("delete:a-4"), std::string::npos);
  EXPECT_FALSE(plan.published.has_route());
}

TEST(DecideServer, TheLifeEndsWhenThePodIsGone) {
  ServerSnapshot seen = Running("Stopping");
  seen.memory.served_at = absl::InfinitePast();
  seen.pods.clear();
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Asleep");
  EXPECT_EQ(Writes(plan), "status ");
  EXPECT_FALSE(IsTrue(plan.published.server().status().conditions(), "Started"));
  EXPECT_TRUE(plan.published.server().status().has_stopped_at());
}

TEST(DecideServer, ADemandWhileStoppingIsTheNextLife) {
  ServerSnapshot seen = Running("Stopping");
  seen.pods.clear();
  Demand(&seen);
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Starting");
  EXPECT_EQ(plan.published.server().status().incarnation(), 5);
  EXPECT_EQ(Writes(plan), "status create:pods patch:services ");
}

TEST(DecideServer, ACrashLoopIsDegraded) {
  ServerSnapshot seen = Running();
  seen.pods[0].running = seen.pods[0].ready = false;
  seen.pods[0].waiting_reason = "CrashLoopBackOff";
  seen.pods[0].message = "exit code 1: oops";
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Degraded");
  EXPECT_EQ(plan.published.unavailable().reason(), "CrashLoopBackOff");
  EXPECT_NE(plan.published.unavailable().message().find("oops"), std::string::npos);
  EXPECT_FALSE(plan.published.has_route());
  EXPECT_EQ(Writes(plan), "status ") << "its node starts it again";
}

TEST(DecideServer, AFailedStartCountsOnceHoweverOftenItIsDecided) {
  ServerSnapshot seen = Running("Starting");
  seen.pods[0].running = seen.pods[0].ready = false;
  *seen.server.mutable_status()->mutable_started_at() = ToTimestamp(kNow - absl::Seconds(121));
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.memory.failures, 1);
  EXPECT_EQ(plan.memory.retry_at, kNow + kFirstStartBackoff);
  EXPECT_EQ(plan.published.unavailable().reason(), "StartTimeout");
  EXPECT_EQ(Writes(plan), "status delete:a-4 ");
  seen.memory = plan.memory;
  plan = DecideServer(seen);
  EXPECT_EQ(plan.memory.failures, 1);
}

TEST(DecideServer, BackOffGrowsToItsCap) {
  ServerSnapshot seen = Running("Starting");
  seen.pods[0].running = seen.pods[0].ready = false;
  *seen.server.mutable_status()->mutable_started_at() = ToTimestamp(kNow - absl::Hours(1));
  seen.memory.failed_hash = seen.declared->hash;
  seen.memory.failures = 1;
  EXPECT_EQ(DecideServer(seen).memory.retry_at, kNow + 2 * kFirstStartBackoff);
  seen.memory.failures = 40;
  EXPECT_EQ(DecideServer(seen).memory.retry_at, kNow + kMaxStartBackoff);
  seen.memory.failed_hash.clear();
  EXPECT_EQ(DecideServer(seen).memory.retry_at, kNow + kFirstStartBackoff) << "another spec, another chance";
}

// The spec changes in a way that reaches the process.
void Edit(ServerSnapshot* seen) {
  seen->server.mutable_spec()->add_args("--new");
  Redeclare(seen);
}

void Refuse(ServerSnapshot* seen, const ServerPlan& plan) {
  seen->memory = plan.memory;
  seen->memory.drain = ServerMemory::Drain::kRefused;
  seen->memory.drain_incarnation = 4;
  seen->memory.drain_retry_at = seen->now + kDrainRetry;
}

TEST(DecideServer, ASuspendedServerStopsWhenNothingIsInFlight) {
  ServerSnapshot seen = Running();
  seen.server.mutable_spec()->set_suspend(true);
  Redeclare(&seen);
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Ready");
  EXPECT_EQ(plan.drain, 4);
  EXPECT_TRUE(plan.published.has_route());
  EXPECT_EQ(plan.published.unavailable().reason(), "Suspended") << "nobody new is let in";
  seen.memory = plan.memory;
  seen.memory.drain = ServerMemory::Drain::kDrained;
  plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Stopping");
  EXPECT_FALSE(plan.published.has_route());
}

TEST(DecideServer, AnEditWaitsForCallsInFlightAndNoLongerThanTheGrace) {
  ServerSnapshot seen = Running();
  Edit(&seen);
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Ready") << "what runs still answers";
  EXPECT_EQ(plan.drain, 4);
  const absl::Time asked = seen.now;
  while (seen.now < asked + kEditGrace) {
    Refuse(&seen, plan);
    seen.now += kDrainRetry;
    plan = DecideServer(seen);
    if (seen.now < asked + kEditGrace) {
      ASSERT_EQ(plan.drain, 4) << "asked again";
      ASSERT_LE(plan.look_again, asked + kEditGrace);
    }
  }
  EXPECT_EQ(Phase(plan), "Stopping");
  EXPECT_EQ(plan.memory.failures, 0) << "an edit is not a failed start";
}

TEST(DecideServer, AnEditThatIsUndoneStopsNothingAndTheNextHasItsOwnGrace) {
  ServerSnapshot seen = Running();
  Edit(&seen);
  ServerPlan plan = DecideServer(seen);
  Refuse(&seen, plan);
  seen.server.mutable_spec()->clear_args();
  Redeclare(&seen);
  seen.now += absl::Seconds(20);
  plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Ready");
  EXPECT_EQ(plan.drain_end, ServerPlan::DrainEnd::kWithdrawn);
  seen.memory = plan.memory;
  Edit(&seen);
  seen.now += kEditGrace;
  EXPECT_EQ(Phase(DecideServer(seen)), "Ready");
}

TEST(DecideServer, WhatHasNotAnsweredIsNotReady) {
  ServerSnapshot seen = Running("Starting");
  seen.server.mutable_status()->clear_discovered_hash();
  Demand(&seen);
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Starting") << "that a process runs does not say that it speaks MCP";
  EXPECT_TRUE(plan.published.has_route());
  seen.now += absl::Seconds(kDefaultStartupTimeoutSeconds);
  EXPECT_EQ(Phase(DecideServer(seen)), "Stopping");
  seen.apiservers = {};
  EXPECT_EQ(Phase(DecideServer(seen)), "Starting") << "nobody is there to speak to it";
  seen.memory.discovery_incarnation = 4;
  EXPECT_EQ(Phase(DecideServer(seen)), "Ready");
}

TEST(DecideServer, AProcessThatWasStartedAgainIsReadyWhenItHasLastedAWhile) {
  ServerSnapshot seen = Running("Degraded");
  seen.pods[0].restarts = 3;
  seen.pods[0].running_since = seen.now;
  const v1::MCPServerStatus before = seen.server.status();
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Degraded");
  EXPECT_TRUE(plan.published.has_route()) << "who wants it may try";
  EXPECT_FALSE(plan.published.has_unavailable());
  EXPECT_EQ(plan.look_again, seen.now + kSettleTime);
  seen.now += kSettleTime;
  EXPECT_EQ(Phase(DecideServer(seen)), "Ready");
}

TEST(DecideServer, WhatTheNodeSaysOfThePodIsShown) {
  ServerSnapshot seen = Running();
  v1::Condition* limits = &seen.pods[0].conditions.emplace_back();
  limits->set_type("LimitsEnforced");
  limits->set_status("True");
  limits->set_reason("Cgroup");
  seen.pods[0].conditions.emplace_back(*limits).set_type("Ready");
  ServerPlan plan = DecideServer(seen);
  const auto conditions = [&] { return plan.published.server().status().conditions(); };
  ASSERT_TRUE(IsTrue(conditions(), "LimitsEnforced"));
  EXPECT_EQ(FindCondition(conditions(), "LimitsEnforced")->reason(), "Cgroup");
  EXPECT_EQ(FindCondition(conditions(), "Ready")->reason(), "Ready") << "a node does not speak for the server";
  *seen.server.mutable_status() = plan.published.server().status();
  seen.pods.clear();
  plan = DecideServer(seen);
  EXPECT_TRUE(IsTrue(conditions(), "LimitsEnforced")) << "the last word, while it sleeps";
  seen = Running();
  *seen.server.mutable_status()->mutable_conditions() = conditions();
  plan = DecideServer(seen);
  EXPECT_EQ(FindCondition(conditions(), "LimitsEnforced"), nullptr);
}

TEST(DecideServer, AServerThatListensHasAnAddressWhileItRuns) {
  ServerSnapshot seen = Running();
  seen.server.mutable_spec()->mutable_transport()->set_type("sse");
  seen.server.mutable_spec()->mutable_transport()->set_port(8000);
  Redeclare(&seen);
  seen.server.mutable_status()->set_discovered_hash(seen.declared->hash);
  seen.pods = {RunningPod(seen)};
  seen.pods[0].ip = "127.0.0.1";
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.published.server().status().address(), "127.0.0.1:8000");
  EXPECT_EQ(plan.published.route().address(), "127.0.0.1");
  EXPECT_NE(Writes(plan).find("patch:services"), std::string::npos) << "its Service gets the port";
  seen.pods[0].ip = "fd00::1";
  EXPECT_EQ(DecideServer(seen).published.server().status().address(), "[fd00::1]:8000");
  *seen.server.mutable_status() = plan.published.server().status();
  seen.memory.drain = ServerMemory::Drain::kDrained;
  seen.memory.drain_incarnation = 4;
  seen.memory.served_at = absl::InfinitePast();
  plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Stopping");
  EXPECT_EQ(plan.published.server().status().address(), "");
}

// ---- Servers that run elsewhere ----

ServerSnapshot Elsewhere() {
  ServerSnapshot seen = Known();
  seen.server.mutable_spec()->clear_command();
  seen.server.mutable_spec()->set_url("https://example.test/mcp");
  seen.server.mutable_status()->Clear();
  seen.service = {};
  Redeclare(&seen);
  return seen;
}

// As it is after the plan's writes.
void CarryOut(ServerSnapshot* seen, const ServerPlan& plan) {
  *seen->server.mutable_status() = plan.published.server().status();
  seen->memory = plan.memory;
}

void Answer(ServerSnapshot* seen, int64_t incarnation, const std::string& error = "") {
  seen->memory.discovery_incarnation = incarnation;
  seen->memory.discovery_error = error;
  seen->memory.server_info.set_name("far");
  seen->memory.tool_count = 3;
}

TEST(DecideServerElsewhere, IsRoutedAtOnceAndReadyWhenItHasAnswered) {
  ServerSnapshot seen = Elsewhere();
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(WantOf(seen), Want::kNone) << "it takes no place in its pool";
  EXPECT_EQ(Phase(plan), "Starting");
  EXPECT_EQ(plan.published.route().incarnation(), 1);
  EXPECT_EQ(plan.published.route().pod(), "");
  EXPECT_EQ(Writes(plan), "status ") << "no Pod, no Service";
  CarryOut(&seen, plan);
  EXPECT_EQ(Writes(DecideServer(seen)), "");
  Answer(&seen, 1);
  plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Ready");
  EXPECT_EQ(plan.published.server().status().server_info().name(), "far");
  EXPECT_EQ(plan.published.server().status().tool_count(), 3);
  CarryOut(&seen, plan);
  plan = DecideServer(seen);
  EXPECT_EQ(Writes(plan), "");
  EXPECT_EQ(plan.published.route().incarnation(), 1);
}

TEST(DecideServerElsewhere, OneThatCannotBeReachedIsTriedAgainWithBackOff) {
  ServerSnapshot seen = Elsewhere();
  CarryOut(&seen, DecideServer(seen));
  Answer(&seen, 1, "connection refused");
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Degraded");
  EXPECT_EQ(plan.published.unavailable().reason(), "Unreachable");
  EXPECT_NE(plan.published.unavailable().message().find("connection refused"), std::string::npos);
  EXPECT_EQ(plan.look_again, kNow + kFirstStartBackoff);
  CarryOut(&seen, plan);
  plan = DecideServer(seen);
  EXPECT_EQ(plan.memory.failures, 1);
  EXPECT_EQ(Writes(plan), "");
  CarryOut(&seen, plan);
  seen.now += kFirstStartBackoff;
  plan = DecideServer(seen);
  EXPECT_EQ(plan.published.route().incarnation(), 2) << "try anew";
  EXPECT_FALSE(plan.published.has_unavailable());
  EXPECT_EQ(Phase(plan), "Degraded") << "until it has answered";
  CarryOut(&seen, plan);
  Answer(&seen, 2, "connection refused");
  plan = DecideServer(seen);
  EXPECT_EQ(plan.look_again, seen.now + 2 * kFirstStartBackoff);
  CarryOut(&seen, plan);
  Answer(&seen, 2);
  plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Ready") << "another apiserver has reached it";
  EXPECT_EQ(plan.memory.failures, 0);
}

TEST(DecideServerElsewhere, AnEditOfTheWayIsTriedAnewAndAnyOtherIsNot) {
  ServerSnapshot seen = Elsewhere();
  CarryOut(&seen, DecideServer(seen));
  Answer(&seen, 1);
  CarryOut(&seen, DecideServer(seen));
  seen.server.mutable_spec()->set_idle_timeout(5);
  Redeclare(&seen);
  EXPECT_EQ(DecideServer(seen).published.route().incarnation(), 1);
  EXPECT_EQ(Phase(DecideServer(seen)), "Ready");
  seen.server.mutable_spec()->add_headers()->set_name("X-Key");
  Redeclare(&seen);
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.published.route().incarnation(), 2);
  EXPECT_EQ(Phase(plan), "Starting");
  // And back, before anybody has tried: not what is connected now.
  CarryOut(&seen, plan);
  seen.server.mutable_spec()->clear_headers();
  Redeclare(&seen);
  EXPECT_EQ(DecideServer(seen).published.route().incarnation(), 3);
}

TEST(DecideServerElsewhere, AControllerThatTakesOverChangesNothing) {
  ServerSnapshot seen = Elsewhere();
  CarryOut(&seen, DecideServer(seen));
  Answer(&seen, 1);
  CarryOut(&seen, DecideServer(seen));
  seen.memory = {};
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Writes(plan), "");
  EXPECT_EQ(plan.published.route().incarnation(), 1);
}

TEST(DecideServerElsewhere, ASuspendedOneIsNotRouted) {
  ServerSnapshot seen = Elsewhere();
  CarryOut(&seen, DecideServer(seen));
  seen.server.mutable_spec()->set_suspend(true);
  Redeclare(&seen);
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Asleep");
  EXPECT_FALSE(plan.published.has_route());
  EXPECT_EQ(plan.published.unavailable().reason(), "Suspended");
}

TEST(DecideServerElsewhere, OneThatWasAProcessIsDrainedFirst) {
  ServerSnapshot seen = Running();
  seen.server.mutable_spec()->clear_command();
  seen.server.mutable_spec()->set_url("https://example.test/mcp");
  Redeclare(&seen);
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.drain, 4);
  EXPECT_EQ(plan.published.route().pod(), "a-4");
  seen.memory = plan.memory;
  seen.pods.clear();
  plan = DecideServer(seen);
  EXPECT_EQ(plan.published.route().incarnation(), 5);
  EXPECT_EQ(plan.published.route().pod(), "");
  EXPECT_FALSE(IsTrue(plan.published.server().status().conditions(), "Started"));
  EXPECT_EQ(Writes(plan), "status delete:a ") << "its Service leads nowhere";
}

TEST(DecideServer, IgnoredAndRefusedServersSayWhy) {
  ServerSnapshot seen = Sleeping();
  seen.pool.ignored = true;
  EXPECT_EQ(Phase(DecideServer(seen)), "Ignored");
  seen = Sleeping();
  seen.server.mutable_spec()->set_idle_timeout(-2);
  Redeclare(&seen);
  const ServerPlan plan = DecideServer(seen);
  const v1::Condition* accepted = FindCondition(plan.published.server().status().conditions(), "Accepted");
  EXPECT_EQ(accepted->status(), "False");
  EXPECT_EQ(accepted->reason(), "InvalidSpec");
  EXPECT_EQ(accepted->message(), "spec.idleTimeout: must be at least -1");
}

TEST(DecideServer, DiscoveryNeedsAnApiserver) {
  ServerSnapshot seen = Known();
  seen.server.mutable_status()->clear_discovered_hash();
  EXPECT_EQ(WantOf(seen), Want::kDiscovery);
  seen.apiservers = {};
  EXPECT_EQ(WantOf(seen), Want::kNone);
}

TEST(DecideServer, APodThatEndedForGoodIsAFailedStart) {
  ServerSnapshot seen = Running();
  seen.pods[0].finished = true;
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.memory.failure_reason, "PodFailed");
  EXPECT_NE(Writes(plan).find("delete:a-4"), std::string::npos);
}

TEST(DecideServer, TheLedgerFoldsWhatHasEndedOnlyWhenStatusHasIt) {
  ServerSnapshot seen = Running();
  v1::ActivityLedger* ledger = seen.server.mutable_status()->mutable_activity();
  ledger->set_base(100);
  v1::ActivityEntry* entry = ledger->add_entries();
  entry->set_process("gone");
  entry->set_requests(7);
  seen.memory.activity = {{.process = "gone", .requests = 9}, {.process = "api", .requests = 1}};
  ServerPlan plan = DecideServer(seen);
  const v1::MCPServerStatus& status = plan.published.server().status();
  EXPECT_EQ(status.total_requests(), 110);
  EXPECT_EQ(status.activity().base(), 100) << "9 is not in status yet: it would be lost with a lost write";
  EXPECT_EQ(status.activity().entries_size(), 2);

  *seen.server.mutable_status() = status;
  seen.memory = plan.memory;
  seen.now += kActivityInterval;
  plan = DecideServer(seen);
  EXPECT_EQ(plan.published.server().status().total_requests(), 110);
  EXPECT_EQ(plan.published.server().status().activity().base(), 109);
  EXPECT_EQ(plan.published.server().status().activity().entries_size(), 1);
  EXPECT_EQ(plan.memory.activity.size(), 1u);
}

TEST(DecideServer, NothingIsFoldedWhileAnApiserverIsMissing) {
  ServerSnapshot seen = Running();
  v1::ActivityEntry* entry = seen.server.mutable_status()->mutable_activity()->add_entries();
  entry->set_process("away");
  entry->set_requests(7);
  seen.apiservers.complete = false;
  EXPECT_EQ(DecideServer(seen).published.server().status().activity().base(), 0);
}

TEST(DecideServer, GivingWayDrainsAndLeavesThePlaceToOthers) {
  ServerSnapshot seen = Running();
  seen.pool.yield = Yield::kGiveWay;
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.drain, 4);
  seen.memory = plan.memory;
  seen.memory.drain = ServerMemory::Drain::kDrained;
  plan = DecideServer(seen);
  EXPECT_EQ(Writes(plan), "status delete:a-4 ");
  EXPECT_EQ(Phase(plan), "Stopping");
  EXPECT_EQ(FindCondition(plan.published.server().status().conditions(), "Ready")->reason(), "GaveWay");
  // The Pod is gone, the grant still there, and clients have come again.
  seen.memory = plan.memory;
  *seen.server.mutable_status() = plan.published.server().status();
  seen.pods.clear();
  EXPECT_FALSE(DecideServer(seen).starts) << "its last use does not bring it back";
  Demand(&seen);
  plan = DecideServer(seen);
  EXPECT_FALSE(plan.starts) << "nor does a new one, ahead of who has waited";
  EXPECT_EQ(Phase(plan), "Requested");
}

TEST(DecideServer, WhatNeedsNotGiveWayAnyMoreGoesOn) {
  ServerSnapshot seen = Running();
  seen.pool.yield = Yield::kGiveWay;
  seen.memory = DecideServer(seen).memory;
  seen.pool.yield = Yield::kNone;
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.drain_end, ServerPlan::DrainEnd::kWithdrawn);
  EXPECT_EQ(Phase(plan), "Ready");
}

TEST(DecideServer, AWarmServerStartsAndStays) {
  ServerSnapshot seen = Sleeping();
  seen.pool.granted = seen.pool.warm = true;
  EXPECT_EQ(WantOf(seen), Want::kWarm);
  ServerPlan plan = DecideServer(seen);
  EXPECT_TRUE(plan.starts);
  EXPECT_EQ(FindCondition(plan.published.server().status().conditions(), "Requested")->reason(), "Warm");
  seen = Running();
  seen.memory.served_at = kNow - absl::Hours(3);
  seen.pool.warm = true;
  plan = DecideServer(seen);
  EXPECT_EQ(plan.drain, 0);
  seen.pool.warm = false;
  EXPECT_EQ(DecideServer(seen).drain, 4);
}

TEST(DecideServer, AStartByHandIsADemandOnce) {
  ServerSnapshot seen = Sleeping();
  seen.hand_started_at = kNow - absl::Seconds(1);
  seen.hand_started_by = "me";
  EXPECT_EQ(WantOf(seen), Want::kDemand);
  seen.pool.granted = true;
  ServerPlan plan = DecideServer(seen);
  EXPECT_TRUE(plan.starts);
  const v1::Condition* requested = FindCondition(plan.published.server().status().conditions(), "Requested");
  EXPECT_EQ(requested->reason(), "StartedByHand");
  EXPECT_NE(requested->message().find("by me at 2025-06-15T15:06:39.000Z"), std::string::npos) << requested->message();
  // It runs: that is recorded, so that no other controller does it again.
  *seen.server.mutable_status() = plan.published.server().status();
  seen.memory = plan.memory;
  seen.pods = {RunningPod(seen)};
  seen.pods[0].incarnation = seen.server.status().incarnation();
  plan = DecideServer(seen);
  EXPECT_EQ(FromTimestamp(plan.published.server().status().requested_at()), seen.hand_started_at);
  *seen.server.mutable_status() = plan.published.server().status();
  EXPECT_FALSE(StartPending(seen));
  seen.memory = ServerMemory();
  EXPECT_EQ(WantOf(seen), Want::kInUse) << "for as long as any demand";
  seen.now += absl::Hours(1);
  EXPECT_EQ(WantOf(seen), Want::kNone);
}

TEST(DecideServer, AStartByHandThatIsOldOrYetToComeIsNone) {
  ServerSnapshot seen = Sleeping();
  seen.hand_started_at = kNow - kDemandLifetime;
  EXPECT_EQ(WantOf(seen), Want::kNone);
  seen.hand_started_at = kNow + absl::Seconds(5);
  EXPECT_EQ(WantOf(seen), Want::kNone);
  EXPECT_EQ(DecideServer(seen).look_again, seen.hand_started_at);
}

TEST(DecideServer, AStopByHandDrainsAndHoldsUntilSomebodyAsks) {
  ServerSnapshot seen = Running();
  seen.hand_stopped_at = kNow - absl::Milliseconds(1);
  seen.hand_stopped_by = "me";
  ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.drain, 4) << "calls in flight are finished";
  EXPECT_EQ(FindCondition(plan.published.server().status().conditions(), "Requested")->reason(), "StoppedByHand");
  seen.memory = plan.memory;
  seen.memory.drain = ServerMemory::Drain::kDrained;
  plan = DecideServer(seen);
  EXPECT_EQ(Writes(plan), "status delete:a-4 ");
  EXPECT_EQ(FindCondition(plan.published.server().status().conditions(), "Ready")->reason(), "StoppedByHand");
  *seen.server.mutable_status() = plan.published.server().status();
  seen.memory = plan.memory;
  seen.pods.clear();
  seen.pool.warm = true;
  plan = DecideServer(seen);
  EXPECT_EQ(Phase(plan), "Asleep") << "not even its pool starts it";
  *seen.server.mutable_status() = plan.published.server().status();
  seen.now += absl::Seconds(1);
  seen.memory.demanded = true;
  seen.memory.demanded_since = seen.memory.demanded_at = seen.now;
  EXPECT_TRUE(DecideServer(seen).starts);
}

TEST(DecideServer, ADemandOverrulesAStopByHandForGood) {
  ServerSnapshot seen = Running();
  seen.hand_stopped_at = kNow - absl::Milliseconds(1);
  Demand(&seen);
  const ServerPlan plan = DecideServer(seen);
  EXPECT_EQ(plan.drain, 0);
  *seen.server.mutable_status() = plan.published.server().status();
  seen.memory = ServerMemory();  // of a controller that takes over
  EXPECT_FALSE(Stopped(seen));
}

// ---- Pools ----

PoolMember Member(const std::string& name, Want want, int age_seconds = 0) {
  return {.uid = name + "-uid", .name = name, .created = kNow - absl::Seconds(age_seconds), .want = want,
          .wanted_since = kNow};
}

PoolSnapshot PoolOf(int max_active, std::vector<PoolMember> members) {
  PoolSnapshot seen;
  seen.now = kNow;
  seen.pool.mutable_spec()->set_max_servers_active(max_active);
  seen.members = std::move(members);
  return seen;
}

void Grant(PoolSnapshot* seen, const std::string& name) {
  v1::Grant* grant = seen->pool.mutable_status()->add_grants();
  grant->set_server_uid(name + "-uid");
  grant->set_server_name(name);
}

TEST(DecidePool, GrantsToWhoeverAsksWhileThereIsRoom) {
  PoolSnapshot seen = PoolOf(2, {Member("a", Want::kDemand), Member("b", Want::kDemand), Member("c", Want::kDemand),
                                 Member("d", Want::kNone)});
  seen.members[0].wanted_since = kNow + absl::Seconds(9);
  const PoolPlan plan = DecidePool(seen);
  EXPECT_EQ(plan.granted, (absl::flat_hash_set<std::string>{"b-uid", "c-uid"})) << "first come, first served";
  EXPECT_EQ(plan.waiting, absl::flat_hash_set<std::string>{"a-uid"});
  EXPECT_EQ(plan.status.active_servers_count(), 2);
  EXPECT_EQ(plan.status.pending_servers_count(), 1);
  EXPECT_EQ(plan.status.total_servers_count(), 4);
  EXPECT_EQ(plan.status.managed_servers_count(), 4);
  EXPECT_TRUE(IsTrue(plan.status.conditions(), "Full"));
}

TEST(DecidePool, KeepsTheGrantOfWhatLivesAndReleasesTheRest) {
  PoolSnapshot seen = PoolOf(2, {Member("a", Want::kNone), Member("b", Want::kNone)});
  seen.members[0].alive = true;
  Grant(&seen, "a");
  Grant(&seen, "b");
  Grant(&seen, "deleted");
  Grant(&seen, "dying");
  seen.held = {"dying-uid"};
  const PoolPlan plan = DecidePool(seen);
  EXPECT_EQ(plan.granted, (absl::flat_hash_set<std::string>{"a-uid", "dying-uid"}));
}

TEST(DecidePool, ADecisionThatStandsIsNotWrittenAgain) {
  PoolSnapshot seen = PoolOf(1, {Member("a", Want::kDemand), Member("b", Want::kDemand)});
  PoolPlan plan = DecidePool(seen);
  EXPECT_FALSE(plan.patch.empty());
  *seen.pool.mutable_status() = plan.status;
  plan = DecidePool(seen);
  EXPECT_TRUE(plan.patch.empty()) << plan.patch;
}

// One that runs and was last used so many seconds ago.
PoolMember Awake(const std::string& name, int idle_seconds, Want want = Want::kInUse) {
  PoolMember member = Member(name, want);
  member.alive = member.ready = member.may_run = true;
  member.last_used = kNow - absl::Seconds(idle_seconds);
  return member;
}

// All that are alive have their grants.
PoolSnapshot FullPool(int max_active, std::vector<PoolMember> members) {
  PoolSnapshot seen = PoolOf(max_active, std::move(members));
  for (const PoolMember& member : seen.members) {
    if (member.alive) Grant(&seen, member.name);
  }
  return seen;
}

using Yielding = absl::flat_hash_map<std::string, Yield>;

TEST(DecidePool, TheLongestIdleGiveWayToAsManyAsWait) {
  PoolSnapshot seen = FullPool(3, {Awake("a", 20), Awake("b", 40), Awake("c", 30), Member("w", Want::kDemand)});
  PoolPlan plan = DecidePool(seen);
  EXPECT_EQ(plan.granted, (absl::flat_hash_set<std::string>{"a-uid", "b-uid", "c-uid"})) << "until it has ended";
  EXPECT_EQ(plan.yielding, (Yielding{{"b-uid", Yield::kGiveWay}}));
  seen.members.push_back(Member("x", Want::kDemand));
  plan = DecidePool(seen);
  EXPECT_EQ(plan.yielding, (Yielding{{"b-uid", Yield::kGiveWay}, {"c-uid", Yield::kGiveWay}}));
  seen.members[1].stopping = true;  // one place is as good as free
  plan = DecidePool(seen);
  EXPECT_EQ(plan.yielding, (Yielding{{"c-uid", Yield::kGiveWay}}));
  seen.members[2].alive = false;  // and one is
  seen.members[2].want = Want::kNone;
  plan = DecidePool(seen);
  EXPECT_EQ(plan.yielding, Yielding());
  EXPECT_TRUE(plan.granted.contains("w-uid"));
}

TEST(DecidePool, ForWhomARoomIsComingIsKnownInTheOrderOfDemand) {
  PoolSnapshot seen = FullPool(3, {Awake("idle", 20), Awake("fresh", 1), Awake("busy", 30),
                                   Member("w1", Want::kDemand), Member("w2", Want::kDemand),
                                   Member("w3", Want::kDemand)});
  seen.members[2].busy = true;
  for (int i = 3; i < 6; ++i) seen.members[i].wanted_since = kNow + absl::Seconds(i);
  EXPECT_EQ(DecidePool(seen).next, (absl::flat_hash_set<std::string>{"w1-uid", "w2-uid"}));
  seen.members[0].stopping = true;
  seen.members[1].refused_until = kNow + kDrainRetry;
  EXPECT_EQ(DecidePool(seen).next, absl::flat_hash_set<std::string>{"w1-uid"});
  seen.pool.mutable_spec()->set_max_servers_active(2);
  EXPECT_EQ(DecidePool(seen).next, absl::flat_hash_set<std::string>());
}

TEST(DecidePool, NobodyGivesWayForWhatNobodyWaitsFor) {
  const PoolSnapshot seen = FullPool(1, {Awake("a", 3000), Member("d", Want::kDiscovery)});
  const PoolPlan plan = DecidePool(seen);
  EXPECT_EQ(plan.yielding, Yielding());
  EXPECT_EQ(plan.waiting.size(), 0u);
}

TEST(DecidePool, WhatIsInUseDoesNotGiveWay) {
  PoolMember busy = Awake("busy", 500);
  busy.busy = true;
  PoolMember starting = Awake("starting", 400, Want::kDemand);
  starting.ready = false;
  PoolMember begun = Awake("begun", 400, Want::kInUse);
  begun.ready = false;
  PoolMember fresh = Awake("fresh", 2);
  PoolMember refused = Awake("refused", 100);
  refused.refused_until = kNow + absl::Seconds(4);
  const PoolPlan plan =
      DecidePool(FullPool(5, {busy, starting, begun, fresh, refused, Member("w", Want::kDemand)}));
  EXPECT_EQ(plan.yielding, Yielding());
  EXPECT_EQ(plan.look_again, kNow + kMinAwake - absl::Seconds(2)) << "then it has had its moment";
}

TEST(DecidePool, WhoWasChosenStaysChosenAndWhoRefusedIsPassedOver) {
  PoolSnapshot seen = FullPool(2, {Awake("a", 20), Awake("b", 40), Member("w", Want::kDemand)});
  seen.members[0].yielding = true;
  EXPECT_EQ(DecidePool(seen).yielding, (Yielding{{"a-uid", Yield::kGiveWay}}));
  seen.members[0].refused_until = kNow + kDrainRetry;
  EXPECT_EQ(DecidePool(seen).yielding, (Yielding{{"b-uid", Yield::kGiveWay}}));
}

TEST(DecidePool, WhatRunsForNobodyGivesWayFirst) {
  const PoolSnapshot seen =
      FullPool(3, {Awake("a", 1000), Awake("b", 10, Want::kDiscovery), Awake("c", 500), Member("w", Want::kDemand)});
  EXPECT_EQ(DecidePool(seen).yielding, (Yielding{{"b-uid", Yield::kGiveWay}}));
}

TEST(DecidePool, ALoweredCapEndsTheLongestIdleAndThenThoseInUse) {
  PoolSnapshot seen = FullPool(3, {Awake("a", 20), Awake("b", 900), Awake("c", 30)});
  seen.members[1].busy = true;
  EXPECT_EQ(DecidePool(seen).yielding, Yielding());
  seen.pool.mutable_spec()->set_max_servers_active(2);
  PoolPlan plan = DecidePool(seen);
  EXPECT_EQ(plan.granted.size(), 3u) << "what lives keeps its grant until it has ended";
  EXPECT_EQ(plan.yielding, (Yielding{{"c-uid", Yield::kOverCap}}));
  seen.members.push_back(Member("w", Want::kDemand));
  plan = DecidePool(seen);
  EXPECT_EQ(plan.yielding, (Yielding{{"c-uid", Yield::kOverCap}, {"a-uid", Yield::kGiveWay}}));
  EXPECT_TRUE(plan.waiting.contains("w-uid"));
  seen.pool.mutable_spec()->set_max_servers_active(0);
  plan = DecidePool(seen);
  EXPECT_EQ(plan.yielding.size(), 3u);
  EXPECT_EQ(plan.yielding["b-uid"], Yield::kOverCap) << "after its calls";
}

TEST(DecidePool, AGrantWhoseLifeHasNotBegunIsHeldToTheOrderAndTheCap) {
  PoolSnapshot seen = PoolOf(1, {Member("late", Want::kDemand), Member("early", Want::kDemand)});
  seen.members[1].wanted_since = kNow - absl::Seconds(9);
  Grant(&seen, "late");
  EXPECT_EQ(DecidePool(seen).granted, absl::flat_hash_set<std::string>{"early-uid"});
  seen.pool.mutable_spec()->set_max_servers_active(0);
  EXPECT_TRUE(DecidePool(seen).granted.empty());
}

TEST(DecidePool, ThoseUsedLastAreKeptWarm) {
  PoolSnapshot seen = PoolOf(9, {});
  for (const auto& [name, used, age] : {std::tuple("old", 0, 90), {"older", 0, 99}, {"used", 50, 1}, {"last", 5, 1}}) {
    PoolMember member = Member(name, Want::kNone, age);
    member.may_run = true;
    if (used > 0) member.last_used = kNow - absl::Seconds(used);
    seen.members.push_back(member);
  }
  EXPECT_TRUE(DecidePool(seen).warm.empty());
  seen.pool.mutable_spec()->set_min_servers_warm(3);
  PoolPlan plan = DecidePool(seen);
  EXPECT_EQ(plan.warm, (absl::flat_hash_set<std::string>{"last-uid", "used-uid", "older-uid"}));
  EXPECT_EQ(plan.granted, plan.warm);
  EXPECT_EQ(FindCondition(plan.status.conditions(), "Warm")->reason(), "NotYet");
  for (PoolMember& member : seen.members) member.alive = member.ready = plan.granted.contains(member.uid);
  *seen.pool.mutable_status() = plan.status;
  plan = DecidePool(seen);
  EXPECT_EQ(plan.granted, plan.warm);
  EXPECT_TRUE(IsTrue(plan.status.conditions(), "Warm"));

  // It fails: it backs off, and none is chosen in its place.
  seen.members[3].alive = seen.members[3].ready = false;
  seen.members[3].backing_off = true;
  plan = DecidePool(seen);
  EXPECT_EQ(plan.warm, (absl::flat_hash_set<std::string>{"last-uid", "used-uid", "older-uid"}));
  EXPECT_EQ(plan.granted, (absl::flat_hash_set<std::string>{"used-uid", "older-uid"}));
  seen.members[3].may_run = false;  // suspended, say
  EXPECT_TRUE(DecidePool(seen).warm.contains("old-uid"));
  seen.pool.mutable_spec()->set_max_servers_active(2);
  plan = DecidePool(seen);
  EXPECT_EQ(plan.warm.size(), 2u);
  EXPECT_EQ(FindCondition(plan.status.conditions(), "Warm")->reason(), "PoolTooSmall");
  seen.pool.mutable_spec()->clear_min_servers_warm();
  *seen.pool.mutable_status() = plan.status;
  EXPECT_EQ(FindCondition(DecidePool(seen).status.conditions(), "Warm"), nullptr);
}

TEST(DecidePool, AWarmServerGivesWayAndFewStartAtOnce) {
  PoolSnapshot seen = FullPool(2, {Awake("a", 900), Awake("b", 300, Want::kNone), Member("w", Want::kDemand)});
  seen.pool.mutable_spec()->set_min_servers_warm(1);
  EXPECT_EQ(DecidePool(seen).yielding, (Yielding{{"b-uid", Yield::kGiveWay}})) << "a is in use";

  seen = PoolOf(100, {});
  seen.pool.mutable_spec()->set_min_servers_warm(50);
  for (int i = 0; i < 30; ++i) {
    seen.members.push_back(Member(absl::StrCat("s", i), Want::kNone));
    seen.members.back().may_run = true;
  }
  EXPECT_EQ(static_cast<int>(DecidePool(seen).granted.size()), kMaxConcurrentDiscoveries);
  EXPECT_EQ(DecidePool(seen).status.pending_servers_count(), 0);
}

TEST(DecidePool, DemandGoesBeforeDiscoveryAndDiscoveriesAreFew) {
  std::vector<PoolMember> members;
  for (int i = 0; i < 10; ++i) members.push_back(Member(absl::StrCat("d", i), Want::kDiscovery, 100));
  members.push_back(Member("asked", Want::kDemand));
  PoolSnapshot seen = PoolOf(100, members);
  PoolPlan plan = DecidePool(seen);
  EXPECT_EQ(plan.granted.size(), 1u + kMaxConcurrentDiscoveries);
  EXPECT_TRUE(plan.granted.contains("asked-uid"));
  EXPECT_EQ(plan.status.pending_servers_count(), 0) << "nobody asked for the others";
  seen.pool.mutable_spec()->set_max_servers_active(1);
  plan = DecidePool(seen);
  EXPECT_EQ(plan.granted, absl::flat_hash_set<std::string>{"asked-uid"});
}

TEST(DecidePool, TheOldestAreManaged) {
  PoolSnapshot seen = PoolOf(5, {Member("young", Want::kDemand, 1), Member("old", Want::kDemand, 9),
                                 Member("middle", Want::kDemand, 5)});
  seen.pool.mutable_spec()->set_max_servers_limit(2);
  const PoolPlan plan = DecidePool(seen);
  EXPECT_EQ(plan.ignored, absl::flat_hash_set<std::string>{"young-uid"});
  EXPECT_EQ(plan.granted, (absl::flat_hash_set<std::string>{"old-uid", "middle-uid"}));
  EXPECT_EQ(plan.status.managed_servers_count(), 2);
  EXPECT_EQ(plan.status.unmanaged_servers_count(), 1);
}

TEST(DecidePool, WhatIsIgnoredKeepsItsGrantUntilItHasStopped) {
  PoolSnapshot seen = PoolOf(5, {Member("a", Want::kInUse)});
  seen.pool.mutable_spec()->set_max_servers_limit(0);
  seen.members[0].alive = true;
  Grant(&seen, "a");
  EXPECT_TRUE(DecidePool(seen).granted.contains("a-uid"));
  seen.members[0].alive = false;
  EXPECT_FALSE(DecidePool(seen).granted.contains("a-uid"));
}

}  // namespace
}  // namespace unmcp::controller
