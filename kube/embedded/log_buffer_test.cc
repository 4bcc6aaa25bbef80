#include "kube/embedded/log_buffer.h"

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

TEST(LogBuffer, TailsWholeLines) {
  LogBuffer log(1000);
  EXPECT_EQ(log.Tail(0), "");
  EXPECT_EQ(log.Tail(3), "");
  log.Append("one\ntw");
  log.Append("o\n\nfour\n");
  EXPECT_EQ(log.Tail(0), "one\ntwo\n\nfour\n");
  EXPECT_EQ(log.Tail(1), "four\n");
  EXPECT_EQ(log.Tail(2), "\nfour\n");
  EXPECT_EQ(log.Tail(4), "one\ntwo\n\nfour\n");
  EXPECT_EQ(log.Tail(100), "one\ntwo\n\nfour\n");
  log.Append("five, so far");
  EXPECT_EQ(log.Tail(1), "five, so far");
  EXPECT_EQ(log.Tail(2), "four\nfive, so far");
}

TEST(LogBuffer, ATailOfBytesBeginsWithALineIfOneFits) {
  LogBuffer log(1000);
  log.Append("first line\nsecond\nthird\n");
  EXPECT_EQ(log.Tail(0, 13), "second\nthird\n");
  EXPECT_EQ(log.Tail(0, 12), "third\n");
  EXPECT_EQ(log.Tail(1, 3), "rd\n");
  EXPECT_EQ(log.Tail(0, 0), "");
}

TEST(LogBuffer, KeepsTheEndWithinItsLimit) {
  LogBuffer log(1000);
  std::string all;
  for (int i = 0; i < 5000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    log.Append(line);
    all += line;
    ASSERT_LE(log.Tail(0).size(), 1500u);
  }
  EXPECT_EQ(log.appended(), all.size());
  const std::string kept = log.Tail(0);
  EXPECT_GE(kept.size(), 980u);
  EXPECT_EQ(kept, all.substr(all.size() - kept.size()));
  EXPECT_EQ(kept.substr(0, 5), "line ");
  log.Append(std::string(10'000, 'x') + "end");
  EXPECT_LE(log.Tail(0).size(), 1500u);
  EXPECT_EQ(log.Tail(0).substr(log.Tail(0).size() - 5), "xxend");
}

}  // namespace
}  // namespace unmcp::kube
