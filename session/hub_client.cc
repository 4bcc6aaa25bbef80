#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "session/hub.h"
#include "session/json_text.h"
#include "session/messages.h"

namespace unmcp::session {

void Hub::OnClientMessage(ClientSession* session, std::string message, const Envelope& envelope) {
  if (envelope.method.data() == nullptr) {
    ++requests_;
    last_request_ = scheduler_->Now();
    OnClientResponse(session, message, envelope);
  } else {
    std::string scratch;
    const absl::string_view method = StringView(envelope.method, &scratch);
    // Answered here and not counted: a client that is only kept alive is idle.
    if (method == "ping" && envelope.kind == Envelope::Kind::kRequest) {
      return Deliver(session, ResultMessage(envelope.id));
    }
    ++requests_;
    last_request_ = scheduler_->Now();
    if (envelope.kind == Envelope::Kind::kRequest) {
      OnClientRequest(session, method, message, envelope);
    } else {
      OnClientNotification(session, method, message, envelope);
    }
  }
  host_->OnActivity();
}

void Hub::OnClientRequest(ClientSession* session, absl::string_view method, absl::string_view message,
                          const Envelope& envelope) {
  if (method == "initialize") return Initialize(session, envelope);
  if (method == "logging/setLevel") return SetLevel(session, envelope);
  if (method == "resources/subscribe") return Subscribe(session, envelope);
  if (method == "resources/unsubscribe") return Unsubscribe(session, envelope);
  Forward(session, message, envelope);
}

void Hub::OnClientNotification(ClientSession* session, absl::string_view method, absl::string_view message,
                               const Envelope& envelope) {
  if (method == "notifications/initialized") return;  // the server has had ours
  if (method == "notifications/cancelled") return CancelCall(session, message, envelope);
  if (method == "notifications/progress") {
    // Only for what this client was asked to do.
    for (const auto& [id, request] : server_requests_) {
      if (request.session != session || request.progress_token.empty()) continue;
      if (request.progress_token != envelope.progress_token) continue;
      return SendIfUp(Rewrite(message, {}, envelope.line_breaks));
    }
    return;
  }
  // A server that is started later asks for the roots anyway.
  if (method == "notifications/roots/list_changed" && state_ == State::kAsleep) return;
  const std::string no_room = NoRoom(*session, message.size());
  if (!no_room.empty()) {
    LOG_EVERY_N(WARNING, 1000) << "a client's notification is dropped: " << no_room;
    return;
  }
  SendOrHold({.session = session, .call = 0, .text = Rewrite(message, {}, envelope.line_breaks)});
}

void Hub::OnClientResponse(ClientSession* session, absl::string_view message, const Envelope& envelope) {
  const auto it = server_requests_.find(ParseId(envelope.id));
  if (it == server_requests_.end() || it->second.session != session) return;
  std::string answer = Rewrite(message, {{envelope.id, it->second.server_id}}, envelope.line_breaks);
  server_requests_.erase(it);
  SendIfUp(std::move(answer));
}

std::string Hub::NoRoom(const ClientSession& session, size_t bytes) const {
  if (!up()) {
    if (held_.Fits(session, bytes)) return "";
    return "too much waits for the server, which is not running yet: try again when it is";
  }
  const size_t pending = host_->upstream_pending();
  if (pending <= kMaxUpstreamPending) return "";
  return absl::StrCat("the server is not reading its input (", pending,
                      " bytes wait): it may hang; try again later, or restart it");
}

bool Hub::Admit(ClientSession* session, absl::string_view id, size_t bytes) {
  std::string no_room;
  if (session->calls.size() >= kMaxCallsPerSession) {
    no_room = absl::StrCat(kMaxCallsPerSession, " calls are in flight in this session, which is the limit: ",
                           "wait for answers before sending more");
  } else {
    no_room = NoRoom(*session, bytes);
  }
  if (no_room.empty()) return true;
  Deliver(session, ErrorMessage(id, kInternalError, no_room));
  return false;
}

void Hub::SendOrHold(HeldMessages::Message message) {
  if (up() && held_.empty()) {
    if (Call* const call = calls_.Find(message.call); call != nullptr) call->sent = true;
    host_->SendUpstream(std::move(message.text));
    return;
  }
  held_.Add(std::move(message));
  Wake();
}

void Hub::Forward(ClientSession* session, absl::string_view message, const Envelope& envelope) {
  if (!Admit(session, envelope.id, message.size())) return;
  const uint64_t id = calls_.NewId();
  const absl::AlphaNum id_text(id);
  Call call{.kind = Call::Kind::kForwarded, .session = session, .client_id = std::string(envelope.id)};
  Edit token;
  if (IsStringOrNumber(envelope.meta_progress_token)) {
    call.progress_token = std::string(envelope.meta_progress_token);
    token = {envelope.meta_progress_token, id_text.Piece()};
  }
  std::string text = Rewrite(message, {{envelope.id, id_text.Piece()}, token}, envelope.line_breaks);
  calls_.Add(id, std::move(call));
  SendOrHold({.session = session, .call = id, .text = std::move(text)});
}

void Hub::Initialize(ClientSession* session, const Envelope& envelope) {
  const auto declares = [&envelope](absl::string_view capability) {
    return absl::StartsWith(FindMember(envelope.capabilities, capability), "{");
  };
  session->sampling = declares("sampling");
  session->elicitation = declares("elicitation");
  session->roots = declares("roots");
  AwaitHandshake(session, Call::Kind::kInitialize, envelope.id, StringValue(envelope.protocol_version));
}

void Hub::SetLevel(ClientSession* session, const Envelope& envelope) {
  std::string level = StringValue(envelope.level);
  if (ParseLogLevel(level) < 0) {
    return Deliver(session, ErrorMessage(envelope.id, kInvalidParams,
                                         "params.level must be one of debug, info, notice, warning, error, critical, "
                                         "alert, emergency"));
  }
  AwaitHandshake(session, Call::Kind::kSetLevel, envelope.id, std::move(level));
}

void Hub::AwaitHandshake(ClientSession* session, Call::Kind kind, absl::string_view id, std::string argument) {
  if (!Admit(session, id, argument.size())) return;
  if (argument.size() > kMaxIdBytes) argument.clear();  // no version is that long
  const uint64_t call = calls_.NewId();
  calls_.Add(call, {.kind = kind, .session = session, .client_id = std::string(id)});
  // A level is not worth waking a server for, as long as one knows that it logs.
  if (up() || (kind == Call::Kind::kSetLevel && hello_.has_value())) return AnswerFromHandshake(call, argument);
  waiting_.push_back({.call = call, .argument = std::move(argument)});
  Wake();
}

void Hub::AnswerFromHandshake(uint64_t id, absl::string_view argument) {
  const std::optional<Call> call = calls_.Take(id);
  if (!call.has_value()) return;  // its client has gone
  ClientSession* const session = call->session;
  if (call->kind == Call::Kind::kInitialize) {
    session->initialized = true;
    return Deliver(session, ResultMessage(call->client_id, hello_->ResultFor(argument)));
  }
  if (!hello_->logging) {
    return Deliver(session, ErrorMessage(call->client_id, kMethodNotFound, "the server does not offer logging"));
  }
  const int8_t level = ParseLogLevel(argument);
  log_levels_.Change(session->log_level, level);
  session->log_level = level;
  SyncLogLevel();
  Deliver(session, ResultMessage(call->client_id));
}

void Hub::Subscribe(ClientSession* session, const Envelope& envelope) {
  const std::string uri = StringValue(envelope.uri);
  if (uri.empty() || uri.size() > kMaxUriBytes) {
    return Deliver(session, ErrorMessage(envelope.id, kInvalidParams,
                                         absl::StrCat("params.uri must be a string of 1 to ", kMaxUriBytes, " bytes")));
  }
  if (session->subscriptions >= kMaxSubscriptionsPerSession) {
    return Deliver(session, ErrorMessage(envelope.id, kInternalError,
                                         absl::StrCat("this session has ", kMaxSubscriptionsPerSession,
                                                      " subscriptions, which is the limit: unsubscribe from some")));
  }
  if (!Admit(session, envelope.id, envelope.uri.size())) return;
  const uint64_t call = calls_.NewId();
  calls_.Add(call, {.kind = Call::Kind::kSubscribe, .session = session, .client_id = std::string(envelope.id)});
  switch (subscriptions_.Subscribe(uri, session, call)) {
    case Subscriptions::Joined::kWaits: return;
    case Subscriptions::Joined::kStands: calls_.Take(call); return Deliver(session, ResultMessage(envelope.id));
    case Subscriptions::Joined::kFirst: {
      const uint64_t id = calls_.NewId();
      subscriptions_.Asked(uri, id);
      // Not the session's: others may have joined it when this client leaves.
      SendOrHold({.text = RequestMessage(id, "resources/subscribe", absl::StrCat("{\"uri\":", envelope.uri, "}"))});
    }
  }
}

void Hub::Unsubscribe(ClientSession* session, const Envelope& envelope) {
  const std::string uri = StringValue(envelope.uri);
  if (subscriptions_.Unsubscribe(uri, session)) NotifyUnsubscribed(uri);
  Deliver(session, ResultMessage(envelope.id));
}

void Hub::CancelCall(ClientSession* session, absl::string_view message, const Envelope& envelope) {
  const uint64_t id = calls_.IdOf(*session, envelope.request_id);
  // Other kinds are not the client's alone to cancel, and are answered soon.
  if (id == 0 || calls_.Find(id)->kind != Call::Kind::kForwarded) return;
  if (!calls_.Take(id)->sent) return held_.DropCall(id);
  SendIfUp(Rewrite(message, {{envelope.request_id, absl::AlphaNum(id).Piece()}}, envelope.line_breaks));
}

}  // namespace unmcp::session
