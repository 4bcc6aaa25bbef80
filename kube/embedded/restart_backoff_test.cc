#include "kube/embedded/restart_backoff.h"

#include <vector>

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

TEST(RestartBackoff, AtOnceThenDoublingToAMinute) {
  RestartBackoff backoff;
  std::vector<int64_t> seconds;
  for (int i = 0; i < 10; ++i) seconds.push_back(absl::ToInt64Seconds(backoff.Next(absl::Seconds(59))));
  EXPECT_EQ(seconds, (std::vector<int64_t>{0, 1, 2, 4, 8, 16, 32, 60, 60, 60}));
}

TEST(RestartBackoff, ForgivesWhatRanAMinute) {
  RestartBackoff backoff;
  for (int i = 0; i < 10; ++i) backoff.Next(absl::ZeroDuration());
  EXPECT_EQ(backoff.Next(absl::Seconds(60)), absl::ZeroDuration());
  EXPECT_EQ(backoff.Next(absl::ZeroDuration()), absl::Seconds(1));
}

}  // namespace
}  // namespace unmcp::kube
