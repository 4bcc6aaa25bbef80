#include "kube/informer.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/simulated_scheduler.h"
#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

class NoJitter final : public Random {
 public:
  std::string Id128() override { return std::string(32, '0'); }
  double Uniform() override { return 0; }
};

Object Pod(const std::string& name, int version, const std::string& uid = "", const std::string& owner = "") {
  Object pod(PodKind(), "default", name);
  pod.json()["metadata"]["resourceVersion"] = absl::StrCat(version);
  pod.json()["metadata"]["uid"] = uid.empty() ? name + "-uid" : uid;
  if (!owner.empty()) pod.AddOwner({"unmcp.dev/v1", "MCPServer", owner, owner + "-uid"});
  return pod;
}

// A cluster whose every answer the test gives by hand.
class ScriptedCluster final : public Cluster {
 public:
  struct ListCall {
    ListOptions options;
    Callback<ObjectList> done;
  };
  struct WatchCall {
    WatchOptions options;
    WatchCallbacks callbacks;
  };

  void List(const Kind&, const std::string&, ListOptions options, Callback<ObjectList> done) override {
    lists.push_back({std::move(options), std::move(done)});
  }
  std::unique_ptr<Watch> StartWatch(const Kind&, const std::string&, WatchOptions options,
                                    WatchCallbacks callbacks) override {
    watches.push_back({std::move(options), std::move(callbacks)});
    return std::make_unique<Watch>();
  }
  void Get(const ObjectRef&, Callback<Object>) override {}
  void Create(const Kind&, Object, Callback<Object>) override {}
  void Patch(const ObjectRef&, Json, PatchOptions, Callback<Object>) override {}
  void Delete(const ObjectRef&, DeleteOptions, DoneCallback) override {}
  void Attach(const ObjectRef&, AttachOptions, Callback<std::unique_ptr<Attachment>>) override {}
  void Logs(const ObjectRef&, LogOptions, Callback<std::string>) override {}
  std::unique_ptr<Watch> FollowLogs(const ObjectRef&, LogOptions, LogCallbacks) override { return nullptr; }

  std::deque<ListCall> lists;
  std::deque<WatchCall> watches;
};

class InformerTest : public testing::Test {
 protected:
  void Start() {
    informer_.Start({.on_added = [this](const Informer::ObjectPtr& object) { Log("+", object); },
                     .on_updated = [this](const Informer::ObjectPtr&,
                                          const Informer::ObjectPtr& object) { Log("~", object); },
                     .on_deleted = [this](const Informer::ObjectPtr& object) { Log("-", object); },
                     .on_synced = [this] { log_ += "synced "; }});
  }
  void Log(const char* what, const Informer::ObjectPtr& object) {
    absl::StrAppend(&log_, what, object->name(), "@", object->resource_version(), " ");
  }
  std::string TakeLog() { return std::exchange(log_, ""); }

  void AnswerList(absl::StatusOr<ObjectList> answer) {
    ASSERT_FALSE(cluster_.lists.empty());
    auto call = std::move(cluster_.lists.front());
    cluster_.lists.pop_front();
    call.done(std::move(answer));
    scheduler_.RunUntilIdle();
  }
  void Listed(std::vector<Object> items, int version, std::string continue_token = "") {
    AnswerList(ObjectList{std::move(items), absl::StrCat(version), std::move(continue_token)});
  }
  void Event(WatchEventType type, Object object) {
    cluster_.watches.back().callbacks.on_event({type, std::move(object)});
    scheduler_.RunUntilIdle();
  }
  void EndWatch(absl::Status why) {
    cluster_.watches.back().callbacks.on_end(std::move(why));
    scheduler_.RunUntilIdle();
  }

  SimulatedScheduler scheduler_;
  ScriptedCluster cluster_;
  NoJitter random_;
  std::string log_;
  Informer informer_{{.scheduler = &scheduler_,
                      .cluster = &cluster_,
                      .kind = PodKind(),
                      .ns = "default",
                      .label_selector = "",
                      .random = &random_,
                      .indexes = {{"owner", [](const Object& object) { return object.controller_uid(); }}}}};
};

TEST(CompareVersions, AreNumbersOfAnyLength) {
  EXPECT_LT(CompareVersions("9", "10"), 0);
  EXPECT_GT(CompareVersions("100000000000000000000001", "99999999999999999999999"), 0);
  EXPECT_EQ(CompareVersions("7", "7"), 0);
}

TEST_F(InformerTest, ListsInPagesThenWatchesFromTheFirstPagesVersion) {
  Start();
  EXPECT_EQ(cluster_.lists.front().options.limit, Informer::kPageSize);
  Listed({Pod("a", 3)}, 10, "more");
  EXPECT_EQ(TakeLog(), "") << "half a list is not a state";
  EXPECT_EQ(cluster_.lists.front().options.continue_token, "more");
  Listed({Pod("b", 4)}, 10);
  EXPECT_EQ(TakeLog(), "+a@3 +b@4 synced ");
  EXPECT_EQ(cluster_.watches.back().options.resource_version, "10");
}

TEST_F(InformerTest, FollowsTheWatch) {
  Start();
  Listed({Pod("a", 3)}, 10);
  TakeLog();
  Event(WatchEventType::kAdded, Pod("b", 11));
  Event(WatchEventType::kModified, Pod("a", 12));
  Event(WatchEventType::kDeleted, Pod("a", 13));
  EXPECT_EQ(TakeLog(), "+b@11 ~a@12 -a@12 ");
  EXPECT_EQ(informer_.Get("a"), nullptr);
  EXPECT_EQ(informer_.size(), 1u);
}

TEST_F(InformerTest, ResumesWhereItWasAfterTheServerClosedTheWatch) {
  Start();
  Listed({}, 10);
  Event(WatchEventType::kAdded, Pod("a", 11));
  Event(WatchEventType::kBookmark, Pod("", 20));
  EndWatch(absl::OkStatus());
  ASSERT_EQ(cluster_.watches.size(), 2u);
  EXPECT_EQ(cluster_.watches.back().options.resource_version, "20");
  EXPECT_TRUE(cluster_.lists.empty()) << "nothing was missed: nothing is listed";
}

TEST_F(InformerTest, AWatchThatEndsAtOnceIsNotOpenedInATightLoop) {
  Start();
  Listed({}, 10);
  EndWatch(absl::OkStatus());
  EXPECT_EQ(cluster_.watches.size(), 1u);
  scheduler_.Advance(Informer::kFirstBackoff);
  EXPECT_EQ(cluster_.watches.size(), 2u);
  EndWatch(absl::UnavailableError("refused"));
  scheduler_.Advance(Informer::kFirstBackoff);
  EXPECT_EQ(cluster_.watches.size(), 2u);
  scheduler_.Advance(Informer::kFirstBackoff);
  EXPECT_EQ(cluster_.watches.size(), 3u) << "twice as long the second time";
}

TEST_F(InformerTest, GoneListsAgainAndSynthesizesWhatWasMissed) {
  Start();
  Listed({Pod("a", 3), Pod("b", 4), Pod("c", 5)}, 10);
  TakeLog();
  EndWatch(absl::OutOfRangeError("too old"));
  EXPECT_EQ(cluster_.lists.front().options.resource_version, "");
  Listed({Pod("b", 4), Pod("c", 15), Pod("d", 16)}, 20);
  EXPECT_EQ(TakeLog(), "-a@3 ~c@15 +d@16 ");
  EXPECT_EQ(cluster_.watches.back().options.resource_version, "20");
}

TEST_F(InformerTest, GoneAgainAndAgainBacksOff) {
  Start();
  Listed({}, 10);
  EndWatch(absl::OutOfRangeError("too old"));
  Listed({}, 20);
  EndWatch(absl::OutOfRangeError("too old"));
  EXPECT_TRUE(cluster_.lists.empty());
  scheduler_.Advance(Informer::kMaxBackoff);
  EXPECT_EQ(cluster_.lists.size(), 1u);
}

TEST_F(InformerTest, AnExpiredPageBeginsAnewWithEverythingAtOnce) {
  Start();
  Listed({Pod("a", 3)}, 10, "more");
  AnswerList(absl::OutOfRangeError("the continue token has expired"));
  EXPECT_EQ(cluster_.lists.front().options.limit, 0);
  EXPECT_EQ(cluster_.lists.front().options.continue_token, "");
  Listed({Pod("a", 3)}, 30);
  EXPECT_EQ(TakeLog(), "+a@3 synced ");
}

TEST_F(InformerTest, AListThatFailsIsTriedAgainWithBackOff) {
  Start();
  std::vector<absl::Duration> waits;
  for (int i = 0; i < 8; ++i) {
    const absl::Time failed = scheduler_.Now();
    AnswerList(absl::UnavailableError("down"));
    while (cluster_.lists.empty()) scheduler_.Advance(absl::Milliseconds(100));
    waits.push_back(scheduler_.Now() - failed);
  }
  EXPECT_EQ(waits[0], absl::Milliseconds(800));
  EXPECT_EQ(waits[1], absl::Milliseconds(1600));
  EXPECT_EQ(waits[7], Informer::kMaxBackoff);
  EXPECT_FALSE(informer_.synced());
}

TEST_F(InformerTest, OwnWritesAreReadBackAndNotUndoneByOlderNews) {
  Start();
  Listed({Pod("a", 3)}, 10);
  TakeLog();
  informer_.Upsert(Pod("a", 14));
  Event(WatchEventType::kModified, Pod("a", 12));
  EXPECT_EQ(informer_.Get("a")->resource_version(), "14");
  Event(WatchEventType::kModified, Pod("a", 14));
  EXPECT_EQ(TakeLog(), "~a@14 ") << "told once";
}

TEST_F(InformerTest, AnAnswerThatTheWatchHasOvertakenDoesNotRaiseTheDead) {
  Start();
  Listed({}, 10);
  Event(WatchEventType::kAdded, Pod("a", 11));
  Event(WatchEventType::kDeleted, Pod("a", 12));
  TakeLog();
  informer_.Upsert(Pod("a", 11));  // the answer to the create comes late
  EXPECT_EQ(TakeLog(), "");
  EXPECT_EQ(informer_.Get("a"), nullptr);
}

TEST_F(InformerTest, AListThatIsOlderThanAnOwnWriteDoesNotLoseIt) {
  Start();
  Listed({}, 10);
  EndWatch(absl::OutOfRangeError("too old"));
  informer_.Upsert(Pod("a", 25));
  Listed({}, 20);
  EXPECT_NE(informer_.Get("a"), nullptr);
}

TEST_F(InformerTest, AnotherObjectOfTheSameNameIsADeletionAndAnAddition) {
  Start();
  Listed({Pod("a", 3, "one")}, 10);
  TakeLog();
  Event(WatchEventType::kAdded, Pod("a", 12, "two"));
  EXPECT_EQ(TakeLog(), "-a@3 +a@12 ");
  Event(WatchEventType::kDeleted, Pod("a", 13, "one"));
  EXPECT_NE(informer_.Get("a"), nullptr) << "the one that was deleted is the first";
}

TEST_F(InformerTest, IndexesFollow) {
  Start();
  Listed({Pod("a", 3, "", "x"), Pod("b", 4, "", "x"), Pod("c", 5)}, 10);
  EXPECT_EQ(informer_.ByIndex("owner", "x-uid").size(), 2u);
  Event(WatchEventType::kModified, Pod("a", 11, "", "y"));
  EXPECT_EQ(informer_.ByIndex("owner", "x-uid").size(), 1u);
  EXPECT_EQ(informer_.ByIndex("owner", "y-uid").size(), 1u);
  Event(WatchEventType::kDeleted, Pod("a", 12, "", "y"));
  EXPECT_TRUE(informer_.ByIndex("owner", "y-uid").empty());
}

TEST_F(InformerTest, WhatAnEndedWatchStillSaysIsNotHeard) {
  Start();
  Listed({}, 10);
  EndWatch(absl::OutOfRangeError("too old"));
  cluster_.watches.back().callbacks.on_event({WatchEventType::kAdded, Pod("ghost", 11)});
  scheduler_.RunUntilIdle();
  EXPECT_EQ(informer_.Get("ghost"), nullptr);
}

TEST(Informer, MayBeDestroyedWhileTheClusterStillAnswers) {
  SimulatedScheduler scheduler;
  ScriptedCluster cluster;
  NoJitter random;
  {
    Informer informer({.scheduler = &scheduler, .cluster = &cluster, .kind = PodKind(), .ns = "default",
                       .label_selector = "", .random = &random, .indexes = {}});
    informer.Start({});
  }
  cluster.lists.front().done(ObjectList{{Pod("a", 1)}, "1", ""});
  scheduler.RunUntilIdle();
}

}  // namespace
}  // namespace unmcp::kube
