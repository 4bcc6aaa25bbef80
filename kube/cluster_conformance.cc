#include "kube/cluster_conformance.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

namespace unmcp::kube {

// One binary instantiates the suite, another may link it only for its helpers.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ClusterConformance);

const Kind& WidgetKind() {
  static const Kind* const kind = new Kind{"conformance.unmcp.dev", "v1", "widgets", "Widget"};
  return *kind;
}

Json WidgetCrd() {
  const Json schema = Json::parse(R"json({
    "type": "object",
    "properties": {
      "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}}},
      "spec": {
        "type": "object",
        "required": ["size"],
        "properties": {
          "size": {"type": "integer", "minimum": 0, "maximum": 10},
          "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
          "code": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5},
          "note": {"type": "string", "nullable": true},
          "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
          "port": {"x-kubernetes-int-or-string": true},
          "limits": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "integer"}},
          "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
          "env": {
            "type": "array",
            "maxItems": 4,
            "items": {
              "type": "object",
              "required": ["name"],
              "properties": {"name": {"type": "string"}, "value": {"type": "string", "default": "none"}}
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"]
          }
        }
      },
      "status": {
        "type": "object",
        "properties": {"phase": {"type": "string"}, "count": {"type": "integer"}}
      }
    }
  })json");
  return {{"apiVersion", "apiextensions.k8s.io/v1"},
          {"kind", "CustomResourceDefinition"},
          {"metadata", {{"name", "widgets.conformance.unmcp.dev"}}},
          {"spec",
           {{"group", "conformance.unmcp.dev"},
            {"scope", "Namespaced"},
            {"names", {{"plural", "widgets"}, {"singular", "widget"}, {"kind", "Widget"}, {"listKind", "WidgetList"}}},
            {"versions",
             {{{"name", "v1"},
               {"served", true},
               {"storage", true},
               {"subresources", {{"status", Json::object()}}},
               {"schema", {{"openAPIV3Schema", schema}}}}}}}}};
}

Object ClusterConformance::NewWidget(const std::string& name) const {
  Object widget(WidgetKind(), ns_, name);
  widget.json()["spec"]["size"] = 1;
  return widget;
}

Object ClusterConformance::NewPod(const std::string& name) const {
  Object pod(PodKind(), ns_, name);
  pod.json()["spec"] = {{"schedulerName", "nobody"}, {"containers", {{{"name", "main"}, {"image", "none.invalid/none"}}}}};
  return pod;
}

OwnerReference ClusterConformance::OwnerOf(const Object& owner) {
  return {owner.api_version(), owner.kind(), owner.name(), owner.uid(), true};
}

Object ClusterConformance::MustCreate(const Object& object) {
  absl::StatusOr<Object> created = Create(object);
  EXPECT_TRUE(created.ok()) << created.status();
  return created.ok() ? *created : Object();
}

Object ClusterConformance::MustCreatePod(const Object& object) {
  absl::StatusOr<Object> created = AwaitCreate(cluster_, PodKind(), object);
  EXPECT_TRUE(created.ok()) << created.status();
  return created.ok() ? *created : Object();
}

std::string ClusterConformance::Now() {
  absl::StatusOr<ObjectList> list = List();
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? list->resource_version : "";
}

bool ClusterConformance::WaitUntilGone(const ObjectRef& ref) {
  absl::StatusOr<ObjectList> list = AwaitList(cluster_, ref.kind, ref.ns);
  if (!list.ok()) return false;
  WatchRecorder watch(cluster_, ref.kind, ref.ns, {"", list->resource_version});
  if (AwaitGet(cluster_, ref).status().code() == absl::StatusCode::kNotFound) return true;
  return watch.WaitFor([&](const std::vector<WatchEvent>& events) {
    return std::any_of(events.begin(), events.end(), [&](const WatchEvent& event) {
      return event.type == WatchEventType::kDeleted && event.object.name() == ref.name;
    });
  });
}

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Names(const ObjectList& list) {
  std::vector<std::string> names;
  for (const Object& object : list.items) names.push_back(object.name());
  return names;
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// "ADDED a", "DELETED b": what a watcher would tell.
std::vector<std::string> Story(const std::vector<WatchEvent>& events) {
  std::vector<std::string> story;
  for (const WatchEvent& event : events) {
    const char* type = event.type == WatchEventType::kAdded      ? "ADDED "
                       : event.type == WatchEventType::kModified ? "MODIFIED "
                                                                 : "DELETED ";
    story.push_back(type + event.object.name());
  }
  return story;
}

// --- Create and get ---

TEST_P(ClusterConformance, CreateFillsInWhatTheServerOwns) {
  Object widget = NewWidget("a");
  widget.json()["metadata"]["labels"] = {{"app", "x"}};
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
  widget.json()["status"] = {{"phase", "Ready"}};
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
  label.json()["metadata"]["labels"] = {{"app", "not a label"}};
  EXPECT_EQ(Create(label).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Get("a").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(ClusterConformance, WhatIsNotThereIsNotFound) {
  const absl::Status missing = Get("nobody").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(missing), HasSubstr("widgets.conformance.unmcp.dev \"nobody\" not found"));
  EXPECT_EQ(Patch("nobody", {{"spec", {{"size", 2}}}}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Delete("nobody").code(), absl::StatusCode::kNotFound);
  const Kind unknown{"nowhere.unmcp.dev", "v1", "things", "Thing"};
  EXPECT_EQ(AwaitGet(cluster_, {unknown, ns_, "a"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(AwaitList(cluster_, unknown, ns_).status().code(), absl::StatusCode::kNotFound);
}

// --- Schemas ---

TEST_P(ClusterConformance, DefaultsAreFilledInAndUnknownFieldsRemoved) {
  Object widget = NewWidget("a");
  widget.json()["spec"]["unknown"] = 1;
  widget.json()["spec"]["free"] = {{"anything", {{"at", "all"}}}};
  widget.json()["spec"]["env"] = {{{"name", "A"}, {"extra", true}}, {{"name", "B"}, {"value", "b"}}};
  widget.json()["other"] = "gone";
  const Object created = MustCreate(widget);
  EXPECT_EQ(created.spec()["color"], "red");
  EXPECT_FALSE(created.spec().contains("unknown"));
  EXPECT_FALSE(created.json().contains("other"));
  EXPECT_EQ(created.spec()["free"], Json({{"anything", {{"at", "all"}}}}));
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
  absl::StatusOr<Object> patched = Patch("a", {{"spec", {{"port", "http"}}}});
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
  EXPECT_EQ(Patch("a", {{"spec", {{"size", 99}}}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Get("a")->resource_version(), created.resource_version());
}

// --- Patch ---

TEST_P(ClusterConformance, AMergePatchMergesObjectsAndReplacesLists) {
  Object widget = NewWidget("a");
  widget.json()["spec"]["tags"] = {"x", "y"};
  widget.json()["spec"]["limits"] = {{"a", 1}, {"b", 2}};
  MustCreate(widget);
  absl::StatusOr<Object> patched =
      Patch("a", {{"spec", {{"tags", {"z"}}, {"limits", {{"a", nullptr}, {"c", 3}}}}}});
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(patched->spec()["tags"], Json({"z"}));
  EXPECT_EQ(patched->spec()["limits"], Json({{"b", 2}, {"c", 3}}));
  EXPECT_EQ(patched->spec()["size"], 1);
}

TEST_P(ClusterConformance, GenerationCountsChangesOfTheSpecAlone) {
  MustCreate(NewWidget("a"));
  EXPECT_EQ(Patch("a", {{"spec", {{"size", 2}}}})->generation(), 2);
  EXPECT_EQ(Patch("a", {{"metadata", {{"labels", {{"app", "x"}}}}}})->generation(), 2);
  EXPECT_EQ(PatchStatus("a", {{"status", {{"phase", "Ready"}}}})->generation(), 2);
  EXPECT_EQ(Patch("a", {{"metadata", {{"generation", 9}}}, {"spec", {{"size", 3}}}})->generation(), 3);
}

TEST_P(ClusterConformance, StatusAndSpecAreWrittenApart) {
  MustCreate(NewWidget("a"));
  absl::StatusOr<Object> spec = Patch("a", {{"spec", {{"size", 2}}}, {"status", {{"phase", "Lies"}}}});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->spec()["size"], 2);
  EXPECT_TRUE(spec->status().empty());
  absl::StatusOr<Object> status =
      PatchStatus("a", {{"status", {{"phase", "Ready"}, {"unknown", 1}}}, {"spec", {{"size", 3}}}});
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->spec()["size"], 2);
  EXPECT_EQ(status->status(), Json({{"phase", "Ready"}}));
  EXPECT_EQ(Patch("a", {{"spec", {{"size", 4}}}})->status(), Json({{"phase", "Ready"}}));
}

TEST_P(ClusterConformance, AStalePatchConflicts) {
  const Object created = MustCreate(NewWidget("a"));
  absl::StatusOr<Object> first =
      Patch("a", {{"metadata", {{"resourceVersion", created.resource_version()}}}, {"spec", {{"size", 2}}}});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_NE(first->resource_version(), created.resource_version());
  const Json stale = {{"metadata", {{"resourceVersion", created.resource_version()}}},
                      {"spec", {{"size", 3}}},
                      {"status", {{"phase", "Ready"}}}};
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
  absl::StatusOr<Object> patched = Patch("a", {{"spec", {{"size", 1}, {"unknown", 5}}}, {"metadata", {{"labels", Json::object()}}}});
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(patched->resource_version(), created.resource_version());
  MustCreate(NewWidget("b"));
  ASSERT_TRUE(watch.WaitForCount(1));
  EXPECT_THAT(Story(watch.events()), ElementsAre("ADDED b"));
}

TEST_P(ClusterConformance, TheIdentityOfAnObjectDoesNotChange) {
  const Object created = MustCreate(NewWidget("a"));
  EXPECT_EQ(Patch("a", {{"metadata", {{"uid", "00000000-0000-4000-8000-000000000000"}}}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Patch("a", {{"metadata", {{"name", "b"}}}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Patch("a", {{"metadata", {{"uid", created.uid()}}}, {"spec", {{"size", 2}}}})->uid(), created.uid());
  EXPECT_EQ(Patch("a", {{"metadata", {{"creationTimestamp", nullptr}}}})->json()["metadata"]["creationTimestamp"],
            created.json()["metadata"]["creationTimestamp"]);
}

// --- List ---

TEST_P(ClusterConformance, ListsAreInOrderAndOfOneNamespace) {
  for (const char* name : {"b", "a", "c"}) MustCreate(NewWidget(name));
  const std::string other = under_test_->NewNamespace();
  ASSERT_TRUE(Create(Object([&] {
                Json json = NewWidget("z").json();
                json["metadata"]["namespace"] = other;
                return json;
              }()))
                  .ok());
  absl::StatusOr<ObjectList> list = List();
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(Names(*list), ElementsAre("a", "b", "c"));
  EXPECT_FALSE(list->resource_version.empty());
  EXPECT_EQ(list->continue_token, "");
  EXPECT_EQ(list->items[0].kind(), "Widget");
}

TEST_P(ClusterConformance, ListsAreSelectedByLabels) {
  const std::pair<const char*, Json> widgets[] = {
      {"a", {{"app", "web"}, {"tier", "1"}}}, {"b", {{"app", "db"}}}, {"c", {{"tier", "2"}}}};
  for (const auto& [name, labels] : widgets) {
    Object widget = NewWidget(name);
    widget.json()["metadata"]["labels"] = labels;
    MustCreate(widget);
  }
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"app=web", {"a"}},          {"app==db", {"b"}},          {"app!=web", {"b", "c"}},
      {"app in (web, db)", {"a", "b"}}, {"app notin (web)", {"b", "c"}}, {"app", {"a", "b"}},
      {"!app", {"c"}},             {"app,tier=1", {"a"}},       {"app=web,tier=2", {}},
  };
  for (const auto& [selector, names] : cases) {
    absl::StatusOr<ObjectList> list = List({.label_selector = selector});
    ASSERT_TRUE(list.ok()) << selector << ": " << list.status();
    EXPECT_EQ(Names(*list), names) << selector;
  }
  EXPECT_EQ(List({.label_selector = "app in web"}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(ClusterConformance, PagesShowOneMoment) {
  for (const char* name : {"a", "b", "c", "d", "e"}) MustCreate(NewWidget(name));
  absl::StatusOr<ObjectList> page = List({.limit = 2});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(Names(*page), ElementsAre("a", "b"));
  ASSERT_NE(page->continue_token, "");
  // None of this is in the following pages.
  ASSERT_TRUE(Delete("d").ok());
  MustCreate(NewWidget("cc"));
  ASSERT_TRUE(Patch("e", {{"spec", {{"size", 9}}}}).ok());

  absl::StatusOr<ObjectList> second = List({.limit = 2, .continue_token = page->continue_token});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(Names(*second), ElementsAre("c", "d"));
  EXPECT_EQ(second->resource_version, page->resource_version);
  absl::StatusOr<ObjectList> last = List({.limit = 2, .continue_token = second->continue_token});
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_THAT(Names(*last), ElementsAre("e"));
  EXPECT_EQ(last->items[0].spec()["size"], 1);
  EXPECT_EQ(last->continue_token, "");
}

// --- Delete ---

TEST_P(ClusterConformance, DeleteChecksItsPreconditions) {
  const Object created = MustCreate(NewWidget("a"));
  EXPECT_EQ(Delete("a", {.uid = "00000000-0000-4000-8000-000000000000"}).code(), absl::StatusCode::kAborted);
  ASSERT_TRUE(Patch("a", {{"spec", {{"size", 2}}}}).ok());
  EXPECT_EQ(Delete("a", {.resource_version = created.resource_version()}).code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Delete("a", {.uid = created.uid()}).ok());
  EXPECT_EQ(Get("a").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(ClusterConformance, ANameCanBeUsedAgainUnderAnotherUid) {
  const Object first = MustCreate(NewWidget("a"));
  ASSERT_TRUE(Delete("a").ok());
  EXPECT_NE(MustCreate(NewWidget("a")).uid(), first.uid());
}

TEST_P(ClusterConformance, FinalizersHoldAnObject) {
  Object widget = NewWidget("a");
  widget.json()["metadata"]["finalizers"] = {"unmcp.dev/test"};
  MustCreate(widget);
  ASSERT_TRUE(Delete("a").ok());
  absl::StatusOr<Object> deleting = Get("a");
  ASSERT_TRUE(deleting.ok()) << deleting.status();
  EXPECT_TRUE(deleting->deleting());
  EXPECT_EQ(deleting->generation(), 2);
  // Once more changes nothing, and nobody may hold it further.
  ASSERT_TRUE(Delete("a").ok());
  EXPECT_EQ(Get("a")->resource_version(), deleting->resource_version());
  EXPECT_FALSE(Patch("a", {{"metadata", {{"finalizers", {"unmcp.dev/test", "unmcp.dev/more"}}}}}).ok());
  EXPECT_EQ(Create(NewWidget("a")).status().code(), absl::StatusCode::kAlreadyExists);

  WatchRecorder watch(cluster_, WidgetKind(), ns_, {"", deleting->resource_version()});
  ASSERT_TRUE(Patch("a", {{"metadata", {{"finalizers", nullptr}}}}).ok());
  EXPECT_EQ(Get("a").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(watch.WaitForCount(1));
  EXPECT_THAT(Story(watch.events()), ElementsAre("DELETED a"));
}

// --- Garbage collection ---

TEST_P(ClusterConformance, WhatIsOwnedGoesWithItsLastOwner) {
  const Object one = MustCreate(NewWidget("one")), two = MustCreate(NewWidget("two"));
  Object both = NewWidget("both");
  both.AddOwner(OwnerOf(one));
  OwnerReference second = OwnerOf(two);
  second.controller = false;
  both.AddOwner(second);
  MustCreate(both);
  Object only = NewWidget("only");
  only.AddOwner(OwnerOf(one));
  MustCreate(only);
  Object below = NewWidget("below");
  below.AddOwner(OwnerOf(*Get("only")));
  MustCreate(below);

  ASSERT_TRUE(Delete("one").ok());
  EXPECT_TRUE(WaitUntilGone(Ref("only")));
  EXPECT_TRUE(WaitUntilGone(Ref("below")));
  EXPECT_TRUE(Get("both").ok());
  ASSERT_TRUE(Delete("two").ok());
  EXPECT_TRUE(WaitUntilGone(Ref("both")));
}

TEST_P(ClusterConformance, AnObjectWhoseOwnerIsGoneAlreadyIsCollected) {
  const Object owner = MustCreate(NewWidget("owner"));
  ASSERT_TRUE(Delete("owner").ok());
  // Another object of that name is another object.
  MustCreate(NewWidget("owner"));
  Object late = NewWidget("late");
  late.AddOwner(OwnerOf(owner));
  MustCreate(late);
  EXPECT_TRUE(WaitUntilGone(Ref("late")));
  EXPECT_TRUE(Get("owner").ok());
}

TEST_P(ClusterConformance, AForegroundDeletionWaitsForDependents) {
  const Object owner = MustCreate(NewWidget("owner"));
  Object dependent = NewWidget("dependent");
  dependent.AddOwner(OwnerOf(owner));
  dependent.json()["metadata"]["finalizers"] = {"unmcp.dev/test"};
  MustCreate(dependent);
  WatchRecorder watch(cluster_, WidgetKind(), ns_, {"", Now()});
  ASSERT_TRUE(Delete("owner", {.propagation = Propagation::kForeground}).ok());
  ASSERT_TRUE(watch.WaitFor([](const std::vector<WatchEvent>& events) {
    return std::any_of(events.begin(), events.end(), [](const WatchEvent& event) {
      return event.object.name() == "dependent" && event.object.deleting();
    });
  }));
  absl::StatusOr<Object> waiting = Get("owner");
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_TRUE(waiting->deleting());
  ASSERT_TRUE(Patch("dependent", {{"metadata", {{"finalizers", nullptr}}}}).ok());
  EXPECT_TRUE(WaitUntilGone(Ref("owner")));
}

TEST_P(ClusterConformance, OrphansStay) {
  const Object owner = MustCreate(NewWidget("owner"));
  Object dependent = NewWidget("dependent");
  dependent.AddOwner(OwnerOf(owner));
  MustCreate(dependent);
  ASSERT_TRUE(Delete("owner", {.propagation = Propagation::kOrphan}).ok());
  EXPECT_TRUE(WaitUntilGone(Ref("owner")));
  absl::StatusOr<Object> orphan = Get("dependent");
  ASSERT_TRUE(orphan.ok()) << orphan.status();
  EXPECT_TRUE(orphan->owners().empty());
  EXPECT_FALSE(orphan->deleting());
}

// --- Watch ---

TEST_P(ClusterConformance, AWatchTellsEverythingInOrder) {
  MustCreate(NewWidget("before"));
  WatchRecorder watch(cluster_, WidgetKind(), ns_, {"", Now()});
  MustCreate(NewWidget("a"));
  MustCreate(NewWidget("b"));
  const Object patched = *Patch("a", {{"spec", {{"size", 2}}}});
  ASSERT_TRUE(PatchStatus("b", {{"status", {{"phase", "Ready"}}}}).ok());
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
  ASSERT_TRUE(Patch("a", {{"spec", {{"size", 2}}}}).ok());
  const Object left = *Patch("a", labelled("db"));
  ASSERT_TRUE(Patch("a", {{"spec", {{"size", 3}}}}).ok());
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
  pod.json()["status"] = {{"phase", "Running"}};
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
      AwaitPatch(cluster_, PodRef("p"), {{"spec", {{"restartPolicy", "Never"}}}}).status();
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
  service.json()["spec"] = {{"clusterIP", "None"}, {"selector", {{"app", "x"}}}, {"ports", {{{"port", 80}}}}};
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
  lease.json()["spec"] = {{"holderIdentity", ""}};
  absl::StatusOr<Object> free = AwaitCreate(cluster_, LeaseKind(), lease);
  ASSERT_TRUE(free.ok()) << free.status();
  constexpr int kWriters = 10;
  absl::Mutex mutex;
  int answered = 0, won = 0, lost = 0;
  for (int i = 0; i < kWriters; ++i) {
    cluster_.Patch({LeaseKind(), ns_, "l"},
                   {{"metadata", {{"resourceVersion", free->resource_version()}}},
                    {"spec", {{"holderIdentity", absl::StrCat("writer-", i)}}}},
                   {}, [&](absl::StatusOr<Object> patched) {
                     absl::MutexLock lock(&mutex);
                     ++answered;
                     won += patched.ok();
                     lost += patched.status().code() == absl::StatusCode::kAborted;
                   });
  }
  absl::MutexLock lock(&mutex);
  auto all = [&] { return answered == kWriters; };
  mutex.Await(absl::Condition(&all));
  EXPECT_EQ(won, 1);
  EXPECT_EQ(lost, kWriters - 1);
}

}  // namespace
}  // namespace unmcp::kube
