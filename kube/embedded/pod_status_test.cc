#include "kube/embedded/pod_status.h"

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

const absl::Time kT0 = absl::FromUnixSeconds(1'750'000'000);  // 2025-06-15T15:06:40Z

ContainerView Server(Json state) {
  ContainerView view;
  view.name = "server";
  view.image = "none";
  view.id = "process://1";
  view.state = std::move(state);
  return view;
}

std::string Condition(const Json& status, const std::string& type, const char* field = "status") {
  for (const Json& condition : status["conditions"]) {
    if (condition["type"] == type) return condition.value(field, "");
  }
  return "missing";
}

TEST(PodStatus, Running) {
  const Json status = PodStatusOf(Server(RunningState(kT0)), Json::object(), kT0);
  EXPECT_EQ(status["phase"], "Running");
  EXPECT_EQ(status["startTime"], "2025-06-15T15:06:40Z");
  for (const char* type : {"PodScheduled", "Initialized", "ContainersReady", "Ready"}) {
    EXPECT_EQ(Condition(status, type), "True") << type;
  }
  const Json& container = status["containerStatuses"][0];
  EXPECT_EQ(container["state"]["running"]["startedAt"], "2025-06-15T15:06:40Z");
  EXPECT_EQ(container["containerID"], "process://1");
  EXPECT_EQ(container["ready"], true);
  EXPECT_EQ(container["lastState"], Json::object());
}

TEST(PodStatus, WaitingForItsFirstStartIsPendingAndForAnotherRunning) {
  ContainerView view = Server(WaitingState("CreateContainerError", "not found"));
  Json status = PodStatusOf(view, Json::object(), kT0);
  EXPECT_EQ(status["phase"], "Pending");
  EXPECT_EQ(Condition(status, "Ready"), "False");
  EXPECT_EQ(Condition(status, "Ready", "message"), "containers with unready status: [server]");
  EXPECT_EQ(Condition(status, "PodScheduled"), "True");
  view.last_state = TerminatedState("process://1", 1, "Error", "oops", kT0, kT0);
  status = PodStatusOf(view, Json::object(), kT0);
  EXPECT_EQ(status["phase"], "Running");
  EXPECT_EQ(status["containerStatuses"][0]["lastState"]["terminated"]["message"], "oops");
}

TEST(PodStatus, FinishedBySuccessOrFailure) {
  for (int code : {0, 3}) {
    ContainerView view = Server(TerminatedState("process://1", code, "x", "", kT0, kT0));
    view.finished = true;
    const Json status = PodStatusOf(view, Json::object(), kT0);
    EXPECT_EQ(status["phase"], code == 0 ? "Succeeded" : "Failed");
    EXPECT_EQ(Condition(status, "Ready"), "False");
    EXPECT_EQ(Condition(status, "Ready", "reason"), code == 0 ? "PodCompleted" : "PodFailed");
  }
}

TEST(PodStatus, TimesOfWhatStaysTheSameStay) {
  const Json before = PodStatusOf(Server(RunningState(kT0)), Json::object(), kT0);
  const absl::Time later = kT0 + absl::Minutes(5);
  Json after = PodStatusOf(Server(RunningState(kT0)), before, later);
  EXPECT_EQ(after, before);
  after = PodStatusOf(Server(WaitingState("CrashLoopBackOff", "")), before, later);
  EXPECT_EQ(after["startTime"], "2025-06-15T15:06:40Z");
  EXPECT_EQ(Condition(after, "Initialized", "lastTransitionTime"), "2025-06-15T15:06:40Z");
  EXPECT_EQ(Condition(after, "Ready", "lastTransitionTime"), "2025-06-15T15:11:40Z");
}

}  // namespace
}  // namespace unmcp::kube
