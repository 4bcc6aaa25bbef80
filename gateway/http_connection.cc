#include "gateway/http_connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/http_status.h"

namespace unmcp::gateway {
namespace {

// Requests that a client sends before it has the answer to the first: after
// this many bytes it is not read from until it has.
constexpr size_t kMaxPipelinedBytes = 64 << 10;

bool IsOneLine(absl::string_view text) { return text.find_first_of("\r\n") == absl::string_view::npos; }

bool HasNoBody(int status) { return status == 204 || status == 304; }

}  // namespace

HttpConnection::HttpConnection(HttpConnectionHost* host, Socket socket)
    : host_(host), socket_(std::move(socket)), parser_({host->limits().head_bytes, host->limits().body_bytes}) {}

void HttpConnection::Start() {
  deadline_ = host_->now() + host_->limits().keep_alive;
  WaitForInput();
}

// --- input ---

void HttpConnection::WaitForInput() {
  if (phase_ == Phase::kClosed || reading_ || input_ended_ || input_.size() >= kMaxPipelinedBytes) return;
  reading_ = true;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    self->reading_ = false;
    if (error || self->phase_ == Phase::kClosed) return;
    self->OnReadable();
  });
}

void HttpConnection::OnReadable() {
  const absl::Span<char> scratch = host_->scratch();
  const ssize_t size = recv(socket_.native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (size == 0) {
    OnInputEnd();
  } else if (size < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) Close();
  } else if (phase_ == Phase::kLingering) {
    // Not looked at.
  } else if (streaming_) {
    keep_alive_ = false;  // what is thrown away here cannot be answered later
  } else if (phase_ == Phase::kAnswering) {
    input_.append(scratch.data(), size);
  } else if (input_.empty()) {
    Process(absl::string_view(scratch.data(), size));
  } else {
    std::string input = std::exchange(input_, {});
    input.append(scratch.data(), size);
    Process(input);
  }
  WaitForInput();
}

void HttpConnection::OnInputEnd() {
  input_ended_ = true;
  // Between requests, or within one, or on a stream: nobody is there. Before
  // an answer: some clients say so early that they send no further request.
  if (phase_ != Phase::kAnswering || streaming_ || end_on_half_close_) Close();
}

void HttpConnection::Process(absl::string_view input) {
  const HttpServer::Limits& limits = host_->limits();
  while (phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody) {
    if (phase_ == Phase::kIdle) {
      // RFC 9112, 2.2: empty lines before a request are tolerated.
      while (absl::StartsWith(input, "\r\n")) input.remove_prefix(2);
      if (input.empty()) break;
      phase_ = Phase::kHead;
      deadline_ = host_->now() + limits.request;
    }
    switch (parser_.Feed(&input)) {
      case RequestParser::Progress::kHead:
        OnHead();
        break;
      case RequestParser::Progress::kWhole:
        OnWhole();
        break;
      case RequestParser::Progress::kError: {
        const RequestParser::Error error = parser_.error();
        Refuse(error.status, error.message, error.status == 413   ? "body_too_large"
                                            : error.status == 431 ? "head_too_large"
                                                                  : "malformed");
        return;
      }
      case RequestParser::Progress::kNeedMore: {
        input_.assign(input.data(), input.size());
        if (input_ended_) return Close();
        if (phase_ != Phase::kBody) return;
        if (std::exchange(expects_continue_, false) && input.empty() && parser_.body_size() == 0) {
          output_.AddRaw("HTTP/1.1 100 Continue\r\n\r\n");
          Schedule();
        }
        const size_t grown = parser_.body_size() - body_bytes_;
        body_bytes_ += grown;
        if (!host_->AddBodyBytes(grown)) {
          Refuse(503, "too many large requests are being received; try again later", "body_memory");
          return;
        }
        deadline_ = phase_began_ + limits.request +
                    absl::Seconds(static_cast<double>(body_bytes_) / static_cast<double>(limits.body_rate));
        return;
      }
    }
  }
  if (!input.empty() && phase_ == Phase::kAnswering) input_.assign(input.data(), input.size());
  if (input_ended_ && phase_ == Phase::kIdle) Close();
}

void HttpConnection::OnHead() {
  const RequestHead& head = parser_.head();
  const bool whole = parser_.whole();
  const bool keep_alive = parser_.keep_alive() && !host_->stopping();
  is_head_ = head.method() == "HEAD";
  http10_ = head.version() == 10;
  // For an answer given at once: a body that is still to come is not waited
  // for, so nothing behind it can be found.
  keep_alive_ = keep_alive && whole;
  linger_ = !whole;
  phase_ = Phase::kAnswering;
  exchange_ = host_->handler()->OnHead(head, this);
  if (exchange_ == nullptr) return;

  keep_alive_ = keep_alive;
  linger_ = false;
  phase_ = Phase::kBody;
  phase_began_ = host_->now();
  deadline_ = phase_began_ + host_->limits().request;
  const auto expect = head.Find("Expect");
  if (!expect || http10_) return;
  expects_continue_ = absl::EqualsIgnoreCase(*expect, "100-continue");
  if (!expects_continue_) {
    Refuse(417, absl::StrCat("Expect: ", *expect, " is not understood; leave it out"), "malformed");
  }
}

void HttpConnection::OnWhole() {
  phase_ = Phase::kAnswering;
  deadline_ = absl::InfiniteFuture();
  ReleaseBodyBytes();
  exchange_->OnRequest(parser_.TakeBody());
}

void HttpConnection::ReleaseBodyBytes() {
  host_->RemoveBodyBytes(body_bytes_);
  body_bytes_ = 0;
}

void HttpConnection::Refuse(int status, absl::string_view message, absl::string_view reason) {
  host_->handler()->OnRejected(reason);
  HttpResponse response = ErrorResponse(status, message);
  exchange_.reset();
  ReleaseBodyBytes();
  input_.clear();
  phase_ = Phase::kAnswering;
  deadline_ = absl::InfiniteFuture();
  keep_alive_ = false;
  linger_ = true;
  Respond(std::move(response));
}

// --- output ---

void HttpConnection::AddHeader(absl::string_view name, absl::string_view value) {
  if (IsOneLine(value)) absl::StrAppend(&extra_head_, name, ": ", value, "\r\n");
}

std::string HttpConnection::Head(int status, const Headers& headers) {
  host_->handler()->OnAnswered(route_, parser_.head().method(), status);
  std::string head;
  head.reserve(256);
  absl::StrAppend(&head, "HTTP/1.1 ", status, " ", ReasonPhrase(status), "\r\nDate: ", host_->date(), "\r\n");
  for (const auto& [name, value] : headers) {
    // Some come from the other side of the gateway: a line break would let
    // them forge fields.
    if (IsOneLine(name) && IsOneLine(value)) absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  head += extra_head_;
  if (!keep_alive_) {
    head += "Connection: close\r\n";
  } else if (http10_) {
    head += "Connection: keep-alive\r\n";
  }
  return head;
}

void HttpConnection::Respond(HttpResponse response) {
  std::string head = Head(response.status, response.headers);
  if (!HasNoBody(response.status)) absl::StrAppend(&head, "Content-Length: ", response.body.size(), "\r\n");
  head += "\r\n";
  output_.AddRaw(std::move(head));
  if (!is_head_ && !HasNoBody(response.status) && !response.body.empty()) output_.AddRaw(std::move(response.body));
  finished_ = true;
  Schedule();
}

void HttpConnection::BeginStream(int status, const Headers& headers) {
  if (http10_) keep_alive_ = false;  // its end is the connection's
  if (!input_.empty()) keep_alive_ = false;
  std::string head = Head(status, headers);
  if (!http10_) head += "Transfer-Encoding: chunked\r\n";
  head += "\r\n";
  output_.AddRaw(std::move(head));
  output_.set_chunked(!http10_);
  streaming_ = true;
  aborted_ = input_ended_;
  last_write_ = host_->now();
  // A stream may stay for days: it keeps nothing that only reading needs.
  parser_.ReleaseMemory();
  input_ = {};
  extra_head_ = {};
  WaitForInput();
  Schedule();
}

void HttpConnection::Write(std::string bytes, size_t credit) {
  output_.AddBody(std::move(bytes), credit);
  Schedule();
}

void HttpConnection::Finish() {
  output_.EndBody();
  finished_ = true;
  Schedule();
}

void HttpConnection::Abort() {
  aborted_ = true;
  Schedule();
}

void HttpConnection::Schedule() {
  if (std::exchange(scheduled_, true)) return;
  host_->FlushSoon(shared_from_this());
}

void HttpConnection::Flush() {
  scheduled_ = false;
  if (phase_ == Phase::kClosed) return;
  if (aborted_) return Close();
  if (writing_) return;
  const OutputQueue::Result result = output_.Flush(socket_.native_handle());
  if (result.failed) return Close();
  if (result.progress) last_write_ = host_->now();
  if (!output_.empty()) {
    writing_ = true;
    stall_deadline_ = host_->now() + host_->limits().write_stall;
    socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
      self->writing_ = false;
      if (error) return;
      self->Flush();
    });
  }
  if (result.credit > 0 && exchange_ != nullptr) exchange_->OnWritten(result.credit);
  if (finished_ && output_.empty()) AnswerDone();
}

void HttpConnection::AnswerDone() {
  exchange_.reset();
  if (linger_ && !input_ended_) {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    phase_ = Phase::kLingering;
    deadline_ = host_->now() + host_->limits().linger;
    WaitForInput();
    return;
  }
  if (!keep_alive_ || host_->stopping()) return Close();
  route_ = {};
  extra_head_.clear();
  is_head_ = end_on_half_close_ = expects_continue_ = streaming_ = finished_ = false;
  parser_.Reset();
  phase_ = Phase::kIdle;
  deadline_ = host_->now() + host_->limits().keep_alive;
  const std::string input = std::exchange(input_, {});
  Process(input);
  WaitForInput();
}

// --- life ---

void HttpConnection::Tick() {
  const absl::Time now = host_->now();
  if (writing_ && now >= stall_deadline_) {
    host_->handler()->OnRejected("slow_reader");
    return Close();
  }
  if (streaming_ && !finished_ && output_.empty() && now - last_write_ >= host_->limits().stream_idle) {
    last_write_ = now;
    exchange_->OnStreamIdle();
  }
  if (now < deadline_) return;
  if (phase_ == Phase::kHead || phase_ == Phase::kBody) {
    Refuse(408, "the request took too long to arrive; send it again, faster", "slow_request");
  } else {
    Close();
  }
}

void HttpConnection::BeginShutdown() {
  if (phase_ == Phase::kIdle) return Close();
  keep_alive_ = false;
  if (phase_ == Phase::kAnswering && exchange_ != nullptr && !finished_) exchange_->OnShutdown();
}

void HttpConnection::Close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  exchange_.reset();
  ReleaseBodyBytes();
  boost::system::error_code ignored;
  socket_.close(ignored);
  host_->OnClosed(this);
}

}  // namespace unmcp::gateway
