// How the process logs: glog to stderr, as text, or as one JSON object a line
// for log collectors:
//
//   {"file":"controller/loop.cc:71","level":"info","message":"…","time":"2025-01-31T12:00:00.123456Z"}
#ifndef UNMCP_SERVE_LOGGING_H_
#define UNMCP_SERVE_LOGGING_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace unmcp {

enum class LogFormat { kText, kJson };

// kDebug is VLOG(1), the others are glog's severities.
enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};

// Sets glog up, for the whole process. Once, before the first LOG and before
// other threads are started. `program` outlives the process (argv[0]).
void InitLogging(const char* program, const LogOptions& options);

// One line, without its end. `severity` is glog's (0 for INFO).
std::string JsonLogLine(int severity, absl::string_view file, int line, absl::Time time, absl::string_view message);

}  // namespace unmcp

#endif  // UNMCP_SERVE_LOGGING_H_
