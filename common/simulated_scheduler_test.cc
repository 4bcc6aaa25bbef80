#include "common/simulated_scheduler.h"

#include <vector>

#include "gtest/gtest.h"

namespace unmcp {
namespace {

TEST(SimulatedScheduler, TimersSeeTheirOwnTime) {
  SimulatedScheduler scheduler;
  const absl::Time start = scheduler.Now();
  std::vector<absl::Duration> seen;
  scheduler.After(absl::Seconds(5), [&] { seen.push_back(scheduler.Now() - start); });
  scheduler.After(absl::Seconds(1), [&] {
    seen.push_back(scheduler.Now() - start);
    scheduler.After(absl::Seconds(1), [&] { seen.push_back(scheduler.Now() - start); });
  });
  scheduler.Advance(absl::Seconds(4));
  EXPECT_EQ(seen, (std::vector<absl::Duration>{absl::Seconds(1), absl::Seconds(2)}));
  EXPECT_TRUE(scheduler.has_timers());
  scheduler.Advance(absl::Seconds(1));
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_EQ(scheduler.Now() - start, absl::Seconds(5));
}

TEST(SimulatedScheduler, CancelledTimersDoNotRun) {
  SimulatedScheduler scheduler;
  bool ran = false;
  scheduler.Cancel(scheduler.After(absl::Seconds(1), [&] { ran = true; }));
  scheduler.Advance(absl::Seconds(2));
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace unmcp
