#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "session/hub.h"
#include "session/json_text.h"
#include "session/messages.h"

namespace unmcp::session {
namespace {

// How much of a server's error goes into ours.
constexpr size_t kQuotedErrorBytes = 500;

}  // namespace

void Hub::Wake() {
  if (state_ != State::kAsleep) return;
  state_ = State::kWaking;
  host_->Wake();
}

void Hub::ServerChanged() {
  if (!hello_.has_value()) return;  // nobody has been told of any
  std::vector<ClientSession*> told;
  for (const auto& [id, session] : sessions_) {
    if (session->initialized && session->calls.empty() && session->held_bytes == 0) told.push_back(session.get());
  }
  for (ClientSession* session : told) EndSession(session, Ending::kGoodOrder, "");
}

void Hub::UpstreamUp(bool count_tools, absl::Duration startup_timeout) {
  if (state_ != State::kAsleep && state_ != State::kWaking) {
    LOG(DFATAL) << "UpstreamUp without UpstreamDown";
    return;
  }
  state_ = State::kHandshaking;
  count_tools_ = count_tools;
  tried_oldest_version_ = false;
  server_log_level_ = -1;
  startup_timer_.Set(startup_timeout, [this] { OnStartupTimeout(); });
  SendInitialize(kLatestVersion);
}

void Hub::SendInitialize(absl::string_view version) {
  initialize_id_ = calls_.NewId();
  host_->SendUpstream(RequestMessage(initialize_id_, "initialize", InitializeParams(version, options_.client_version)));
}

void Hub::OnInitializeAnswer(const Envelope& envelope) {
  if (envelope.kind == Envelope::Kind::kErrorResponse) {
    if (!tried_oldest_version_ && MentionsVersion(envelope.error)) {
      tried_oldest_version_ = true;
      return SendInitialize(kOldestVersion);
    }
    return FailHandshake(absl::FailedPreconditionError(
        absl::StrCat("the server refused to initialize: ", envelope.error.substr(0, kQuotedErrorBytes))));
  }
  absl::StatusOr<ServerHello> hello = ServerHello::Parse(envelope.result, envelope.line_breaks);
  if (!hello.ok()) return FailHandshake(hello.status());
  hello_ = *std::move(hello);
  OnReady();
}

void Hub::OnReady() {
  initialize_id_ = 0;
  state_ = State::kReady;
  host_->SendUpstream(NotificationMessage("notifications/initialized"));
  SyncLogLevel();
  for (const Waiting& waiting : std::exchange(waiting_, {})) AnswerFromHandshake(waiting.call, waiting.argument);
  host_->OnActivity();
  FlushHeld();
  if (!up()) return;
  tool_pages_ = 0;
  tool_count_ = 0;
  if (count_tools_ && hello_->tools) {
    RequestTools("");
  } else {
    FinishDiscovery();
  }
}

void Hub::FlushHeld() {
  while (up()) {
    std::optional<HeldMessages::Message> next = held_.Next();
    if (!next.has_value()) return;
    if (Call* const call = calls_.Find(next->call); call != nullptr) call->sent = true;
    host_->SendUpstream(std::move(next->text));
  }
}

void Hub::SyncLogLevel() {
  const int8_t level = log_levels_.MostVerbose();
  // When nobody asks for a level any more it stays: there is no way to unset it.
  if (!up() || !hello_->logging || level < 0 || level == server_log_level_) return;
  server_log_level_ = level;
  host_->SendUpstream(
      RequestMessage(calls_.NewId(), "logging/setLevel", absl::StrCat("{\"level\":\"", kLogLevels[level], "\"}")));
}

void Hub::RequestTools(absl::string_view cursor) {
  tools_id_ = calls_.NewId();
  const std::string params = cursor.empty() ? "" : absl::StrCat("{\"cursor\":", cursor, "}");
  host_->SendUpstream(RequestMessage(tools_id_, "tools/list", params));
}

void Hub::OnToolsAnswer(const Envelope& envelope) {
  tool_count_ += CountElements(FindMember(envelope.result, "tools"));
  const absl::string_view cursor = FindMember(envelope.result, "nextCursor");
  if (!StringValue(cursor).empty() && ++tool_pages_ < kMaxToolPages) return RequestTools(cursor);
  FinishDiscovery();
}

void Hub::FinishDiscovery() {
  startup_timer_.Cancel();
  tools_id_ = 0;
  host_->OnDiscovered({.name = hello_->name,
                       .version = hello_->version,
                       .protocol_version = hello_->protocol_version,
                       .tool_count = tool_count_});
}

void Hub::OnStartupTimeout() {
  if (up()) return FinishDiscovery();  // with the tools that were counted so far
  FailHandshake(absl::DeadlineExceededError(
      "the server did not answer initialize within its startup timeout: raise startupTimeout if it needs longer, and "
      "check that it is an MCP server, and that it speaks as spec.transport.type says"));
}

void Hub::FailHandshake(absl::Status why) {
  initialize_id_ = 0;
  state_ = State::kFailed;
  startup_timer_.Cancel();
  FailHeld(why.message());
  host_->OnHandshakeFailed(std::move(why));
}

void Hub::FailHeld(absl::string_view text, absl::string_view data) {
  held_.Clear();
  waiting_.clear();
  subscriptions_.Clear();
  FailCalls(calls_.TakeAll(), text, data);
}

void Hub::WakeFailed(Unavailable why) {
  if (state_ != State::kWaking) return;
  state_ = State::kAsleep;
  FailHeld(absl::StrCat("the server cannot be started: ", why.message, " (", why.reason, ")"),
           absl::StrCat("{\"reason\":", Quote(why.reason), ",\"retryAfterSeconds\":", why.retry_after_seconds, "}"));
}

void Hub::UpstreamDown(absl::Status why) {
  const State was = std::exchange(state_, state_ == State::kWaking ? State::kWaking : State::kAsleep);
  startup_timer_.Cancel();
  initialize_id_ = 0;
  tools_id_ = 0;
  server_requests_.clear();
  switch (was) {
    case State::kAsleep:
    case State::kWaking: return;  // it had not come up: Wake is still to be answered
    case State::kHandshaking:
    case State::kFailed:
      // No client's call had reached it, so no session has lost anything.
      return FailHeld(absl::StrCat("the server ended while it started: ", why.message()));
    case State::kReady:
      held_.Clear();  // not empty when it ended while that was being sent
      subscriptions_.Clear();
      return EndAllSessions(absl::StrCat("the server ended during the call: ", why.message(),
                                         "; it is started again when a client connects"));
    case State::kDraining:
      if (!held_.empty() || !waiting_.empty()) Wake();
  }
}

bool Hub::TryDrain() {
  if (state_ == State::kAsleep || state_ == State::kDraining) return true;
  if (!up() || calls_.size() > 0 || subscriptions_.size() > 0 || !held_.empty() || tools_id_ != 0) return false;
  state_ = State::kDraining;
  return true;
}

void Hub::CancelDrain() {
  if (state_ != State::kDraining) return;
  state_ = State::kReady;
  SyncLogLevel();
  for (const Waiting& waiting : std::exchange(waiting_, {})) AnswerFromHandshake(waiting.call, waiting.argument);
  FlushHeld();
}

}  // namespace unmcp::session
