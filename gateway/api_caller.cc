#include "gateway/api_caller.h"

#include <utility>

#include "grpcpp/client_context.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/support/client_callback.h"

namespace unmcp::gateway {

struct ApiCaller::Unary {
  grpc::ClientContext context;
  std::unique_ptr<Message> request;
  std::unique_ptr<Message> response;
  Answer done;
};

// Reads are asked for from the scheduler, which gRPC allows only while a hold
// is on the call; it is taken off when no read can follow.
struct ApiCaller::Streaming final : public grpc::ClientBidiReactor<Message, Message> {
  Streaming(ApiCaller* caller, CallId id) : caller(caller), id(id) {}

  void Start(const std::string& method) {
    self = caller->calls_->streams.at(id);
    caller->stub_.PrepareBidiStreamingCall(&context, method, grpc::StubOptions(), this);
    AddHold();
    {
      MutexLock lock(&mutex);
      reading = true;
    }
    StartWriteLast(request.get(), grpc::WriteOptions());
    StartRead(response.get());
    StartCall();
  }

  void Read() {
    {
      MutexLock lock(&mutex);
      if (!held || reading) return;
      reading = true;
    }
    StartRead(response.get());
  }

  // Called once it is out of `calls`.
  void Stop() {
    bool release;
    {
      MutexLock lock(&mutex);
      stopped = true;
      release = !reading && std::exchange(held, false);
    }
    context.TryCancel();
    if (release) RemoveHold();
  }

  void OnReadDone(bool ok) override {
    bool release = false;
    {
      MutexLock lock(&mutex);
      reading = false;
      if (!ok || stopped) release = std::exchange(held, false);
    }
    if (release) return RemoveHold();
    caller->scheduler_->Post([id = id, calls = std::weak_ptr<Calls>(caller->calls_)] {
      const auto open = calls.lock();
      if (open == nullptr) return;
      const auto found = open->streams.find(id);
      if (found == open->streams.end()) return;  // cancelled
      const std::shared_ptr<Streaming> stream = found->second;
      stream->on_message(*stream->response);
    });
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<Streaming> last = std::move(self);
    ApiCaller* const owner = caller;
    owner->scheduler_->Post([id = id, calls = std::weak_ptr<Calls>(owner->calls_), status] {
      const auto open = calls.lock();
      if (open == nullptr) return;
      auto node = open->streams.extract(id);
      if (!node.empty()) node.mapped()->on_end(status);
    });
    owner->EndWithGrpc();
  }

  ApiCaller* const caller;
  const CallId id;
  grpc::ClientContext context;
  std::unique_ptr<Message> request;
  std::unique_ptr<Message> response;  // the scheduler's between a read and the next
  OnMessage on_message;
  OnEnd on_end;
  std::shared_ptr<Streaming> self;  // while gRPC has it
  Mutex mutex;
  bool reading ABSL_GUARDED_BY(mutex) = false;
  bool held ABSL_GUARDED_BY(mutex) = true;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
};

ApiCaller::ApiCaller(Scheduler* scheduler, std::shared_ptr<grpc::Channel> channel)
    : scheduler_(scheduler), stub_(std::move(channel)), calls_(std::make_shared<Calls>()) {}

ApiCaller::~ApiCaller() {
  for (auto& [id, call] : calls_->unary) call->context.TryCancel();
  calls_->unary.clear();
  for (auto& [id, stream] : std::exchange(calls_->streams, {})) stream->Stop();
  bool wait;
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    wait = with_grpc_ > 0;
  }
  if (wait) let_go_.Wait();
}

void ApiCaller::BeginWithGrpc() {
  MutexLock lock(&mutex_);
  ++with_grpc_;
}

void ApiCaller::EndWithGrpc() {
  MutexLock lock(&mutex_);
  if (--with_grpc_ == 0 && closing_) let_go_.Notify();
}

ApiCaller::CallId ApiCaller::Call(const std::string& method, std::unique_ptr<Message> request,
                                  std::unique_ptr<Message> response, absl::Duration deadline, Answer done) {
  const CallId id = ++last_id_;
  auto call = std::make_shared<Unary>();
  call->request = std::move(request);
  call->response = std::move(response);
  call->done = std::move(done);
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  calls_->unary.emplace(id, call);
  BeginWithGrpc();
  std::weak_ptr<Calls> calls = calls_;
  stub_.UnaryCall(&call->context, method, grpc::StubOptions(), call->request.get(), call->response.get(),
                  [this, id, call, calls](grpc::Status status) {
                    scheduler_->Post([id, calls, status = std::move(status)] {
                      auto open = calls.lock();
                      if (open == nullptr) return;
                      auto node = open->unary.extract(id);
                      if (node.empty()) return;  // cancelled
                      Unary& ended = *node.mapped();
                      ended.done(status, *ended.response);
                    });
                    EndWithGrpc();
                  });
  return id;
}

ApiCaller::CallId ApiCaller::Stream(const std::string& method, std::unique_ptr<Message> request,
                                    std::unique_ptr<Message> response, OnMessage on_message, OnEnd on_end) {
  const CallId id = ++last_id_;
  auto stream = std::make_shared<Streaming>(this, id);
  stream->request = std::move(request);
  stream->response = std::move(response);
  stream->on_message = std::move(on_message);
  stream->on_end = std::move(on_end);
  calls_->streams.emplace(id, stream);
  BeginWithGrpc();
  stream->Start(method);
  return id;
}

void ApiCaller::Next(CallId id) {
  const auto found = calls_->streams.find(id);
  if (found != calls_->streams.end()) found->second->Read();
}

void ApiCaller::Cancel(CallId id) {
  auto call = calls_->unary.extract(id);
  if (!call.empty()) call.mapped()->context.TryCancel();
  auto stream = calls_->streams.extract(id);
  if (!stream.empty()) stream.mapped()->Stop();
}

}  // namespace unmcp::gateway
