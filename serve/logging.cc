#include "serve/logging.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "glog/logging.h"
#include "grpc/support/log.h"

namespace unmcp {
namespace {

// Above every severity: glog itself writes nothing to stderr.
constexpr int kNothing = google::NUM_SEVERITIES;

class JsonSink final : public google::LogSink {
 public:
  using LogSink::send;
  void send(google::LogSeverity severity, const char* full_filename, const char*, int line,
            const google::LogMessageTime& time, const char* message, size_t length) override {
    const absl::Time when = absl::FromTimeT(time.timestamp()) + absl::Microseconds(time.usec());
    const std::string text =
        absl::StrCat(JsonLogLine(severity, full_filename, line, when, absl::string_view(message, length)), "\n");
    // One write a line: lines of several threads, and of children that share
    // stderr, do not mix.
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
};

// gRPC's own messages are for those who debug it: what concerns a user comes
// back as a status, and is said in our words.
void LogGrpc(gpr_log_func_args* args) { VLOG(1) << "grpc " << args->file << ":" << args->line << ": " << args->message; }

}  // namespace

void InitLogging(const char* program, const LogOptions& options) {
  FLAGS_v = options.level == LogLevel::kDebug ? 1 : 0;
  switch (options.level) {
    case LogLevel::kDebug:
    case LogLevel::kInfo: FLAGS_minloglevel = google::GLOG_INFO; break;
    case LogLevel::kWarning: FLAGS_minloglevel = google::GLOG_WARNING; break;
    case LogLevel::kError: FLAGS_minloglevel = google::GLOG_ERROR; break;
  }
  if (options.format == LogFormat::kText) {
    FLAGS_logtostderr = true;
    FLAGS_colorlogtostderr = isatty(STDERR_FILENO) != 0;
  } else {
    FLAGS_logtostderr = false;
    FLAGS_stderrthreshold = kNothing;
    for (int severity = 0; severity < google::NUM_SEVERITIES; ++severity) {
      google::SetLogDestination(severity, "");  // no files either
    }
    // Never destroyed: other threads may log until the very end.
    google::AddLogSink(new JsonSink);
  }
  google::InitGoogleLogging(program);
  gpr_set_log_function(LogGrpc);
}

std::string JsonLogLine(int severity, absl::string_view file, int line, absl::Time time, absl::string_view message) {
  static constexpr const char* kLevels[] = {"info", "warning", "error", "fatal"};
  return JsonText({{"file", absl::StrCat(file, ":", line)},
                   {"level", kLevels[severity]},
                   {"message", std::string(message)},
                   {"time", absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", time, absl::UTCTimeZone())}});
}

}  // namespace unmcp
