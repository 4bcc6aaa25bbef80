// Server-streaming answers of the gRPC API.
#ifndef UNMCP_APISERVER_RESPONSE_STREAM_H_
#define UNMCP_APISERVER_RESPONSE_STREAM_H_

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "apiserver/errors.h"
#include "common/grpc_status.h"
#include "common/mutex.h"
#include "grpcpp/support/server_callback.h"

namespace unmcp::apiserver {

// Streams that may be open at the same time: each costs a socket's buffers and
// what its client has not read. People and dashboards open a handful.
inline constexpr size_t kMaxStreams = 1000;

// A stream that can be ended from outside.
class Endable {
 public:
  virtual ~Endable() = default;
  virtual void End(const absl::Status& status) = 0;
};

// The streams that are open, so that they are bounded, and that a process that
// ends does not wait for their clients.
//
// Thread safety: thread safe.
class StreamSet {
 public:
  // UNAVAILABLE: there are kMaxStreams; or what EndAll was told.
  absl::Status Add(const std::shared_ptr<Endable>& stream) {
    MutexLock lock(&mutex_);
    streams_.erase(std::remove_if(streams_.begin(), streams_.end(), [](const auto& each) { return each.expired(); }),
                   streams_.end());
    if (!ended_.ok()) return ended_;
    if (streams_.size() >= kMaxStreams) return TooManyStreams(kMaxStreams);
    streams_.push_back(stream);
    return absl::OkStatus();
  }
  // Those that are open, and all that come later.
  void EndAll(const absl::Status& status) {
    std::vector<std::weak_ptr<Endable>> streams;
    {
      MutexLock lock(&mutex_);
      ended_ = status;
      streams.swap(streams_);
    }
    for (const auto& stream : streams) {
      if (auto open = stream.lock()) open->End(status);
    }
  }

 private:
  Mutex mutex_;
  std::vector<std::weak_ptr<Endable>> streams_ ABSL_GUARDED_BY(mutex_);
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);
};

// One stream of messages. What is sent is asked for when the client can take
// it, and not before: nothing is queued here.
//
//   class Clock : public ResponseStream<v1::Tick> {
//     bool Next(v1::Tick* tick) override { return std::exchange(due_, false) && …; }
//     void OnSecond() { { MutexLock lock(&mutex()); due_ = true; } Wake(); }
//   };
//   auto stream = std::make_shared<Clock>();
//   return stream->Begin(streams);
//
// Thread safety: thread safe. Lives until gRPC is done with it.
template <class Message>
class ResponseStream : public grpc::ServerWriteReactor<Message>,
                       public Endable,
                       public std::enable_shared_from_this<ResponseStream<Message>> {
 public:
  // Begins to send. The answer is what the service gives to gRPC.
  grpc::ServerWriteReactor<Message>* Begin(StreamSet* streams) {
    self_ = this->shared_from_this();
    if (absl::Status added = streams->Add(self_); !added.ok()) {
      End(added);
    } else {
      Wake();
    }
    return this;
  }

  // There may be something to send. Not under mutex().
  void Wake() {
    MutexLock lock(&mutex_);
    WriteNext();
  }

  // Ends at once; what has not been sent is lost.
  void End(const absl::Status& status) override {
    MutexLock lock(&mutex_);
    FinishLocked(status);
  }

 protected:
  // Fills in the next message; false: there is none for now. Under mutex().
  virtual bool Next(Message* message) = 0;
  // gRPC is done with it, and `this` is about to be destroyed.
  virtual void OnGone() {}

  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }
  bool finished() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return finished_; }
  // Ends when Next has nothing more. Under mutex().
  void EndAfterAll(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { end_ = std::move(status); }
  // Ends at once. Under mutex().
  void FinishLocked(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(finished_, true)) return;
    this->Finish(ToGrpc(status));
  }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    message_.Clear();
    if (Next(&message_)) {
      if (finished_) return;
      writing_ = true;
      this->StartWrite(&message_);
    } else if (end_.has_value()) {
      FinishLocked(*end_);
    }
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) return FinishLocked(absl::CancelledError("the client has gone"));
    WriteNext();
  }
  void OnCancel() override { End(absl::CancelledError("the client has gone")); }
  void OnDone() override {
    OnGone();
    auto self = std::move(self_);
  }

  std::shared_ptr<ResponseStream> self_;
  Mutex mutex_;
  Message message_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_RESPONSE_STREAM_H_
