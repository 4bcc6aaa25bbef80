// The calls that a SocketCluster has under way.
#ifndef UNMCP_KUBE_SOCKET_CALLS_H_
#define UNMCP_KUBE_SOCKET_CALLS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/mutex.h"
#include "grpcpp/client_context.h"

namespace unmcp::kube {

// It owns a call's context to the end: a context holds the channel, and the
// last reference to a channel must not go on a thread of gRPC's, which would
// then wait for itself.
//
// Thread safety: thread safe.
class Calls {
 public:
  using Id = uint64_t;

  explicit Calls(std::string socket) : socket_(std::move(socket)) {}

  // Around each call. After Close a call is cancelled as it begins.
  Id Begin(grpc::ClientContext* context) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does nothing for a call that has ended.
  void Cancel(Id id) ABSL_LOCKS_EXCLUDED(mutex_);
  // The last that the call does: Close waits for it.
  void End(Id id, std::unique_ptr<grpc::ClientContext> context) ABSL_LOCKS_EXCLUDED(mutex_);

  // Cancels all, and waits for their ends. Once.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // What a call ended with, as the Cluster seam has it.
  absl::Status Outcome(const grpc::ClientContext& context, const grpc::Status& status) const;
  // UNAVAILABLE, and what to do.
  absl::Status Lost(const std::string& why) const;

 private:
  const std::string socket_;
  Mutex mutex_;
  Id last_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<Id, grpc::ClientContext*> open_ ABSL_GUARDED_BY(mutex_);
  size_t not_ended_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  Notification all_ended_;  // closing, and not_ended_ is 0
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_SOCKET_CALLS_H_
