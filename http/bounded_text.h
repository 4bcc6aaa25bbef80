// A text that is put together from pieces and may not grow beyond a bound.
#ifndef UNMCP_HTTP_BOUNDED_TEXT_H_
#define UNMCP_HTTP_BOUNDED_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace unmcp::http {

// Of a text beyond the bound only the ends are kept: enough to find the
// request that a message answers.
//
// Thread compatible.
class BoundedText {
 public:
  static constexpr size_t kKeptHead = 4096;
  static constexpr size_t kKeptTail = 256;

  explicit BoundedText(size_t max_bytes) : max_bytes_(max_bytes) {}

  void Append(absl::string_view piece) {
    length_ += piece.size();
    if (length_ <= max_bytes_) {
      text_.append(piece.data(), piece.size());
      return;
    }
    if (!oversized()) {
      oversized_ = true;
      tail_ = text_.size() > kKeptTail ? text_.substr(text_.size() - kKeptTail) : text_;
      text_.append(piece.data(), piece.size() < kKeptHead ? piece.size() : kKeptHead);
      if (text_.size() > kKeptHead) text_.resize(kKeptHead);
      text_.shrink_to_fit();
    }
    if (piece.size() > kKeptTail) piece.remove_prefix(piece.size() - kKeptTail);
    tail_.append(piece.data(), piece.size());
    if (tail_.size() > kKeptTail) tail_.erase(0, tail_.size() - kKeptTail);
  }

  void Clear() {
    text_.clear();
    tail_.clear();
    length_ = 0;
    oversized_ = false;
  }

  bool oversized() const { return oversized_; }
  // All of it, or the first kKeptHead bytes.
  absl::string_view text() const { return text_; }
  // The last kKeptTail bytes, when it is oversized.
  absl::string_view tail() const { return tail_; }
  // How long it is, whether it is kept or not.
  size_t length() const { return length_; }

 private:
  const size_t max_bytes_;
  std::string text_, tail_;
  size_t length_ = 0;
  bool oversized_ = false;
};

}  // namespace unmcp::http

#endif  // UNMCP_HTTP_BOUNDED_TEXT_H_
