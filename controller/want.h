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

// All of them: whatever else is among a server's conditions is its node's.
inline constexpr const char* kOwnConditions[] = {kAccepted, kRequested, kStarted, kReady, kDiscovered};

// Reasons of Requested.
inline constexpr char kForDiscovery[] = "Discovery";
inline constexpr char kForWarmth[] = "Warm";
inline constexpr char kForClients[] = "Clients";
inline constexpr char kStartedByHand[] = "StartedByHand";
inline constexpr char kStoppedByHand[] = "StoppedByHand";

// Reasons of Ready with which a life ends that has to leave its place to
// another, though it could have gone on.
inline constexpr char kGaveWay[] = "GaveWay";
inline constexpr char kPoolFull[] = "PoolFull";

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

// Somebody waits for it, or has just started it by hand.
bool Demanded(const ServerSnapshot& seen);
// It was started by hand, and that has not been answered by a life yet. Like
// any demand, it is forgotten after kDemandLifetime. One whose time is yet to
// come counts from then on.
bool StartPending(const ServerSnapshot& seen);
// It was stopped by hand, and nobody has asked for it since.
bool Stopped(const ServerSnapshot& seen);
// The life that is ending had to leave its place to another: what it was used
// for does not start the next one.
bool LeftItsPlace(const ServerSnapshot& seen);

// When whom it was started for got it, as far as status tells; InfinitePast.
// Who has just got it needs a moment to make use of it.
absl::Time ServedAsRecorded(const v1::MCPServerStatus& status);

// WantOf (decide.h), when it is known already whether this spec is discovered.
Want WantOf(const ServerSnapshot& seen, bool discovered);

// When somebody last asked for it, got it, or spoke to it. `memory` takes the
// place of the snapshot's.
absl::Time LastUsed(const ServerSnapshot& seen, const ServerMemory& memory);
// A call is in flight, or somebody listens.
bool Busy(const ServerSnapshot& seen, const ServerMemory& memory);
// Seconds; -1: never.
int IdleTimeout(const ServerSnapshot& seen);

// Until when the server is in use; InfiniteFuture while something is in flight,
// or when it never sleeps. `memory` takes the place of the snapshot's.
absl::Time AwakeUntil(const ServerSnapshot& seen, const ServerMemory& memory);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_WANT_H_
