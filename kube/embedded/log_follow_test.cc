#include "kube/embedded/log_follow.h"

#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/simulated_scheduler.h"
#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

class LogFollowTest : public testing::Test {
 protected:
  // What has come since the last call.
  std::string Heard() {
    scheduler_.RunUntilIdle();
    return std::exchange(heard_, {});
  }

  SimulatedScheduler scheduler_;
  std::string heard_;
  std::optional<absl::Status> end_;
  const std::shared_ptr<LogFollow> follow_ = std::make_shared<LogFollow>(
      &scheduler_, LogCallbacks{.on_text = [this](std::string text) { heard_ += text; },
                                .on_end = [this](absl::Status why) { end_ = why; }});
};

TEST_F(LogFollowTest, WholeLinesThenTheEnd) {
  follow_->Append("one\ntw");
  EXPECT_EQ(Heard(), "one\n");
  follow_->Append("o\n\nthree");
  EXPECT_EQ(Heard(), "two\n\n");
  follow_->End(absl::OkStatus());
  EXPECT_EQ(Heard(), "three\n");
  EXPECT_EQ(end_, absl::OkStatus());
  follow_->Append("late\n");
  EXPECT_EQ(Heard(), "");
}

TEST_F(LogFollowTest, AReaderThatFallsBehindLosesTheOldestAndIsTold) {
  std::string line(99, 'x');
  line += '\n';
  const size_t fit = LogFollow::kMaxWaitingBytes / line.size();
  follow_->Append("first\n");
  for (size_t i = 0; i < fit + 2; ++i) follow_->Append(line);
  const std::string heard = Heard();
  EXPECT_TRUE(absl::StartsWith(heard, "… 3 lines dropped\nxxx")) << heard.substr(0, 60);
  EXPECT_LE(heard.size(), LogFollow::kMaxWaitingBytes + 40);
  // Only once.
  follow_->Append("next\n");
  EXPECT_EQ(Heard(), "next\n");
}

TEST_F(LogFollowTest, ALineWithoutEndIsCut) {
  follow_->Append(std::string(LogFollow::kMaxLineBytes + 10, 'x'));
  EXPECT_EQ(Heard(), std::string(LogFollow::kMaxLineBytes, 'x') + "\n");
  follow_->Append("\n");
  EXPECT_EQ(Heard(), std::string(10, 'x') + "\n");
}

TEST_F(LogFollowTest, WhoHasGoneHearsNothing) {
  follow_->Append("one\n");
  follow_->Cancel();
  follow_->Append("two\n");
  follow_->End(absl::OkStatus());
  EXPECT_EQ(Heard(), "");
  EXPECT_FALSE(end_.has_value());
  EXPECT_TRUE(follow_->cancelled());
}

}  // namespace
}  // namespace unmcp::kube
