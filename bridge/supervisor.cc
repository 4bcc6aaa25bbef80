#include "bridge/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bridge/supervisor_helper.h"
#include "bridge/supervisor_wire.h"
#include "common/event_loop.h"
#include "common/status_macros.h"
#include "glog/logging.h"

namespace unmcp::bridge {
namespace {

using Started = absl::AnyInvocable<void(absl::StatusOr<Process>)>;
using Exited = absl::AnyInvocable<void(ExitStatus)>;

// Starts under way at once. Each holds seven descriptors, and the kernel
// starts no more than its cores at a time anyway.
constexpr size_t kMaxStarting = 16;

// Starts that wait for their turn: ten times what one pool may hold.
constexpr size_t kMaxWaiting = 1000;

// Signals that the helper has not read. It reads at once: with so many left it
// is stopped or broken, and is given up.
constexpr size_t kMaxUnsent = 4096;

// The pipe of a process's stdout, in bytes: four times the default, so that a
// server with a large answer seldom has to wait for its reader. No more, since
// an unprivileged user's pipes may hold 64 MB together.
constexpr int kOutputPipeBytes = 256 * 1024;

// How long the destructor waits for the helper to kill everything. It takes
// milliseconds; a process in the kernel's hands (a dead NFS mount) takes longer,
// and needs nobody to wait for it.
constexpr int kHelperExitMs = 3000;

absl::Status NoRoom(absl::string_view what, int error) {
  return absl::ResourceExhaustedError(
      absl::StrCat("cannot start another process: ", what, ": ", strerror(error),
                   "; stop something, or raise the limit (ulimit -n for open files, -u for processes)"));
}

absl::Status HelperGone() {
  return absl::UnavailableError("the supervisor process has ended, so nothing can be started; restart unmcp");
}

std::string PathOf(const ProcessSpec& spec) {
  for (const std::string& variable : spec.env) {
    if (absl::StartsWith(variable, "PATH=")) return variable;
  }
  return "PATH=/bin:/usr/bin";  // what execvp(3) takes then
}

absl::Status StartFailed(const ProcessSpec& spec, Step step, int error) {
  if (step == Step::kFork) return NoRoom("fork", error);
  if (step == Step::kWorkingDirectory) {
    const std::string message = absl::StrCat("spec.workingDir: '", spec.working_directory, "': ", strerror(error),
                                             "; give a directory that unmcp may enter");
    return error == EACCES ? absl::PermissionDeniedError(message) : absl::NotFoundError(message);
  }
  if (step == Step::kLimits) {
    return absl::UnavailableError(absl::StrCat("spec.resources.limits cannot be put on the process",
                                               spec.cgroup.empty() ? "" : absl::StrCat(" (", spec.cgroup, ")"), ": ",
                                               strerror(error), "; remove them, or restart unmcp"));
  }
  const std::string& program = spec.argv[0];
  const std::string what = absl::StrCat("spec.command[0]: '", program, "'");
  const bool looked_up = !absl::StrContains(program, '/');
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(
          looked_up ? absl::StrCat(what, " was not found in ", PathOf(spec), "; install it or give an absolute path")
                    : absl::StrCat(what, " does not exist, or the interpreter that its first line names does not;"
                                         " give the path of a program on this machine"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(what, " may not be run", looked_up ? absl::StrCat(" (", PathOf(spec), ")") : "",
                       "; make it an executable file (chmod +x) that unmcp's user can read"));
    case E2BIG:
      return absl::InvalidArgumentError(
          absl::StrCat(what, ": its arguments and environment are larger than the kernel takes"
                             " (128 KB each, and a quarter of `ulimit -s` together); pass the data in a file"));
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return NoRoom(what, error);
    default:
      return absl::FailedPreconditionError(
          absl::StrCat(what, " cannot be run: ", strerror(error), "; is it a program for this machine?"));
  }
}

absl::Status Validate(const ProcessSpec& spec) {
  if (spec.argv.empty() || spec.argv[0].empty()) {
    return absl::InvalidArgumentError("spec.command: is empty; give the program to run");
  }
  const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  for (const auto* list : {&spec.argv, &spec.env}) {
    for (const std::string& text : *list) {
      if (has_nul(text)) return absl::InvalidArgumentError("spec.command, args and env may not hold a NUL character");
    }
  }
  if (has_nul(spec.cgroup)) return absl::InvalidArgumentError("the cgroup's name may not hold a NUL character");
  if (has_nul(spec.working_directory)) {
    return absl::InvalidArgumentError("spec.workingDir: may not hold a NUL character");
  }
  return absl::OkStatus();
}

absl::StatusOr<Fd> PayloadOf(const ProcessSpec& spec) {
  Fd memfd(memfd_create("unmcp-spawn", MFD_CLOEXEC));
  if (!memfd) return NoRoom("memfd_create", errno);
  std::string payload;
  for (const auto* list : {&spec.argv, &spec.env}) {
    for (const std::string& text : *list) payload.append(text).push_back('\0');
  }
  for (const auto* text : {&spec.working_directory, &spec.cgroup}) payload.append(*text).push_back('\0');
  for (size_t at = 0; at < payload.size();) {
    const ssize_t n = write(memfd.get(), payload.data() + at, payload.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return NoRoom("memfd", errno);
    at += n;
  }
  return memfd;
}

// Makes one pipe: `ours` non-blocking, `theirs` as a program expects it.
absl::Status MakePipe(Fd* ours, Fd* theirs, bool we_write) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return NoRoom("pipe", errno);
  *ours = Fd(ends[we_write ? 1 : 0]);
  *theirs = Fd(ends[we_write ? 0 : 1]);
  fcntl(ours->get(), F_SETFL, fcntl(ours->get(), F_GETFL) | O_NONBLOCK);
  return absl::OkStatus();
}

class SupervisorImpl final : public Supervisor {
 public:
  SupervisorImpl(Fd control, pid_t helper, Fd helper_pidfd)
      : control_(std::move(control)), helper_(helper), helper_pidfd_(std::move(helper_pidfd)) {}

  ~SupervisorImpl() override {
    descriptor_.reset();
    control_ = Fd();  // the helper's sign to end
    if (helper_pidfd_) {
      pollfd exit = {helper_pidfd_.get(), POLLIN, 0};
      while (poll(&exit, 1, kHelperExitMs) < 0 && errno == EINTR) {
      }
    }
    waitpid(helper_, nullptr, WNOHANG);
  }

  void Start(EventLoop* loop) override {
    loop_ = loop;
    descriptor_.emplace(loop->io(), control_.release());
    loop->Post([this, alive = Alive()] {
      if (!alive.expired()) WaitReadable();
    });
  }

  void Spawn(ProcessSpec spec, Started started, Exited exited) override {
    absl::Status refused = lost_ ? HelperGone() : Validate(spec);
    if (refused.ok() && waiting_.size() >= kMaxWaiting) refused = NoRoom("too many are being started", EAGAIN);
    if (!refused.ok()) {
      loop_->Post([started = std::move(started), refused = std::move(refused)]() mutable { started(refused); });
      return;
    }
    waiting_.push_back({std::move(spec), {}, std::move(started), std::move(exited)});
    StartWaiting();
  }

  void Signal(uint64_t id, int signal) override {
    if (running_.contains(id)) Send({Command::kSignal, signal, id, 0, 0, 0}, nullptr);
  }

  pid_t helper_pid() const override { return helper_; }

  void OnHelperLost(absl::AnyInvocable<void()> lost) override { on_lost_ = std::move(lost); }

 private:
  struct Launching {
    ProcessSpec spec;
    Process process;
    Started started;
    Exited exited;
  };
  struct Running {
    pid_t pid;
    Exited exited;
  };
  struct Unsent {
    Command command;
    CommandFds fds;
  };

  std::weak_ptr<bool> Alive() { return alive_; }

  void StartWaiting() {
    while (!waiting_.empty() && starting_.size() < kMaxStarting && !lost_) {
      Launching launching = std::move(waiting_.front());
      waiting_.pop_front();
      launching.process.id = ++last_id_;
      Mark(&launching.spec.env, ProcessMarker(helper_, last_id_));
      CommandFds fds;
      if (absl::Status prepared = Prepare(launching, fds); !prepared.ok()) {
        loop_->Post([started = std::move(launching.started), prepared]() mutable { started(prepared); });
        continue;
      }
      const Command command = {Command::kSpawn, 0, last_id_, static_cast<uint32_t>(launching.spec.argv.size()),
                               static_cast<uint32_t>(launching.spec.env.size()), launching.spec.max_data_bytes};
      starting_.emplace(last_id_, std::move(launching));
      Send(command, &fds);
    }
  }

  // An unmcp that was itself started by one replaces its own marker.
  static void Mark(std::vector<std::string>* env, std::string marker) {
    std::erase_if(*env, [](const std::string& variable) { return absl::StartsWith(variable, kMarkerName); });
    env->push_back(std::move(marker));
  }

  static absl::Status Prepare(Launching& launching, CommandFds& fds) {
    Process& process = launching.process;
    UNMCP_RETURN_IF_ERROR(MakePipe(&process.stdin_fd, &fds[kStdin], true));
    UNMCP_RETURN_IF_ERROR(MakePipe(&process.stdout_fd, &fds[kStdout], false));
    UNMCP_RETURN_IF_ERROR(MakePipe(&process.stderr_fd, &fds[kStderr], false));
    fcntl(process.stdout_fd.get(), F_SETPIPE_SZ, kOutputPipeBytes);  // a wish: the default will do
    UNMCP_ASSIGN_OR_RETURN(fds[kPayload], PayloadOf(launching.spec));
    return absl::OkStatus();
  }

  // Takes `fds` only when they have to wait.
  void Send(const Command& command, CommandFds* fds) {
    if (unsent_.empty()) {
      if (SendCommand(descriptor_->native_handle(), command, fds)) return;
      // With EPIPE the read side will hear of the end. ETOOMANYREFS: more
      // descriptors under way than the user may have; they are on their way.
      if (errno != EAGAIN && errno != ENOBUFS && errno != ETOOMANYREFS) return;
    }
    if (unsent_.size() >= kMaxUnsent) {
      LOG(ERROR) << "the supervisor process " << helper_ << " does not answer; giving it up";
      kill(helper_, SIGKILL);  // the read side hears of the end
      return;
    }
    unsent_.push_back({command, fds != nullptr ? std::move(*fds) : CommandFds()});
    if (unsent_.size() == 1) WaitWritable();
  }

  void WaitWritable() {
    descriptor_->async_wait(boost::asio::posix::stream_descriptor::wait_write,
                            [this, alive = Alive()](const boost::system::error_code& error) {
                              if (alive.expired() || error || lost_) return;
                              Flush();
                            });
  }

  void Flush() {
    while (!unsent_.empty()) {
      const Unsent& next = unsent_.front();
      if (!SendCommand(descriptor_->native_handle(), next.command, next.fds[kPayload] ? &next.fds : nullptr) &&
          (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)) {
        return WaitWritable();
      }
      unsent_.pop_front();
    }
  }

  void WaitReadable() {
    descriptor_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [this, alive = Alive()](const boost::system::error_code& error) {
                              if (!alive.expired() && !error) Read();
                            });
  }

  void Read() {
    const std::weak_ptr<bool> alive = Alive();
    while (true) {
      Report report;
      const ssize_t n = recv(descriptor_->native_handle(), &report, sizeof(report), MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return WaitReadable();
      if (n != sizeof(report)) return Lost();
      report.kind == Report::kStarted ? OnStarted(report) : OnExited(report);
      if (alive.expired()) return;  // a callback destroyed us
    }
  }

  void OnStarted(const Report& report) {
    auto it = starting_.find(report.id);
    if (it == starting_.end()) return;
    Launching launching = std::move(it->second);
    starting_.erase(it);
    StartWaiting();
    if (report.value != 0) {
      launching.started(StartFailed(launching.spec, report.step, report.value));
      return;
    }
    running_.emplace(report.id, Running{report.pid, std::move(launching.exited)});
    launching.process.pid = report.pid;
    launching.started(std::move(launching.process));
  }

  void OnExited(const Report& report) {
    auto it = running_.find(report.id);
    if (it == running_.end()) return;
    Exited exited = std::move(it->second.exited);
    running_.erase(it);
    const bool signaled = WIFSIGNALED(report.value);
    exited({signaled, signaled ? WTERMSIG(report.value) : WEXITSTATUS(report.value)});
  }

  void Lost() {
    lost_ = true;
    LOG(ERROR) << "the supervisor process " << helper_ << " has ended; killing everything that it had started";
    auto running = std::move(running_);
    auto starting = std::move(starting_);
    auto waiting = std::move(waiting_);
    running_.clear(), starting_.clear(), waiting_.clear(), unsent_.clear();
    auto on_lost = std::move(on_lost_);
    for (const auto& [id, process] : running) kill(-process.pid, SIGKILL);
    // From here on `this` may go at any time.
    for (auto& [id, process] : running) process.exited({true, SIGKILL});
    for (auto& [id, launching] : starting) launching.started(HelperGone());
    for (auto& launching : waiting) launching.started(HelperGone());
    if (on_lost) on_lost();
  }

  Fd control_;  // until Start
  std::optional<boost::asio::posix::stream_descriptor> descriptor_;
  const pid_t helper_;
  const Fd helper_pidfd_;
  EventLoop* loop_ = nullptr;
  uint64_t last_id_ = 0;
  std::deque<Launching> waiting_;
  absl::flat_hash_map<uint64_t, Launching> starting_;
  absl::flat_hash_map<uint64_t, Running> running_;
  std::deque<Unsent> unsent_;
  bool lost_ = false;
  absl::AnyInvocable<void()> on_lost_;
  // Tells callbacks still queued in the loop that we are gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::string ExitStatus::ToString() const {
  if (!signaled) return absl::StrCat("exit code ", code);
  const char* name = sigabbrev_np(code);
  return absl::StrCat("killed by signal ", code, name != nullptr ? absl::StrCat(" (SIG", name, ")") : "");
}

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Launch() {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) return NoRoom("socketpair", errno);
  Fd ours(sockets[0]), theirs(sockets[1]);
  fcntl(ours.get(), F_SETFL, fcntl(ours.get(), F_GETFL) | O_NONBLOCK);
  // Writing to a process that has closed its stdin is an error to handle, not
  // a reason to die.
  signal(SIGPIPE, SIG_IGN);
  const pid_t helper = fork();
  if (helper < 0) return NoRoom("fork", errno);
  if (helper == 0) RunSupervisorHelper(std::move(theirs));
  return std::make_unique<SupervisorImpl>(std::move(ours), helper, Fd(static_cast<int>(syscall(SYS_pidfd_open, helper, 0))));
}

}  // namespace unmcp::bridge
