#include "controller/want.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "controller/status.h"

namespace unmcp::controller {
namespace {

using v1::MCPServerStatus;

// As recorded, for a controller that takes over: what apiservers have to say is
// not known yet.
bool RequestedByClients(const MCPServerStatus& status) {
  const v1::Condition* requested = FindCondition(status.conditions(), kRequested);
  return requested != nullptr && requested->status() == "True" && requested->reason() != kForDiscovery &&
         requested->reason() != kForWarmth;
}

}  // namespace

int IdleTimeout(const ServerSnapshot& seen) { return seen.declared->spec.idle_timeout(); }

std::optional<v1::Unavailable> Blocked(const ServerSnapshot& seen) {
  const v1::MCPServerSpec& spec = seen.declared->spec;
  v1::Unavailable why;
  why.set_retry_after_seconds(kManualRetrySeconds);
  if (!seen.declared->status.ok()) {
    why.set_reason("InvalidSpec");
    why.set_message(std::string(seen.declared->status.message()));
  } else if (!seen.pool.exists) {
    why.set_reason("PoolNotFound");
    why.set_message(absl::StrCat("MCPPool \"", spec.pool(),
                                 "\" does not exist: create it, or set spec.pool to one that does"));
    if (spec.pool() == "default") why.mutable_message()->append("; a restart of unmcp makes it, too");
  } else if (!RunsElsewhere(spec) && spec.command_size() == 0 && spec.image().empty()) {
    why.set_reason("NothingToRun");
    why.set_message("spec.command is empty: set it to the program that is the MCP server, or set spec.url to the "
                    "address of one that runs elsewhere");
  } else if (!RunsElsewhere(spec) && spec.command_size() == 0 && !seen.runs_images) {
    why.set_reason("ImageWithoutCommand");
    why.set_message("this machine runs commands, not images: set spec.command, or run the server on a cluster");
  } else if (spec.isolation() == "session") {
    why.set_reason("IsolationNotSupported");
    why.set_message("spec.isolation session (a process for each client) is not built in this version: leave it out "
                    "(also in the pool's spec.serverDefaults); clients that share a process are kept apart by unmcp");
  } else if (seen.pool.ignored) {
    why.set_reason("OverLimit");
    why.set_message(absl::StrCat("pool \"", spec.pool(), "\" has its maxServersLimit of ", seen.pool.max_limit,
                                 " older servers: raise the limit, delete servers, or use another pool"));
  } else if (spec.suspend()) {
    why.set_reason("Suspended");
    why.set_message("spec.suspend is true: set it to false to let the server run");
  } else {
    return std::nullopt;
  }
  return why;
}

bool Discovered(const MCPServerStatus& status, const Declaration& declared) {
  return !declared.hash.empty() && status.discovered_hash() == declared.hash;
}

bool Started(const ServerSnapshot& seen) { return IsTrue(seen.server.status().conditions(), kStarted); }

int Failures(const ServerSnapshot& seen) {
  return seen.memory.failed_hash == seen.declared->hash ? seen.memory.failures : 0;
}

bool BackingOff(const ServerSnapshot& seen) { return Failures(seen) > 0 && seen.now < seen.memory.retry_at; }

absl::Time ServedAsRecorded(const MCPServerStatus& status) {
  const v1::Condition* ready = FindCondition(status.conditions(), kReady);
  const bool served = ready != nullptr && ready->status() == "True" && RequestedByClients(status);
  return served ? FromTimestamp(ready->last_transition_time()) : absl::InfinitePast();
}

absl::Time LastUsed(const ServerSnapshot& seen, const ServerMemory& memory) {
  const MCPServerStatus& status = seen.server.status();
  absl::Time last = std::max({FromTimestamp(status.last_request_at()), FromTimestamp(status.requested_at()),
                              memory.served_at});
  if (memory.served_at == absl::InfinitePast()) last = std::max(last, ServedAsRecorded(status));
  for (const ProcessActivity& activity : memory.activity) last = std::max(last, activity.last_request);
  return last;
}

bool Busy(const ServerSnapshot& seen, const ServerMemory& memory) {
  return std::any_of(memory.activity.begin(), memory.activity.end(), [&](const ProcessActivity& activity) {
    const bool gone = seen.apiservers.complete && !seen.apiservers.connected.contains(activity.process);
    return !gone && (activity.calls_in_flight > 0 || activity.subscriptions > 0);
  });
}

absl::Time AwakeUntil(const ServerSnapshot& seen, const ServerMemory& memory) {
  const int timeout = IdleTimeout(seen);
  if (timeout < 0 || Busy(seen, memory)) return absl::InfiniteFuture();
  return LastUsed(seen, memory) + absl::Seconds(timeout);
}

bool StartPending(const ServerSnapshot& seen) {
  const absl::Time at = seen.hand_started_at;
  return at > FromTimestamp(seen.server.status().requested_at()) && at > seen.hand_stopped_at && at <= seen.now &&
         seen.now < at + kDemandLifetime;
}

bool Stopped(const ServerSnapshot& seen) {
  const MCPServerStatus& status = seen.server.status();
  const absl::Time at = seen.hand_stopped_at;
  if (at == absl::InfinitePast() || at > seen.now) return false;
  const absl::Time asked = seen.memory.demanded ? seen.memory.demanded_at : absl::InfinitePast();
  const absl::Time started = seen.hand_started_at <= seen.now ? seen.hand_started_at : absl::InfinitePast();
  return at >= std::max({FromTimestamp(status.started_at()), FromTimestamp(status.requested_at()), started, asked});
}

bool LeftItsPlace(const ServerSnapshot& seen) {
  const v1::Condition* ready = FindCondition(seen.server.status().conditions(), kReady);
  return seen.server.status().phase() == "Stopping" && ready != nullptr &&
         (ready->reason() == kGaveWay || ready->reason() == kPoolFull);
}

bool Demanded(const ServerSnapshot& seen) {
  const MCPServerStatus& status = seen.server.status();
  if (StartPending(seen)) return true;
  // A start that was begun for somebody is carried through.
  if (Started(seen) && status.phase() == "Starting" && RequestedByClients(status)) return true;
  return seen.memory.demanded && (Started(seen) || seen.now < seen.memory.demanded_at + kDemandLifetime);
}

Want WantOf(const ServerSnapshot& seen) {
  return WantOf(seen, Discovered(seen.server.status(), *seen.declared));
}

Want WantOf(const ServerSnapshot& seen, bool discovered) {
  if (seen.deleting || Blocked(seen) || Stopped(seen)) return Want::kNone;
  if (RunsElsewhere(seen.declared->spec)) return Want::kNone;
  const std::string& phase = seen.server.status().phase();
  // A server that never sleeps is tried again, too, when it could not start.
  const bool began = Started(seen) || (IdleTimeout(seen) < 0 && phase == "Degraded");
  const bool goes_on = Started(seen) && phase != "Stopping";
  if (BackingOff(seen) && !goes_on) return Want::kNone;
  if (began && !LeftItsPlace(seen) && seen.now < AwakeUntil(seen, seen.memory)) return Want::kInUse;
  if (Demanded(seen)) return Want::kDemand;
  if (seen.pool.warm) return Want::kWarm;
  // Begun only where somebody can listen; what has begun waits for it.
  const bool can_discover =
      (goes_on || !seen.apiservers.connected.empty()) && Failures(seen) < kMaxDiscoveryTries;
  return !discovered && can_discover ? Want::kDiscovery : Want::kNone;
}

}  // namespace unmcp::controller
