#include "gateway/unary_caller.h"

#include <utility>

#include "grpcpp/client_context.h"
#include "grpcpp/impl/codegen/proto_utils.h"

namespace unmcp::gateway {

struct UnaryCaller::Pending {
  grpc::ClientContext context;
  std::unique_ptr<Message> request;
  std::unique_ptr<Message> response;
  Done done;
};

UnaryCaller::UnaryCaller(Scheduler* scheduler, std::shared_ptr<grpc::Channel> channel)
    : scheduler_(scheduler), stub_(std::move(channel)), calls_(std::make_shared<Calls>()) {}

UnaryCaller::~UnaryCaller() {
  for (auto& [id, call] : *calls_) call->context.TryCancel();
  calls_->clear();
  bool wait;
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    wait = with_grpc_ > 0;
  }
  if (wait) let_go_.Wait();
}

UnaryCaller::CallId UnaryCaller::Call(const std::string& method, std::unique_ptr<Message> request,
                                      std::unique_ptr<Message> response, absl::Duration deadline, Done done) {
  const CallId id = ++last_id_;
  auto call = std::make_shared<Pending>();
  call->request = std::move(request);
  call->response = std::move(response);
  call->done = std::move(done);
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  calls_->emplace(id, call);
  {
    MutexLock lock(&mutex_);
    ++with_grpc_;
  }
  std::weak_ptr<Calls> calls = calls_;
  stub_.UnaryCall(&call->context, method, grpc::StubOptions(), call->request.get(), call->response.get(),
                  [this, id, call, calls](grpc::Status status) {
                    scheduler_->Post([id, calls, status = std::move(status)] {
                      auto open = calls.lock();
                      if (open == nullptr) return;
                      auto node = open->extract(id);
                      if (node.empty()) return;  // cancelled
                      Pending& ended = *node.mapped();
                      ended.done(status, *ended.response);
                    });
                    MutexLock lock(&mutex_);
                    if (--with_grpc_ == 0 && closing_) let_go_.Notify();
                  });
  return id;
}

void UnaryCaller::Cancel(CallId id) {
  auto node = calls_->extract(id);
  if (!node.empty()) node.mapped()->context.TryCancel();
}

}  // namespace unmcp::gateway
