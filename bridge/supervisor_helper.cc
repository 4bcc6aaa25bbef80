#include "bridge/supervisor_helper.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/process_table.h"
#include "bridge/supervisor_wire.h"

namespace unmcp::bridge {
namespace {

// The pause, while killing, before looking again for processes that have
// become ours meanwhile: as long as a round of killing takes.
constexpr useconds_t kKillRoundMicros = 2000;

struct ExecFailure {
  Step step;
  int32_t error;
};

// Strings of a Spawn's payload, mapped for as long as the fork takes.
class Payload {
 public:
  Payload(const Fd& memfd, const Command& command) {
    struct stat file;
    if (fstat(memfd.get(), &file) != 0 || file.st_size == 0) return;
    size_ = static_cast<size_t>(file.st_size);
    base_ = static_cast<char*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, memfd.get(), 0));
    if (base_ == MAP_FAILED) return;
    char* at = base_;
    argv_.reserve(command.argc + 1);
    env_.reserve(command.envc + 1);
    for (uint32_t i = 0; i < command.argc; ++i, at += std::strlen(at) + 1) argv_.push_back(at);
    for (uint32_t i = 0; i < command.envc; ++i, at += std::strlen(at) + 1) env_.push_back(at);
    argv_.push_back(nullptr);
    env_.push_back(nullptr);
    working_directory_ = at;
    cgroup_ = at + std::strlen(at) + 1;
    max_data_bytes_ = command.max_data_bytes;
  }
  ~Payload() {
    if (ok()) munmap(base_, size_);
  }
  Payload(const Payload&) = delete;
  Payload& operator=(const Payload&) = delete;

  bool ok() const { return base_ != MAP_FAILED; }
  char** argv() { return argv_.data(); }
  char** env() { return env_.data(); }
  const char* working_directory() const { return working_directory_; }
  const char* cgroup() const { return cgroup_; }
  uint64_t max_data_bytes() const { return max_data_bytes_; }

 private:
  size_t size_ = 0;
  char* base_ = static_cast<char*>(MAP_FAILED);
  std::vector<char*> argv_, env_;
  const char* working_directory_ = "";
  const char* cgroup_ = "";
  uint64_t max_data_bytes_ = 0;
};

// For the process that calls it. False with errno set.
bool TakeLimits(const Payload& payload) {
  if (const uint64_t bytes = payload.max_data_bytes(); bytes > 0) {
    rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit) != 0) return false;
    // A limit that unmcp itself was given is not raised.
    limit.rlim_cur = limit.rlim_max = std::min<rlim_t>(bytes, limit.rlim_max);
    if (setrlimit(RLIMIT_DATA, &limit) != 0) return false;
  }
  if (*payload.cgroup() == '\0') return true;
  const std::string file = std::string(payload.cgroup()) + "/cgroup.procs";
  // The kernel makes the file with the cgroup; a test's plain directory has none.
  const Fd procs(open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  return procs && write(procs.get(), "0", 1) == 1;  // 0: who writes
}

// In the child, from fork to exec.
[[noreturn]] void BecomeProcess(pid_t helper, Payload& payload, const CommandFds& fds, int failure_fd) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != helper) _exit(127);  // it ended before prctl
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // The helper has all of 0, 1 and 2 open, so none of these is among them.
  dup2(fds[kStdin].get(), STDIN_FILENO);
  dup2(fds[kStdout].get(), STDOUT_FILENO);
  dup2(fds[kStderr].get(), STDERR_FILENO);
  // Every descriptor of the helper is close-on-exec already; this holds if one
  // is ever forgotten. Kernels before 5.11 do not know the flag.
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);

  ExecFailure failure = {Step::kLimits, 0};
  if (TakeLimits(payload)) {
    failure.step = Step::kWorkingDirectory;
    if (*payload.working_directory() == '\0' || chdir(payload.working_directory()) == 0) {
      failure.step = Step::kExec;
      environ = payload.env();  // execvp looks for PATH there
      execvp(payload.argv()[0], payload.argv());
    }
  }
  failure.error = errno;
  [[maybe_unused]] const ssize_t n = write(failure_fd, &failure, sizeof(failure));
  _exit(127);
}

class Helper {
 public:
  explicit Helper(Fd control) : control_(std::move(control)) {}

  [[noreturn]] void Run() {
    Isolate();
    while (ServeOnce()) {
    }
    KillEverything();
    _exit(0);
  }

 private:
  struct Child {
    uint64_t id;
    // Until exec succeeded or failed: reads an ExecFailure, or end of file.
    Fd failure;
  };

  void Isolate() {
    // A session of its own: neither a terminal's Ctrl-C nor a kill -9 of
    // unmcp's whole process group reaches it.
    setsid();
    // Another name than unmcp's: `pkill -9 unmcp` is not to end both at once.
    prctl(PR_SET_NAME, "mcp-supervisor");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    // Everything is blocked: unmcp alone decides when this process ends.
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    signal(SIGCHLD, SIG_DFL);  // were it ignored, there would be nothing to wait for

    // Only the control socket stays. 0, 1 and 2 are taken by /dev/null: whoever
    // reads unmcp's output must not have to wait for this process too.
    control_ = Fd(fcntl(control_.get(), F_DUPFD_CLOEXEC, 3));
    {
      const Fd null(open("/dev/null", O_RDWR));
      for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null.get(), fd);
    }
    if (control_.get() > 3) close_range(3, control_.get() - 1, 0);
    close_range(control_.get() + 1, ~0U, 0);

    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    signals_ = Fd(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  // Waits for something to happen and sees to it. False when unmcp is gone.
  bool ServeOnce() {
    std::vector<pollfd> fds = {{control_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    std::vector<pid_t> starting;
    for (const auto& [pid, child] : children_) {
      if (!child.failure) continue;
      fds.push_back({child.failure.get(), POLLIN, 0});
      starting.push_back(pid);
    }
    if (poll(fds.data(), fds.size(), -1) < 0) return errno == EINTR;
    for (size_t i = 0; i < starting.size(); ++i) {
      if (fds[i + 2].revents != 0) FinishStart(starting[i]);
    }
    if (fds[1].revents != 0) Reap();
    return fds[0].revents == 0 || Obey();
  }

  bool Obey() {
    Command command;
    CommandFds fds;
    if (!ReceiveCommand(control_.get(), &command, &fds)) return false;
    if (command.kind == Command::kSpawn) {
      Spawn(command, fds);
    } else {
      for (const auto& [pid, child] : children_) {
        if (child.id == command.id) kill(-pid, command.signal);
      }
    }
    return true;
  }

  void Spawn(const Command& command, const CommandFds& fds) {
    Payload payload(fds[kPayload], command);
    int failure[2];
    if (!payload.ok() || pipe2(failure, O_CLOEXEC) != 0) {
      return Send({Report::kStarted, 0, command.id, errno, Step::kFork});
    }
    Fd read_end(failure[0]), write_end(failure[1]);
    const pid_t helper = getpid();
    const pid_t pid = fork();
    if (pid == 0) BecomeProcess(helper, payload, fds, write_end.get());
    if (pid < 0) return Send({Report::kStarted, 0, command.id, errno, Step::kFork});
    children_[pid] = Child{command.id, std::move(read_end)};
  }

  // The exec of `pid` has succeeded or failed: both close the pipe.
  void FinishStart(pid_t pid) {
    auto it = children_.find(pid);
    if (it == children_.end() || !it->second.failure) return;
    ExecFailure failure;
    const ssize_t n = read(it->second.failure.get(), &failure, sizeof(failure));
    it->second.failure = Fd();
    if (n != sizeof(failure)) return Send({Report::kStarted, pid, it->second.id, 0, Step::kExec});
    Send({Report::kStarted, pid, it->second.id, failure.error, failure.step});
    children_.erase(it);  // what is left of it is reaped like an orphan
  }

  void Reap() {
    signalfd_siginfo info;
    while (read(signals_.get(), &info, sizeof(info)) > 0) {
    }
    while (true) {
      // WNOWAIT first: while the leader is not reaped, nobody else can have
      // its number, so the signal below goes to its group and no other.
      siginfo_t dead = {};
      if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 || dead.si_pid == 0) return;
      const pid_t pid = dead.si_pid;
      FinishStart(pid);
      auto it = children_.find(pid);
      if (it != children_.end()) kill(-pid, SIGKILL);
      int status = 0;
      waitpid(pid, &status, 0);
      if (it == children_.end()) continue;
      const uint64_t id = it->second.id;
      children_.erase(it);
      // What it left behind outside its group made a session of its own, and is
      // our child now, or below one.
      KillMarked(ProcessMarker(getpid(), id));
      Send({Report::kExited, pid, id, status, Step::kExec});
    }
  }

  // May wait until unmcp reads; when unmcp is gone it fails, and the next
  // receive says so.
  void Send(const Report& report) { send(control_.get(), &report, sizeof(report), MSG_NOSIGNAL); }

  // Killing a process makes its children ours, as we are their subreaper, so
  // this goes on until there is no child. A process that forks meanwhile leaves
  // its child to the next round.
  void KillEverything() {
    while (true) {
      pid_t pid;
      while ((pid = waitpid(-1, nullptr, WNOHANG)) > 0) children_.erase(pid);
      if (pid < 0 && errno == ECHILD) return;
      for (const auto& [leader, child] : children_) kill(-leader, SIGKILL);
      KillChildren();
      usleep(kKillRoundMicros);
    }
  }

  static void KillChildren() {
    const pid_t self = getpid();
    ForEachProcess([self](pid_t pid) {
      if (ParentOf(pid) == self) kill(pid, SIGKILL);
    });
  }

  // 0 when there is no such process. A child of ours cannot become somebody
  // else between this and a kill: it is ours to reap.
  static pid_t ParentOf(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const Fd stat(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[256];  // "pid (name) state ppid …", and a name has 64 characters at the most
    const ssize_t n = stat ? read(stat.get(), text, sizeof(text) - 1) : 0;
    if (n <= 0) return 0;
    text[n] = '\0';
    const char* name_end = std::strrchr(text, ')');  // a name may hold anything, ')' too
    int parent = 0;
    if (name_end == nullptr || std::sscanf(name_end + 1, " %*c %d", &parent) != 1) return 0;
    return parent;
  }

  Fd control_, signals_;
  std::unordered_map<pid_t, Child> children_;  // leaders, by pid
};

}  // namespace

void RunSupervisorHelper(Fd control) { Helper(std::move(control)).Run(); }

}  // namespace unmcp::bridge
