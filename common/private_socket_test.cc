#include "common/private_socket.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::HasSubstr;

class PrivateSocketTest : public testing::Test {
 protected:
  PrivateSocketTest() { EXPECT_NE(mkdtemp(directory_.data()), nullptr); }
  ~PrivateSocketTest() override { std::filesystem::remove_all(directory_); }

  // As a server would.
  static bool Listen(const std::string& path) {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.data(), path.size());
    const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(fd, 1) == 0;
    close(fd);  // the file stays, as after a kill
    return bound;
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777;
  }

  // Short: a socket's path is bounded.
  std::string directory_ = "/tmp/socket-XXXXXX";
};

TEST_F(PrivateSocketTest, OnlyItsUserMayOpenIt) {
  const std::string path = directory_ + "/run/a.sock";
  const mode_t before = umask(0);
  auto socket = PrivateSocket::Claim(path, "unmcp-test");
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_TRUE((*socket)->Bind([&] { EXPECT_TRUE(Listen(path)); }).ok());
  EXPECT_EQ(umask(before), 0u);
  EXPECT_EQ(ModeOf(path), 0600u);
  EXPECT_EQ(ModeOf(directory_ + "/run"), 0700u);
  socket->reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(PrivateSocketTest, WhatAnEarlierProcessLeftIsRemoved) {
  const std::string path = directory_ + "/a.sock";
  ASSERT_TRUE(Listen(path));
  auto socket = PrivateSocket::Claim(path, "unmcp-test");
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_TRUE((*socket)->Bind([&] { EXPECT_TRUE(Listen(path)); }).ok());
}

TEST_F(PrivateSocketTest, TwoDoNotShareIt) {
  const std::string path = directory_ + "/a.sock";
  auto first = PrivateSocket::Claim(path, "unmcp-test");
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE((*first)->Bind([&] { EXPECT_TRUE(Listen(path)); }).ok());
  const absl::Status second = PrivateSocket::Claim(path, "unmcp-test").status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr("another unmcp-test listens on " + path));
  EXPECT_TRUE(std::filesystem::exists(path));  // the refused one has not removed it
}

TEST_F(PrivateSocketTest, ErrorsSayWhatToDo) {
  EXPECT_EQ(PrivateSocket::Claim(directory_ + "/" + std::string(120, 'x'), "unmcp-test").status().code(),
            absl::StatusCode::kInvalidArgument);
  const absl::Status no_directory = PrivateSocket::Claim("/proc/none/a.sock", "unmcp-test").status();
  EXPECT_THAT(std::string(no_directory.message()), HasSubstr("name another socket"));
}

TEST_F(PrivateSocketTest, AnyPathHasAnAddress) {
  EXPECT_EQ(UnixAddress("/run/u-1/a_b.sock"), "unix:/run/u-1/a_b.sock");
  EXPECT_EQ(UnixAddress("/home/J\xc3\xb6rg M/a%.sock"), "unix:/home/J%c3%b6rg%20M/a%25.sock");
}

}  // namespace
}  // namespace unmcp
