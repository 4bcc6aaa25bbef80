// A serial executor that knows the time: the one seam between our logic and
// threads, clocks and sleeping.
//
// Components are written as single-threaded objects that live on one
// Scheduler: all of their methods are called, and all of their callbacks run,
// on it. That is why they need no mutex. Work from another thread enters with
// Post. Tests run the same objects on a SimulatedScheduler, where time moves
// only when the test says so.
#ifndef UNMCP_COMMON_SCHEDULER_H_
#define UNMCP_COMMON_SCHEDULER_H_

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace unmcp {

class Scheduler {
 public:
  using Task = absl::AnyInvocable<void()>;
  // 0 is never the id of a timer.
  using TimerId = uint64_t;

  virtual ~Scheduler() = default;

  // Wall-clock time. Thread safe.
  virtual absl::Time Now() const = 0;

  // Runs `task` on the scheduler after everything posted before it. Thread
  // safe. Tasks posted after the scheduler stopped are destroyed unrun.
  virtual void Post(Task task) = 0;

  // Runs `task` once, `delay` from now (by a monotonic clock). Only on the
  // scheduler's own thread.
  virtual TimerId After(absl::Duration delay, Task task) = 0;

  // Makes sure that the timer's task does not run. An id that has fired, was
  // cancelled or is 0 is ignored. Only on the scheduler's own thread.
  virtual void Cancel(TimerId id) = 0;
};

// Cancels its timer when destroyed or set anew. For members: a component that
// owns its Timers can be destroyed while they are pending.
class Timer {
 public:
  explicit Timer(Scheduler* scheduler) : scheduler_(scheduler) {}
  ~Timer() { Cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void Set(absl::Duration delay, Scheduler::Task task) {
    Cancel();
    id_ = scheduler_->After(delay, [this, task = std::move(task)]() mutable {
      id_ = 0;
      // The task may destroy this Timer: it is moved out before it runs.
      auto run = std::move(task);
      run();
    });
  }
  void Cancel() {
    if (id_ != 0) scheduler_->Cancel(id_);
    id_ = 0;
  }
  bool pending() const { return id_ != 0; }

 private:
  Scheduler* const scheduler_;
  Scheduler::TimerId id_ = 0;
};

}  // namespace unmcp

#endif  // UNMCP_COMMON_SCHEDULER_H_
