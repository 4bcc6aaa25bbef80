#include "apiserver/state_service.h"

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "glog/logging.h"

namespace unmcp::apiserver {
namespace {

// Answers that may wait for a controller that does not read. Each server has
// at most a handful under way, so this many mean that it is stuck: the stream
// is ended, and the next one begins with what is wanted then.
constexpr size_t kMaxQueuedResponses = 100'000;

}  // namespace

// One stream. Kept alive by itself until gRPC is done with it.
class StateService::Reactor final : public grpc::ServerBidiReactor<v1::SyncRequest, v1::SyncResponse> {
 public:
  explicit Reactor(StateService* service) : service_(service) {}

  void Begin(std::shared_ptr<Reactor> self) {
    self_ = std::move(self);
    StartRead(&request_);
  }

  // On the loop.
  void Send(v1::SyncResponse response) {
    MutexLock lock(&mutex_);
    if (finished_) return;
    if (queue_.size() >= kMaxQueuedResponses) {
      FinishLocked(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the controller does not read its answers"));
      return;
    }
    queue_.push_back(std::move(response));
    if (queue_.size() == 1) StartWrite(&queue_.front());
  }

  void Finish(const grpc::Status& status) {
    MutexLock lock(&mutex_);
    FinishLocked(status);
  }

  // The next request is read when the loop has dealt with the last one: what
  // the loop cannot keep up with stays with the sender.
  void ReadNext() {
    MutexLock lock(&mutex_);
    if (!finished_) StartRead(&request_);
  }

 private:
  void OnReadDone(bool ok) override {
    service_->loop_->Post([service = service_, self = self_, ok, request = std::move(request_)]() mutable {
      if (!ok) {
        self->Finish(grpc::Status::OK);
        return;
      }
      service->OnRequest(self, std::move(request));
      self->ReadNext();
    });
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    queue_.pop_front();
    if (!ok) {
      FinishLocked(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the controller has gone"));
    } else if (!queue_.empty() && !finished_) {
      StartWrite(&queue_.front());
    }
  }

  void OnCancel() override { Finish(grpc::Status(grpc::StatusCode::CANCELLED, "cancelled")); }

  void OnDone() override {
    service_->loop_->Post([service = service_, self = std::move(self_)] { service->OnEnd(self); });
  }

  void FinishLocked(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(finished_, true)) return;
    grpc::ServerBidiReactor<v1::SyncRequest, v1::SyncResponse>::Finish(status);
  }

  StateService* const service_;
  std::shared_ptr<Reactor> self_;
  v1::SyncRequest request_;
  Mutex mutex_;
  std::deque<v1::SyncResponse> queue_ ABSL_GUARDED_BY(mutex_);  // front: being written
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

StateService::StateService(EventLoop* loop, std::string process, StateListener* listener)
    : loop_(loop), process_(std::move(process)), listener_(listener) {}

StateService::~StateService() = default;

grpc::ServerBidiReactor<v1::SyncRequest, v1::SyncResponse>* StateService::Sync(grpc::CallbackServerContext*) {
  auto reactor = std::make_shared<Reactor>(this);
  reactor->Begin(reactor);
  return reactor.get();
}

void StateService::Send(v1::SyncResponse response) {
  if (current_) current_->Send(std::move(response));
}

void StateService::OnRequest(const std::shared_ptr<Reactor>& reactor, v1::SyncRequest request) {
  if (request.has_hello()) {
    if (request.hello().epoch() < epoch_) {
      reactor->Finish(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                                   absl::StrCat("epoch ", request.hello().epoch(), " is over: epoch ", epoch_,
                                                " leads; this controller has been deposed")));
      return;
    }
    epoch_ = request.hello().epoch();
    if (current_) {
      current_->Finish(grpc::Status(grpc::StatusCode::ABORTED, "a newer stream has taken over"));
      current_ = nullptr;
      listener_->OnControllerDown();
    }
    current_ = reactor;
    v1::SyncResponse hello;
    hello.mutable_hello()->set_process(process_);
    reactor->Send(std::move(hello));
    LOG(INFO) << "state: following controller " << request.hello().identity() << ", epoch " << epoch_;
    listener_->OnControllerUp(request.hello());
    return;
  }
  if (reactor != current_) {
    reactor->Finish(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "the stream has to begin with Hello"));
    return;
  }
  switch (request.message_case()) {
    case v1::SyncRequest::kChange:
      listener_->OnChange(std::move(*request.mutable_change()));
      break;
    case v1::SyncRequest::kSnapshotEnd:
      listener_->OnSnapshotEnd();
      break;
    case v1::SyncRequest::kDrain:
      listener_->OnDrain(request.drain());
      break;
    case v1::SyncRequest::kHeartbeat:
      listener_->OnHeartbeat(std::move(*request.mutable_heartbeat()));
      break;
    default:  // what a newer controller may add
      break;
  }
}

void StateService::OnEnd(const std::shared_ptr<Reactor>& reactor) {
  if (reactor != current_) return;
  current_ = nullptr;
  LOG(WARNING) << "state: the controller's stream has ended; serving on with what is known";
  listener_->OnControllerDown();
}

}  // namespace unmcp::apiserver
