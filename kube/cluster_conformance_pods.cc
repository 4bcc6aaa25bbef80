// Pods that run: their environment, readiness and logs.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "kube/cluster_conformance.h"

namespace unmcp::kube {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PodConformance);

PodConformance::PodConformance()
    : under_test_(GetParam()()), cluster_(under_test_->cluster()), ns_(under_test_->NewNamespace()) {
  const absl::StatusOr<ObjectList> list = AwaitList(cluster_, PodKind(), ns_);
  EXPECT_TRUE(list.ok()) << list.status();
  watch_ = std::make_unique<WatchRecorder>(cluster_, PodKind(), ns_,
                                           WatchOptions{"", list.ok() ? list->resource_version : ""});
}

void PodConformance::Run(const std::string& name, const std::string& script, const Json& container, const Json& spec) {
  Object pod(PodKind(), ns_, name);
  Json main = {{"name", "main"}, {"image", "busybox"}, {"command", {"sh", "-c", script}}};
  main.update(container);
  pod.json()["spec"] = {{"terminationGracePeriodSeconds", 1}};
  pod.json()["spec"].update(spec);
  pod.json()["spec"]["containers"] = Json::array({std::move(main)});
  const absl::StatusOr<Object> created = AwaitCreate(cluster_, PodKind(), pod);
  ASSERT_TRUE(created.ok()) << created.status();
}

Object PodConformance::WaitFor(const std::string& name, const std::function<bool(const Object&)>& wanted) {
  Object found;
  const bool came = watch_->WaitFor([&](const std::vector<WatchEvent>& events) {
    for (const WatchEvent& event : events) {
      if (event.object.name() != name || event.type == WatchEventType::kDeleted || !wanted(event.object)) continue;
      found = event.object;
      return true;
    }
    return false;
  });
  EXPECT_TRUE(came) << name;
  return found;
}

namespace {

using testing::HasSubstr;

// status.containerStatuses[0].state.`state`, or an empty object.
Json State(const Object& pod, const char* state) {
  const auto statuses = pod.status().find("containerStatuses");
  if (statuses == pod.status().end() || statuses->empty()) return Json::object();
  return (*statuses)[0].value("state", Json::object()).value(state, Json::object());
}
bool Running(const Object& pod) { return !State(pod, "running").empty(); }

std::string Condition(const Object& pod, const std::string& type) {
  for (const Json& condition : pod.status().value("conditions", Json::array())) {
    if (condition["type"] == type) return condition["status"];
  }
  return "";
}

// What has been heard of a followed log.
struct Heard {
  std::string text;
  std::optional<absl::Status> end;
};

class Follower {
 public:
  Follower(Cluster& cluster, const ObjectRef& pod, LogOptions options = {})
      : watch_(cluster.FollowLogs(
            pod, std::move(options),
            {.on_text = [heard = heard_](std::string text) { heard->Update([&](Heard& now) { now.text += text; }); },
             .on_end = [heard = heard_](absl::Status why) { heard->Update([&](Heard& now) { now.end = why; }); }})) {}
  bool Hears(const std::string& text) const {
    return heard_->WaitFor([&](const Heard& now) { return now.text.find(text) != std::string::npos; });
  }
  absl::Status End() const {
    heard_->WaitFor([](const Heard& now) { return now.end.has_value(); });
    return heard_->Copy().end.value_or(absl::DeadlineExceededError("the log did not end"));
  }
  std::string text() const { return heard_->Copy().text; }

 private:
  const std::shared_ptr<Monitor<Heard>> heard_ = std::make_shared<Monitor<Heard>>();
  const std::unique_ptr<Watch> watch_;
};

// --- Logs ---

TEST_P(PodConformance, AFollowedLogHasWhatWasAndWhatComes) {
  Run("talker", "echo one; echo two; while ! test -e /proc/1/none; do sleep 0.1; echo tick; done");
  WaitFor("talker", Running);
  const ObjectRef pod{PodKind(), ns_, "talker"};
  const Follower all(cluster_, pod);
  EXPECT_TRUE(all.Hears("one\ntwo\ntick\ntick\n"));
  const Follower tail(cluster_, pod, {.container = "main", .tail_lines = 1});
  EXPECT_TRUE(tail.Hears("tick\ntick\n"));
  EXPECT_EQ(tail.text().find("two"), std::string::npos);
  ASSERT_TRUE(AwaitDelete(cluster_, pod, {.grace_period_seconds = 0}).ok());
  EXPECT_TRUE(all.End().ok()) << all.End();
  EXPECT_TRUE(tail.End().ok()) << tail.End();
}

TEST_P(PodConformance, AFollowedLogGoesOnWithTheNextLife) {
  Run("again", "echo born; sleep 0.2; echo dies; exit 1");
  WaitFor("again", Running);
  const ObjectRef pod{PodKind(), ns_, "again"};
  const Follower follower(cluster_, pod);
  EXPECT_TRUE(follower.Hears("born\ndies\nborn\n")) << follower.text();
  ASSERT_TRUE(AwaitDelete(cluster_, pod, {.grace_period_seconds = 0}).ok());
  EXPECT_TRUE(follower.End().ok()) << follower.End();
}

TEST_P(PodConformance, AFollowedLogEndsWithTheContainer) {
  Run("once", "echo first; sleep 0.2; printf last", Json::object(), {{"restartPolicy", "Never"}});
  WaitFor("once", [](const Object& pod) { return Running(pod) || !State(pod, "terminated").empty(); });
  const ObjectRef pod{PodKind(), ns_, "once"};
  const Follower during(cluster_, pod);
  EXPECT_TRUE(during.End().ok()) << during.End();
  EXPECT_THAT(during.text(), HasSubstr("first\nlast"));
  const Follower after(cluster_, pod);
  EXPECT_TRUE(after.End().ok()) << after.End();
  EXPECT_THAT(after.text(), HasSubstr("first\nlast"));
}

TEST_P(PodConformance, WhatHasNoLogIsNotFound) {
  EXPECT_EQ(Follower(cluster_, {PodKind(), ns_, "nobody"}).End().code(), absl::StatusCode::kNotFound);
}

// --- Environment ---

TEST_P(PodConformance, SecretsAndConfigMapsAreWaitedForAndReachTheEnvironment) {
  const auto from = [](const char* name, const char* ref, const char* object, const char* key) -> Json {
    return {{"name", name}, {"valueFrom", {{ref, {{"name", object}, {"key", key}}}}}};
  };
  Run("configured", "echo \"$TOKEN $MODE $URL $1.\"; sleep 1000",
      {{"env",
        {from("TOKEN", "secretKeyRef", "keys", "token"), from("MODE", "configMapKeyRef", "settings", "mode"),
         Json{{"name", "URL"}, {"value", "http://$(MODE)/$$(MODE)"}}}},
       {"args", {"sh", "$(TOKEN)"}}});
  const Object waiting = WaitFor("configured", [](const Object& pod) {
    return State(pod, "waiting").value("reason", "") == "CreateContainerConfigError";
  });
  EXPECT_EQ(waiting.status()["phase"], "Pending");

  Object settings(ConfigMapKind(), ns_, "settings");
  settings.json()["data"] = {{"mode", "fast"}};
  ASSERT_TRUE(AwaitCreate(cluster_, ConfigMapKind(), settings).ok());
  Object keys(SecretKind(), ns_, "keys");
  keys.json()["stringData"] = {{"other", "x"}};
  ASSERT_TRUE(AwaitCreate(cluster_, SecretKind(), keys).ok());
  WaitFor("configured", [](const Object& pod) {
    return State(pod, "waiting").value("message", "").find("token") != std::string::npos;
  });
  ASSERT_TRUE(
      AwaitPatch(cluster_, {SecretKind(), ns_, "keys"}, R"({"stringData": {"token": "hunter2"}})"_json).ok());
  WaitFor("configured", Running);
  EXPECT_TRUE(Follower(cluster_, {PodKind(), ns_, "configured"}).Hears("hunter2 fast http://fast/$(MODE) hunter2.\n"));
}

// --- Readiness ---

TEST_P(PodConformance, WhatDoesNotAnswerItsProbeRunsAndIsNotReady) {
  Run("deaf", "sleep 1000", {{"readinessProbe", {{"tcpSocket", {{"port", 1}}}, {"periodSeconds", 1}}}});
  const Object running = WaitFor("deaf", Running);
  EXPECT_EQ(running.status()["phase"], "Running");
  EXPECT_EQ(Condition(running, "Ready"), "False");
  EXPECT_EQ(running.status()["containerStatuses"][0]["ready"], false);
  EXPECT_EQ(running.status()["containerStatuses"][0]["started"], true);
}

}  // namespace
}  // namespace unmcp::kube
