// gRPC's completion queues, driven by an EventLoop: within one process with no
// thread of their own, and no hop between threads.
#ifndef UNMCP_LINK_COMPLETION_H_
#define UNMCP_LINK_COMPLETION_H_

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "grpcpp/completion_queue.h"

namespace unmcp::link {

// The tag of one kind of operation on one stream. Reused: at most one
// operation with a tag is under way, which is gRPC's rule for streams anyway.
class Completion {
 public:
  using Function = absl::AnyInvocable<void(bool ok)>;
  explicit Completion(Function run) : run_(std::move(run)) {}
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  // To be passed to gRPC. Balanced by one Complete.
  void* Begin() {
    pending_ = true;
    return this;
  }
  void Complete(bool ok) {
    pending_ = false;
    run_(ok);
  }
  bool pending() const { return pending_; }

 private:
  Function run_;
  bool pending_ = false;
};

// Drains one completion queue on one EventLoop. Both ends of an in-process Link
// share one, and then no other thread takes part in an exchange.
//
// Asking an empty queue costs a trip into the kernel (gRPC waits, if only for a
// time that is over, and 1.51 does that on a condition variable). So it is
// asked only when something is known to be there, and else once a tick, for
// what other threads have completed (cancellation, a peer that is not in this
// process).
//
// A Link to another process would wait for those ticks: there the queue has a
// thread (StartThread), which waits on it, and brings the loop what completed.
//
// Lives on the loop; made and destroyed while the loop does not run.
class CompletionDriver {
 public:
  // As often as the loop wakes by itself.
  static constexpr absl::Duration kTick = absl::Milliseconds(20);

  CompletionDriver(EventLoop* loop, std::unique_ptr<grpc::CompletionQueue> queue)
      : loop_(loop), queue_(std::move(queue)) {
    loop->AddPoller([this] { return Drain(); });
  }
  ~CompletionDriver() { Shutdown(); }

  grpc::CompletionQueue* queue() { return queue_.get(); }

  // Before the loop starts; of a server's queue, after its server has.
  void StartThread() {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "completions");
      void* tag = nullptr;
      bool ok = false;
      while (queue_->Next(&tag, &ok)) Bring({static_cast<Completion*>(tag), ok});
      Bring({});
    });
  }

  // So many operations have just completed within this process: a write, and
  // with it the peer's read. A hint; too many cost one futile question.
  void Expect(int completions) { expected_ += completions; }

  // Ends the queue. Nothing begins operations on it any more, and the server
  // whose queue it is has been shut down, and still exists. Idempotent.
  void Shutdown() {
    if (std::exchange(shut_down_, true)) return;
    queue_->Shutdown();
    FinishWhile([] { return true; });
    if (thread_.joinable()) thread_.join();
  }

  // Runs what completes for as long as `busy`. For the time after the loop has
  // stopped.
  void FinishWhile(absl::FunctionRef<bool()> busy) {
    if (thread_.joinable()) return FinishBroughtWhile(busy);
    void* tag = nullptr;
    bool ok = false;
    while (busy() && queue_->Next(&tag, &ok)) static_cast<Completion*>(tag)->Complete(ok);
  }

 private:
  // Null: the queue has ended.
  struct Completed {
    Completion* completion = nullptr;
    bool ok = false;
  };

  // On the queue's thread.
  void Bring(Completed completed) {
    const std::lock_guard<std::mutex> lock(mutex_);
    brought_.push_back(completed);
    if (brought_.size() > 1) return;
    loop_->Post([] {});  // pollers run after it
    has_brought_.notify_one();
  }

  bool DrainBrought() {
    std::deque<Completed> brought;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      brought.swap(brought_);
    }
    for (const Completed& completed : brought) {
      if (completed.completion != nullptr) completed.completion->Complete(completed.ok);
    }
    return !brought.empty();
  }

  void FinishBroughtWhile(absl::FunctionRef<bool()> busy) {
    while (busy()) {
      Completed completed;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        has_brought_.wait(lock, [this] { return !brought_.empty(); });
        completed = brought_.front();
        brought_.pop_front();
      }
      if (completed.completion == nullptr) return;
      completed.completion->Complete(completed.ok);
    }
  }

  bool Drain() {
    if (thread_.joinable()) return DrainBrought();
    const absl::Time now = absl::Now();
    const bool tick = now - last_tick_ >= kTick || now < last_tick_;
    if (tick) last_tick_ = now;
    bool worked = false;
    void* tag = nullptr;
    bool ok = false;
    while (expected_ > 0 || tick) {
      if (queue_->AsyncNext(&tag, &ok, gpr_time_0(GPR_CLOCK_MONOTONIC)) != grpc::CompletionQueue::GOT_EVENT) {
        expected_ = 0;
        break;
      }
      if (expected_ > 0) --expected_;
      static_cast<Completion*>(tag)->Complete(ok);
      worked = true;
    }
    return worked;
  }

  EventLoop* const loop_;
  const std::unique_ptr<grpc::CompletionQueue> queue_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable has_brought_;
  std::deque<Completed> brought_;  // guarded by mutex_
  int expected_ = 0;
  absl::Time last_tick_ = absl::InfinitePast();
  bool shut_down_ = false;
};

}  // namespace unmcp::link

#endif  // UNMCP_LINK_COMPLETION_H_
