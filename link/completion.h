// gRPC's completion queues, driven by an EventLoop: no thread of their own, no
// hop between threads.
#ifndef UNMCP_LINK_COMPLETION_H_
#define UNMCP_LINK_COMPLETION_H_

#include <memory>
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
// Lives on the loop; made and destroyed while the loop does not run.
class CompletionDriver {
 public:
  // As often as the loop wakes by itself.
  static constexpr absl::Duration kTick = absl::Milliseconds(20);

  CompletionDriver(EventLoop* loop, std::unique_ptr<grpc::CompletionQueue> queue) : queue_(std::move(queue)) {
    loop->AddPoller([this] { return Drain(); });
  }
  ~CompletionDriver() { Shutdown(); }

  grpc::CompletionQueue* queue() { return queue_.get(); }

  // So many operations have just completed within this process: a write, and
  // with it the peer's read. A hint; too many cost one futile question.
  void Expect(int completions) { expected_ += completions; }

  // Ends the queue. Nothing begins operations on it any more, and the server
  // whose queue it is has been shut down, and still exists. Idempotent.
  void Shutdown() {
    if (std::exchange(shut_down_, true)) return;
    queue_->Shutdown();
    FinishWhile([] { return true; });
  }

  // Runs what completes for as long as `busy`. For the time after the loop has
  // stopped.
  void FinishWhile(absl::FunctionRef<bool()> busy) {
    void* tag = nullptr;
    bool ok = false;
    while (busy() && queue_->Next(&tag, &ok)) static_cast<Completion*>(tag)->Complete(ok);
  }

 private:
  bool Drain() {
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

  const std::unique_ptr<grpc::CompletionQueue> queue_;
  int expected_ = 0;
  absl::Time last_tick_ = absl::InfinitePast();
  bool shut_down_ = false;
};

}  // namespace unmcp::link

#endif  // UNMCP_LINK_COMPLETION_H_
