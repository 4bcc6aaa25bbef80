#include "session/hub.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "nlohmann/json.hpp"
#include "session/json_text.h"
#include "session/messages.h"

namespace unmcp::session {
namespace {

// Answers an exchange that brought a message, and ends it.
void Answer(Exchange* exchange, int status, std::string body = "") {
  exchange->SendHead(status, body.empty() ? Headers{} : Headers{{"content-type", "application/json"}});
  if (!body.empty()) exchange->Send(std::move(body));
  exchange->Close();
}

void AnswerUnknownSession(Exchange* exchange) {
  Answer(
      exchange, 404,
      ErrorMessage("", kSessionNotFound, "unknown session: it has ended; open the server's /sse again for a new one"));
}

void AnswerUnavailable(Exchange* exchange, const Unavailable& why) {
  nlohmann::json body;
  body["error"] = {{"code", 503},
                   {"status", "UNAVAILABLE"},
                   {"message", why.message},
                   {"details", nlohmann::json::array({{{"reason", why.reason}}})}};
  exchange->SendHead(503, {{"content-type", "application/json"},
                           // 0 would have the client back before anything has changed.
                           {"retry-after", absl::StrCat(std::max(1, why.retry_after_seconds))}});
  exchange->Send(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  exchange->Close();
}

}  // namespace

// Waits for its message, and lives until it is answered.
class Hub::Post final : public ExchangeHandler {
 public:
  Post(Hub* hub, std::string session, std::unique_ptr<Exchange> exchange)
      : hub_(hub), session_(std::move(session)), exchange_(std::move(exchange)) {}

  void OnMessage(std::string message) override {
    const std::unique_ptr<Post> self = Release();
    hub_->OnPost(session_, exchange_.get(), std::move(message));
  }
  void OnClosed() override { Release(); }
  Exchange* exchange() { return exchange_.get(); }

 private:
  std::unique_ptr<Post> Release() { return std::move(hub_->posts_.extract(this).value()); }

  Hub* const hub_;
  const std::string session_;
  const std::unique_ptr<Exchange> exchange_;
};

std::unique_ptr<SharedHub> SharedHub::Create(Options options) { return std::make_unique<Hub>(std::move(options)); }

Hub::Hub(Options options)
    : options_(std::move(options)),
      scheduler_(options_.scheduler),
      host_(options_.host),
      reaper_(scheduler_),
      startup_timer_(scheduler_) {}

Hub::~Hub() = default;

void Hub::Handle(ExchangeRequest request, std::unique_ptr<Exchange> exchange) {
  if (request.kind == ExchangeRequest::Kind::kSseStream) return OpenStream(request, std::move(exchange));
  if (request.session.empty()) {
    Answer(exchange.get(), 400,
           ErrorMessage("", kInvalidRequest, "sessionId is missing: post to the URL that the endpoint event named"));
    return;
  }
  if (!sessions_.contains(request.session)) return AnswerUnknownSession(exchange.get());
  Post* const post =
      posts_.insert(std::make_unique<Post>(this, std::move(request.session), std::move(exchange))).first->get();
  post->exchange()->SetHandler(post);  // may be answered from within, and be gone
}

void Hub::OpenStream(const ExchangeRequest& request, std::unique_ptr<Exchange> exchange) {
  if (unavailable_.has_value()) return Refuse(exchange.get());
  if (sessions_.size() >= kMaxSessions) {
    return AnswerUnavailable(
        exchange.get(), {.reason = "TooManySessions",
                         .message = absl::StrCat("this server has ", kMaxSessions,
                                                 " clients connected, which is the limit: close some, or try later"),
                         .retry_after_seconds = 30});
  }
  std::string id = options_.random->Id128();
  const std::string endpoint = absl::StrCat("/api/v1/servers/", request.server, "/message?sessionId=", id);
  auto owned = std::make_unique<ClientSession>(this, std::move(id), std::move(exchange));
  ClientSession* const session = owned.get();
  // An SDK that lost its stream opens a new one with the version it had agreed
  // on, and does not initialize again.
  const bool reconnects = !request.protocol_version.empty();
  session->initialized = reconnects;
  sessions_.emplace(session->id(), std::move(owned));
  session->stream()->SetHandler(session);
  if (session->ended()) return;
  session->stream()->SendHead(200, {{"content-type", "text/event-stream"},
                                    {"cache-control", "no-cache, no-transform"},
                                    {"x-accel-buffering", "no"}});
  if (!session->Deliver(endpoint, "endpoint")) LOG(DFATAL) << "a new stream has bytes queued";
  host_->OnActivity();
  if (!reconnects && !session->ended()) Wake();
}

void Hub::Refuse(Exchange* exchange) {
  AnswerUnavailable(exchange, *unavailable_);
  host_->OnRefused();
}

void Hub::OnPost(absl::string_view session_id, Exchange* exchange, std::string message) {
  const auto it = sessions_.find(session_id);
  if (it == sessions_.end()) return AnswerUnknownSession(exchange);
  ClientSession* const session = it->second.get();
  Envelope envelope;
  const absl::string_view id_for_errors = Scan(message, &envelope) == Envelope::Kind::kNotJson ? "" : envelope.id;
  const auto refuse = [&](int code, absl::string_view text) {
    Answer(exchange, 400, ErrorMessage(IsStringOrNumber(id_for_errors) ? id_for_errors : "", code, text));
  };
  switch (envelope.kind) {
    case Envelope::Kind::kNotJson:
      return refuse(kParseError, absl::StrCat("not JSON, at byte ", envelope.offset, ": ", envelope.problem));
    case Envelope::Kind::kInvalid:
    case Envelope::Kind::kBatch:
      return refuse(kInvalidRequest, absl::StrCat("not a JSON-RPC 2.0 message: ", envelope.problem));
    default: break;
  }
  if (envelope.id.size() > kMaxIdBytes || envelope.meta_progress_token.size() > kMaxIdBytes) {
    return refuse(kInvalidRequest, absl::StrCat("an id or progress token may have ", kMaxIdBytes, " bytes"));
  }
  if (envelope.kind == Envelope::Kind::kRequest && calls_.IdOf(*session, envelope.id) != 0) {
    return refuse(kInvalidRequest, "a call with this id is in flight in this session: each call needs its own id");
  }
  // Answered here: a client is only kept alive with it.
  const bool calls = envelope.kind == Envelope::Kind::kRequest && envelope.method != "\"ping\"";
  if (calls && state_ == State::kAsleep && unavailable_.has_value()) return Refuse(exchange);
  Answer(exchange, 202);
  if (session->ended()) return;
  OnClientMessage(session, std::move(message), envelope);
}

void Hub::OnStreamClosed(ClientSession* session) { EndSession(session, Ending::kCutOff, ""); }

void Hub::EndSession(ClientSession* session, Ending ending, absl::string_view error) {
  const auto it = sessions_.find(session->id());
  if (it == sessions_.end()) return;
  ended_.push_back(std::move(it->second));
  sessions_.erase(it);
  reaper_.Set(absl::ZeroDuration(), [this] { ended_.clear(); });

  held_.DropSession(session);
  log_levels_.Change(session->log_level, -1);
  const std::vector<std::string> last_subscriptions = subscriptions_.Drop(session);
  const std::vector<std::pair<uint64_t, Call>> calls = calls_.TakeAllOf(session);
  std::vector<std::string> to_server;
  for (const auto& [id, call] : calls) {
    if (!call.sent) continue;
    to_server.push_back(
        NotificationMessage("notifications/cancelled",
                            absl::StrCat("{\"requestId\":", id, ",\"reason\":\"the client has disconnected\"}")));
  }
  for (auto request = server_requests_.begin(); request != server_requests_.end();) {
    const auto current = request++;
    if (current->second.session != session) continue;
    to_server.push_back(ErrorMessage(current->second.server_id, kInternalError, "the client has disconnected"));
    server_requests_.erase(current);
  }

  // Everything is consistent: from here on there may be calls back.
  if (!error.empty()) {
    for (const auto& [id, call] : calls) {
      if (!session->Deliver(ErrorMessage(call.client_id, kInternalError, error))) break;
    }
  }
  session->End(ending == Ending::kGoodOrder);
  for (std::string& message : to_server) SendIfUp(std::move(message));
  for (const std::string& uri : last_subscriptions) NotifyUnsubscribed(uri);
  SyncLogLevel();
  host_->OnActivity();
}

void Hub::EndAllSessions(absl::string_view error) {
  std::vector<ClientSession*> all;
  all.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) all.push_back(session.get());
  for (ClientSession* session : all) EndSession(session, Ending::kGoodOrder, error);
}

void Hub::CloseAll(absl::string_view why) { EndAllSessions(why); }

void Hub::Deliver(ClientSession* session, std::string message) {
  if (session->Deliver(std::move(message))) return;
  LOG(WARNING) << "a client does not read what it is sent; " << session->stream()->queued()
               << " bytes wait, and its session is ended";
  EndSession(session, Ending::kCutOff, "");
}

void Hub::FailCalls(const std::vector<std::pair<uint64_t, Call>>& calls, absl::string_view text,
                    absl::string_view data) {
  for (const auto& [id, call] : calls) Deliver(call.session, ErrorMessage(call.client_id, kInternalError, text, data));
  if (!calls.empty()) host_->OnActivity();
}

HubActivity Hub::activity() const {
  return {.requests = requests_,
          .open_sessions = static_cast<int>(sessions_.size()),
          .calls_in_flight = static_cast<int>(calls_.size()),
          .subscriptions = static_cast<int>(subscriptions_.size()),
          .last_request = last_request_};
}

}  // namespace unmcp::session
