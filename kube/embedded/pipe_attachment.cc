#include "kube/embedded/pipe_attachment.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <utility>

#include "common/event_loop.h"

namespace unmcp::kube {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

// One read. What fits the second-level cache and is no less than a pipe gives
// at a time by default; one buffer a thread, however many are attached there.
constexpr size_t kReadBytes = 64 * 1024;

// Reads in a row before others on the loop have their turn: 1 MB, more than
// the pipe holds.
constexpr int kReadsPerTurn = 16;

// Chunks in one writev(2). More would seldom fit the pipe anyway.
constexpr size_t kWriteChunks = 64;

char* ReadBuffer() {
  static thread_local const auto buffer = std::make_unique<char[]>(kReadBytes);
  return buffer.get();
}

ssize_t Retrying(auto call) {
  ssize_t n;
  do {
    n = call();
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

// What an Attachment is, for as long as something refers to it: completions
// that the loop still has queued do, after the Attachment is gone.
class PipeConnection : public std::enable_shared_from_this<PipeConnection> {
 public:
  explicit PipeConnection(std::shared_ptr<ContainerPipes> pipes) : pipes_(std::move(pipes)) {}

  void Start(EventLoop* loop, AttachHandler* handler) {
    loop_ = loop;
    handler_ = handler;
    pipes_->StartedOn(this, loop);
  }

  // The pipes may be ours now.
  void Begin() {
    if (state_ != State::kWaiting) return;
    ContainerPipes::Acquired acquired = pipes_->Acquire(this);
    if (acquired.ended) ended_ = std::move(acquired.ended);
    if (acquired.replaced) return Replaced();
    if (!acquired.ends) return;
    state_ = State::kOpen;
    for (auto chunk = acquired.ends->unsent.rbegin(); chunk != acquired.ends->unsent.rend(); ++chunk) {
      pending_ += chunk->size();
      queue_.push_front(std::move(*chunk));
    }
    offset_ = acquired.ends->offset;
    pending_ -= offset_;
    if (!Open(std::move(acquired.ends->in), in_) || !Open(std::move(acquired.ends->out), out_)) {
      return Finish(absl::ResourceExhaustedError("cannot watch another pipe: epoll has no room; raise "
                                                 "fs.epoll.max_user_watches (sysctl), or stop something"));
    }
    if (!out_) return EndSoon("the process has closed its stdout");
    if (in_) {
      Flush();
    } else {
      DropInput();
    }
    if (state_ != State::kOpen) return;
    ended_ ? Read() : WaitReadable();
  }

  // Another attachment wants the pipes.
  void Replaced() {
    if (state_ == State::kClosed) return;
    Close(absl::AbortedError("another attachment has taken over this container"), true);
  }

  void Ended(absl::Status why) {
    ended_ = std::move(why);
    if (state_ != State::kOpen) return;
    CancelExitGrace();
    out_ ? Read() : Finish(*ended_);
  }

  // Nothing more will be written.
  void DropInput() {
    in_.reset();
    queue_.clear();
    pending_ = offset_ = 0;
  }

  void Detach() {
    handler_ = nullptr;
    if (state_ != State::kClosed) Close(absl::OkStatus(), true);
  }

  void Write(std::string bytes) {
    if (bytes.empty() || state_ == State::kClosed || (state_ == State::kOpen && !in_)) return;
    size_t written = 0;
    if (state_ == State::kOpen && queue_.empty()) {
      const ssize_t n = Retrying([&] { return write(in_->native_handle(), bytes.data(), bytes.size()); });
      if (n < 0 && errno != EAGAIN) return InputGone();
      written = std::max<ssize_t>(n, 0);
      if (written == bytes.size()) return;
      offset_ = written;
      WaitWritable();
    }
    pending_ += bytes.size() - written;
    queue_.push_back(std::move(bytes));
  }

  size_t pending() const { return pending_; }

  void Pause() { paused_ = true; }
  void Resume() {
    if (!std::exchange(paused_, false) || state_ != State::kOpen) return;
    if (!ended_) return WaitReadable();
    // What is left is in the pipe already, so there may be no event to wait for.
    loop_->Post([self = shared_from_this()] { self->Read(); });
  }

 private:
  enum class State { kWaiting, kOpen, kClosed };

  bool Open(bridge::Fd fd, std::optional<Descriptor>& descriptor) {
    if (!fd) return true;
    descriptor.emplace(loop_->io());
    boost::system::error_code error;
    descriptor->assign(fd.get(), error);
    if (!error) fd.release();
    return !error;
  }

  void WaitReadable() {
    if (waiting_to_read_ || paused_) return;
    waiting_to_read_ = true;
    out_->async_wait(Descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
      self->waiting_to_read_ = false;
      if (!error) self->Read();
    });
  }

  void Read() {
    for (int reads = 0; reads < kReadsPerTurn; ++reads) {
      if (!out_ || paused_) return;  // detached or paused by the handler, too
      const ssize_t n = Retrying([&] { return read(out_->native_handle(), ReadBuffer(), kReadBytes); });
      if (n > 0) {
        handler_->OnOutput(absl::string_view(ReadBuffer(), n));
        // A short read has emptied the pipe; after the end, only EAGAIN says so.
        if (static_cast<size_t>(n) < kReadBytes && !ended_) break;
      } else if (n < 0 && errno == EAGAIN) {
        break;
      } else {
        out_.reset();
        return EndSoon("the process has closed its stdout");
      }
    }
    if (!out_) return;
    ended_ ? Finish(*ended_) : WaitReadable();
  }

  void WaitWritable() {
    in_->async_wait(Descriptor::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && self->in_) self->Flush();
    });
  }

  void Flush() {
    if (queue_.empty()) return;
    while (!queue_.empty()) {
      std::array<iovec, kWriteChunks> chunks;
      const size_t count = std::min(queue_.size(), chunks.size());
      for (size_t i = 0; i < count; ++i) chunks[i] = {queue_[i].data(), queue_[i].size()};
      chunks[0] = {queue_[0].data() + offset_, queue_[0].size() - offset_};
      const ssize_t n = Retrying([&] { return writev(in_->native_handle(), chunks.data(), count); });
      if (n < 0) return errno == EAGAIN ? WaitWritable() : InputGone();
      pending_ -= n;
      offset_ += n;
      while (!queue_.empty() && offset_ >= queue_.front().size()) {
        offset_ -= queue_.front().size();
        queue_.pop_front();
      }
    }
    if (handler_ != nullptr) handler_->OnWritable();
  }

  // The process reads no more. What it has written before is still delivered.
  void InputGone() {
    DropInput();
    EndSoon("the process has closed its stdin");
  }

  void EndSoon(const char* why) {
    if (ended_) {
      // As long as stdout is open, its reader finishes.
      if (!out_) Finish(*ended_);
    } else if (exit_grace_ == 0) {
      exit_grace_ = loop_->After(ContainerPipes::kExitGrace,
                                 [self = shared_from_this(), why] { self->Finish(absl::UnavailableError(why)); });
    }
  }

  void CancelExitGrace() {
    if (exit_grace_ != 0) loop_->Cancel(std::exchange(exit_grace_, 0));
  }

  void Finish(absl::Status why) { Close(std::move(why), false); }

  // Lets go of the pipes, and tells the handler last: it may destroy us.
  void Close(absl::Status why, bool hand_over) {
    CancelExitGrace();
    std::optional<PipeEnds> ends;
    if (state_ == State::kOpen) {
      ends.emplace();
      if (hand_over && out_) ends->out = bridge::Fd(out_->release());
      if (hand_over && in_) ends->in = bridge::Fd(in_->release());
    }
    if (ends && hand_over) ends->unsent = std::move(queue_), ends->offset = offset_;
    state_ = State::kClosed;
    in_.reset();
    out_.reset();
    queue_.clear();
    pending_ = 0;
    pipes_->Release(this, std::move(ends));
    if (handler_ != nullptr) std::exchange(handler_, nullptr)->OnClosed(std::move(why));
  }

  const std::shared_ptr<ContainerPipes> pipes_;
  EventLoop* loop_ = nullptr;
  AttachHandler* handler_ = nullptr;  // nullptr: detached
  State state_ = State::kWaiting;
  std::optional<Descriptor> in_, out_;
  std::deque<std::string> queue_;
  size_t offset_ = 0;   // into the first of queue_
  size_t pending_ = 0;  // bytes in queue_ from there on
  bool waiting_to_read_ = false;
  bool paused_ = false;
  std::optional<absl::Status> ended_;
  Scheduler::TimerId exit_grace_ = 0;
};

namespace {

class PipeAttachment final : public Attachment {
 public:
  explicit PipeAttachment(std::shared_ptr<PipeConnection> connection) : connection_(std::move(connection)) {}
  ~PipeAttachment() override { connection_->Detach(); }

  void Start(EventLoop* loop, AttachHandler* handler) override { connection_->Start(loop, handler); }
  void Write(std::string bytes) override { connection_->Write(std::move(bytes)); }
  size_t pending() const override { return connection_->pending(); }
  void PauseOutput() override { connection_->Pause(); }
  void ResumeOutput() override { connection_->Resume(); }

 private:
  const std::shared_ptr<PipeConnection> connection_;
};

}  // namespace

std::shared_ptr<ContainerPipes> ContainerPipes::Create(bridge::Fd stdin_fd, bridge::Fd stdout_fd) {
  std::shared_ptr<ContainerPipes> pipes(new ContainerPipes);
  MutexLock lock(&pipes->mutex_);
  pipes->ends_.emplace();
  pipes->ends_->in = std::move(stdin_fd);
  pipes->ends_->out = std::move(stdout_fd);
  return pipes;
}

absl::StatusOr<std::unique_ptr<Attachment>> ContainerPipes::Attach() {
  auto connection = std::make_shared<PipeConnection>(shared_from_this());
  std::shared_ptr<PipeConnection> before;
  EventLoop* loop = nullptr;
  {
    MutexLock lock(&mutex_);
    if (ended_) return absl::NotFoundError("the container has ended");
    before = std::exchange(newest_, connection);
    loop = std::exchange(loop_, nullptr);
  }
  if (loop != nullptr) loop->Post([before = std::move(before)] { before->Replaced(); });
  return std::make_unique<PipeAttachment>(std::move(connection));
}

void ContainerPipes::CloseInput() {
  MutexLock lock(&mutex_);
  input_closed_ = true;
  if (ends_) ends_->in = bridge::Fd(), ends_->unsent.clear(), ends_->offset = 0;
  if (loop_ != nullptr) loop_->Post([connection = newest_] { connection->DropInput(); });
}

void ContainerPipes::Close(absl::Status why) {
  MutexLock lock(&mutex_);
  if (newest_ == nullptr) ends_.reset();
  if (loop_ != nullptr) loop_->Post([connection = newest_, why] { connection->Ended(why); });
  ended_ = std::move(why);
}

void ContainerPipes::StartedOn(PipeConnection* connection, EventLoop* loop) {
  {
    MutexLock lock(&mutex_);
    if (newest_.get() == connection) loop_ = loop;
  }
  loop->Post([connection = connection->shared_from_this()] { connection->Begin(); });
}

ContainerPipes::Acquired ContainerPipes::Acquire(PipeConnection* connection) {
  MutexLock lock(&mutex_);
  Acquired acquired;
  acquired.replaced = newest_.get() != connection;
  acquired.ended = ended_;
  if (!acquired.replaced) acquired.ends = std::exchange(ends_, std::nullopt);
  return acquired;
}

void ContainerPipes::Release(PipeConnection* connection, std::optional<PipeEnds> ends) {
  MutexLock lock(&mutex_);
  if (ends) {
    ends_ = std::move(ends);
    if (input_closed_) ends_->in = bridge::Fd(), ends_->unsent.clear(), ends_->offset = 0;
  }
  if (newest_.get() == connection) {
    newest_ = nullptr;  // whoever calls has another reference
    loop_ = nullptr;
    if (ended_) ends_.reset();
  } else if (loop_ != nullptr && ends_) {
    loop_->Post([connection = newest_] { connection->Begin(); });
  }
}

}  // namespace unmcp::kube
