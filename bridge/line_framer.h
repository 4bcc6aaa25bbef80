// Newline framing with a bounded buffer: the stdio transport of MCP.
#ifndef UNMCP_BRIDGE_LINE_FRAMER_H_
#define UNMCP_BRIDGE_LINE_FRAMER_H_

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace unmcp::bridge {

// The longest line a server may send, in bytes. Room for the 20 MB answers
// people have seen (images and files in base64), and a bound on what one
// server can make us hold.
inline constexpr size_t kMaxLineBytes = 32 * 1024 * 1024;

// What is known of a line that was too long to be kept.
struct OversizedLine {
  absl::string_view head;  // its first LineFramer::kKeptHead bytes
  absl::string_view tail;  // its last LineFramer::kKeptTail bytes
  size_t length = 0;
};

// Cuts a byte stream into lines, however it arrives. A line longer than the
// bound is dropped up to its newline and reported with the ends that were kept:
// it costs that one message, never the stream.
//
//   framer.Feed(bytes, [&](absl::string_view line) { … },
//               [&](const OversizedLine& line) { … });
//
// Thread compatible.
class LineFramer {
 public:
  // What is kept of an oversized line, so that the request it answers can be
  // found: an id stands first or last in a message, or nowhere we look.
  static constexpr size_t kKeptHead = 4096;
  static constexpr size_t kKeptTail = 256;

  explicit LineFramer(size_t max_line_bytes = kMaxLineBytes) : max_line_bytes_(max_line_bytes) {}

  // `line` is called for each complete line, without "\n" or "\r\n"; empty
  // lines are skipped. A line that lies whole in `bytes` is not copied. The
  // views are valid during the call.
  void Feed(absl::string_view bytes, absl::FunctionRef<void(absl::string_view)> line,
            absl::FunctionRef<void(const OversizedLine&)> oversized);

  // Bytes held of an unfinished line.
  size_t buffered() const { return buffer_.size(); }

 private:
  void KeepTail(absl::string_view piece);

  const size_t max_line_bytes_;
  std::string buffer_;
  size_t dropped_ = 0;  // > 0: within an oversized line, its length so far
  std::string tail_;    // of that line
};

}  // namespace unmcp::bridge

#endif  // UNMCP_BRIDGE_LINE_FRAMER_H_
