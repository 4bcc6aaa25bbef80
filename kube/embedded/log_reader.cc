#include "kube/embedded/log_reader.h"

#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <string>
#include <utility>

#include "common/event_loop.h"
#include "glog/logging.h"

namespace unmcp::kube {
namespace {

// One read. People's log lines come one by one; this is for a stack trace.
constexpr size_t kReadBytes = 4096;

// Reads in a row before others on the loop have their turn: a pipe's 64 KB. A
// process that floods its log waits for us then.
constexpr int kReadsPerTurn = 16;

}  // namespace

struct LogReader::Stream : std::enable_shared_from_this<Stream> {
  Stream(EventLoop* loop, Log log) : descriptor(loop->io()), log(std::move(log)) {}

  void Wait() {
    descriptor.async_wait(descriptor.wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && self->Read()) self->Wait();
    });
  }

  // False at the end.
  bool Read() {
    char buffer[kReadBytes];
    for (int reads = 0; reads < kReadsPerTurn && descriptor.is_open(); ++reads) {
      const ssize_t n = read(descriptor.native_handle(), buffer, sizeof(buffer));
      if (n < 0 && errno == EAGAIN) return true;
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        EndLine();
        return false;
      }
      Take(absl::string_view(buffer, n));
    }
    return descriptor.is_open();
  }

  void Take(absl::string_view bytes) {
    const size_t newline = bytes.rfind('\n');
    const size_t whole = newline == absl::string_view::npos ? 0 : newline + 1;
    line.append(bytes.data(), whole);
    if (whole > 0) log(std::exchange(line, {}));
    line.append(bytes.data() + whole, bytes.size() - whole);
    if (line.size() >= kMaxLineBytes) log(std::exchange(line, {}));
  }

  void EndLine() {
    if (!line.empty()) log(std::exchange(line, {}) + "\n");
  }

  boost::asio::posix::stream_descriptor descriptor;
  Log log;
  std::string line;  // what has come of one that has no end yet
};

LogReader::LogReader(EventLoop* loop, bridge::Fd fd, Log log)
    : stream_(std::make_shared<Stream>(loop, std::move(log))) {
  boost::system::error_code error;
  stream_->descriptor.assign(fd.get(), error);
  if (error) {
    LOG(ERROR) << "a process's log cannot be read: " << error.message() << "; raise fs.epoll.max_user_watches (sysctl)";
    return;
  }
  fd.release();
  stream_->Wait();
}

LogReader::~LogReader() {
  boost::system::error_code ignored;
  stream_->descriptor.close(ignored);
}

void LogReader::Drain() {
  stream_->Read();
  stream_->EndLine();
}

}  // namespace unmcp::kube
