// Create, Get, schemas and Patch.
#include <string>

#include "gmock/gmock.h"
#include "kube/cluster_conformance.h"

namespace unmcp::kube {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// --- Create and get ---

TEST_P(ClusterConformance, CreateFillsInWhatTheServerOwns) {
  Object widget = NewWidget("a");
  widget.json()["metadata"]["labels"] = R"({"app": "x"})"_json;
  widget.json()["metadata"]["uid"] = "mine";
  widget.json()["metadata"]["generation"] = 7;
  const Object created = MustCreate(widget);
  EXPECT_EQ(created.name(), "a");
  EXPECT_EQ(created.ns(), ns_);
  EXPECT_EQ(created.uid().size(), 36u);
  EXPECT_FALSE(created.resource_version().empty());
  EXPECT_EQ(created.generation(), 1);
  EXPECT_EQ(created.labels().at("app"), "x");
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, created.json()["metadata"]["creationTimestamp"].get<std::string>(),
                              &time, nullptr));
  absl::StatusOr<Object> read = Get("a");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->uid(), created.uid());
  EXPECT_EQ(read->resource_version(), created.resource_version());
  EXPECT_EQ(read->spec(), created.spec());
}

TEST_P(ClusterConformance, CreateIgnoresStatus) {
  Object widget = NewWidget("a");
  widget.json()["status"] = R"({"phase": "Ready"})"_json;
  EXPECT_TRUE(MustCreate(widget).status().empty());
}

TEST_P(ClusterConformance, ATakenNameIsRefused) {
  MustCreate(NewWidget("a"));
  const absl::Status again = Create(NewWidget("a")).status();
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Message(again), HasSubstr("widgets.conformance.unmcp.dev \"a\" already exists"));
}

TEST_P(ClusterConformance, GeneratedNamesBeginAsAskedAndDiffer) {
  Object widget = NewWidget("");
  widget.json()["metadata"]["generateName"] = "gen-";
  const Object one = MustCreate(widget), two = MustCreate(widget);
  EXPECT_EQ(one.name().substr(0, 4), "gen-");
  EXPECT_EQ(one.name().size(), 9u);
  EXPECT_NE(one.name(), two.name());
}

TEST_P(ClusterConformance, CreateRefusesWhatCannotBe) {
  EXPECT_EQ(Create(NewWidget("Not_A_Name")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Create(NewWidget("")).status().code(), absl::StatusCode::kInvalidArgument);
  Object other = NewWidget("a");
  other.json()["kind"] = "Gadget";
  EXPECT_EQ(Create(other).status().code(), absl::StatusCode::kInvalidArgument);
  Object label = NewWidget("a");
  label.json()["metadata"]["labels"] = R"({"app": "not a label"})"_json;
  EXPECT_EQ(Create(label).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Get("a").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(ClusterConformance, WhatIsNotThereIsNotFound) {
  const absl::Status missing = Get("nobody").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(missing), HasSubstr("widgets.conformance.unmcp.dev \"nobody\" not found"));
  EXPECT_EQ(Patch("nobody", R"({"spec": {"size": 2}})"_json).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Delete("nobody").code(), absl::StatusCode::kNotFound);
  const Kind unknown{"nowhere.unmcp.dev", "v1", "things", "Thing"};
  EXPECT_EQ(AwaitGet(cluster_, {unknown, ns_, "a"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(AwaitList(cluster_, unknown, ns_).status().code(), absl::StatusCode::kNotFound);
}

// --- Schemas ---

TEST_P(ClusterConformance, DefaultsAreFilledInAndUnknownFieldsRemoved) {
  Object widget = NewWidget("a");
  widget.json()["spec"]["unknown"] = 1;
  widget.json()["spec"]["free"] = R"({"anything": {"at": "all"}})"_json;
  widget.json()["spec"]["env"] = {R"({"name": "A", "extra": true})"_json, R"({"name": "B", "value": "b"})"_json};
  widget.json()["other"] = "gone";
  const Object created = MustCreate(widget);
  EXPECT_EQ(created.spec()["color"], "red");
  EXPECT_FALSE(created.spec().contains("unknown"));
  EXPECT_FALSE(created.json().contains("other"));
  EXPECT_EQ(created.spec()["free"], R"({"anything": {"at": "all"}})"_json);
  EXPECT_EQ(created.spec()["env"], Json::parse(R"([{"name":"A","value":"none"},{"name":"B","value":"b"}])"));
}

TEST_P(ClusterConformance, NullTakesTheDefaultUnlessItIsAllowed) {
  Object widget = NewWidget("a");
  widget.json()["spec"]["color"] = nullptr;
  widget.json()["spec"]["note"] = nullptr;
  const Object created = MustCreate(widget);
  EXPECT_EQ(created.spec()["color"], "red");
  EXPECT_TRUE(created.spec().contains("note"));
  EXPECT_TRUE(created.spec()["note"].is_null());
}

TEST_P(ClusterConformance, BrokenRulesNameTheField) {
  const struct {
    const char* spec;
    const char* path;
    const char* problem;
  } cases[] = {
      {R"({"size": -5})", "spec.size: Invalid value: -5: ", "should be greater than or equal to 0"},
      {R"({"size": 11})", "spec.size: Invalid value: 11: ", "should be less than or equal to 10"},
      {R"({})", "spec.size: ", "Required value"},
      {R"({"size": "big"})", "spec.size: Invalid value: ", "must be of type integer"},
      {R"({"size": 1, "color": "blue"})", "spec.color: Unsupported value: \"blue\": supported values: ", "\"red\""},
      {R"({"size": 1, "code": "A1"})", "spec.code: Invalid value: \"A1\": ", "should match '^[a-z]+$'"},
      {R"({"size": 1, "code": "a"})", "spec.code: Invalid value: \"a\": ", "should be at least 2 chars long"},
      {R"({"size": 1, "code": "abcdef"})", "spec.code: Too long: ", "5"},
      {R"({"size": 1, "tags": ["a", "b", "c", "d"]})", "spec.tags: Too many: 4: ", "must have at most 3 items"},
      {R"({"size": 1, "tags": [1]})", "spec.tags[0]: Invalid value: ", "must be of type string"},
      {R"({"size": 1, "limits": {"a": 1, "b": 2, "c": 3}})", "spec.limits: Too many: 3: ", "must have at most 2 items"},
      {R"({"size": 1, "limits": {"a": "x"}})", "spec.limits.a: Invalid value: ", "must be of type integer"},
      {R"({"size": 1, "port": true})", "spec.port: Invalid value: ", "must be of type integer"},
      {R"({"size": 1, "env": [{"value": "x"}]})", "spec.env[0].name: ", "Required value"},
      {R"({"size": 1, "env": [{"name": "A"}, {"name": "A"}]})", "spec.env[1]: ", "Duplicate value"},
  };
  for (const auto& each : cases) {
    Object widget = NewWidget("a");
    widget.json()["spec"] = Json::parse(each.spec);
    const absl::Status refused = Create(widget).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << each.spec;
    EXPECT_THAT(Message(refused), AllOf(HasSubstr("Widget.conformance.unmcp.dev \"a\" is invalid: "),
                                        HasSubstr(each.path), HasSubstr(each.problem)))
        << each.spec;
  }
}

TEST_P(ClusterConformance, IntOrStringTakesBoth) {
  Object widget = NewWidget("a");
  widget.json()["spec"]["port"] = 80;
  EXPECT_EQ(MustCreate(widget).spec()["port"], 80);
  absl::StatusOr<Object> patched = Patch("a", R"({"spec": {"port": "http"}})"_json);
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(patched->spec()["port"], "http");
}

TEST_P(ClusterConformance, TheSchemaLimitsNamesToo) {
  EXPECT_TRUE(Create(NewWidget("exactly-20-character")).ok());
  const absl::Status refused = Create(NewWidget("more-than-20-character")).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(refused), HasSubstr("metadata.name"));
}

TEST_P(ClusterConformance, APatchThatBreaksTheSchemaChangesNothing) {
  const Object created = MustCreate(NewWidget("a"));
  EXPECT_EQ(Patch("a", R"({"spec": {"size": 99}})"_json).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Get("a")->resource_version(), created.resource_version());
}

// --- Patch ---

TEST_P(ClusterConformance, AMergePatchMergesObjectsAndReplacesLists) {
  Object widget = NewWidget("a");
  widget.json()["spec"]["tags"] = {"x", "y"};
  widget.json()["spec"]["limits"] = R"({"a": 1, "b": 2})"_json;
  MustCreate(widget);
  absl::StatusOr<Object> patched = Patch("a", R"({"spec": {"tags": ["z"], "limits": {"a": null, "c": 3}}})"_json);
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(patched->spec()["tags"], Json({"z"}));
  EXPECT_EQ(patched->spec()["limits"], R"({"b": 2, "c": 3})"_json);
  EXPECT_EQ(patched->spec()["size"], 1);
}

TEST_P(ClusterConformance, GenerationCountsChangesOfTheSpecAlone) {
  MustCreate(NewWidget("a"));
  EXPECT_EQ(Patch("a", R"({"spec": {"size": 2}})"_json)->generation(), 2);
  EXPECT_EQ(Patch("a", R"({"metadata": {"labels": {"app": "x"}}})"_json)->generation(), 2);
  EXPECT_EQ(PatchStatus("a", R"({"status": {"phase": "Ready"}})"_json)->generation(), 2);
  EXPECT_EQ(Patch("a", R"({"metadata": {"generation": 9}, "spec": {"size": 3}})"_json)->generation(), 3);
}

TEST_P(ClusterConformance, StatusAndSpecAreWrittenApart) {
  MustCreate(NewWidget("a"));
  absl::StatusOr<Object> spec = Patch("a", R"({"spec": {"size": 2}, "status": {"phase": "Lies"}})"_json);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->spec()["size"], 2);
  EXPECT_TRUE(spec->status().empty());
  absl::StatusOr<Object> status =
      PatchStatus("a", R"({"status": {"phase": "Ready", "unknown": 1}, "spec": {"size": 3}})"_json);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->spec()["size"], 2);
  EXPECT_EQ(status->status(), R"({"phase": "Ready"})"_json);
  EXPECT_EQ(Patch("a", R"({"spec": {"size": 4}})"_json)->status(), R"({"phase": "Ready"})"_json);
}

TEST_P(ClusterConformance, AStalePatchConflicts) {
  const Object created = MustCreate(NewWidget("a"));
  absl::StatusOr<Object> first =
      Patch("a", {{"metadata", {{"resourceVersion", created.resource_version()}}}, {"spec", R"({"size": 2})"_json}});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_NE(first->resource_version(), created.resource_version());
  const Json stale = {{"metadata", {{"resourceVersion", created.resource_version()}}},
                      {"spec", R"({"size": 3})"_json},
                      {"status", R"({"phase": "Ready"})"_json}};
  for (const absl::Status& refused : {Patch("a", stale).status(), PatchStatus("a", stale).status()}) {
    EXPECT_EQ(refused.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(Message(refused), HasSubstr("the object has been modified"));
  }
  EXPECT_EQ(Get("a")->spec()["size"], 2);
}

TEST_P(ClusterConformance, APatchThatChangesNothingIsNoWrite) {
  const Object created = MustCreate(NewWidget("a"));
  const std::string before = Now();
  WatchRecorder watch(cluster_, WidgetKind(), ns_, {"", before});
  absl::StatusOr<Object> patched =
      Patch("a", {{"spec", R"({"size": 1, "unknown": 5})"_json}, {"metadata", {{"labels", Json::object()}}}});
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(patched->resource_version(), created.resource_version());
  MustCreate(NewWidget("b"));
  ASSERT_TRUE(watch.WaitForCount(1));
  EXPECT_THAT(Story(watch.events()), ElementsAre("ADDED b"));
}

TEST_P(ClusterConformance, TheIdentityOfAnObjectDoesNotChange) {
  const Object created = MustCreate(NewWidget("a"));
  EXPECT_EQ(Patch("a", R"({"metadata": {"uid": "00000000-0000-4000-8000-000000000000"}})"_json).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Patch("a", R"({"metadata": {"name": "b"}})"_json).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Patch("a", {{"metadata", {{"uid", created.uid()}}}, {"spec", R"({"size": 2})"_json}})->uid(),
            created.uid());
  EXPECT_EQ(Patch("a", R"({"metadata": {"creationTimestamp": null}})"_json)->json()["metadata"]["creationTimestamp"],
            created.json()["metadata"]["creationTimestamp"]);
}

}  // namespace
}  // namespace unmcp::kube
