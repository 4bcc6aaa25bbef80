#include "common/event_loop.h"

#include <vector>

#include "common/mutex.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

TEST(EventLoop, RunsTasksInOrderOnItsOwnThread) {
  EventLoop loop("test");
  std::vector<int> order;
  Notification done;
  bool on_loop = false;
  loop.Post([&] { order.push_back(1); });
  loop.Post([&] { order.push_back(2); });
  loop.Post([&] {
    on_loop = loop.OnLoop();
    done.Notify();
  });
  loop.Start();
  done.Wait();
  loop.Stop();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_TRUE(on_loop);
  EXPECT_FALSE(loop.OnLoop());
}

TEST(EventLoop, TimersFireInOrderAndCancelledOnesDoNot) {
  EventLoop loop("test");
  std::vector<int> order;
  Notification done;
  loop.Post([&] {
    loop.After(absl::Milliseconds(20), [&] {
      order.push_back(2);
      done.Notify();
    });
    loop.After(absl::Milliseconds(1), [&] { order.push_back(1); });
    const auto cancelled = loop.After(absl::Milliseconds(5), [&] { order.push_back(99); });
    loop.Cancel(cancelled);
    loop.Cancel(cancelled);
    loop.Cancel(0);
  });
  loop.Start();
  done.Wait();
  loop.Stop();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(EventLoop, ATimerMemberCancelsWhenItsOwnerGoes) {
  EventLoop loop("test");
  bool fired = false;
  Notification done;
  loop.Post([&] {
    auto timer = std::make_unique<Timer>(&loop);
    timer->Set(absl::ZeroDuration(), [&] { fired = true; });
    timer.reset();
    loop.After(absl::Milliseconds(1), [&] { done.Notify(); });
  });
  loop.Start();
  done.Wait();
  loop.Stop();
  EXPECT_FALSE(fired);
}

TEST(EventLoop, PollersRunAfterEventsUntilTheyAreIdle) {
  EventLoop loop("test");
  int work = 0, calls = 0;
  Notification done;
  loop.AddPoller([&] {
    ++calls;
    if (work == 0) return false;
    if (--work == 0) done.Notify();
    return true;
  });
  loop.Post([&] { work = 3; });
  loop.Start();
  done.Wait();
  loop.Stop();
  EXPECT_GE(calls, 3);
}

TEST(EventLoop, StoppedBeforeItStartedAndTwice) {
  EventLoop loop("test");
  loop.Stop();
  loop.Stop();
}

}  // namespace
}  // namespace unmcp
