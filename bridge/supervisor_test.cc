#include "bridge/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "gtest/gtest.h"

namespace unmcp::bridge {
namespace {

constexpr int kPatienceMs = 20'000;  // a test fails after this; none waits for it

const std::string kPath = "PATH=/usr/local/bin:/usr/bin:/bin";

ProcessSpec Shell(std::string script) { return {{"/bin/sh", "-c", std::move(script)}, {kPath}, ""}; }

bool WaitFor(int fd, short what) {
  pollfd wait = {fd, what, 0};
  return poll(&wait, 1, kPatienceMs) == 1;
}

// Reads until `done` says so or the file ends.
template <class Done>
std::string ReadUntil(int fd, Done done) {
  std::string text;
  char buffer[4096];
  while (!done(text) && WaitFor(fd, POLLIN)) {
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n <= 0) break;
    text.append(buffer, n);
  }
  return text;
}
std::string ReadAll(const Fd& fd) {
  return ReadUntil(fd.get(), [](const std::string&) { return false; });
}
std::string ReadLines(const Fd& fd, int lines) {
  return ReadUntil(fd.get(), [lines](const std::string& t) { return std::count(t.begin(), t.end(), '\n') >= lines; });
}

bool Gone(pid_t pid) {
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return !process || WaitFor(process.get(), POLLIN);
}
bool Alive(pid_t pid) { return kill(pid, 0) == 0; }

std::vector<pid_t> Pids(const std::string& text) {
  std::vector<pid_t> pids;
  for (const auto word : absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    int pid = 0;
    EXPECT_TRUE(absl::SimpleAtoi(word, &pid)) << text;
    pids.push_back(pid);
  }
  return pids;
}

std::string StatusField(pid_t pid, const std::string& field) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (absl::StartsWith(line, field + ":")) return line.substr(line.find_first_not_of(" \t", field.size() + 1));
  }
  return "";
}
pid_t ParentOf(pid_t pid) { return std::atoi(StatusField(pid, "PPid").c_str()); }

// A process, and what was heard of it.
struct Started {
  absl::StatusOr<Process> process;
  std::shared_ptr<Notification> ended = std::make_shared<Notification>();
  std::shared_ptr<ExitStatus> exit = std::make_shared<ExitStatus>();

  ExitStatus Wait() const {
    ended->Wait();
    return *exit;
  }
};

// A supervisor on a loop of its own.
class Host {
 public:
  Host() : supervisor_(std::move(*Supervisor::Launch())), loop_("test") {
    supervisor_->Start(&loop_);
    loop_.Start();
  }
  ~Host() {
    loop_.Stop();
    supervisor_.reset();
  }

  Started Spawn(ProcessSpec spec) {
    Started result;
    Notification heard;
    loop_.Post([&] {
      supervisor_->Spawn(
          std::move(spec),
          [&](absl::StatusOr<Process> process) {
            result.process = std::move(process);
            heard.Notify();
          },
          [exit = result.exit, ended = result.ended](ExitStatus status) {
            *exit = status;
            ended->Notify();
          });
    });
    heard.Wait();
    return result;
  }
  void Signal(uint64_t id, int signal) {
    loop_.Post([this, id, signal] { supervisor_->Signal(id, signal); });
  }
  Supervisor& supervisor() { return *supervisor_; }
  EventLoop& loop() { return loop_; }

 private:
  // Launched before the loop has its thread, destroyed while the loop exists.
  std::unique_ptr<Supervisor> supervisor_;
  EventLoop loop_;
};

class SupervisorTest : public ::testing::Test {
 protected:
  Host host_;
};

TEST_F(SupervisorTest, PipesEnvironmentDirectoryAndExitCode) {
  ProcessSpec spec = Shell("read line; echo \"$line $GREETING $(pwd)\"; echo problem >&2; exit 7");
  spec.env.push_back("GREETING=hello there");
  spec.working_directory = "/usr";
  Started started = host_.Spawn(std::move(spec));
  ASSERT_TRUE(started.process.ok()) << started.process.status();
  ASSERT_EQ(write(started.process->stdin_fd.get(), "input\n", 6), 6);
  EXPECT_EQ(ReadAll(started.process->stdout_fd), "input hello there /usr\n");
  EXPECT_EQ(ReadAll(started.process->stderr_fd), "problem\n");
  EXPECT_FALSE(started.Wait().signaled);
  EXPECT_EQ(started.Wait().code, 7);
  EXPECT_EQ(started.Wait().ToString(), "exit code 7");
}

TEST_F(SupervisorTest, AProcessOfItsOwnSessionWithNothingInherited) {
  // What unmcp has done to itself must not reach its children.
  const Fd leaked(open("/dev/null", O_RDONLY));
  Started started = host_.Spawn({{"cat"}, {kPath}, ""});
  ASSERT_TRUE(started.process.ok()) << started.process.status();
  const pid_t pid = started.process->pid;
  // Once it answers it has been loaded: until then a library is open in it.
  ASSERT_EQ(write(started.process->stdin_fd.get(), "ready\n", 6), 6);
  EXPECT_EQ(ReadLines(started.process->stdout_fd, 1), "ready\n");
  EXPECT_EQ(getsid(pid), pid);
  EXPECT_EQ(getpgid(pid), pid);
  std::set<std::string> fds;
  DIR* dir = opendir(absl::StrCat("/proc/", pid, "/fd").c_str());
  ASSERT_NE(dir, nullptr);
  while (const dirent* entry = readdir(dir)) fds.insert(entry->d_name);
  closedir(dir);
  EXPECT_EQ(fds, (std::set<std::string>{".", "..", "0", "1", "2"}));
  EXPECT_EQ(StatusField(pid, "SigBlk"), "0000000000000000");
  // The C library keeps signals 32 and 33 to itself.
  EXPECT_EQ(std::stoull(StatusField(pid, "SigIgn"), nullptr, 16) & 0x7fffffff, 0u);
  EXPECT_NE(fcntl(started.process->stdin_fd.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(started.process->stdout_fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  // Our end of stdin is the only one: closing it ends cat.
  started.process->stdin_fd = Fd();
  EXPECT_EQ(started.Wait().code, 0);
}

TEST_F(SupervisorTest, ANameThatIsNotInPath) {
  Started started = host_.Spawn({{"no-such-program"}, {kPath}, ""});
  EXPECT_EQ(started.process.status(),
            absl::NotFoundError("spec.command[0]: 'no-such-program' was not found in " + kPath +
                                "; install it or give an absolute path"));
}

TEST_F(SupervisorTest, PathsThatAreNotPrograms) {
  EXPECT_EQ(host_.Spawn({{"/no/such/program"}, {}, ""}).process.status().code(), absl::StatusCode::kNotFound);

  const std::string file = absl::StrCat(getenv("TEST_TMPDIR"), "/script");
  std::ofstream(file) << "#!/no/such/interpreter\n";
  absl::Status status = host_.Spawn({{file}, {}, ""}).process.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(absl::StrContains(status.message(), "chmod +x")) << status;

  ASSERT_EQ(chmod(file.c_str(), 0755), 0);
  status = host_.Spawn({{file}, {}, ""}).process.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(status.message(), "interpreter")) << status;

  ProcessSpec nowhere = Shell("true");
  nowhere.working_directory = "/no/such/directory";
  status = host_.Spawn(nowhere).process.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(status.message(), "spec.workingDir: '/no/such/directory'")) << status;

  EXPECT_EQ(host_.Spawn({{}, {}, ""}).process.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(host_.Spawn({{"sh", std::string("a\0b", 3)}, {kPath}, ""}).process.status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SupervisorTest, LimitsHoldBeforeTheProgramRuns) {
  // A directory stands for the cgroup: what is written there is what the kernel is asked for.
  const std::string cgroup = absl::StrCat(getenv("TEST_TMPDIR"), "/cgroup");
  mkdir(cgroup.c_str(), 0700);
  ProcessSpec spec = Shell(absl::StrCat("cat ", cgroup, "/cgroup.procs; echo; ulimit -d; sh -c 'ulimit -d'"));
  spec.cgroup = cgroup;
  spec.max_data_bytes = 64 << 20;
  Started started = host_.Spawn(spec);
  ASSERT_TRUE(started.process.ok()) << started.process.status();
  EXPECT_EQ(ReadAll(started.process->stdout_fd), "0\n65536\n65536\n");

  spec.cgroup = "/no/such/cgroup";
  const absl::Status status = host_.Spawn(spec).process.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "spec.resources.limits")) << status;
}

TEST_F(SupervisorTest, AMemoryLimitMakesAllocationsFail) {
  ProcessSpec spec = Shell("a=x; while :; do a=$a$a || exit 3; done");
  spec.max_data_bytes = 32 << 20;
  Started started = host_.Spawn(spec);
  ASSERT_TRUE(started.process.ok()) << started.process.status();
  EXPECT_NE(started.Wait().code, 0);
  EXPECT_NE(started.Wait().code, SIGKILL);  // it heard of it, and was not killed
}

TEST_F(SupervisorTest, SignalsReachTheWholeGroup) {
  Started started = host_.Spawn(Shell("sleep 1000 & echo $!; wait"));
  ASSERT_TRUE(started.process.ok());
  const pid_t child = Pids(ReadLines(started.process->stdout_fd, 1)).at(0);
  host_.Signal(started.process->id, SIGTERM);
  EXPECT_TRUE(started.Wait().signaled);
  EXPECT_EQ(started.Wait().code, SIGTERM);
  EXPECT_EQ(started.Wait().ToString(), "killed by signal 15 (SIGTERM)");
  EXPECT_TRUE(Gone(child));
  host_.Signal(started.process->id, SIGTERM);  // nobody is there any more
  host_.Signal(12345, SIGTERM);
}

TEST_F(SupervisorTest, WhatALeaderLeavesOfItsGroupIsKilled) {
  Started started = host_.Spawn(Shell("sleep 1000 & echo $!"));
  ASSERT_TRUE(started.process.ok());
  const pid_t child = Pids(ReadLines(started.process->stdout_fd, 1)).at(0);
  EXPECT_EQ(started.Wait().code, 0);
  EXPECT_TRUE(Gone(child));
}

TEST_F(SupervisorTest, WhatALeaderLeavesInASessionOfItsOwnIsKilled) {
  Started other = host_.Spawn(Shell("setsid sleep 1000 & echo $!; wait"));
  ASSERT_TRUE(other.process.ok());
  const pid_t bystander = Pids(ReadLines(other.process->stdout_fd, 1)).at(0);
  Started started = host_.Spawn(Shell("setsid sh -c 'trap \"\" TERM; echo $$; sleep 1000; :' & wait"));
  ASSERT_TRUE(started.process.ok());
  const pid_t survivor = Pids(ReadLines(started.process->stdout_fd, 1)).at(0);
  host_.Signal(started.process->id, SIGTERM);
  EXPECT_TRUE(started.Wait().signaled);
  EXPECT_TRUE(Gone(survivor));
  EXPECT_EQ(kill(bystander, 0), 0);  // another process's
}

TEST_F(SupervisorTest, ArgumentsAndEnvironmentOfAnySizeTheKernelTakes) {
  ProcessSpec spec = Shell("echo ${#1} ${#5} ${#BIG} $#; cat /proc/self/environ | wc -c");
  spec.argv.push_back("sh");
  for (int i = 0; i < 5; ++i) spec.argv.push_back(std::string(100'000 + i, 'a'));
  spec.env.push_back("BIG=" + std::string(120'000, 'b'));
  Started started = host_.Spawn(std::move(spec));
  ASSERT_TRUE(started.process.ok()) << started.process.status();
  EXPECT_TRUE(absl::StartsWith(ReadAll(started.process->stdout_fd), "100000 100004 120000 5\n12"));

  absl::Status status = host_.Spawn({{"echo", std::string(200'000, 'a')}, {kPath}, ""}).process.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

TEST_F(SupervisorTest, ManyAtOnce) {
  constexpr int kMany = 200;
  std::vector<Process> processes;  // on the loop until all are counted
  int heard = 0, over = 0;         // on the loop
  Notification started, ended;
  host_.loop().Post([&] {
    for (int i = 0; i < kMany; ++i) {
      host_.supervisor().Spawn(
          {{"cat"}, {kPath}, ""},
          [&](absl::StatusOr<Process> process) {
            EXPECT_TRUE(process.ok()) << process.status();
            if (process.ok()) processes.push_back(*std::move(process));
            if (++heard == kMany) started.Notify();
          },
          [&](ExitStatus status) {
            EXPECT_EQ(status.ToString(), "exit code 0");
            if (++over == kMany) ended.Notify();
          });
    }
  });
  started.Wait();
  ASSERT_EQ(processes.size(), static_cast<size_t>(kMany));
  std::set<uint64_t> ids;
  for (Process& process : processes) {
    ids.insert(process.id);
    const std::string text = absl::StrCat(process.id, "\n");
    ASSERT_EQ(write(process.stdin_fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    process.stdin_fd = Fd();
  }
  EXPECT_EQ(ids.size(), static_cast<size_t>(kMany));
  for (Process& process : processes) EXPECT_EQ(ReadAll(process.stdout_fd), absl::StrCat(process.id, "\n"));
  ended.Wait();
}

TEST_F(SupervisorTest, SignalsMeantForUnmcpDoNotEndTheHelper) {
  Started first = host_.Spawn({{"cat"}, {kPath}, ""});
  ASSERT_TRUE(first.process.ok());
  const pid_t helper = ParentOf(first.process->pid);
  EXPECT_EQ(StatusField(helper, "Name"), "mcp-supervisor");
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) kill(helper, signal);
  EXPECT_TRUE(host_.Spawn({{"cat"}, {kPath}, ""}).process.ok());
  EXPECT_TRUE(Alive(first.process->pid));
}

TEST_F(SupervisorTest, WithoutItsHelperEverythingEnds) {
  Started started = host_.Spawn(Shell("sleep 1000 & echo $!; wait"));
  ASSERT_TRUE(started.process.ok());
  const pid_t child = Pids(ReadLines(started.process->stdout_fd, 1)).at(0);
  Notification set, lost;
  host_.loop().Post([&] {
    host_.supervisor().OnHelperLost([&] { lost.Notify(); });
    set.Notify();
  });
  set.Wait();
  kill(ParentOf(started.process->pid), SIGKILL);
  EXPECT_EQ(started.Wait().ToString(), "killed by signal 9 (SIGKILL)");
  lost.Wait();
  EXPECT_TRUE(Gone(started.process->pid));
  EXPECT_TRUE(Gone(child));
  EXPECT_EQ(host_.Spawn({{"cat"}, {kPath}, ""}).process.status().code(), absl::StatusCode::kUnavailable);
}

// Prints the pids of: a member of the group, one that left it with setsid, one
// that also forked twice, its child, the leader and the helper.
constexpr char kFamily[] = R"sh(
  sleep 1000 & echo $!
  setsid sleep 1000 & echo $!
  (setsid sh -c 'trap "" TERM HUP; echo $$; sleep 1000 & echo $!; wait' &)
  echo $$ $PPID
  exec sleep 1000)sh";
constexpr int kFamilyLines = 5;
constexpr size_t kFamilySize = 6;

TEST(SupervisorEnd, DestroyedItLeavesNothing) {
  std::vector<pid_t> pids;
  Started started;
  {
    Host host;
    started = host.Spawn(Shell(kFamily));
    ASSERT_TRUE(started.process.ok());
    pids = Pids(ReadLines(started.process->stdout_fd, kFamilyLines));
    ASSERT_EQ(pids.size(), kFamilySize);
    for (pid_t pid : pids) EXPECT_TRUE(Alive(pid));
  }
  for (pid_t pid : pids) EXPECT_FALSE(Alive(pid)) << pid;  // at once: the destructor has waited
}

TEST(SupervisorEnd, KilledUnmcpLeavesNothing) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Fd from_unmcp(ends[0]), to_test(ends[1]);
  const pid_t unmcp = fork();
  if (unmcp == 0) {
    Host host;
    for (int i = 0; i < 10; ++i) {
      auto* started = new Started(host.Spawn(Shell(kFamily)));
      const std::string pids = ReadLines(started->process->stdout_fd, kFamilyLines);
      if (write(to_test.get(), pids.data(), pids.size()) < 0) _exit(1);
    }
    to_test = Fd();
    pause();
    _exit(0);
  }
  to_test = Fd();
  const std::vector<pid_t> pids = Pids(ReadAll(from_unmcp));
  ASSERT_EQ(pids.size(), 10 * kFamilySize);
  for (pid_t pid : pids) EXPECT_TRUE(Alive(pid));
  const absl::Time killed = absl::Now();
  kill(unmcp, SIGKILL);
  waitpid(unmcp, nullptr, 0);
  for (pid_t pid : pids) EXPECT_TRUE(Gone(pid)) << pid;
  EXPECT_LT(absl::Now() - killed, absl::Seconds(3));
}

}  // namespace
}  // namespace unmcp::bridge
