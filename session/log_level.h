// The levels of logging/setLevel (RFC 5424's), and the most verbose one that
// any session wants.
#ifndef UNMCP_SESSION_LOG_LEVEL_H_
#define UNMCP_SESSION_LOG_LEVEL_H_

#include <array>
#include <cstdint>
#include <iterator>

#include "absl/strings/string_view.h"

namespace unmcp::session {

inline constexpr absl::string_view kLogLevels[] = {"debug", "info",     "notice", "warning",
                                                   "error", "critical", "alert",  "emergency"};

// An index of kLogLevels; -1 when it is none.
inline int8_t ParseLogLevel(absl::string_view name) {
  for (int8_t i = 0; i < static_cast<int8_t>(std::size(kLogLevels)); ++i) {
    if (kLogLevels[i] == name) return i;
  }
  return -1;
}

class LogLevels {
 public:
  // A session's level changes; -1 is none.
  void Change(int8_t from, int8_t to) {
    if (from >= 0) --sessions_[from];
    if (to >= 0) ++sessions_[to];
  }
  // The lowest level that some session asked for; -1 when none did.
  int8_t MostVerbose() const {
    for (int8_t i = 0; i < static_cast<int8_t>(sessions_.size()); ++i) {
      if (sessions_[i] > 0) return i;
    }
    return -1;
  }

 private:
  std::array<int, std::size(kLogLevels)> sessions_ = {};
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_LOG_LEVEL_H_
