#include "gateway/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace unmcp::gateway {
namespace {

// Copying a piece this small is cheaper than an iovec and an allocation of its own.
constexpr size_t kCopyBytes = 4 << 10;
// Pieces are joined up to here, so that a big string is not moved to grow.
constexpr size_t kJoinedBytes = 16 << 10;
// Per system call; above some tens more of them gain nothing.
constexpr size_t kMaxVectors = 64;

}  // namespace

void OutputQueue::Add(std::string bytes, size_t credit) {
  if (!pieces_.empty() && bytes.size() <= kCopyBytes && pieces_.back().bytes.size() + bytes.size() <= kJoinedBytes) {
    pieces_.back().bytes += bytes;
    pieces_.back().credit += credit;
    return;
  }
  pieces_.push_back({std::move(bytes), credit});
}

void OutputQueue::AddRaw(std::string bytes) {
  CloseChunk();
  Add(std::move(bytes), 0);
}

void OutputQueue::AddBody(std::string bytes, size_t credit) {
  if (bytes.empty()) return;
  const size_t size = bytes.size();
  if (!chunked_) {
    Add(std::move(bytes), credit);
    return;
  }
  if (chunk_bytes_ == 0) {
    chunk_begin_ = pieces_.size();
    pieces_.push_back({std::move(bytes), credit});
  } else {
    Add(std::move(bytes), credit);
  }
  chunk_bytes_ += size;
}

void OutputQueue::EndBody() {
  if (chunked_) AddRaw("0\r\n\r\n");
  chunked_ = false;
}

void OutputQueue::CloseChunk() {
  if (chunk_bytes_ == 0) return;
  std::string size = absl::StrCat(absl::Hex(chunk_bytes_), "\r\n");
  chunk_bytes_ = 0;
  // The size goes at the end of what is in front, if that is still to be
  // written; else it is a piece of its own (short enough to need no heap).
  if (chunk_begin_ > 0 && pieces_[chunk_begin_ - 1].bytes.size() <= kJoinedBytes) {
    pieces_[chunk_begin_ - 1].bytes += size;
  } else {
    pieces_.insert(pieces_.begin() + chunk_begin_, Piece{std::move(size), 0});
  }
  if (pieces_.back().bytes.size() <= kJoinedBytes) {
    pieces_.back().bytes += "\r\n";
  } else {
    pieces_.push_back({"\r\n", 0});
  }
}

OutputQueue::Result OutputQueue::Flush(int fd) {
  CloseChunk();
  Result result;
  size_t done = 0;  // pieces that have left
  while (done < pieces_.size()) {
    iovec vectors[kMaxVectors];
    size_t count = 0, total = 0;
    for (size_t i = done; i < pieces_.size() && count < kMaxVectors; ++i, ++count) {
      const size_t skip = i == done ? written_ : 0;
      vectors[count] = {pieces_[i].bytes.data() + skip, pieces_[i].bytes.size() - skip};
      total += vectors[count].iov_len;
    }
    msghdr message = {};
    message.msg_iov = vectors;
    message.msg_iovlen = count;
    const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      result.failed = errno != EAGAIN && errno != EWOULDBLOCK;
      break;
    }
    result.progress = true;
    size_t left = static_cast<size_t>(sent);
    while (done < pieces_.size() && left >= pieces_[done].bytes.size() - written_) {
      left -= pieces_[done].bytes.size() - written_;
      result.credit += pieces_[done].credit;
      written_ = 0;
      ++done;
    }
    written_ += left;
    if (static_cast<size_t>(sent) < total) break;  // the socket is full
  }
  if (done == pieces_.size()) {
    pieces_ = {};  // a stream that is quiet for hours keeps no memory
  } else {
    pieces_.erase(pieces_.begin(), pieces_.begin() + done);
  }
  return result;
}

}  // namespace unmcp::gateway
