// Drives a gRPC completion queue from an EventLoop: no thread of its own, no
// hop between threads.
#ifndef UNMCP_LINK_COMPLETION_H_
#define UNMCP_LINK_COMPLETION_H_

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
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

// Runs what has completed, without waiting. Returns whether anything had.
inline bool DrainCompletions(grpc::CompletionQueue* queue) {
  bool worked = false;
  void* tag = nullptr;
  bool ok = false;
  while (queue->AsyncNext(&tag, &ok, gpr_time_0(GPR_CLOCK_MONOTONIC)) == grpc::CompletionQueue::GOT_EVENT) {
    static_cast<Completion*>(tag)->Complete(ok);
    worked = true;
  }
  return worked;
}

// Ends a queue whose loop has stopped: runs what completes for as long as
// `busy` says that operations are under way (their callbacks may start more,
// which a queue that is shut down would not take), then shuts it down.
inline void FinishCompletions(grpc::CompletionQueue* queue, absl::FunctionRef<bool()> busy) {
  void* tag = nullptr;
  bool ok = false;
  while (busy() && queue->Next(&tag, &ok)) static_cast<Completion*>(tag)->Complete(ok);
  queue->Shutdown();
  while (queue->Next(&tag, &ok)) static_cast<Completion*>(tag)->Complete(ok);
}

}  // namespace unmcp::link

#endif  // UNMCP_LINK_COMPLETION_H_
