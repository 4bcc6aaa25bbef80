#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"
#include "session/hub.h"
#include "session/json_text.h"
#include "session/messages.h"

namespace unmcp::session {
namespace {

// How much of a stray line goes into the log: enough to recognise it.
constexpr size_t kLoggedBytes = 200;

// The id of a message that ends in `,"id":7}`; 0 when it ends otherwise. What
// is inside a string or a member cannot end so: a quote or brace would follow.
uint64_t TrailingId(absl::string_view tail) {
  tail = absl::StripTrailingAsciiWhitespace(tail);
  if (!absl::ConsumeSuffix(&tail, "}")) return 0;
  tail = absl::StripTrailingAsciiWhitespace(tail);
  const size_t digits = tail.size() - tail.find_last_not_of("0123456789") - 1;
  const uint64_t id = ParseId(tail.substr(tail.size() - digits));
  tail = absl::StripTrailingAsciiWhitespace(tail.substr(0, tail.size() - digits));
  if (!absl::ConsumeSuffix(&tail, ":")) return 0;
  return absl::EndsWith(absl::StripTrailingAsciiWhitespace(tail), "\"id\"") ? id : 0;
}

}  // namespace

void Hub::OnUpstreamMessage(absl::string_view message) {
  if (state_ != State::kHandshaking && state_ != State::kReady && state_ != State::kDraining) return;
  Envelope envelope;
  switch (Scan(message, &envelope)) {
    case Envelope::Kind::kNotJson:
    case Envelope::Kind::kInvalid:
    case Envelope::Kind::kBatch: return OnUpstreamNonsense(message, envelope);
    case Envelope::Kind::kResponse:
    case Envelope::Kind::kErrorResponse: return OnServerAnswer(message, envelope);
    case Envelope::Kind::kRequest: return OnServerRequest(message, envelope);
    case Envelope::Kind::kNotification: return OnServerNotification(message, envelope);
  }
}

void Hub::OnUpstreamNonsense(absl::string_view line, const Envelope& envelope) {
  // An answer gone wrong (not UTF-8, no "jsonrpc") would leave its call hanging.
  if (envelope.method.data() == nullptr && (envelope.result.data() != nullptr || envelope.error.data() != nullptr) &&
      FailAnswered(ParseId(envelope.id),
                   absl::StrCat("the server's answer is not a JSON-RPC 2.0 message (at byte ", envelope.offset, ": ",
                                envelope.problem, "): this is a fault of the server"))) {
    return;
  }
  ++dropped_lines_;
  if ((dropped_lines_ & (dropped_lines_ - 1)) != 0) return;  // 1, 2, 4, 8, …: some servers print for ever
  LOG(WARNING) << "the server wrote to stdout what is not a JSON-RPC message (" << envelope.problem
               << "), and it is dropped (" << dropped_lines_
               << " so far); logs belong on stderr. It begins: " << absl::CHexEscape(line.substr(0, kLoggedBytes));
}

bool Hub::FailAnswered(uint64_t id, absl::string_view text) {
  if (id == 0) return false;
  if (id == initialize_id_) {
    FailHandshake(absl::FailedPreconditionError(text));
    return true;
  }
  if (id == tools_id_) {
    FinishDiscovery();
    return true;
  }
  const Call* const found = calls_.Find(id);
  if (found == nullptr || !found->sent) return false;
  const Call call = *calls_.Take(id);
  Deliver(call.session, ErrorMessage(call.client_id, kInternalError, text));
  host_->OnActivity();
  return true;
}

void Hub::OnServerAnswer(absl::string_view message, const Envelope& envelope) {
  const uint64_t id = ParseId(envelope.id);
  if (id == 0) return;
  if (const Call* const found = calls_.Find(id); found != nullptr && found->sent) {
    const Call call = *calls_.Take(id);
    Deliver(call.session, Rewrite(message, {{envelope.id, call.client_id}}, envelope.line_breaks));
    host_->OnActivity();
  } else if (id == initialize_id_) {
    OnInitializeAnswer(envelope);
  } else if (id == tools_id_) {
    OnToolsAnswer(envelope);
  } else if (subscriptions_.IsPending(id)) {
    OnSubscribeAnswer(id, message, envelope);
  }
}

void Hub::OnSubscribeAnswer(uint64_t id, absl::string_view message, const Envelope& envelope) {
  const Subscriptions::Answer answer = subscriptions_.Answered(id, envelope.kind == Envelope::Kind::kResponse);
  if (!answer.unsubscribe.empty()) NotifyUnsubscribed(answer.unsubscribe);
  for (const uint64_t waiting : answer.calls) {
    const std::optional<Call> call = calls_.Take(waiting);
    if (!call.has_value()) continue;  // its client has gone
    Deliver(call->session, Rewrite(message, {{envelope.id, call->client_id}}, envelope.line_breaks));
  }
  host_->OnActivity();
}

void Hub::OnServerRequest(absl::string_view message, const Envelope& envelope) {
  std::string scratch;
  const absl::string_view method = StringView(envelope.method, &scratch);
  const auto refuse = [&](int code, absl::string_view text) { SendIfUp(ErrorMessage(envelope.id, code, text)); };
  if (method == "ping") return SendIfUp(ResultMessage(envelope.id));
  bool ClientSession::*capability = nullptr;
  if (method == "sampling/createMessage") capability = &ClientSession::sampling;
  if (method == "elicitation/create") capability = &ClientSession::elicitation;
  if (method == "roots/list") capability = &ClientSession::roots;
  if (capability == nullptr) return refuse(kMethodNotFound, absl::StrCat("clients do not serve ", method));
  // Whoever else might be meant, the wrong client must not see it.
  ClientSession* const session = calls_.OnlyBusySession();
  if (session == nullptr) {
    return refuse(kInternalError,
                  "it cannot be told which client is meant: several share this server; ask during a call, while no "
                  "other client has one");
  }
  if (!(session->*capability)) return refuse(kMethodNotFound, absl::StrCat("the client does not serve ", method));
  if (server_requests_.size() >= kMaxServerRequests || envelope.id.size() > kMaxIdBytes ||
      envelope.meta_progress_token.size() > kMaxIdBytes) {
    return refuse(kInternalError, absl::StrCat("more than ", kMaxServerRequests, " requests to clients are open, or ",
                                               "this one's id is longer than ", kMaxIdBytes, " bytes"));
  }
  const uint64_t id = calls_.NewId();
  ServerRequest& request = server_requests_[id];
  request.server_id = std::string(envelope.id);
  if (IsStringOrNumber(envelope.meta_progress_token)) {
    request.progress_token = std::string(envelope.meta_progress_token);
  }
  request.session = session;
  Deliver(session, Rewrite(message, {{envelope.id, absl::AlphaNum(id).Piece()}}, envelope.line_breaks));
}

ClientSession* Hub::Attributed() const {
  if (sessions_.size() == 1) return sessions_.begin()->second.get();
  return calls_.OnlyBusySession();
}

void Hub::OnServerNotification(absl::string_view message, const Envelope& envelope) {
  std::string scratch;
  const absl::string_view method = StringView(envelope.method, &scratch);
  const auto pass = [&](ClientSession* session) { Deliver(session, Rewrite(message, {}, envelope.line_breaks)); };

  if (method == "notifications/progress") {
    const Call* const call = calls_.Find(ParseId(envelope.progress_token));
    if (call == nullptr || !call->sent || call->progress_token.empty()) return;
    return Deliver(call->session,
                   Rewrite(message, {{envelope.progress_token, call->progress_token}}, envelope.line_breaks));
  }
  if (method == "notifications/cancelled") {
    for (auto it = server_requests_.begin(); it != server_requests_.end(); ++it) {
      if (it->second.server_id != envelope.request_id) continue;
      ClientSession* const session = it->second.session;
      std::string text =
          Rewrite(message, {{envelope.request_id, absl::AlphaNum(it->first).Piece()}}, envelope.line_breaks);
      server_requests_.erase(it);
      return Deliver(session, std::move(text));
    }
    return;
  }
  if (method == "notifications/message") {
    ClientSession* const session = Attributed();
    if (session == nullptr) return;
    const int8_t level = ParseLogLevel(StringValue(envelope.level));
    // Another session may have asked for more than this one wants.
    if (level >= 0 && level < session->log_level) return;
    return pass(session);
  }
  if (method == "notifications/resources/updated") {
    for (ClientSession* session : subscriptions_.Listeners(StringValue(envelope.uri))) pass(session);
    return;
  }
  if (method == "notifications/tools/list_changed" || method == "notifications/prompts/list_changed" ||
      method == "notifications/resources/list_changed") {
    std::vector<ClientSession*> all;
    for (const auto& [id, session] : sessions_) {
      if (session->initialized) all.push_back(session.get());
    }
    for (ClientSession* session : all) pass(session);
    return;
  }
  if (sessions_.size() == 1) pass(sessions_.begin()->second.get());
}

void Hub::OnUpstreamOversized(absl::string_view head, absl::string_view tail, size_t length) {
  Envelope envelope;
  Scan(head, &envelope);
  const std::string text =
      absl::StrCat("the server's message has ", length, " bytes, which is over the limit: ask it for less at a time");
  if (envelope.method.data() != nullptr) {
    LOG(WARNING) << text << " (" << envelope.method << ")";
    if (IsStringOrNumber(envelope.id)) SendIfUp(ErrorMessage(envelope.id, kInvalidRequest, text));
    return;
  }
  uint64_t id = ParseId(envelope.id);
  if (envelope.id.data() == nullptr) {
    // Many servers write the id last. Where it is neither first nor last it can
    // be told when only one answer is outstanding.
    id = TrailingId(tail);
    if (id == 0) {
      if (initialize_id_ != 0) {
        id = initialize_id_;
      } else if (tools_id_ == 0) {
        id = calls_.OnlySentCall();
      } else if (calls_.size() == 0) {
        id = tools_id_;
      }
    }
  }
  if (!FailAnswered(id, text)) LOG(WARNING) << text << "; it cannot be told which call it answers";
}

void Hub::SendIfUp(std::string message) {
  if (state_ == State::kHandshaking || up()) host_->SendUpstream(std::move(message));
}

void Hub::NotifyUnsubscribed(absl::string_view uri) {
  // Its answer finds nobody, which is right: the client has had one from us.
  SendIfUp(RequestMessage(calls_.NewId(), "resources/unsubscribe", absl::StrCat("{\"uri\":", Quote(uri), "}")));
}

}  // namespace unmcp::session
