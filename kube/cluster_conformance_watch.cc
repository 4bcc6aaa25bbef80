// Watch, and what the built-in kinds need.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "kube/cluster_conformance.h"

namespace unmcp::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// --- Watch ---

TEST_P(ClusterConformance, AWatchTellsEverythingInOrder) {
  MustCreate(NewWidget("before"));
  WatchRecorder watch(cluster_, WidgetKind(), ns_, {"", Now()});
  MustCreate(NewWidget("a"));
  MustCreate(NewWidget("b"));
  const Object patched = *Patch("a", R"({"spec": {"size": 2}})"_json);
  ASSERT_TRUE(PatchStatus("b", R"({"status": {"phase": "Ready"}})"_json).ok());
  ASSERT_TRUE(Delete("a").ok());
  ASSERT_TRUE(watch.WaitForCount(5));
  const std::vector<WatchEvent> events = watch.events();
  EXPECT_THAT(Story(events), ElementsAre("ADDED a", "ADDED b", "MODIFIED a", "MODIFIED b", "DELETED a"));
  EXPECT_EQ(events[2].object.resource_version(), patched.resource_version());
  EXPECT_EQ(events[4].object.spec()["size"], 2);
  EXPECT_NE(events[4].object.resource_version(), patched.resource_version());
  // From a version in the middle on, the rest is told again.
  WatchRecorder later(cluster_, WidgetKind(), ns_, {"", patched.resource_version()});
  ASSERT_TRUE(later.WaitForCount(2));
  EXPECT_THAT(Story(later.events()), ElementsAre("MODIFIED b", "DELETED a"));
}

TEST_P(ClusterConformance, AWatchSeesItsNamespaceAlone) {
  const std::string other = under_test_->NewNamespace();
  WatchRecorder watch(cluster_, WidgetKind(), ns_, {"", Now()});
  Object elsewhere = NewWidget("elsewhere");
  elsewhere.json()["metadata"]["namespace"] = other;
  MustCreate(elsewhere);
  MustCreatePod(NewPod("pod"));
  MustCreate(NewWidget("here"));
  ASSERT_TRUE(watch.WaitForCount(1));
  EXPECT_THAT(Story(watch.events()), ElementsAre("ADDED here"));
}

TEST_P(ClusterConformance, ObjectsEnterAndLeaveAWatchThatSelects) {
  const auto labelled = [](const char* app) { return Json{{"metadata", {{"labels", {{"app", app}}}}}}; };
  MustCreate(NewWidget("a"));
  WatchRecorder watch(cluster_, WidgetKind(), ns_, {"app=web", Now()});
  ASSERT_TRUE(Patch("a", labelled("web")).ok());
  ASSERT_TRUE(Patch("a", R"({"spec": {"size": 2}})"_json).ok());
  const Object left = *Patch("a", labelled("db"));
  ASSERT_TRUE(Patch("a", R"({"spec": {"size": 3}})"_json).ok());
  ASSERT_TRUE(Patch("a", labelled("web")).ok());
  ASSERT_TRUE(Delete("a").ok());
  ASSERT_TRUE(watch.WaitForCount(5));
  const std::vector<WatchEvent> events = watch.events();
  EXPECT_THAT(Story(events), ElementsAre("ADDED a", "MODIFIED a", "DELETED a", "ADDED a", "DELETED a"));
  EXPECT_EQ(events[2].object.resource_version(), left.resource_version());
}

TEST_P(ClusterConformance, AWatchThatWasDestroyedIsSilent) {
  const std::string version = Now();
  WatchRecorder stopped(cluster_, WidgetKind(), ns_, {"", version});
  WatchRecorder control(cluster_, WidgetKind(), ns_, {"", version});
  stopped.Stop();
  const size_t heard = stopped.events().size();
  MustCreate(NewWidget("a"));
  ASSERT_TRUE(control.WaitForCount(1));
  EXPECT_EQ(stopped.events().size(), heard);
}

// --- Pods and services ---

TEST_P(ClusterConformance, APodStartsPendingWithDefaults) {
  Object pod = NewPod("p");
  pod.json()["status"] = R"({"phase": "Running"})"_json;
  const Object created = MustCreatePod(pod);
  EXPECT_EQ(created.status()["phase"], "Pending");
  EXPECT_EQ(created.spec()["restartPolicy"], "Always");
  EXPECT_EQ(created.spec()["terminationGracePeriodSeconds"], 30);
}

TEST_P(ClusterConformance, APodNeedsNamedContainers) {
  Object none = NewPod("p");
  none.json()["spec"]["containers"] = Json::array();
  EXPECT_THAT(Message(AwaitCreate(cluster_, PodKind(), none).status()), HasSubstr("spec.containers: Required value"));
  Object twice = NewPod("p");
  twice.json()["spec"]["containers"].push_back(twice.json()["spec"]["containers"][0]);
  EXPECT_THAT(Message(AwaitCreate(cluster_, PodKind(), twice).status()),
              HasSubstr("spec.containers[1].name: Duplicate value: \"main\""));
}

TEST_P(ClusterConformance, APodsSpecStaysAsItIs) {
  MustCreatePod(NewPod("p"));
  const absl::Status refused =
      AwaitPatch(cluster_, PodRef("p"), R"({"spec": {"restartPolicy": "Never"}})"_json).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(refused), HasSubstr("pod updates may not change fields"));
}

TEST_P(ClusterConformance, APodThatNoNodeTookGoesAtOnce) {
  MustCreatePod(NewPod("p"));
  ASSERT_TRUE(AwaitDelete(cluster_, PodRef("p")).ok());
  EXPECT_EQ(AwaitGet(cluster_, PodRef("p")).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(ClusterConformance, AServicesNameIsALabel) {
  Object service(ServiceKind(), ns_, "s");
  service.json()["spec"] = R"({"clusterIP": "None", "selector": {"app": "x"}, "ports": [{"port": 80}]})"_json;
  absl::StatusOr<Object> created = AwaitCreate(cluster_, ServiceKind(), service);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->spec()["type"], "ClusterIP");
  EXPECT_EQ(created->spec()["ports"][0]["protocol"], "TCP");
  service.json()["metadata"]["name"] = "1s";
  EXPECT_EQ(AwaitCreate(cluster_, ServiceKind(), service).status().code(), absl::StatusCode::kInvalidArgument);
}

// Of many who found the Lease free, one gets it: what leader election needs.
TEST_P(ClusterConformance, OneOfManyWritersWins) {
  Object lease(LeaseKind(), ns_, "l");
  lease.json()["spec"] = R"({"holderIdentity": ""})"_json;
  absl::StatusOr<Object> free = AwaitCreate(cluster_, LeaseKind(), lease);
  ASSERT_TRUE(free.ok()) << free.status();
  constexpr size_t kWriters = 10;
  Monitor<std::vector<absl::StatusCode>> answers;
  for (size_t i = 0; i < kWriters; ++i) {
    const Json take = {{"metadata", {{"resourceVersion", free->resource_version()}}},
                       {"spec", {{"holderIdentity", absl::StrCat("writer-", i)}}}};
    cluster_.Patch({LeaseKind(), ns_, "l"}, take, {}, [&](absl::StatusOr<Object> patched) {
      answers.Update([&](std::vector<absl::StatusCode>& codes) { codes.push_back(patched.status().code()); });
    });
  }
  ASSERT_TRUE(answers.WaitFor([](const std::vector<absl::StatusCode>& codes) { return codes.size() == kWriters; }));
  const std::vector<absl::StatusCode> codes = answers.Copy();
  EXPECT_EQ(std::count(codes.begin(), codes.end(), absl::StatusCode::kOk), 1);
  EXPECT_EQ(std::count(codes.begin(), codes.end(), absl::StatusCode::kAborted), kWriters - 1);
}

}  // namespace
}  // namespace unmcp::kube
