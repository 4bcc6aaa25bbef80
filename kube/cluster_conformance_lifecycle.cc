// List, Delete and garbage collection.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "kube/cluster_conformance.h"

namespace unmcp::kube {
namespace {

using testing::ElementsAre;

std::vector<std::string> Names(const ObjectList& list) {
  std::vector<std::string> names;
  for (const Object& object : list.items) names.push_back(object.name());
  return names;
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
      {"a", R"({"app": "web", "tier": "1"})"_json}, {"b", R"({"app": "db"})"_json}, {"c", R"({"tier": "2"})"_json}};
  for (const auto& [name, labels] : widgets) {
    Object widget = NewWidget(name);
    widget.json()["metadata"]["labels"] = labels;
    MustCreate(widget);
  }
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"app=web", {"a"}},
      {"app==db", {"b"}},
      {"app!=web", {"b", "c"}},
      {"app in (web, db)", {"a", "b"}},
      {"app notin (web)", {"b", "c"}},
      {"app", {"a", "b"}},
      {"!app", {"c"}},
      {"app,tier=1", {"a"}},
      {"app=web,tier=2", {}},
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
  ASSERT_TRUE(Patch("e", R"({"spec": {"size": 9}})"_json).ok());

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
  ASSERT_TRUE(Patch("a", R"({"spec": {"size": 2}})"_json).ok());
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
  EXPECT_FALSE(Patch("a", R"({"metadata": {"finalizers": ["unmcp.dev/test", "unmcp.dev/more"]}})"_json).ok());
  EXPECT_EQ(Create(NewWidget("a")).status().code(), absl::StatusCode::kAlreadyExists);

  WatchRecorder watch(cluster_, WidgetKind(), ns_, {"", deleting->resource_version()});
  ASSERT_TRUE(Patch("a", R"({"metadata": {"finalizers": null}})"_json).ok());
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
  ASSERT_TRUE(Patch("dependent", R"({"metadata": {"finalizers": null}})"_json).ok());
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

}  // namespace
}  // namespace unmcp::kube
