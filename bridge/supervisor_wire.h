// What the supervisor and its helper say to each other: fixed-size messages
// over a SOCK_SEQPACKET pair, both ends the same binary, so neither versions
// nor byte order matter. File descriptors go along with SCM_RIGHTS.
#ifndef UNMCP_BRIDGE_SUPERVISOR_WIRE_H_
#define UNMCP_BRIDGE_SUPERVISOR_WIRE_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "bridge/fd.h"

namespace unmcp::bridge {

// Supervisor to helper.
struct Command {
  enum Kind : uint32_t { kSpawn, kSignal } kind;
  int32_t signal;  // kSignal
  uint64_t id;
  // kSpawn: how many strings of each sort the payload has.
  uint32_t argc;
  uint32_t envc;
  uint64_t max_data_bytes;  // kSpawn: 0 for no limit
};

// What kSpawn carries along, in this order: the child's ends of its pipes, and
// a memfd with argv, env, the working directory and the cgroup, each ended by a
// NUL byte.
// A memfd, since these can be larger than any socket message.
enum SpawnFd { kStdin, kStdout, kStderr, kPayload, kSpawnFds };
using CommandFds = std::array<Fd, kSpawnFds>;

// How far the start of a process got.
enum class Step : int32_t { kFork, kLimits, kWorkingDirectory, kExec };

// Helper to supervisor. Each kSpawn is answered by one kStarted; a start that
// succeeded is followed by one kExited.
struct Report {
  enum Kind : uint32_t { kStarted, kExited } kind;
  int32_t pid;  // kStarted
  uint64_t id;
  int32_t value;  // kStarted: 0 or errno; kExited: the status of waitpid(2)
  Step step;      // kStarted that failed: at what
};

// A variable in the environment of process `id` and so of all that it starts,
// unless they take pains: what it leaves behind is known by it. `helper` is the
// helper's pid.
inline constexpr char kMarkerName[] = "UNMCP_PROCESS=";
inline std::string ProcessMarker(pid_t helper, uint64_t id) {
  return kMarkerName + std::to_string(helper) + "." + std::to_string(id);
}

// sendmsg(2) and recvmsg(2) of one message, interrupted calls tried again.
// `fds` may be null; SendCommand leaves them open. False with errno set; at end
// of file ReceiveCommand sets errno to 0.
bool SendCommand(int socket, const Command& command, const CommandFds* fds);
bool ReceiveCommand(int socket, Command* command, CommandFds* fds);

}  // namespace unmcp::bridge

#endif  // UNMCP_BRIDGE_SUPERVISOR_WIRE_H_
