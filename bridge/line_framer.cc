#include "bridge/line_framer.h"

#include <algorithm>
#include <cstring>

namespace unmcp::bridge {
namespace {

// What an idle framer may keep of the room that a long line needed: covers
// nearly all messages, so that they do not allocate each time.
constexpr size_t kKeptCapacity = 1024 * 1024;

void Emit(absl::string_view line, absl::FunctionRef<void(absl::string_view)> emit) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (!line.empty()) emit(line);
}

void Empty(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptCapacity) buffer.shrink_to_fit();
}

}  // namespace

void LineFramer::Feed(absl::string_view bytes, absl::FunctionRef<void(absl::string_view)> line,
                      absl::FunctionRef<void(const OversizedLine&)> oversized) {
  while (!bytes.empty()) {
    const auto* newline = static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
    const absl::string_view piece = bytes.substr(0, newline ? newline - bytes.data() : bytes.size());
    bytes.remove_prefix(piece.size() + (newline ? 1 : 0));

    if (dropped_ > 0 || buffer_.size() + piece.size() > max_line_bytes_) {
      if (dropped_ == 0) {
        dropped_ = buffer_.size();
        KeepTail(buffer_);
        buffer_.resize(std::min(buffer_.size(), kKeptHead));
        buffer_.shrink_to_fit();
      }
      dropped_ += piece.size();
      KeepTail(piece);
      const absl::string_view kept = piece.substr(0, kKeptHead - buffer_.size());
      buffer_.append(kept.data(), kept.size());
      if (newline) {
        absl::string_view tail = tail_;
        if (!tail.empty() && tail.back() == '\r') tail.remove_suffix(1);
        oversized({.head = buffer_, .tail = tail, .length = dropped_});
        dropped_ = 0;
        Empty(buffer_);
        tail_.clear();
      }
    } else if (!newline) {
      buffer_.append(piece.data(), piece.size());
    } else if (buffer_.empty()) {
      Emit(piece, line);
    } else {
      buffer_.append(piece.data(), piece.size());
      Emit(buffer_, line);
      Empty(buffer_);
    }
  }
}

void LineFramer::KeepTail(absl::string_view piece) {
  piece.remove_prefix(piece.size() - std::min(piece.size(), kKeptTail));
  tail_.append(piece.data(), piece.size());
  if (tail_.size() > kKeptTail) tail_.erase(0, tail_.size() - kKeptTail);
}

}  // namespace unmcp::bridge
