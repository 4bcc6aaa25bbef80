#include "kube/work_queue.h"

#include <string>
#include <vector>

#include "common/simulated_scheduler.h"
#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

class WorkQueueTest : public testing::Test {
 protected:
  void Run() { scheduler_.RunUntilIdle(); }
  // What was begun since the last call.
  std::vector<std::string> Begun() { return std::exchange(begun_, {}); }

  SimulatedScheduler scheduler_;
  std::vector<std::string> begun_;
  WorkQueue queue_{{.scheduler = &scheduler_, .process = [this](const std::string& key) { begun_.push_back(key); },
                    .max_concurrent = 2}};
};

using Keys = std::vector<std::string>;

TEST_F(WorkQueueTest, ManyAddsOneLook) {
  queue_.Add("a");
  queue_.Add("a");
  EXPECT_TRUE(begun_.empty()) << "Add itself must not run the work";
  Run();
  EXPECT_EQ(Begun(), Keys{"a"});
}

TEST_F(WorkQueueTest, TellsHowManyKeysCameAndHowLongTheyWaited) {
  int added = 0;
  std::vector<absl::Duration> waited;
  WorkQueue queue({.scheduler = &scheduler_,
                   .process = [](const std::string&) {},
                   .max_concurrent = 1,
                   .on_added = [&] { ++added; },
                   .on_begun = [&](absl::Duration time) { waited.push_back(time); }});
  queue.Add("a");
  queue.Add("b");
  queue.Add("b", WorkQueue::kHigh);
  EXPECT_EQ(added, 2);
  Run();
  scheduler_.Advance(absl::Seconds(3));
  queue.Done("b");
  Run();
  EXPECT_EQ(waited, (std::vector<absl::Duration>{absl::ZeroDuration(), absl::Seconds(3)}));
}

TEST_F(WorkQueueTest, NeverTwoWorkersOnOneKey) {
  queue_.Add("a");
  Run();
  queue_.Add("a");
  queue_.Add("a");
  Run();
  EXPECT_EQ(Begun(), Keys{"a"});
  queue_.Done("a");
  Run();
  EXPECT_EQ(Begun(), Keys{"a"});
  queue_.Done("a");
  Run();
  EXPECT_EQ(Begun(), Keys{});
}

TEST_F(WorkQueueTest, HighestPriorityThenFirstCome) {
  queue_.Add("low", WorkQueue::kLow);
  queue_.Add("one");
  queue_.Add("two");
  queue_.Add("raised", WorkQueue::kLow);
  queue_.Add("raised", WorkQueue::kHigh);
  queue_.Add("raised", WorkQueue::kLow);
  Run();
  EXPECT_EQ(Begun(), (Keys{"raised", "one"}));
  queue_.Done("raised");
  queue_.Done("one");
  Run();
  EXPECT_EQ(Begun(), (Keys{"two", "low"}));
}

TEST_F(WorkQueueTest, NoMoreAtOnceThanAllowed) {
  for (const char* key : {"a", "b", "c"}) queue_.Add(key);
  Run();
  EXPECT_EQ(Begun(), (Keys{"a", "b"}));
  EXPECT_EQ(queue_.depth(), 1u);
  queue_.Done("b");
  Run();
  EXPECT_EQ(Begun(), Keys{"c"});
}

TEST_F(WorkQueueTest, TheLatestAppointmentCountsAndWorkCancelsIt) {
  queue_.AddAfter("a", absl::Seconds(10));
  queue_.AddAfter("a", absl::Seconds(20));
  scheduler_.Advance(absl::Seconds(19));
  EXPECT_EQ(Begun(), Keys{});
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(Begun(), Keys{"a"});
  queue_.Done("a");

  queue_.AddAfter("a", absl::Seconds(10));
  queue_.Add("a");
  Run();
  queue_.Done("a");
  EXPECT_EQ(Begun(), Keys{"a"});
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_EQ(Begun(), Keys{});
}

TEST_F(WorkQueueTest, BackOffDoublesToItsCapUntilForgotten) {
  std::vector<absl::Duration> waits;
  queue_.Add("a");
  Run();
  for (int i = 0; i < 16; ++i) {
    begun_.clear();
    const absl::Time failed = scheduler_.Now();
    queue_.Retry("a");
    queue_.Done("a");
    while (begun_.empty()) scheduler_.Advance(absl::Milliseconds(5));
    waits.push_back(scheduler_.Now() - failed);
  }
  EXPECT_EQ(waits[0], absl::Milliseconds(5));
  EXPECT_EQ(waits[1], absl::Milliseconds(10));
  EXPECT_EQ(waits[5], absl::Milliseconds(160));
  EXPECT_EQ(waits[15], WorkQueue::kMaxRetry);
  queue_.Forget("a");
  begun_.clear();
  queue_.Retry("a");
  queue_.Done("a");
  scheduler_.Advance(absl::Milliseconds(5));
  EXPECT_EQ(Begun(), Keys{"a"});
}

TEST_F(WorkQueueTest, NothingBeginsAfterShutdown) {
  queue_.Add("a");
  queue_.AddAfter("b", absl::Seconds(1));
  queue_.Shutdown();
  queue_.Add("c");
  scheduler_.Advance(absl::Seconds(5));
  EXPECT_EQ(Begun(), Keys{});
}

TEST(WorkQueue, MayBeDestroyedWithWorkPosted) {
  SimulatedScheduler scheduler;
  int begun = 0;
  {
    WorkQueue queue({.scheduler = &scheduler, .process = [&](const std::string&) { ++begun; }});
    queue.Add("a");
    queue.AddAfter("b", absl::Seconds(1));
  }
  scheduler.Advance(absl::Seconds(5));
  EXPECT_EQ(begun, 0);
}

}  // namespace
}  // namespace unmcp::kube
