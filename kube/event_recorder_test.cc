#include "kube/event_recorder.h"

#include <deque>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/simulated_scheduler.h"
#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

class CountingRandom final : public Random {
 public:
  std::string Id128() override {
    std::string id(32, '0');
    const std::string number = absl::StrCat(++next_);
    return id.replace(0, number.size(), number);
  }
  double Uniform() override { return 0; }

 private:
  int next_ = 1000;
};

// Keeps events as an API server would; answers at once, or not at all.
class EventStore final : public Cluster {
 public:
  void Create(const Kind&, Object object, Callback<Object> done) override {
    ++writes;
    if (silent) {
      unanswered.push_back(std::move(done));
      return;
    }
    events[object.name()] = object.json();
    done(object);
  }
  void Patch(const ObjectRef& ref, Json patch, PatchOptions, Callback<Object> done) override {
    ++writes;
    events[ref.name].merge_patch(patch);
    done(Object(events[ref.name]));
  }
  void Get(const ObjectRef&, Callback<Object>) override {}
  void List(const Kind&, const std::string&, ListOptions, Callback<ObjectList>) override {}
  void Delete(const ObjectRef&, DeleteOptions, DoneCallback) override {}
  std::unique_ptr<Watch> StartWatch(const Kind&, const std::string&, WatchOptions, WatchCallbacks) override {
    return nullptr;
  }
  void Attach(const ObjectRef&, AttachOptions, Callback<std::unique_ptr<Attachment>>) override {}
  void Logs(const ObjectRef&, LogOptions, Callback<std::string>) override {}
  std::unique_ptr<Watch> FollowLogs(const ObjectRef&, LogOptions, LogCallbacks) override { return nullptr; }

  std::map<std::string, Json> events;
  std::deque<Callback<Object>> unanswered;
  bool silent = false;
  int writes = 0;
};

class EventRecorderTest : public testing::Test {
 protected:
  void Record(const std::string& reason, const std::string& message, const std::string& name = "a") {
    Object about(MCPServerKind(), "default", name);
    about.json()["metadata"]["uid"] = name + "-uid";
    recorder_.Record(about, EventType::kNormal, reason, message);
    scheduler_.RunUntilIdle();
  }

  SimulatedScheduler scheduler_;
  CountingRandom random_;
  EventStore store_;
  EventRecorder recorder_{
      {.scheduler = &scheduler_, .cluster = &store_, .random = &random_, .component = "unmcp-controller"}};
};

TEST_F(EventRecorderTest, SaysWhoWhatAndWhy) {
  Record("Started", "a client asked for it");
  ASSERT_EQ(store_.events.size(), 1u);
  const Json& event = store_.events.begin()->second;
  EXPECT_EQ(event["involvedObject"]["kind"], "MCPServer");
  EXPECT_EQ(event["involvedObject"]["apiVersion"], "unmcp.dev/v1");
  EXPECT_EQ(event["involvedObject"]["name"], "a");
  EXPECT_EQ(event["involvedObject"]["uid"], "a-uid");
  EXPECT_EQ(event["type"], "Normal");
  EXPECT_EQ(event["reason"], "Started");
  EXPECT_EQ(event["message"], "a client asked for it");
  EXPECT_EQ(event["count"], 1);
  EXPECT_EQ(event["source"]["component"], "unmcp-controller");
}

TEST_F(EventRecorderTest, TheSameAgainIsCounted) {
  for (int i = 0; i < 3; ++i) Record("Started", "a client asked for it");
  ASSERT_EQ(store_.events.size(), 1u);
  EXPECT_EQ(store_.events.begin()->second["count"], 3);
  Record("Started", "a client asked for it", "b");
  EXPECT_EQ(store_.events.size(), 2u) << "another object's event is another event";
}

TEST_F(EventRecorderTest, ManySimilarOnesAreCombined) {
  for (int i = 0; i < 20; ++i) Record("Failed", absl::StrCat("attempt ", i));
  EXPECT_EQ(store_.events.size(), static_cast<size_t>(EventRecorder::kSimilarBeforeCombined));
  int combined = 0;
  for (const auto& [name, event] : store_.events) {
    if (event["message"].get<std::string>().find("combined") == std::string::npos) continue;
    ++combined;
    EXPECT_EQ(event["count"], 11);
    EXPECT_EQ(event["message"], "(combined from similar events): attempt 19");
  }
  EXPECT_EQ(combined, 1);
}

TEST_F(EventRecorderTest, AnObjectHasABudgetThatRefills) {
  for (int i = 0; i < 100; ++i) Record(absl::StrCat("Reason", i), "x");
  EXPECT_EQ(store_.writes, 25);
  EXPECT_EQ(recorder_.dropped(), 75);
  Record("Other", "x", "b");
  EXPECT_EQ(store_.writes, 26) << "one object's noise does not silence another";
  scheduler_.Advance(EventRecorder::kRefillEvery);
  Record("Later", "x");
  Record("Later2", "x");
  EXPECT_EQ(store_.writes, 27);
}

TEST_F(EventRecorderTest, ASlowClusterCostsItsBoundAndNoMore) {
  store_.silent = true;
  for (int i = 0; i < 2000; ++i) Record("Started", "x", absl::StrCat("server-", i));
  EXPECT_EQ(store_.writes, 1) << "one write at a time";
  EXPECT_EQ(recorder_.dropped(), 2000 - 1 - static_cast<int64_t>(EventRecorder::kMaxQueued));
}

TEST_F(EventRecorderTest, AFailedWriteIsDroppedAndTheNextOneGoesOn) {
  store_.silent = true;
  Record("Started", "x");
  Record("Ready", "x");
  store_.silent = false;
  store_.unanswered.front()(absl::UnavailableError("down"));
  scheduler_.RunUntilIdle();
  ASSERT_EQ(store_.events.size(), 1u);
  EXPECT_EQ(store_.events.begin()->second["reason"], "Ready");
  EXPECT_EQ(recorder_.dropped(), 1);
}

TEST_F(EventRecorderTest, LongMessagesAreCutBetweenCharacters) {
  std::string message(1020, 'x');
  message += "ééééé";
  Record("Failed", message);
  const std::string written = store_.events.begin()->second["message"];
  EXPECT_LE(written.size(), 1024u);
  EXPECT_EQ(written.substr(written.size() - 3), "...");
  EXPECT_NO_THROW(store_.events.begin()->second.dump()) << "it is UTF-8 still";
}

}  // namespace
}  // namespace unmcp::kube
