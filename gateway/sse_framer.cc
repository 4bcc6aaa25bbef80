#include "gateway/sse_framer.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace unmcp::gateway {
namespace {

// A line break in a name or id would let it forge fields.
bool IsOneLine(absl::string_view text) { return text.find_first_of(absl::string_view("\r\n\0", 3)) == text.npos; }

bool HasLineBreak(const std::string& bytes) {
  return std::memchr(bytes.data(), '\n', bytes.size()) != nullptr ||
         std::memchr(bytes.data(), '\r', bytes.size()) != nullptr;
}

}  // namespace

SseFramer::Frame SseFramer::Piece(std::string bytes, absl::string_view event, absl::string_view event_id, bool final) {
  Frame frame;
  if (!in_event_) {
    if (event.empty() || !IsOneLine(event)) event = "message";
    frame.prefix = absl::StrCat("event: ", event, "\n");
    if (!event_id.empty() && IsOneLine(event_id)) absl::StrAppend(&frame.prefix, "id: ", event_id, "\n");
    frame.prefix += "data: ";
  }
  if (after_cr_ && !bytes.empty() && bytes.front() == '\n') bytes.erase(0, 1);
  if (!bytes.empty()) after_cr_ = bytes.back() == '\r';
  if (HasLineBreak(bytes)) {  // rare: JSON-RPC messages are one line
    std::string lines;
    lines.reserve(bytes.size() + 64);
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] != '\r' && bytes[i] != '\n') {
        lines.push_back(bytes[i]);
        continue;
      }
      if (bytes[i] == '\r' && i + 1 < bytes.size() && bytes[i + 1] == '\n') ++i;
      lines += "\ndata: ";
    }
    bytes = std::move(lines);
  }
  frame.bytes = std::move(bytes);
  if (final) {
    frame.suffix = "\n\n";
    after_cr_ = false;
  }
  in_event_ = !final;
  return frame;
}

}  // namespace unmcp::gateway
