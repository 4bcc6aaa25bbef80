#include "tests/bench/process_tree.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace unmcp::bench {
namespace {

// A child that has used some CPU, bears a name, and waits to be killed.
pid_t StartChild(const char* name) {
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_NAME, name);
    volatile int64_t sum = 0;
    const clock_t begin = clock();
    while (clock() - begin < CLOCKS_PER_SEC / 20) sum = sum + 1;
    if (write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char c;
  EXPECT_EQ(read(ready[0], &c, 1), 1);
  close(ready[0]);
  close(ready[1]);
  return child;
}

TEST(ProcessTreeTest, CountsChildrenAndLeavesOutTheExcluded) {
  const pid_t bridge = StartChild("bridge one");
  const pid_t server = StartChild("server");

  const ProcessTree all = ReadProcessTree(getpid(), "");
  const ProcessTree without = ReadProcessTree(getpid(), "server");
  for (pid_t child : {bridge, server}) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }

  EXPECT_EQ(all.processes, 3);
  EXPECT_EQ(without.processes, 2);
  ASSERT_TRUE(without.threads.count("bridge one/bridge one"));
  const ThreadUse& use = without.threads.at("bridge one/bridge one");
  EXPECT_GE(use.user_seconds + use.system_seconds, 0.02);
  EXPECT_GE(all.cpu_seconds(), without.cpu_seconds() + 0.02);
  EXPECT_GT(without.rss_bytes, 0);
  EXPECT_GT(all.rss_bytes, without.rss_bytes);
  EXPECT_GT(without.pss_bytes, 0);
  EXPECT_LE(without.pss_bytes, without.rss_bytes);
}

TEST(ProcessTreeTest, AProcessThatIsGoneCountsForNothing) {
  const pid_t child = StartChild("short");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(ReadProcessTree(child, "").processes, 0);
}

}  // namespace
}  // namespace unmcp::bench
