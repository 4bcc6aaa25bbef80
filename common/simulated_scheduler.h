// A Scheduler for tests: nothing happens, and no time passes, until the test
// says so.
#ifndef UNMCP_COMMON_SIMULATED_SCHEDULER_H_
#define UNMCP_COMMON_SIMULATED_SCHEDULER_H_

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "common/mutex.h"
#include "common/scheduler.h"

namespace unmcp {

// Example:
//
//   SimulatedScheduler scheduler;
//   Component component(&scheduler);
//   scheduler.RunUntilIdle();
//   scheduler.Advance(absl::Seconds(60));   // fires due timers in order
class SimulatedScheduler final : public Scheduler {
 public:
  explicit SimulatedScheduler(absl::Time start = absl::FromUnixSeconds(1'750'000'000)) : now_(start) {}

  absl::Time Now() const override {
    MutexLock lock(&mutex_);
    return now_;
  }
  void Post(Task task) override {
    MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
  }
  TimerId After(absl::Duration delay, Task task) override {
    MutexLock lock(&mutex_);
    timers_.emplace(std::make_pair(now_ + delay, ++last_timer_), std::move(task));
    return last_timer_;
  }
  void Cancel(TimerId id) override {
    MutexLock lock(&mutex_);
    for (auto it = timers_.begin(); it != timers_.end(); ++it) {
      if (it->first.second == id) {
        timers_.erase(it);
        return;
      }
    }
  }

  // Runs posted tasks until there are none.
  void RunUntilIdle() {
    while (true) {
      Task task;
      {
        MutexLock lock(&mutex_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  // Moves time forward, running each timer at its own time.
  void Advance(absl::Duration by) {
    const absl::Time end = Now() + by;
    while (true) {
      RunUntilIdle();
      Task task;
      {
        MutexLock lock(&mutex_);
        auto first = timers_.begin();
        if (first == timers_.end() || first->first.first > end) {
          now_ = end;
          break;
        }
        now_ = std::max(now_, first->first.first);
        task = std::move(first->second);
        timers_.erase(first);
      }
      task();
    }
    RunUntilIdle();
  }

  bool has_timers() const {
    MutexLock lock(&mutex_);
    return !timers_.empty();
  }

 private:
  mutable Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<absl::Time, TimerId>, Task> timers_ ABSL_GUARDED_BY(mutex_);
  TimerId last_timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace unmcp

#endif  // UNMCP_COMMON_SIMULATED_SCHEDULER_H_
