// gRPC calls by method name, whose answers come back on a scheduler.
#ifndef UNMCP_GATEWAY_API_CALLER_H_
#define UNMCP_GATEWAY_API_CALLER_H_

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

// Example:
//
//   id = caller.Stream("/unmcp.v1.PoolService/WatchPools", std::move(request), std::move(response),
//                      [&](const Message& change) { Show(change); caller.Next(id); },
//                      [&](const grpc::Status& status) { … });
//
// Thread safety: all methods on the scheduler's thread. The destructor cancels
// what is under way and waits until gRPC has let go of it, which does not take
// the scheduler's help; the scheduler has to be alive until then.
class ApiCaller {
 public:
  using Message = google::protobuf::Message;
  using CallId = uint64_t;  // 0 is never a call
  using Answer = absl::AnyInvocable<void(const grpc::Status& status, const Message& response)>;
  using OnMessage = absl::AnyInvocable<void(const Message& message)>;
  using OnEnd = absl::AnyInvocable<void(const grpc::Status& status)>;

  ApiCaller(Scheduler* scheduler, std::shared_ptr<grpc::Channel> channel);
  ~ApiCaller();

  // A unary call. `method` is "/package.Service/Method". `response` is an empty
  // message of the right type. `done` runs once, later, on the scheduler.
  CallId Call(const std::string& method, std::unique_ptr<Message> request, std::unique_ptr<Message> response,
              absl::Duration deadline, Answer done);

  // A call with one request and a stream of answers, for as long as it takes.
  // After each answer the next is only asked for when Next is called: who does
  // not call it slows the sender down. `on_end` runs once, last.
  CallId Stream(const std::string& method, std::unique_ptr<Message> request, std::unique_ptr<Message> response,
                OnMessage on_message, OnEnd on_end);
  // Once for each answer that has come. Ids of ended calls are ignored.
  void Next(CallId id);

  // Ends a call of either kind; its functions do not run any more. Ids of ended
  // calls are ignored.
  void Cancel(CallId id);

 private:
  struct Unary;
  struct Streaming;
  // What runs on the scheduler is here, and so is gone with the caller.
  struct Calls {
    absl::flat_hash_map<CallId, std::shared_ptr<Unary>> unary;
    absl::flat_hash_map<CallId, std::shared_ptr<Streaming>> streams;
  };

  void BeginWithGrpc();
  // Last: nothing of the caller may be used after it.
  void EndWithGrpc();

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

#endif  // UNMCP_GATEWAY_API_CALLER_H_
