// Starts processes from a process that was forked before anything else, so
// that nothing survives unmcp.
//
// Supervisor::Launch forks a small single-threaded helper. The helper is a
// child subreaper (prctl(2)): whatever its children leave behind becomes its
// own child. It takes commands over a socket pair; when that closes, because
// unmcp ended in whatever way (SIGKILL included), it kills every process group
// it has started and every process that is left below it, and ends. Each child
// also has PR_SET_PDEATHSIG, in case the helper itself is killed.
//
//   // First thing in main, before any thread:
//   UNMCP_ASSIGN_OR_RETURN(auto supervisor, bridge::Supervisor::Launch());
//   …
//   supervisor->Start(&loop);
//   supervisor->Spawn(std::move(spec), &observer, [](absl::StatusOr<bridge::Process> p) { … });
#ifndef UNMCP_BRIDGE_SUPERVISOR_H_
#define UNMCP_BRIDGE_SUPERVISOR_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "bridge/fd.h"

namespace unmcp {
class EventLoop;
}

namespace unmcp::bridge {

struct ProcessSpec {
  // argv[0] is looked up in the PATH of `env`.
  std::vector<std::string> argv;
  // The whole environment, "NAME=value".
  std::vector<std::string> env;
  std::string working_directory;  // "" for unmcp's own
  // The directory of a cgroup (version 2) that the process is in before it
  // runs, and all that it starts with it. "" for the supervisor's own.
  std::string cgroup;
  // RLIMIT_DATA (setrlimit(2)) of the process and, each for itself, of all that
  // it starts: private writable memory, in bytes. 0: no limit.
  uint64_t max_data_bytes = 0;
};

// A started process: the leader of a new session and process group.
struct Process {
  uint64_t id = 0;  // never used again
  pid_t pid = 0;
  Fd stdin_fd, stdout_fd, stderr_fd;  // our ends, non-blocking and close-on-exec
};

struct ExitStatus {
  bool signaled = false;
  int code = 0;  // exit code, or the signal's number
  std::string ToString() const;  // "exit code 1", "killed by signal 9 (SIGKILL)"
};

// Lives on one EventLoop after Start; all methods, and its destruction, on that
// loop (or after the loop has stopped, while it still exists). No callback runs
// inside the call that it was given to.
class Supervisor {
 public:
  // Forks the helper. Call it before the process has a second thread, and
  // before it raises limits that its children are not meant to inherit. Also
  // makes this process ignore SIGPIPE.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Launch();
  // Kills every process and waits (3 s at the most) until the helper has seen
  // to it. Callbacks that have not run are dropped.
  virtual ~Supervisor() = default;

  // From here on callbacks run on `loop`.
  virtual void Start(EventLoop* loop) = 0;

  // Starts a process. `started` hears NOT_FOUND when there is no such program,
  // PERMISSION_DENIED when it may not be run, RESOURCE_EXHAUSTED when there is
  // no room for it, INVALID_ARGUMENT when argv or env cannot be passed on,
  // FAILED_PRECONDITION for what is not a program of this machine, each saying
  // what to do; UNAVAILABLE when the helper is gone. `exited` runs once, after
  // `started` with a process, when that has ended; then everything that it left
  // behind has been killed too: its process group, and what made a session of
  // its own (known by UNMCP_PROCESS in its environment).
  virtual void Spawn(ProcessSpec spec, absl::AnyInvocable<void(absl::StatusOr<Process>)> started,
                     absl::AnyInvocable<void(ExitStatus)> exited) = 0;

  // Sends a signal to the whole process group. Unknown ids are ignored.
  virtual void Signal(uint64_t id, int signal) = 0;

  // The helper. Constant.
  virtual pid_t helper_pid() const = 0;

  // Called once if the helper ends before this object does: nothing can be
  // started any more, and every process is being killed.
  virtual void OnHelperLost(absl::AnyInvocable<void()> lost) = 0;
};

}  // namespace unmcp::bridge

#endif  // UNMCP_BRIDGE_SUPERVISOR_H_
