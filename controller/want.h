// What follows from a server's snapshot without deciding anything: whether it
// may run, whether it is wanted, until when it is in use. Pure functions, beside
// decide.h.
#ifndef UNMCP_CONTROLLER_WANT_H_
#define UNMCP_CONTROLLER_WANT_H_

#include <optional>

#include "absl/time/time.h"
#include "controller/decide.h"

namespace unmcp::controller {

// Condition types of a server.
inline constexpr char kAccepted[] = "Accepted";
inline constexpr char kRequested[] = "Requested";
// True from the write that announces an incarnation until its Pod is known to
// be gone. While it is, the server holds its grant.
inline constexpr char kStarted[] = "Started";
inline constexpr char kReady[] = "Ready";
inline constexpr char kDiscovered[] = "Discovered";

// A reason of Requested.
inline constexpr char kForDiscovery[] = "Discovery";

// Why a server must not run, whoever asks; nothing when it may.
std::optional<v1::Unavailable> Blocked(const ServerSnapshot& seen);

// It is known what a process made of its spec is.
bool Discovered(const v1::MCPServerStatus& status, const Declaration& declared);

// Its status says that it has a life, whatever becomes of it.
bool Started(const ServerSnapshot& seen);

// Starts that failed in a row, of the spec as it is now.
int Failures(const ServerSnapshot& seen);
// The next start has to wait.
bool BackingOff(const ServerSnapshot& seen);

// Somebody waits for it.
bool Demanded(const ServerSnapshot& seen);

// When whom it was started for got it, as far as status tells; InfinitePast.
// Who has just got it needs a moment to make use of it.
absl::Time ServedAsRecorded(const v1::MCPServerStatus& status);

// WantOf (decide.h), when it is known already whether this spec is discovered.
Want WantOf(const ServerSnapshot& seen, bool discovered);

// Until when the server is in use; InfiniteFuture while something is in flight,
// or when it never sleeps. `memory` takes the place of the snapshot's.
absl::Time AwakeUntil(const ServerSnapshot& seen, const ServerMemory& memory);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_WANT_H_
