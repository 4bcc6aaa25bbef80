// The last bytes of a container's log, kept in memory.
#ifndef UNMCP_KUBE_EMBEDDED_LOG_BUFFER_H_
#define UNMCP_KUBE_EMBEDDED_LOG_BUFFER_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace unmcp::kube {

// Thread compatible. Takes memory as the log grows, half as much again as its
// limit at the most.
class LogBuffer {
 public:
  // Keeps at least the last `limit` bytes, but for the rest of a line that no
  // longer has its beginning.
  explicit LogBuffer(size_t limit) : limit_(limit) {}

  void Append(absl::string_view bytes);

  // Bytes appended so far, those no longer kept too.
  size_t appended() const { return appended_; }

  // The last `lines` lines, or all for 0. A line that is not complete yet
  // counts as one. At the most `max_bytes`, again in whole lines if one fits.
  std::string Tail(int lines, size_t max_bytes = std::string::npos) const;

 private:
  size_t limit_;
  std::string text_;
  size_t appended_ = 0;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_LOG_BUFFER_H_
