#include "gateway/output_queue.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace unmcp::gateway {
namespace {

class OutputQueueTest : public ::testing::Test {
 protected:
  OutputQueueTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_), 0); }
  ~OutputQueueTest() override {
    close(fds_[0]);
    close(fds_[1]);
  }
  std::string ReadAll() {
    std::string all;
    char piece[64 << 10];
    ssize_t size;
    while ((size = read(fds_[1], piece, sizeof(piece))) > 0) all.append(piece, size);
    return all;
  }

  int fds_[2];
  OutputQueue queue_;
};

TEST_F(OutputQueueTest, WhatIsAddedBetweenFlushesIsOneChunk) {
  queue_.AddRaw("HEAD\r\n\r\n");
  queue_.set_chunked(true);
  queue_.AddBody("one", 1);
  queue_.AddBody("", 0);
  queue_.AddBody("two", 2);
  EXPECT_EQ(queue_.Flush(fds_[0]).credit, 3u);
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(ReadAll(), "HEAD\r\n\r\n6\r\nonetwo\r\n");

  queue_.AddBody("three", 5);
  queue_.EndBody();
  queue_.AddRaw("NEXT");
  EXPECT_EQ(queue_.Flush(fds_[0]).credit, 5u);
  EXPECT_EQ(ReadAll(), "5\r\nthree\r\n0\r\n\r\nNEXT");
}

TEST_F(OutputQueueTest, WithoutChunksBytesAreAsTheyAre) {
  queue_.AddBody("one", 0);
  queue_.AddBody("two", 0);
  queue_.EndBody();
  queue_.Flush(fds_[0]);
  EXPECT_EQ(ReadAll(), "onetwo");
}

TEST_F(OutputQueueTest, AFullSocketLosesNothingAndCreditComesWithTheBytes) {
  queue_.set_chunked(true);
  const std::string big(3'000'000, 'x');
  std::string sent = big;
  queue_.AddBody(big, big.size());
  OutputQueue::Result result = queue_.Flush(fds_[0]);
  EXPECT_TRUE(result.progress);
  EXPECT_FALSE(result.failed);
  EXPECT_EQ(result.credit, 0u) << "given back before the bytes had left";
  size_t credit = 0;
  std::string got;
  for (int i = 0; i < 200; ++i) {  // more arrives while it is full: small, then large
    const std::string more(i % 10 == 0 ? 20'000 : 10, static_cast<char>('a' + i % 26));
    queue_.AddBody(more, more.size());
    sent += more;
    got += ReadAll();
    credit += queue_.Flush(fds_[0]).credit;
  }
  while (!queue_.empty()) {
    got += ReadAll();
    credit += queue_.Flush(fds_[0]).credit;
  }
  got += ReadAll();
  EXPECT_EQ(credit, sent.size());

  std::string body;  // the chunks taken apart
  for (size_t at = 0; at < got.size();) {
    const size_t line = got.find("\r\n", at);
    ASSERT_NE(line, std::string::npos);
    const size_t size = std::stoul(got.substr(at, line - at), nullptr, 16);
    body += got.substr(line + 2, size);
    ASSERT_EQ(got.substr(line + 2 + size, 2), "\r\n");
    at = line + 2 + size + 2;
  }
  EXPECT_TRUE(body == sent);
}

TEST_F(OutputQueueTest, ABrokenSocketIsReported) {
  close(fds_[1]);
  fds_[1] = open("/dev/null", O_RDONLY);
  queue_.AddRaw("x");
  EXPECT_TRUE(queue_.Flush(fds_[0]).failed);
}

}  // namespace
}  // namespace unmcp::gateway
