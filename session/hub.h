// SharedHub's implementation. Its contract is in shared_hub.h; this header is
// for hub_*.cc alone, which are split by where a message comes from:
//   hub.cc          exchanges, sessions: how they open and how they end
//   hub_client.cc   messages from clients
//   hub_server.cc   messages from the server
//   hub_life.cc     the life of the process: waking, handshake, draining, end
//
// Everything that is called from here (the Host, an Exchange) may call back.
// So a session that ends is only set aside until the scheduler's next turn:
// pointers to it stay good within a call, and what is sent to it goes nowhere.
#ifndef UNMCP_SESSION_HUB_H_
#define UNMCP_SESSION_HUB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/scheduler.h"
#include "session/call_table.h"
#include "session/client_session.h"
#include "session/envelope.h"
#include "session/handshake.h"
#include "session/held_messages.h"
#include "session/log_level.h"
#include "session/shared_hub.h"
#include "session/subscriptions.h"

namespace unmcp::session {

// A session costs a stream and some hundred bytes here; this is a bound on
// what one server's clients can make a gateway keep open.
inline constexpr size_t kMaxSessions = 10'000;
// One client's calls at a time. Programs that fan out stay in the hundreds.
inline constexpr size_t kMaxCallsPerSession = 1024;
inline constexpr int kMaxSubscriptionsPerSession = 1024;
// Ids and tokens are kept while a call runs. UUIDs have 38 bytes.
inline constexpr size_t kMaxIdBytes = 512;
// Kept while somebody listens. Longer URIs are data: URIs, which never change.
inline constexpr size_t kMaxUriBytes = 8 * 1024;
// Unread by the server, beyond which new calls are refused: it has stopped
// reading, and what is more would only be memory.
inline constexpr size_t kMaxUpstreamPending = 8 * 1024 * 1024;
// The server's own questions to clients, at a time. People answer them.
inline constexpr size_t kMaxServerRequests = 256;
// Pages of tools/list that are counted. Servers have 1 to 3; one that never
// stops would keep us busy for ever.
inline constexpr int kMaxToolPages = 100;

class Hub final : public SharedHub, public ClientSession::Owner {
 public:
  explicit Hub(Options options);
  ~Hub() override;

  void Handle(ExchangeRequest request, std::unique_ptr<Exchange> exchange) override;
  void SetUnavailable(std::optional<Unavailable> unavailable) override { unavailable_ = std::move(unavailable); }
  void CloseAll(absl::string_view why) override;
  void ServerChanged() override;
  void UpstreamUp(bool count_tools, absl::Duration startup_timeout) override;
  void OnUpstreamMessage(absl::string_view message) override;
  void OnUpstreamOversized(absl::string_view head, absl::string_view tail, size_t length) override;
  void UpstreamDown(absl::Status why) override;
  void WakeFailed(Unavailable why) override;
  bool TryDrain() override;
  void CancelDrain() override;
  HubActivity activity() const override;

 private:
  enum class State {
    kAsleep,       // no process, and nobody has asked for one
    kWaking,       // Wake was called
    kHandshaking,  // the process is there
    kFailed,       // the handshake failed: the Host is ending the process
    kReady,
    kDraining,  // TryDrain said yes
  };

  class Post;  // an exchange that brings one message
  struct ServerRequest {
    std::string server_id;       // raw
    std::string progress_token;  // raw; "" none
    ClientSession* session = nullptr;
  };
  // A call that waits for the handshake.
  struct Waiting {
    uint64_t call = 0;
    std::string argument;  // the version, or the log level
  };

  // ---- hub.cc -------------------------------------------------------------

  void OpenStream(const ExchangeRequest& request, std::unique_ptr<Exchange> exchange);
  void OnPost(absl::string_view session_id, Exchange* exchange, std::string message);
  // While the server is unavailable.
  void Refuse(Exchange* exchange);
  void OnStreamClosed(ClientSession* session) override;
  enum class Ending {
    kGoodOrder,  // what was sent still reaches the client
    kCutOff,     // it has gone, or does not read
  };
  // Ends a session and all that it had going. Its calls fail with `error`, if
  // that is not empty.
  void EndSession(ClientSession* session, Ending ending, absl::string_view error);
  void EndAllSessions(absl::string_view error);
  // Sends a message to a client; one that does not read loses its session.
  void Deliver(ClientSession* session, std::string message);
  // An error to each of `calls`. `data` is raw JSON, or empty.
  void FailCalls(const std::vector<std::pair<uint64_t, Call>>& calls, absl::string_view text,
                 absl::string_view data = "");

  // ---- hub_client.cc --------------------------------------------------------

  void OnClientMessage(ClientSession* session, std::string message, const Envelope& envelope);
  void OnClientRequest(ClientSession* session, absl::string_view method, absl::string_view message,
                       const Envelope& envelope);
  void OnClientNotification(ClientSession* session, absl::string_view method, absl::string_view message,
                            const Envelope& envelope);
  void OnClientResponse(ClientSession* session, absl::string_view message, const Envelope& envelope);
  void Forward(ClientSession* session, absl::string_view message, const Envelope& envelope);
  void Initialize(ClientSession* session, const Envelope& envelope);
  void SetLevel(ClientSession* session, const Envelope& envelope);
  void Subscribe(ClientSession* session, const Envelope& envelope);
  void Unsubscribe(ClientSession* session, const Envelope& envelope);
  void CancelCall(ClientSession* session, absl::string_view message, const Envelope& envelope);
  // Why `bytes` more cannot be taken for the server; "" when they can.
  std::string NoRoom(const ClientSession& session, size_t bytes) const;
  // Whether a call can be taken. If not, it has been answered.
  bool Admit(ClientSession* session, absl::string_view id, size_t bytes);
  // Puts a call that waits for the handshake aside, or answers it at once.
  void AwaitHandshake(ClientSession* session, Call::Kind kind, absl::string_view id, std::string argument);
  void AnswerFromHandshake(uint64_t id, absl::string_view argument);
  // Now, or when the server is there.
  void SendOrHold(HeldMessages::Message message);

  // ---- hub_server.cc --------------------------------------------------------

  void OnServerAnswer(absl::string_view message, const Envelope& envelope);
  void OnServerRequest(absl::string_view message, const Envelope& envelope);
  void OnServerNotification(absl::string_view message, const Envelope& envelope);
  void OnSubscribeAnswer(uint64_t id, absl::string_view message, const Envelope& envelope);
  // A line that is no message.
  void OnUpstreamNonsense(absl::string_view line, const Envelope& envelope);
  // The answer to `id` came and is of no use. False: nobody waits for it.
  bool FailAnswered(uint64_t id, absl::string_view text);
  // To whom a notification that names nobody belongs; nullptr: cannot be told.
  ClientSession* Attributed() const;
  // To the server if it listens, else nowhere: what concerns only this life.
  void SendIfUp(std::string message);
  void NotifyUnsubscribed(absl::string_view uri);

  // ---- hub_life.cc ----------------------------------------------------------

  void Wake();
  void SendInitialize(absl::string_view version);
  void OnInitializeAnswer(const Envelope& envelope);
  void OnReady();
  void FlushHeld();
  void SyncLogLevel();
  void RequestTools(absl::string_view cursor);
  void OnToolsAnswer(const Envelope& envelope);
  void FinishDiscovery();
  void OnStartupTimeout();
  void FailHandshake(absl::Status why);
  // Fails everything that waits for the server; the sessions stay.
  void FailHeld(absl::string_view text, absl::string_view data = "");
  bool up() const { return state_ == State::kReady; }

  const Options options_;
  Scheduler* const scheduler_;
  Host* const host_;

  State state_ = State::kAsleep;
  std::optional<Unavailable> unavailable_;

  // The key is the session's own id.
  absl::flat_hash_map<absl::string_view, std::unique_ptr<ClientSession>> sessions_;
  std::vector<std::unique_ptr<ClientSession>> ended_;
  Timer reaper_;  // of ended_
  absl::flat_hash_set<std::unique_ptr<Post>> posts_;

  CallTable calls_;
  HeldMessages held_;
  std::vector<Waiting> waiting_;
  Subscriptions subscriptions_;
  LogLevels log_levels_;
  absl::flat_hash_map<uint64_t, ServerRequest> server_requests_;

  // The handshake of this life, and what the last one brought.
  Timer startup_timer_;
  uint64_t initialize_id_ = 0;  // 0: not waiting for the answer
  bool tried_oldest_version_ = false;
  std::optional<ServerHello> hello_;
  int8_t server_log_level_ = -1;  // what the server was told
  bool count_tools_ = false;
  uint64_t tools_id_ = 0;  // 0: not waiting for a page
  int tool_pages_ = 0;
  int tool_count_ = 0;

  int64_t requests_ = 0;
  absl::Time last_request_ = absl::InfinitePast();
  uint64_t dropped_lines_ = 0;
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_HUB_H_
