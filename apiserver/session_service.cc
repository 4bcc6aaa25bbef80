#include "apiserver/session_service.h"

#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace unmcp::apiserver {
namespace {

using session::Exchange;
using session::ExchangeHandler;
using session::ExchangeRequest;

grpc::StatusCode CodeOf(int http_status) {
  switch (http_status) {
    case 400: return grpc::StatusCode::INVALID_ARGUMENT;
    case 403: return grpc::StatusCode::PERMISSION_DENIED;
    case 404: return grpc::StatusCode::NOT_FOUND;
    case 413: return grpc::StatusCode::INVALID_ARGUMENT;
    case 429: return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case 503: return grpc::StatusCode::UNAVAILABLE;
    default: return grpc::StatusCode::INTERNAL;
  }
}

// The words of an error that was made for HTTP: {"error": {"message": …}},
// which is also the form of a JSON-RPC error.
grpc::Status ErrorOf(int http_status, const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  std::string message = absl::StrCat("refused with status ", http_status);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    message = json["error"].value("message", message);
  }
  return {CodeOf(http_status), message};
}

}  // namespace

// One client. Everything but what gRPC calls is on the loop; kept alive by
// gRPC (until OnDone), by its exchanges, and by what is posted to the loop.
class SessionService::Stream final : public grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>,
                                     public std::enable_shared_from_this<SessionService::Stream> {
 public:
  explicit Stream(SessionService* service) : service_(service) {}

  void Begin() {
    self_ = shared_from_this();
    StartRead(&request_);
  }

 private:
  class Incoming;
  class Outgoing;

  // ---- gRPC's threads ----

  void OnReadDone(bool ok) override {
    Post([this, ok] { ok ? OnRequest() : OnHalfClose(); });
  }
  void OnWriteDone(bool ok) override {
    Post([this, ok] {
      writing_ = false;
      ok ? OnWritten() : OnGone();
    });
  }
  void OnCancel() override {
    Post([this] { OnGone(); });
  }
  void OnDone() override {
    const std::shared_ptr<Stream> self = std::move(self_);
    Post([this] { OnGone(); });
  }
  void Post(absl::AnyInvocable<void()> step) {
    service_->loop_->Post([self = shared_from_this(), step = std::move(step)]() mutable { step(); });
  }

  // ---- the loop ----

  void OnRequest();
  // The client has nothing more to say: the session ends.
  void OnHalfClose() {
    End(grpc::Status::OK);
    HangUp();
  }
  // Nobody is there any more.
  void OnGone() {
    queue_.clear();
    End(grpc::Status(grpc::StatusCode::CANCELLED, "the client has gone"));
    FinishWhenWritten();
    HangUp();
  }
  // Tells whoever holds the exchanges.
  void HangUp();

  void ReadNext() {
    if (!ending_) StartRead(&request_);
  }
  void Write(std::string payload) {
    if (ending_) return;
    queued_ += payload.size();
    queue_.push_back(std::move(payload));
    if (!writing_) WriteFront();
  }
  void WriteFront() {
    writing_ = true;
    response_.set_payload(std::move(queue_.front()));
    queue_.pop_front();
    StartWrite(&response_);
  }
  void OnWritten();
  // Ends the stream when everything that was written is on its way. The first
  // word counts.
  void End(const grpc::Status& status) {
    if (ending_) return;
    ending_ = true;
    status_ = status;
    FinishWhenWritten();
  }
  void FinishWhenWritten() {
    if (ending_ && !writing_ && queue_.empty() && !std::exchange(finished_, true)) Finish(status_);
  }

  SessionService* const service_;
  std::shared_ptr<Stream> self_;  // gRPC's
  v1::ConnectRequest request_;
  v1::ConnectResponse response_;

  std::string server_;   // "" before `open`
  std::string session_;  // "" before the session is open
  ExchangeHandler* stream_handler_ = nullptr;
  ExchangeHandler* message_handler_ = nullptr;
  std::deque<std::string> queue_;
  size_t queued_ = 0;
  bool writing_ = false;
  bool ending_ = false;
  bool finished_ = false;
  grpc::Status status_;
};

// The exchange of what the server sends.
class SessionService::Stream::Outgoing final : public Exchange {
 public:
  explicit Outgoing(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  ~Outgoing() override {
    stream_->stream_handler_ = nullptr;
    if (!closed_) Finish();
  }
  void SetHandler(ExchangeHandler* handler) override { stream_->stream_handler_ = handler; }
  void SendHead(int status, session::Headers) override { status_ = status; }
  void Send(std::string message, absl::string_view event, absl::string_view) override {
    if (status_ != 200) {
      body_ += message;
    } else if (event == "endpoint") {
      // "/api/v1/servers/…/message?sessionId=ID": where an HTTP client would post.
      const size_t equals = message.rfind('=');
      stream_->session_ = message.substr(equals + 1);
      stream_->Write("");
      stream_->ReadNext();
    } else {
      stream_->Write(std::move(message));
    }
  }
  size_t queued() const override { return stream_->queued_; }
  void Close() override {
    closed_ = true;
    Finish();
  }

 private:
  void Finish() {
    stream_->End(status_ == 200 || status_ == 0
                     ? grpc::Status(grpc::StatusCode::ABORTED,
                                    "the session has ended, because the server's process has, or the server was "
                                    "deleted, or unmcp stops: connect again")
                     : ErrorOf(status_, body_));
  }

  const std::shared_ptr<Stream> stream_;
  int status_ = 0;
  std::string body_;
  bool closed_ = false;
};

// The exchange of one message of the client.
class SessionService::Stream::Incoming final : public Exchange {
 public:
  Incoming(std::shared_ptr<Stream> stream, std::string message)
      : stream_(std::move(stream)), message_(std::move(message)) {}
  ~Incoming() override {
    stream_->message_handler_ = nullptr;
    if (!closed_) stream_->End(grpc::Status(grpc::StatusCode::ABORTED, "the session has ended: connect again"));
  }
  void SetHandler(ExchangeHandler* handler) override {
    stream_->message_handler_ = handler;
    if (handler == nullptr || std::exchange(delivered_, true)) return;
    stream_->Post([stream = stream_.get(), message = std::move(message_)]() mutable {
      if (stream->message_handler_ != nullptr) stream->message_handler_->OnMessage(std::move(message));
    });
  }
  void SendHead(int status, session::Headers) override { status_ = status; }
  void Send(std::string message, absl::string_view, absl::string_view) override { body_ += message; }
  size_t queued() const override { return 0; }
  void Close() override {
    closed_ = true;
    if (status_ < 300) return stream_->ReadNext();
    stream_->End(ErrorOf(status_, body_));
  }

 private:
  const std::shared_ptr<Stream> stream_;
  std::string message_;
  int status_ = 0;
  std::string body_;
  bool delivered_ = false;
  bool closed_ = false;
};

void SessionService::Stream::OnRequest() {
  if (ending_) return;
  if (request_.has_open() != server_.empty()) {
    return End({grpc::StatusCode::INVALID_ARGUMENT, server_.empty()
                                                        ? "the first request has to be `open`, which names the server"
                                                        : "the session is open already: `open` is sent once"});
  }
  if (request_.has_open()) {
    if (request_.open().server().empty()) {
      return End({grpc::StatusCode::INVALID_ARGUMENT, "open.server: must be set, to a server's uid or name"});
    }
    server_ = request_.open().server();
    return service_->accept_({.kind = ExchangeRequest::Kind::kSseStream, .server = server_},
                             std::make_unique<Outgoing>(shared_from_this()));
  }
  service_->accept_({.kind = ExchangeRequest::Kind::kSseMessage, .server = server_, .session = session_},
                    std::make_unique<Incoming>(shared_from_this(), std::move(*request_.mutable_payload())));
}

void SessionService::Stream::HangUp() {
  // Each may destroy its exchange, which clears the pointer.
  if (message_handler_ != nullptr) std::exchange(message_handler_, nullptr)->OnClosed();
  if (stream_handler_ != nullptr) std::exchange(stream_handler_, nullptr)->OnClosed();
}

void SessionService::Stream::OnWritten() {
  queued_ -= response_.payload().size();
  if (!queue_.empty()) return WriteFront();
  FinishWhenWritten();
  if (stream_handler_ != nullptr) stream_handler_->OnDrained();
}

grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* SessionService::Connect(
    grpc::CallbackServerContext*) {
  auto stream = std::make_shared<Stream>(this);
  stream->Begin();
  return stream.get();
}

}  // namespace unmcp::apiserver
