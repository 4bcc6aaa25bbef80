#include "kube/embedded/cgroups.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

namespace fs = std::filesystem;

// A directory in the place of the kernel's file system: what we write is what
// the kernel would be asked for.
class CgroupsTest : public testing::Test {
 protected:
  CgroupsTest() {
    root_ = absl::StrCat(getenv("TEST_TMPDIR"), "/cgroup-XXXXXX");
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    AddCgroup("", "cpu memory pids", "memory", "1\n");
    AddCgroup("/user", "cpu memory pids", "cpu memory", "");
    AddCgroup("/user/own", "cpu memory pids", "", absl::StrCat(getpid(), "\n77777777\n"));
  }
  ~CgroupsTest() override { fs::remove_all(root_); }

  void AddCgroup(const std::string& path, const std::string& controllers, const std::string& given_on,
                 const std::string& processes) {
    fs::create_directories(root_ + path);
    Write(path + "/cgroup.controllers", controllers + "\n");
    Write(path + "/cgroup.subtree_control", given_on + "\n");
    Write(path + "/cgroup.procs", processes);
  }
  void Write(const std::string& path, const std::string& text) { std::ofstream(root_ + path) << text; }
  std::string Read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(root_ + path).rdbuf();
    return text.str();
  }
  bool Exists(const std::string& path) { return fs::exists(root_ + path); }

  // A new cgroup of the kernel's has its parent's controllers.
  Cgroups::Options Options(std::vector<pid_t> ours) {
    return {.root = root_, .own_cgroup = "/user/own", .own_processes = std::move(ours), .remove = RemoveAll};
  }
  static bool RemoveAll(const std::string& path) { return fs::remove_all(path) > 0; }

  const std::string mine_ = absl::StrCat("/unmcp.", getpid());
  std::string root_;
};

TEST_F(CgroupsTest, InItsOwnCgroupWhenNobodyElseIsThere) {
  AddCgroup("/user/own" + mine_, "cpu memory", "", "");
  auto cgroups = Cgroups::Create(Options({getpid(), 77777777}));
  ASSERT_TRUE(cgroups.ok()) << cgroups.status();
  EXPECT_TRUE((*cgroups)->has_cpu());
  // A cgroup with processes in it hands nothing down, so they have moved.
  EXPECT_EQ(Read("/user/own" + mine_ + "/self/cgroup.procs"), "77777777");  // the last that was written
  EXPECT_EQ(Read("/user/own/cgroup.subtree_control"), "+memory");
  EXPECT_EQ(Read("/user/own" + mine_ + "/cgroup.subtree_control").substr(0, 1), "+");

  const auto path = (*cgroups)->Make("pod-1", {.memory_bytes = 64 << 20, .cpu_millis = 500});
  ASSERT_TRUE(path.ok()) << path.status();
  const std::string pod = "/user/own" + mine_ + "/pod-1";
  EXPECT_EQ(*path, root_ + pod);
  EXPECT_EQ(Read(pod + "/memory.max"), "67108864");
  EXPECT_EQ(Read(pod + "/memory.swap.max"), "0");
  EXPECT_EQ(Read(pod + "/cpu.max"), "50000 100000");

  EXPECT_FALSE(Cgroups::OutOfMemory(*path));
  Write(pod + "/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n");
  EXPECT_FALSE(Cgroups::OutOfMemory(*path));
  Write(pod + "/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n");
  EXPECT_TRUE(Cgroups::OutOfMemory(*path));
  (*cgroups)->Remove(*path);
  EXPECT_FALSE(Exists(pod));
}

TEST_F(CgroupsTest, BesideItWhenOthersAreInIt) {
  AddCgroup("/user" + mine_, "cpu memory", "", "");
  auto cgroups = Cgroups::Create(Options({getpid()}));
  ASSERT_TRUE(cgroups.ok()) << cgroups.status();
  EXPECT_EQ(*(*cgroups)->Make("pod", {.memory_bytes = 1}), root_ + "/user" + mine_ + "/pod");
  EXPECT_FALSE(Exists("/user/own" + mine_));
  EXPECT_EQ(Read("/user/own/cgroup.procs"), absl::StrCat(getpid(), "\n77777777\n"));  // nobody has been moved
  cgroups->reset();
  EXPECT_FALSE(Exists("/user" + mine_));
}

TEST_F(CgroupsTest, WithoutCpuOnlyMemoryIsLimited) {
  AddCgroup("/user" + mine_, "memory", "", "");
  auto cgroups = Cgroups::Create(Options({getpid()}));
  ASSERT_TRUE(cgroups.ok()) << cgroups.status();
  EXPECT_FALSE((*cgroups)->has_cpu());
  const auto path = (*cgroups)->Make("pod", {.memory_bytes = 1 << 20, .cpu_millis = 500});
  ASSERT_TRUE(path.ok());
  EXPECT_FALSE(fs::exists(*path + "/cpu.max"));
}

TEST_F(CgroupsTest, WithoutAMemoryControllerThereAreNone) {
  AddCgroup("/user", "pids", "", "");
  AddCgroup("/user/own", "pids", "", "");
  EXPECT_EQ(Cgroups::Create(Options({getpid()})).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Cgroups::Create({.root = root_ + "/nowhere", .own_cgroup = "/", .own_processes = {}}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(CgroupsTest, WhatAKilledUnmcpHasLeftIsEnded) {
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  waitpid(dead, nullptr, 0);
  const pid_t survivor = fork();
  if (survivor == 0) {
    pause();
    _exit(0);
  }
  const std::string left = absl::StrCat("/user/own/unmcp.", dead);
  AddCgroup(left, "memory", "memory", "");
  AddCgroup(left + "/pod", "memory", "", absl::StrCat(survivor, "\n"));
  const std::string other = absl::StrCat("/user/own/unmcp.", getppid());
  AddCgroup(other, "memory", "memory", "");
  AddCgroup("/user" + mine_, "cpu memory", "", "");
  ASSERT_TRUE(Cgroups::Create(Options({getpid()})).ok());
  int status = 0;
  waitpid(survivor, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(Exists(left));
  EXPECT_TRUE(Exists(other));  // that one lives
}

}  // namespace
}  // namespace unmcp::kube
