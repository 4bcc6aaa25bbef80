#include "cli/commands/session_ledger.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "session/envelope.h"
#include "session/json_text.h"
#include "session/messages.h"

namespace unmcp {
namespace {

using session::Envelope;

// Ids of what we say again; no host calls its requests so.
constexpr char kOurs[] = "\"unmcp-connect-";
constexpr char kInitializeId[] = "\"unmcp-connect-initialize\"";
constexpr char kLogLevelId[] = "\"unmcp-connect-log-level\"";
constexpr char kSubscribeId[] = "\"unmcp-connect-subscribe\"";

std::string WithId(absl::string_view message, const Envelope& envelope, absl::string_view id) {
  return session::Rewrite(message, {{envelope.id, id}}, envelope.line_breaks);
}

}  // namespace

std::optional<std::string> SessionLedger::Refuse(absl::string_view message) const {
  Envelope envelope;
  switch (session::Scan(message, &envelope)) {
    case Envelope::Kind::kNotJson:
      return session::ErrorMessage(
          envelope.id, session::kParseError,
          absl::StrCat("not JSON: ", envelope.problem, " at byte ", envelope.offset, " of the line"));
    case Envelope::Kind::kInvalid:
      return session::ErrorMessage(envelope.id, session::kInvalidRequest, envelope.problem);
    case Envelope::Kind::kBatch:
      return session::ErrorMessage("", session::kInvalidRequest, "batches are not taken; send each message by itself");
    case Envelope::Kind::kRequest: break;
    default: return std::nullopt;
  }
  MutexLock lock(&mutex_);
  if (in_flight_.size() < kMaxInFlight) return std::nullopt;
  return session::ErrorMessage(envelope.id, session::kInternalError, "too many requests wait for an answer");
}

bool SessionLedger::IsRequest(absl::string_view message) {
  Envelope envelope;
  return session::Scan(message, &envelope) == Envelope::Kind::kRequest;
}

bool SessionLedger::Register(absl::string_view message) {
  Envelope envelope;
  const Envelope::Kind kind = session::Scan(message, &envelope);
  const std::string method = session::StringValue(envelope.method);
  MutexLock lock(&mutex_);
  if (kind == Envelope::Kind::kResponse || kind == Envelope::Kind::kErrorResponse) {
    return server_requests_.erase(std::string(envelope.id)) > 0;
  }
  if (kind == Envelope::Kind::kNotification) {
    initialized_ = initialized_ || method == "notifications/initialized";
    return true;
  }
  in_flight_.emplace(envelope.id);
  if (method == "initialize") {
    initializing_id_ = std::string(envelope.id);
    initializing_ = WithId(message, envelope, kInitializeId);
  } else if (method == "logging/setLevel") {
    log_level_ = WithId(message, envelope, kLogLevelId);
  } else if (method == "resources/subscribe" && subscriptions_.size() < kMaxSubscriptions) {
    subscriptions_[std::string(envelope.uri)] = WithId(message, envelope, kSubscribeId);
  } else if (method == "resources/unsubscribe") {
    subscriptions_.erase(std::string(envelope.uri));
  }
  return true;
}

void SessionLedger::Unregister(absl::string_view message) {
  Envelope envelope;
  if (session::Scan(message, &envelope) != Envelope::Kind::kRequest) return;
  MutexLock lock(&mutex_);
  in_flight_.erase(std::string(envelope.id));
}

SessionLedger::Arrival SessionLedger::Arrived(absl::string_view message) {
  Envelope envelope;
  const Envelope::Kind kind = session::Scan(message, &envelope);
  MutexLock lock(&mutex_);
  if (kind == Envelope::Kind::kRequest) server_requests_.emplace(envelope.id);
  const bool result = kind == Envelope::Kind::kResponse;
  if (!result && kind != Envelope::Kind::kErrorResponse) return Arrival::kForHost;
  if (envelope.id == kInitializeId) return result ? Arrival::kReinitialized : Arrival::kRefused;
  if (absl::StartsWith(envelope.id, kOurs)) return Arrival::kOurs;
  in_flight_.erase(std::string(envelope.id));
  if (!initializing_id_.empty() && envelope.id == initializing_id_) {
    if (result) initialize_ = std::move(initializing_);
    initializing_id_.clear();
  }
  return Arrival::kForHost;
}

std::vector<std::string> SessionLedger::Lost(absl::string_view why) {
  MutexLock lock(&mutex_);
  std::vector<std::string> answers;
  for (const std::string& id : in_flight_) {
    answers.push_back(session::ErrorMessage(id, session::kInternalError, why));
  }
  in_flight_.clear();
  server_requests_.clear();
  initializing_id_.clear();
  return answers;
}

std::string SessionLedger::Initialize() const {
  MutexLock lock(&mutex_);
  return initialize_;
}

std::vector<std::string> SessionLedger::Restore() const {
  MutexLock lock(&mutex_);
  std::vector<std::string> messages;
  if (initialized_) messages.push_back(session::NotificationMessage("notifications/initialized"));
  if (!log_level_.empty()) messages.push_back(log_level_);
  for (const auto& [uri, message] : subscriptions_) messages.push_back(message);
  return messages;
}

size_t SessionLedger::in_flight() const {
  MutexLock lock(&mutex_);
  return in_flight_.size();
}

bool SessionLedger::subscribed() const {
  MutexLock lock(&mutex_);
  return !subscriptions_.empty();
}

}  // namespace unmcp
