#include "kube/socket/socket_attachment.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "common/event_loop.h"
#include "common/mutex.h"
#include "kube/socket/wire.h"

namespace unmcp::kube {
namespace {

namespace v1 = wire::v1;

// Between gRPC's threads, which bring what the server says, and the loop, on
// which the user is: each leaves for the other what it has, under the mutex.
// Kept alive by itself until gRPC is done with it.
class AttachStream final : public grpc::ClientBidiReactor<v1::AttachRequest, v1::AttachResponse>,
                           public std::enable_shared_from_this<AttachStream> {
 public:
  AttachStream(std::shared_ptr<Calls> calls, Callback<std::unique_ptr<Attachment>> done)
      : calls_(std::move(calls)), done_(std::move(done)) {}

  void Open(v1::ClusterService::Stub* stub, v1::AttachOpen open) {
    self_ = shared_from_this();
    call_ = calls_->Begin(context_.get());
    stub->async()->Attach(context_.get(), this);
    // Writes begin outside of reactions: until Release, OnDone waits for them.
    AddHold();
    StartRead(&response_);
    StartCall();
    v1::AttachRequest request;
    *request.mutable_open() = std::move(open);
    Send(std::move(request));
  }

  // --- the user; on the loop, but for Start ---

  void Start(EventLoop* loop, AttachHandler* handler) {
    MutexLock lock(&mutex_);
    loop_ = loop;
    loop->Post([self = shared_from_this(), handler] {
      if (self->detached_) return;
      self->handler_ = handler;
      self->Deliver();
    });
  }

  void Write(std::string bytes) {
    if (bytes.empty() || closed_) return;
    pending_ += bytes.size();
    v1::AttachRequest request;
    request.set_input(std::move(bytes));
    Send(std::move(request));
  }

  size_t pending() const { return pending_; }

  void Pause() { paused_ = true; }

  void Resume() {
    if (!std::exchange(paused_, false) || loop_of_user() == nullptr) return;
    loop_of_user()->Post([self = shared_from_this()] { self->Deliver(); });
  }

  // What was written before still goes out.
  void Detach() {
    detached_ = true;
    handler_ = nullptr;
    MutexLock lock(&mutex_);
    finish_writing_ = true;
    WriteNext();
  }

 private:
  // --- gRPC's threads ---

  void OnReadDone(bool ok) override {
    if (!ok) {
      MutexLock lock(&mutex_);
      StopWriting();
      return;
    }
    switch (response_.message_case()) {
      case v1::AttachResponse::kOpened: Opened(); break;
      case v1::AttachResponse::kOutput: {
        MutexLock lock(&mutex_);
        inbox_.push_back(std::move(*response_.mutable_output()));
        Wake();
        break;
      }
      case v1::AttachResponse::kCredit: {
        MutexLock lock(&mutex_);
        taken_ += response_.credit();
        Wake();
        break;
      }
      case v1::AttachResponse::MESSAGE_NOT_SET: break;
    }
    StartRead(&response_);
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    writing_ = false;
    if (ok) {
      outbox_.pop_front();
      WriteNext();
    } else {
      StopWriting();
    }
  }

  void OnDone(const grpc::Status& status) override {
    absl::Status outcome = calls_->Outcome(*context_, status);
    if (done_ != nullptr) {
      std::exchange(done_, nullptr)(outcome.ok() ? calls_->Lost("the attachment was closed as it began") : outcome);
    }
    std::shared_ptr<AttachStream> self = std::move(self_);
    {
      MutexLock lock(&mutex_);
      ended_ = std::move(outcome);
      Wake();
    }
    calls_->End(call_, std::move(context_));
  }

  void Opened();

  // --- both ---

  void Send(v1::AttachRequest request) {
    MutexLock lock(&mutex_);
    outbox_.push_back(std::move(request));
    WriteNext();
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || released_) return;
    if (!outbox_.empty()) {
      writing_ = true;
      StartWrite(&outbox_.front());
    } else if (finish_writing_) {
      StartWritesDone();
      StopWriting();
    }
  }

  void StopWriting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(released_, true)) return;
    RemoveHold();
  }

  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (loop_ == nullptr || std::exchange(awake_, true)) return;
    loop_->Post([self = shared_from_this()] { self->Deliver(); });
  }

  EventLoop* loop_of_user() {
    MutexLock lock(&mutex_);
    return loop_;
  }

  // --- the loop ---

  // Each call to the handler may pause, write, or end the attachment.
  void Deliver() {
    for (;;) {
      std::optional<std::string> output;
      std::optional<absl::Status> ended;
      size_t taken = 0;
      {
        MutexLock lock(&mutex_);
        awake_ = false;
        if (handler_ == nullptr) return;
        taken = std::exchange(taken_, 0);
        if (!inbox_.empty()) {
          if (paused_ && taken == 0) return;
          if (!paused_) {
            output = std::move(inbox_.front());
            inbox_.pop_front();
          }
        } else if (taken == 0 && ended_) {
          ended = ended_;
        } else if (taken == 0) {
          return;
        }
      }
      if (taken > 0) OnTaken(taken);
      if (output && handler_ != nullptr) OnOutput(*output);
      if (ended) return Close(*std::move(ended));
    }
  }

  void OnTaken(size_t bytes) {
    pending_ -= std::min(bytes, pending_);
    if (pending_ == 0) handler_->OnWritable();
  }

  void OnOutput(const std::string& output) {
    uncredited_ += static_cast<int64_t>(output.size());
    handler_->OnOutput(output);
    if (uncredited_ < wire::kCreditLump || detached_) return;
    v1::AttachRequest request;
    request.set_credit(static_cast<uint32_t>(std::exchange(uncredited_, 0)));
    Send(std::move(request));
  }

  void Close(absl::Status why) {
    closed_ = true;
    pending_ = 0;
    std::exchange(handler_, nullptr)->OnClosed(std::move(why));
  }

  const std::shared_ptr<Calls> calls_;
  Callback<std::unique_ptr<Attachment>> done_;  // gRPC's threads', until it has run
  std::shared_ptr<AttachStream> self_;
  std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
  Calls::Id call_ = 0;
  v1::AttachResponse response_;

  // The loop's.
  AttachHandler* handler_ = nullptr;
  bool detached_ = false;
  bool closed_ = false;
  bool paused_ = false;
  size_t pending_ = 0;
  int64_t uncredited_ = 0;  // output delivered and not yet said to be

  Mutex mutex_;
  EventLoop* loop_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::deque<v1::AttachRequest> outbox_ ABSL_GUARDED_BY(mutex_);  // front: being written, when something is
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finish_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;  // nothing is written any more
  std::deque<std::string> inbox_ ABSL_GUARDED_BY(mutex_);  // at most kOutputWindow, and one read
  size_t taken_ ABSL_GUARDED_BY(mutex_) = 0;               // input that the container has taken over
  bool awake_ ABSL_GUARDED_BY(mutex_) = false;             // Deliver is on its way
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mutex_);
};

class SocketAttachment final : public Attachment {
 public:
  explicit SocketAttachment(std::shared_ptr<AttachStream> stream) : stream_(std::move(stream)) {}
  ~SocketAttachment() override { stream_->Detach(); }

  void Start(EventLoop* loop, AttachHandler* handler) override { stream_->Start(loop, handler); }
  void Write(std::string bytes) override { stream_->Write(std::move(bytes)); }
  size_t pending() const override { return stream_->pending(); }
  void PauseOutput() override { stream_->Pause(); }
  void ResumeOutput() override { stream_->Resume(); }

 private:
  const std::shared_ptr<AttachStream> stream_;
};

void AttachStream::Opened() {
  if (done_ != nullptr) std::exchange(done_, nullptr)(std::make_unique<SocketAttachment>(shared_from_this()));
}

}  // namespace

void AttachOverSocket(v1::ClusterService::Stub* stub, std::shared_ptr<Calls> calls, v1::AttachOpen open,
                      Callback<std::unique_ptr<Attachment>> done) {
  std::make_shared<AttachStream>(std::move(calls), std::move(done))->Open(stub, std::move(open));
}

}  // namespace unmcp::kube
