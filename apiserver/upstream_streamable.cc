#include "apiserver/upstream_streamable.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "http/bounded_text.h"
#include "http/sse_parser.h"
#include "http/url.h"
#include "session/envelope.h"
#include "session/json_text.h"
#include "session/messages.h"

namespace unmcp::apiserver {
namespace {

using session::Envelope;

// Calls that wait for their answers; each holds a connection. Beyond it a call
// fails at once: our own answers to the server have to pass as well.
constexpr size_t kMaxExchanges = 1024;

// Between attempts to reach a server that is being started, and to resume.
constexpr absl::Duration kMaxRetry = absl::Seconds(1);
constexpr absl::Duration kDefaultResumeDelay = absl::Seconds(1);

// Attempts to resume one answer that bring nothing new.
constexpr int kMaxFruitlessResumes = 5;

// A GET stream that a server ends again and again is begun less often.
constexpr absl::Duration kMaxListenDelay = absl::Seconds(30);

// The server ends an answer's stream after the answer; one that does not is cut.
constexpr absl::Duration kLinger = absl::Seconds(2);

// For the DELETE at the end.
constexpr absl::Duration kFarewell = absl::Seconds(5);

// A session id longer than this would not fit into everybody's headers.
constexpr size_t kMaxSessionIdBytes = 4096;

// What is read of an answer that reports an error.
constexpr size_t kMaxErrorBytes = 64 * 1024;

bool IsResponse(Envelope::Kind kind) {
  return kind == Envelope::Kind::kResponse || kind == Envelope::Kind::kErrorResponse;
}

bool IsVisibleAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

// One message on its way to the server and what comes back; or, without a
// message, the stream on which the server speaks unasked.
class StreamableUpstream::Exchange final : public http::Handler {
 public:
  Exchange(StreamableUpstream* upstream, std::string message)
      : upstream_(upstream), message_(std::move(message)), listen_backoff_(kMaxListenDelay), timer_(loop()) {
    Envelope envelope;
    const Envelope::Kind kind = session::Scan(message_, &envelope);
    const std::string method = session::StringValue(envelope.method);
    if (kind == Envelope::Kind::kRequest) id_ = std::string(envelope.id);
    is_initialize_ = method == "initialize";
    is_initialized_ = method == "notifications/initialized";
    if (method == "notifications/cancelled") cancels_ = std::string(envelope.request_id);
    unsent_ = message_.size();
  }
  ~Exchange() override { upstream_->pending_ -= unsent_; }

  const std::string& id() const { return id_; }
  bool is_request() const { return !id_.empty(); }
  bool is_stream() const { return message_.empty(); }
  const std::string& cancels() const { return cancels_; }

  void Start() { is_stream() ? Listen() : Post(); }

  // The answer has come, or nobody waits for it any more.
  void Settle() {
    settled_ = true;
    timer_.Set(kLinger, [this] { Retire(); });
  }

 private:
  enum class Body {
    kIgnored,
    kJson,    // one message, or an error
    kEvents,  // SSE
  };

  EventLoop* loop() const { return upstream_->endpoint_.loop; }

  void Post() {
    http::Request request = upstream_->NewSessionRequest("POST");
    if (is_initialize_) {
      // It begins a new session, whatever was before.
      request = NewRequest(upstream_->endpoint_, "POST");
    }
    request.headers.emplace_back("Accept", "application/json, text/event-stream");
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = message_;
    if (!is_request()) {
      request.timeout = kAcceptTimeout;
      timer_.Set(kOrderPatience, [this] { upstream_->Proceed(this); });
    }
    Begin(std::move(request));
  }

  // A GET: of the stream, or of the rest of an answer.
  void Listen() {
    http::Request request = upstream_->NewSessionRequest("GET");
    request.headers.emplace_back("Accept", "text/event-stream");
    if (!last_event_id_.empty()) request.headers.emplace_back("Last-Event-ID", last_event_id_);
    resuming_ = true;
    Begin(std::move(request));
  }

  void Begin(http::Request request) {
    body_ = Body::kIgnored;
    problem_ = absl::OkStatus();
    text_.emplace(kMaxUpstreamMessageBytes);
    parser_.emplace(kMaxUpstreamMessageBytes);
    call_ = upstream_->endpoint_.client->Start(std::move(request), this);
  }

  // ---- http::Handler --------------------------------------------------------------

  void OnBodySent() override { upstream_->pending_ -= std::exchange(unsent_, 0); }

  void OnHead(int status, const http::Headers& head) override {
    const bool success = status >= 200 && status < 300;
    in_session_ = !upstream_->session_.empty() && !is_initialize_;
    bad_request_ = status == 400;
    // The standard says 404; many servers that were started anew say 400.
    if (in_session_ && (status == 404 || (bad_request_ && is_stream() && listened_))) return OnSessionForgotten();
    listened_ |= success;
    if (!success) problem_ = HttpProblem(upstream_->endpoint_, status, head);
    if (IsContentType(head, "application/json")) {
      body_ = Body::kJson;
      if (!success) text_.emplace(kMaxErrorBytes);
    } else if (success && IsContentType(head, "text/event-stream")) {
      body_ = Body::kEvents;
    } else if (success && (is_request() || is_stream())) {
      problem_ = absl::FailedPreconditionError(
          absl::StrCat("the server at ", http::Origin(upstream_->endpoint_.url), " answered HTTP ", status, " with ",
                       http::FindHeader(head, "content-type").empty()
                           ? "nothing"
                           : absl::StrCat("\"", http::FindHeader(head, "content-type"), "\""),
                       " in place of a JSON-RPC answer: check its path, and whether spec.transport.type is what it "
                       "speaks"));
    }
    if (success && is_initialize_ && !TakeSession(http::FindHeader(head, "mcp-session-id"))) return;
    if (success && is_initialized_) upstream_->OnInitialized();
    upstream_->Proceed(this);
  }

  void OnData(absl::string_view bytes) override {
    if (body_ == Body::kJson) text_->Append(bytes);
    if (body_ != Body::kEvents) return;
    parser_->Feed(bytes, [this](const http::SseEvent& event) { OnEvent(event); });
    if (!parser_->last_event_id().empty()) last_event_id_ = parser_->last_event_id();
    if (parser_->retry().has_value()) resume_delay_ = std::min(*parser_->retry(), kMaxListenDelay);
  }

  void OnEnd(absl::Status status) override {
    call_ = nullptr;
    unreached_ = absl::IsUnavailable(status);
    if (upstream_->closed_) return;
    if (status.ok() && body_ == Body::kJson) OnJson();
    if (status.ok()) status = problem_;
    if (upstream_->closed_) return;
    upstream_->Proceed(this);
    if (is_stream()) return OnStreamEnd(status);
    if (settled_) return Retire();
    if (!is_request()) {
      if (!status.ok()) LOG(WARNING) << "a message did not reach its server: " << status.message();
      return Retire();
    }
    OnUnanswered(std::move(status));
  }

  // ---- what comes ---------------------------------------------------------------

  void OnSessionForgotten() {
    upstream_->session_.clear();
    upstream_->Close(absl::UnavailableError("the server has forgotten the session; it was started anew, it seems"));
  }

  bool TakeSession(absl::string_view session) {
    if (session.size() <= kMaxSessionIdBytes && IsVisibleAscii(session)) {
      upstream_->session_ = std::string(session);
      return true;
    }
    upstream_->Close(absl::FailedPreconditionError("the server gave a session id (Mcp-Session-Id) that is no header"));
    return false;
  }

  void OnEvent(const http::SseEvent& event) {
    if (upstream_->closed_) return;
    fruitless_resumes_ = 0;
    listen_backoff_.Reset();
    if (event.type != "message" || event.data.empty()) return;
    if (!event.tail.empty()) return upstream_->handler_->OnOversized(event.data, event.tail, event.length);
    OnMessage(event.data);
  }

  void OnMessage(absl::string_view message) {
    Envelope envelope;
    const bool answer = IsResponse(session::Scan(message, &envelope)) && is_request() && envelope.id == id_;
    if (answer && is_initialize_) {
      upstream_->protocol_version_ = session::StringValue(session::FindMember(envelope.result, "protocolVersion"));
      if (!IsVisibleAscii(upstream_->protocol_version_)) upstream_->protocol_version_.clear();
    }
    if (answer) Settle();
    upstream_->handler_->OnMessage(message);
  }

  // The body of the answer is one document.
  void OnJson() {
    if (!is_request()) return;
    if (text_->oversized()) {
      if (!problem_.ok()) return;
      problem_ = absl::ResourceExhaustedError(
          absl::StrCat("its answer has ", text_->length(), " bytes, which is more than ", kMaxUpstreamMessageBytes));
      return;
    }
    Envelope envelope;
    const Envelope::Kind kind = session::Scan(text_->text(), &envelope);
    if (problem_.ok()) {
      if (IsResponse(kind) && envelope.id == id_) return OnMessage(text_->text());
      problem_ = absl::FailedPreconditionError("its answer is no JSON-RPC answer to the call");
    } else if (kind == Envelope::Kind::kErrorResponse && in_session_ && bad_request_ &&
               absl::StrContains(absl::AsciiStrToLower(envelope.error), "session")) {
      OnSessionForgotten();
    } else if (kind == Envelope::Kind::kErrorResponse && !(is_initialize_ && absl::IsPermissionDenied(problem_))) {
      // An error of the transport's, with our id or none. (Of credentials our
      // own words say more.)
      OnMessage(absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", id_, ",\"error\":", envelope.error, "}"));
    }
  }

  // ---- what does not come ---------------------------------------------------------

  void OnUnanswered(absl::Status status) {
    const bool starting = is_initialize_ && (unreached_ || absl::IsUnavailable(status) || absl::IsAborted(status));
    if (starting && loop()->Now() < upstream_->retry_until_) {
      return timer_.Set(start_backoff_.Next(), [this] { Post(); });
    }
    if (is_initialize_) {
      if (status.ok()) status = absl::FailedPreconditionError("the server did not answer initialize");
      return upstream_->Close(std::move(status));
    }
    // A server may end a stream on purpose, and have the rest fetched after a
    // while. Where a connection broke, it shows at once whether the server lives.
    const bool gone = resuming_ && (unreached_ || !problem_.ok());
    if (!last_event_id_.empty() && !gone && fruitless_resumes_++ < kMaxFruitlessResumes) {
      const bool broke = absl::IsAborted(status) && fruitless_resumes_ == 1;
      return timer_.Set(broke ? absl::ZeroDuration() : resume_delay_, [this] { Listen(); });
    }
    if (status.ok()) status = absl::AbortedError("the server has ended its answer before it was complete");
    settled_ = true;
    upstream_->handler_->OnMessage(session::ErrorMessage(
        id_, session::kInternalError, absl::StrCat("the server did not answer the call: ", status.message())));
    Retire();
  }

  void OnStreamEnd(const absl::Status& status) {
    // 405 says that there is none; so does whatever else is no event stream.
    if (!problem_.ok() && !absl::IsUnavailable(problem_)) {
      VLOG(1) << "no stream of its own: " << status.message();
      return Retire();
    }
    timer_.Set(std::max(listen_backoff_.Next(), resume_delay_), [this] { Listen(); });
  }

  void Retire() { upstream_->Retire(this); }

  StreamableUpstream* const upstream_;
  const std::string message_;
  std::string id_;  // raw; "" when it wants no answer
  std::string cancels_;
  bool is_initialize_ = false, is_initialized_ = false;
  size_t unsent_ = 0;

  std::unique_ptr<http::Call> call_;
  Body body_ = Body::kIgnored;
  absl::Status problem_;  // why the answer is no use
  bool unreached_ = false;
  std::optional<http::BoundedText> text_;
  std::optional<http::SseParser> parser_;
  std::string last_event_id_;
  absl::Duration resume_delay_ = kDefaultResumeDelay;

  bool in_session_ = false;   // the request named a session
  bool bad_request_ = false;  // HTTP 400
  bool listened_ = false;     // the server has accepted it once
  bool settled_ = false;
  bool resuming_ = false;
  int fruitless_resumes_ = 0;
  Backoff start_backoff_{kMaxRetry};
  Backoff listen_backoff_;
  Timer timer_;  // what comes next: order, resuming, lingering
};

StreamableUpstream::StreamableUpstream(HttpEndpoint endpoint, Handler* handler)
    : endpoint_(std::move(endpoint)),
      handler_(handler),
      retry_until_(endpoint_.loop->Now() + endpoint_.patience),
      opening_(endpoint_.loop),
      refusing_(endpoint_.loop) {
  // There is nothing to connect before the first message.
  opening_.Set(absl::ZeroDuration(), [this] { handler_->OnOpen(); });
}

StreamableUpstream::~StreamableUpstream() {
  if (session_.empty()) return;
  http::Request request = NewSessionRequest("DELETE");
  request.timeout = kFarewell;
  endpoint_.client->StartDetached(std::move(request));
}

http::Request StreamableUpstream::NewSessionRequest(std::string method) const {
  http::Request request = NewRequest(endpoint_, std::move(method));
  if (!session_.empty()) request.headers.emplace_back("Mcp-Session-Id", session_);
  if (!protocol_version_.empty()) request.headers.emplace_back("MCP-Protocol-Version", protocol_version_);
  return request;
}

void StreamableUpstream::Send(std::string message) {
  if (closed_) return;
  pending_ += message.size();
  queue_.push_back(std::move(message));
  Pump();
}

void StreamableUpstream::Pump() {
  while (awaited_ == nullptr && !queue_.empty() && !closed_) {
    auto owned = std::make_unique<Exchange>(this, std::move(queue_.front()));
    queue_.pop_front();
    Exchange* const exchange = owned.get();
    if (exchange->is_request() && exchanges_.size() >= kMaxExchanges) {
      Refuse(exchange->id());
      continue;
    }
    if (!exchange->cancels().empty()) OnCancelled(exchange->cancels());
    exchanges_.emplace(exchange, std::move(owned));
    if (!exchange->is_request()) awaited_ = exchange;
    exchange->Start();
  }
}

void StreamableUpstream::Refuse(const std::string& id) {
  refusals_.push_back(session::ErrorMessage(
      id, session::kInternalError,
      absl::StrCat("the server is working on ", kMaxExchanges, " calls already; try again when some are answered")));
  // Not from within Send.
  refusing_.Set(absl::ZeroDuration(), [this] {
    for (const std::string& refusal : std::exchange(refusals_, {})) handler_->OnMessage(refusal);
  });
}

void StreamableUpstream::Proceed(Exchange* exchange) {
  if (awaited_ != exchange) return;
  awaited_ = nullptr;
  Pump();
}

void StreamableUpstream::OnInitialized() {
  if (std::exchange(listening_, true)) return;
  auto stream = std::make_unique<Exchange>(this, "");
  Exchange* const exchange = stream.get();
  exchanges_.emplace(exchange, std::move(stream));
  exchange->Start();
}

void StreamableUpstream::OnCancelled(absl::string_view id) {
  for (auto& [exchange, owned] : exchanges_) {
    if (exchange->id() == id) return exchange->Settle();
  }
}

void StreamableUpstream::Retire(Exchange* exchange) { exchanges_.erase(exchange); }

void StreamableUpstream::Close(absl::Status why) {
  if (std::exchange(closed_, true)) return;
  refusing_.Cancel();
  handler_->OnClosed(std::move(why));
}

}  // namespace unmcp::apiserver
