#include "apiserver/upstream_sse.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "http/url.h"
#include "session/envelope.h"
#include "session/messages.h"

namespace unmcp::apiserver {
namespace {

// Between attempts to reach a server that is being started.
constexpr absl::Duration kMaxRetry = absl::Seconds(1);

// An endpoint event beyond this is none.
constexpr size_t kMaxEndpointBytes = 8 * 1024;

}  // namespace

// One message on its way to the server.
class SseUpstream::Post final : public http::Handler {
 public:
  Post(SseUpstream* upstream, std::string message)
      : upstream_(upstream), size_(message.size()), patience_(upstream->endpoint_.loop) {
    session::Envelope envelope;
    if (session::Scan(message, &envelope) == session::Envelope::Kind::kRequest) id_ = std::string(envelope.id);
    http::Request request = NewRequest(upstream_->endpoint_, "POST");
    request.url = upstream_->message_url_;
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = std::move(message);
    request.timeout = kAcceptTimeout;
    patience_.Set(kOrderPatience, [this] { upstream_->Proceed(this); });
    call_ = upstream_->endpoint_.client->Start(std::move(request), this);
  }

  ~Post() override { upstream_->pending_ -= size_; }

 private:
  void OnBodySent() override { upstream_->pending_ -= std::exchange(size_, 0); }
  void OnHead(int status, const http::Headers& head) override {
    accepted_ = status >= 200 && status < 300;
    if (!accepted_) Fail(HttpProblem(upstream_->endpoint_, status, head));
    upstream_->Proceed(this);
  }
  void OnData(absl::string_view) override {}
  void OnEnd(absl::Status status) override {
    if (!status.ok() && !accepted_) Fail(status);
    upstream_->Proceed(this);
    upstream_->posts_.erase(this);  // which destroys this
  }

  void Fail(const absl::Status& why) {
    if (std::exchange(failed_, true) || upstream_->closed_) return;
    LOG(WARNING) << "a message did not reach its server: " << why.message();
    if (id_.empty()) return;
    upstream_->handler_->OnMessage(session::ErrorMessage(
        id_, session::kInternalError, absl::StrCat("the call did not reach the server: ", why.message())));
  }

  SseUpstream* const upstream_;
  size_t size_;     // not sent yet
  std::string id_;  // raw; "" when it wants no answer
  bool accepted_ = false, failed_ = false;
  Timer patience_;
  std::unique_ptr<http::Call> call_;
};

SseUpstream::SseUpstream(HttpEndpoint endpoint, Upstream::Handler* handler)
    : endpoint_(std::move(endpoint)),
      handler_(handler),
      retry_until_(endpoint_.loop->Now() + endpoint_.patience),
      backoff_(kMaxRetry),
      retry_(endpoint_.loop),
      startup_(endpoint_.loop) {
  startup_.Set(endpoint_.startup_timeout, [this] {
    Close(absl::DeadlineExceededError(
        absl::StrCat("the server at ", http::Origin(endpoint_.url),
                     " did not begin its event stream within its startup timeout: check whether spec.transport.type is "
                     "what it speaks, and its path")));
  });
  Connect();
}

SseUpstream::~SseUpstream() = default;

void SseUpstream::Connect() {
  parser_.emplace(kMaxUpstreamMessageBytes);
  http::Request request = NewRequest(endpoint_, "GET");
  request.headers.emplace_back("Accept", "text/event-stream");
  request.headers.emplace_back("Cache-Control", "no-store");
  stream_ = endpoint_.client->Start(std::move(request), this);
}

void SseUpstream::OnHead(int status, const http::Headers& head) {
  if (status < 200 || status >= 300) return RetryOrClose(HttpProblem(endpoint_, status, head));
  if (IsContentType(head, "text/event-stream")) return;
  Close(absl::FailedPreconditionError(
      absl::StrCat("the server at ", http::Origin(endpoint_.url), " answers a GET with \"",
                   http::FindHeader(head, "content-type"), "\" in place of an event stream: check its path, and "
                   "whether spec.transport.type is what it speaks")));
}

void SseUpstream::OnData(absl::string_view bytes) {
  parser_->Feed(bytes, [this](const http::SseEvent& event) {
    if (!closed_) OnEvent(event);
  });
}

void SseUpstream::OnEnd(absl::Status status) {
  if (closed_) return;
  if (status.ok()) status = absl::AbortedError("the server has closed its event stream");
  open_ ? Close(std::move(status)) : RetryOrClose(std::move(status));
}

void SseUpstream::RetryOrClose(absl::Status why) {
  // While it starts, a server refuses connections, or a proxy before it says so.
  const bool passes = absl::IsUnavailable(why) || absl::IsAborted(why);
  if (!passes || endpoint_.loop->Now() >= retry_until_) return Close(std::move(why));
  stream_ = nullptr;
  retry_.Set(backoff_.Next(), [this] { Connect(); });
}

void SseUpstream::OnEvent(const http::SseEvent& event) {
  if (event.type == "endpoint" && !open_) return OnEndpoint(event.data);
  if (event.type != "message" || !open_ || event.data.empty()) return;
  if (!event.tail.empty()) return handler_->OnOversized(event.data, event.tail, event.length);
  handler_->OnMessage(event.data);
}

void SseUpstream::OnEndpoint(absl::string_view reference) {
  const absl::StatusOr<std::string> url = reference.size() > kMaxEndpointBytes
                                              ? absl::InvalidArgumentError("it is too long")
                                              : http::ResolveUrl(endpoint_.url, reference);
  if (!url.ok() || !http::SameOrigin(*url, endpoint_.url)) {
    return Close(absl::FailedPreconditionError(
        absl::StrCat("the server at ", http::Origin(endpoint_.url), " names a URL for messages that is ",
                     url.ok() ? absl::StrCat("of another origin, ", http::Origin(*url)) : "none",
                     ": messages and spec.headers go to the declared address only")));
  }
  message_url_ = *url;
  open_ = true;
  startup_.Cancel();
  handler_->OnOpen();
}

void SseUpstream::Send(std::string message) {
  if (closed_) return;
  pending_ += message.size();
  queue_.push_back(std::move(message));
  Pump();
}

void SseUpstream::Pump() {
  if (awaited_ != nullptr || queue_.empty() || closed_) return;
  auto post = std::make_unique<Post>(this, std::move(queue_.front()));
  queue_.pop_front();
  awaited_ = post.get();
  posts_.emplace(awaited_, std::move(post));
}

void SseUpstream::Proceed(Post* post) {
  if (awaited_ != post) return;
  awaited_ = nullptr;
  Pump();
}

void SseUpstream::Close(absl::Status why) {
  if (std::exchange(closed_, true)) return;
  startup_.Cancel();
  retry_.Cancel();
  handler_->OnClosed(std::move(why));
}

}  // namespace unmcp::apiserver
