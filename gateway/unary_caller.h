// Unary gRPC calls by method name, whose answers come back on a scheduler.
#ifndef UNMCP_GATEWAY_UNARY_CALLER_H_
#define UNMCP_GATEWAY_UNARY_CALLER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/scheduler.h"
#include "google/protobuf/message.h"
#include "grpcpp/channel.h"
#include "grpcpp/generic/generic_stub.h"

namespace unmcp::gateway {

// Thread safety: all methods on the scheduler's thread. The destructor cancels
// what is under way and waits until gRPC has let go of it, which does not take
// the scheduler's help; the scheduler has to be alive until then.
class UnaryCaller {
 public:
  using Message = google::protobuf::Message;
  using CallId = uint64_t;  // 0 is never a call
  using Done = absl::AnyInvocable<void(const grpc::Status& status, const Message& response)>;

  UnaryCaller(Scheduler* scheduler, std::shared_ptr<grpc::Channel> channel);
  ~UnaryCaller();

  // `method` is "/package.Service/Method". `response` is an empty message of
  // the right type. `done` runs once, later, on the scheduler.
  CallId Call(const std::string& method, std::unique_ptr<Message> request, std::unique_ptr<Message> response,
              absl::Duration deadline, Done done);

  // Ends the call; its `done` does not run. Ids of ended calls are ignored.
  void Cancel(CallId id);

 private:
  struct Pending;
  using Calls = absl::flat_hash_map<CallId, std::shared_ptr<Pending>>;

  Scheduler* const scheduler_;
  grpc::TemplatedGenericStub<Message, Message> stub_;
  CallId last_id_ = 0;
  const std::shared_ptr<Calls> calls_;  // shared with answers that are on their way
  Mutex mutex_;
  int with_grpc_ ABSL_GUARDED_BY(mutex_) = 0;  // calls that gRPC has yet to end
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  Notification let_go_;  // closing, and gRPC has ended them all
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_UNARY_CALLER_H_
