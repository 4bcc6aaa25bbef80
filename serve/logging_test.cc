#include "serve/logging.h"

#include <cstdlib>

#include "common/proto_json.h"
#include "glog/logging.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

TEST(JsonLogLineTest, IsOneJsonObjectOnOneLine) {
  const absl::Time time = absl::FromUnixMicros(1738324800123456);
  EXPECT_EQ(JsonLogLine(google::GLOG_WARNING, "a/b.cc", 7, time, "pod \"x\"\nfailed"),
            R"({"file":"a/b.cc:7","level":"warning","message":"pod \"x\"\nfailed","time":"2025-01-31T12:00:00.123456Z"})");
}

// Servers' stderr gets into messages.
TEST(JsonLogLineTest, StaysJsonWhateverTheMessage) {
  const std::string line = JsonLogLine(google::GLOG_ERROR, "a.cc", 1, absl::UnixEpoch(), "\xff\x1b[0m\t");
  EXPECT_TRUE(ParseJson(line).ok()) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

// glog is set up once per process: each case has its own.
void LogAndExit(const LogOptions& options) {
  InitLogging("unmcp", options);
  VLOG(1) << "debug-message";
  LOG(INFO) << "info-message";
  LOG(WARNING) << "warning-message";
  LOG(ERROR) << "error-message";
  std::exit(0);
}

TEST(LoggingDeathTest, Text) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(LogAndExit({}), testing::ExitedWithCode(0),
              testing::ResultOf(
                  [](const std::string& err) {
                    return err.find("] info-message\n") != std::string::npos && err[0] == 'I' &&
                           err.find("] error-message\n") != std::string::npos &&
                           err.find("debug-message") == std::string::npos;
                  },
                  testing::IsTrue()));
}

TEST(LoggingDeathTest, JsonIsOneObjectALineAndNothingElse) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(LogAndExit({LogLevel::kDebug, LogFormat::kJson}), testing::ExitedWithCode(0),
              testing::ResultOf(
                  [](const std::string& err) {
                    std::string levels;
                    for (size_t at = 0; at < err.size();) {
                      const size_t end = err.find('\n', at);
                      const auto json = ParseJson(err.substr(at, end - at));
                      if (!json.ok() || !json->is_object()) return "not JSON: " + err.substr(at, end - at);
                      levels += (*json)["level"].get<std::string>() + " " + (*json)["message"].get<std::string>() + "\n";
                      at = end + 1;
                    }
                    return levels;
                  },
                  testing::Eq("info debug-message\ninfo info-message\nwarning warning-message\nerror error-message\n")));
}

TEST(LoggingDeathTest, LevelHidesWhatIsBelow) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(LogAndExit({LogLevel::kError, LogFormat::kText}), testing::ExitedWithCode(0),
              testing::AllOf(testing::HasSubstr("error-message"), testing::Not(testing::HasSubstr("warning-message"))));
}

}  // namespace
}  // namespace unmcp
