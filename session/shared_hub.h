// Many client sessions on one process of an MCP server (isolation: shared).
//
// The hub terminates MCP on both sides. Toward the server it is one client,
// initialized once per life of the process with one canonical handshake;
// toward each client it is the server. Between them it rewrites ids, progress
// tokens and subscriptions in the raw bytes, so that no client ever sees what
// belongs to another; everything else passes through unchanged, byte for byte.
//
// The hub outlives the process. While there is none (asleep, starting), client
// sessions stay open and their messages are held; the first one that needs the
// server asks the Host to wake it. When a process ends by itself, calls in
// flight fail at once with a JSON-RPC error and the streams are closed, since
// what the process knew of its clients is lost: clients reconnect. When it was
// put to sleep (TryDrain), or ended before the handshake was done, nothing was
// lost and the streams stay; what waited for one that failed to start fails.
//
// Sources: MCP 2024-11-05 "HTTP with SSE" and "stdio", 2025-11-25 lifecycle,
// cancellation, progress, logging and resource subscriptions.
//
// Lives on one Scheduler: single-threaded, no locks.
#ifndef UNMCP_SESSION_SHARED_HUB_H_
#define UNMCP_SESSION_SHARED_HUB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "common/scheduler.h"
#include "session/exchange.h"

namespace unmcp::session {

// Why a server cannot be reached now, in the words a client gets.
struct Unavailable {
  std::string reason;   // CamelCase: PoolFull, Suspended, CrashLoopBackOff, …
  std::string message;  // what the user can do
  int retry_after_seconds = 0;
};

// What a server said of itself.
struct Discovered {
  std::string name, version, protocol_version;
  int tool_count = 0;
};

// Counters for the controller. Cumulative where not said otherwise.
struct HubActivity {
  int64_t requests = 0;       // messages received from clients
  int open_sessions = 0;      // now
  int calls_in_flight = 0;    // now: sent to the server or held for it
  int subscriptions = 0;      // now: distinct resource URIs
  absl::Time last_request = absl::InfinitePast();
};

class SharedHub {
 public:
  // What the hub asks of its surroundings. Called on the hub's scheduler;
  // an implementation may call back into the hub from within.
  class Host {
   public:
    virtual ~Host() = default;
    // Somebody waits for the server. The answer is UpstreamUp or WakeFailed,
    // sooner or later. Called once per need, not per message.
    virtual void Wake() = 0;
    // A client was refused, because the server is unavailable: it is wanted all
    // the same, and has to keep its place among those that wait. Nobody waits for
    // an answer. Called per request.
    virtual void OnRefused() = 0;
    // Writes one message to the server; the newline is the Host's.
    virtual void SendUpstream(std::string message) = 0;
    // Bytes given to SendUpstream that the server has not read yet.
    virtual size_t upstream_pending() const = 0;
    // The handshake is done (and, where asked for, the tools are counted).
    virtual void OnDiscovered(const Discovered& discovered) = 0;
    // The handshake failed: the server answered initialize with an error, or
    // not in time, or not in MCP. The Host ends the process.
    virtual void OnHandshakeFailed(absl::Status why) = 0;
    // activity() changed. Cheap: called per message.
    virtual void OnActivity() = 0;
  };

  struct Options {
    Scheduler* scheduler = nullptr;
    Random* random = nullptr;
    Host* host = nullptr;  // outlives the hub
    std::string client_version;  // of unmcp, for the canonical handshake
  };

  // A new hub has no process.
  static std::unique_ptr<SharedHub> Create(Options options);
  virtual ~SharedHub() = default;

  // ---- from clients -------------------------------------------------------

  // Serves one exchange: opens a session, or takes a session's message. The
  // hub decides status, headers and every byte of the answer.
  virtual void Handle(ExchangeRequest request, std::unique_ptr<Exchange> exchange) = 0;

  // Set while the server is known to be unable to start: requests that would
  // open a session, and calls that would have to wake the server, are then
  // answered 503 with Retry-After. nullopt clears it.
  virtual void SetUnavailable(std::optional<Unavailable> unavailable) = 0;

  // Ends every session in good order (the server is deleted, or unmcp stops).
  virtual void CloseAll(absl::string_view why) = 0;

  // ---- from the server's side -----------------------------------------------

  // What comes up next is another server than clients were told of: it has been
  // declared anew. Sessions that were told of the old one end in good order, so
  // that their clients ask again what it can do; those with a message that
  // waits stay, and it is the new one's. Called while no process is up.
  virtual void ServerChanged() = 0;
  // A process is there and reads its stdin: the handshake begins. With
  // `count_tools` the hub lists the tools before OnDiscovered. The handshake
  // may take `startup_timeout`.
  virtual void UpstreamUp(bool count_tools, absl::Duration startup_timeout) = 0;
  // One message from the server, without newline. Valid during the call.
  virtual void OnUpstreamMessage(absl::string_view message) = 0;
  // The server sent a line of `length` bytes, which was dropped; `head` is its
  // beginning, `tail` its end. Fails the call that it answers, if that can be told.
  virtual void OnUpstreamOversized(absl::string_view head, absl::string_view tail, size_t length) = 0;
  // The process is gone. `why` goes into the errors of calls in flight. After
  // a successful TryDrain it is the expected end, and sessions live on.
  virtual void UpstreamDown(absl::Status why) = 0;
  // The server that Wake asked for cannot be had: held calls fail with this.
  virtual void WakeFailed(Unavailable why) = 0;

  // Asks whether the process may end. True: nothing is in flight, no
  // subscription stands, and from now on messages are held, not sent, until
  // UpstreamDown or CancelDrain. False: busy, and nothing has changed. (True as
  // well when there is no process.)
  virtual bool TryDrain() = 0;
  // The process goes on after all: held messages are sent.
  virtual void CancelDrain() = 0;

  virtual HubActivity activity() const = 0;
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_SHARED_HUB_H_
