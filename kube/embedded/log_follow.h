// One follower of a container's log: between the node's thread, which must not
// wait, and the cluster's, on which the follower's callbacks run.
#ifndef UNMCP_KUBE_EMBEDDED_LOG_FOLLOW_H_
#define UNMCP_KUBE_EMBEDDED_LOG_FOLLOW_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "common/scheduler.h"
#include "kube/cluster.h"
#include "kube/embedded/node_runtime.h"

namespace unmcp::kube {

// Cuts what is appended into lines, and hands them over on `scheduler`, as many
// as have come since the last time. What waits is bounded: when the scheduler
// does not get round to it, the oldest lines go, and "… N lines dropped" comes
// in their place.
//
//   auto follow = std::make_shared<LogFollow>(&loop, std::move(callbacks));
//   node->FollowLogs(uid, options, follow);
//   …
//   follow->Cancel();    // when the follower's Watch is destroyed
//
// Thread safety: thread safe. `scheduler` outlives it.
class LogFollow final : public LogSink, public std::enable_shared_from_this<LogFollow> {
 public:
  // As much as a container's whole log on the embedded node.
  static constexpr size_t kMaxWaitingBytes = 256 * 1024;
  // A longer line is delivered in lines of this length, as a kubelet does.
  static constexpr size_t kMaxLineBytes = 16 * 1024;

  LogFollow(Scheduler* scheduler, LogCallbacks callbacks);

  void Append(absl::string_view bytes) override ABSL_LOCKS_EXCLUDED(mutex_);
  // A line that is not complete is delivered as one.
  void End(absl::Status why) override ABSL_LOCKS_EXCLUDED(mutex_);
  bool cancelled() const override ABSL_LOCKS_EXCLUDED(mutex_);

  // No callback starts after this; one that runs on another thread may finish.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void AddLine() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ScheduleDelivery() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Deliver() ABSL_LOCKS_EXCLUDED(mutex_);

  Scheduler* const scheduler_;
  LogCallbacks callbacks_;  // used on the scheduler alone

  mutable Mutex mutex_;
  std::string line_ ABSL_GUARDED_BY(mutex_);  // that has no end yet
  std::deque<std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  bool scheduled_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_LOG_FOLLOW_H_
