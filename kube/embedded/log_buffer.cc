#include "kube/embedded/log_buffer.h"

namespace unmcp::kube {
namespace {

// Where to cut so that at the most `keep` bytes stay, at a line's beginning if
// there is one within them.
size_t CutBefore(absl::string_view text, size_t keep) {
  if (text.size() <= keep) return 0;
  const size_t cut = text.size() - keep;
  if (cut > 0 && text[cut - 1] == '\n') return cut;
  const size_t newline = text.find('\n', cut);
  return newline == absl::string_view::npos || newline + 1 == text.size() ? cut : newline + 1;
}

}  // namespace

void LogBuffer::Append(absl::string_view bytes) {
  appended_ += bytes.size();
  if (bytes.size() > limit_) bytes.remove_prefix(bytes.size() - limit_);
  text_.append(bytes.data(), bytes.size());
  // In large steps: erasing moves what is left.
  if (text_.size() > limit_ + limit_ / 2) text_.erase(0, CutBefore(text_, limit_));
}

std::string LogBuffer::Tail(int lines, size_t max_bytes) const {
  absl::string_view tail = text_;
  tail.remove_prefix(CutBefore(tail, max_bytes));
  if (lines <= 0) return std::string(tail);
  size_t at = tail.size();
  if (at > 0 && tail[at - 1] == '\n') --at;
  for (; lines > 0 && at != absl::string_view::npos; --lines) {
    at = at == 0 ? absl::string_view::npos : tail.rfind('\n', at - 1);
  }
  if (at != absl::string_view::npos) tail.remove_prefix(at + 1);
  return std::string(tail);
}

}  // namespace unmcp::kube
