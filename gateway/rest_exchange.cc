#include "gateway/rest_exchange.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/proto_json.h"
#include "gateway/http_status.h"
#include "gateway/sse_framer.h"

namespace unmcp::gateway {
namespace {

using google::protobuf::Message;

// REST calls read and write the cluster's state; what takes longer than this
// is not going to happen. Waking a server is no unary call.
constexpr absl::Duration kCallDeadline = absl::Seconds(30);

// Half of what the apiserver takes in one message (a body of numbers grows
// fivefold on its way into one).
constexpr size_t kMaxRequestBytes = 8 << 20;

// A call that fails does so within this; after it the client is told that its
// stream is open, though there may be nothing to say for hours.
constexpr absl::Duration kFirstMessageWait = absl::Milliseconds(500);

// As much as a socket's buffer commonly holds: enough to keep a reader busy.
constexpr size_t kMaxUnreadBytes = 256 << 10;

// The request, or what is wrong with it.
absl::StatusOr<std::unique_ptr<Message>> ReadRequest(const RestTarget& target, const std::string& body,
                                                     HttpResponse* error) {
  auto request = MakeRestRequest(*target.route, target.path_values, target.query, body);
  if (!request.ok()) {
    *error = ErrorResponse(400, request.status().message());
  } else if ((*request)->ByteSizeLong() > kMaxRequestBytes) {
    *error = ErrorResponse(413, absl::StrCat("the request is too large; at most ", kMaxRequestBytes, " bytes of it "
                                             "can be passed on"));
    return absl::ResourceExhaustedError("too large");
  }
  return request;
}

// gRPC's own words for a call that took too long say nothing.
HttpResponse ErrorOf(const grpc::Status& status) {
  if (status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED) return ErrorResponse(status);
  return ErrorResponse(504, absl::StrCat("there was no answer within ", absl::FormatDuration(kCallDeadline),
                                         "; what was asked for may be done all the same: look before you ask again"));
}

}  // namespace

RestExchange::RestExchange(ApiCaller* caller, HttpResponder* responder, RestTarget target)
    : caller_(caller), responder_(responder), target_(std::move(target)) {}

RestExchange::~RestExchange() { caller_->Cancel(call_); }

void RestExchange::OnRequest(std::string body) {
  HttpResponse error;
  auto request = ReadRequest(target_, body, &error);
  if (!request.ok()) return responder_->Respond(std::move(error));
  const RestRoute& route = *target_.route;
  call_ = caller_->Call(route.grpc_method, *std::move(request), NewRestResponse(route), kCallDeadline,
                        [this, &route](const grpc::Status& status, const Message& response) {
                          call_ = 0;
                          responder_->Respond(status.ok() ? MakeRestResponse(route, response) : ErrorOf(status));
                        });
}

const Headers& EventStreamHeaders() {
  static const auto* const headers = new Headers{
      {"Content-Type", "text/event-stream"},
      {"Cache-Control", "no-store"},
      {"X-Accel-Buffering", "no"},  // nginx would gather events before it passes them on
  };
  return *headers;
}

RestStreamExchange::RestStreamExchange(Scheduler* scheduler, ApiCaller* caller, HttpResponder* responder,
                                       RestTarget target, prometheus::Gauge* streams)
    : caller_(caller),
      responder_(responder),
      target_(std::move(target)),
      streams_(streams),
      quiet_(scheduler) {}

RestStreamExchange::~RestStreamExchange() {
  caller_->Cancel(call_);
  if (begun_) streams_->Decrement();
}

void RestStreamExchange::OnRequest(std::string body) {
  HttpResponse error;
  auto request = ReadRequest(target_, body, &error);
  if (!request.ok()) {
    ended_ = true;
    return responder_->Respond(std::move(error));
  }
  const RestRoute& route = *target_.route;
  call_ = caller_->Stream(
      route.grpc_method, *std::move(request), NewRestResponse(route),
      [this](const Message& message) { OnMessage(message); }, [this](const grpc::Status& status) { OnEnd(status); });
  quiet_.Set(kFirstMessageWait, [this] { Begin(); });
}

void RestStreamExchange::Begin() {
  if (std::exchange(begun_, true)) return;
  quiet_.Cancel();
  streams_->Increment();
  responder_->BeginStream(200, EventStreamHeaders());
}

void RestStreamExchange::WriteEvent(absl::string_view name, absl::string_view data) {
  std::string event = absl::StrCat(name.empty() ? "" : "event: ", name, name.empty() ? "" : "\n", "data: ", data,
                                   "\n\n");
  const size_t size = event.size();
  unread_ += size;
  responder_->Write(std::move(event), size);
}

void RestStreamExchange::OnMessage(const Message& message) {
  Begin();
  WriteEvent("", JsonText(RestJson(message)));
  waiting_ = unread_ >= kMaxUnreadBytes;
  if (!waiting_) caller_->Next(call_);
}

void RestStreamExchange::OnWritten(size_t credit) {
  unread_ -= credit;
  if (!waiting_ || unread_ >= kMaxUnreadBytes) return;
  waiting_ = false;
  caller_->Next(call_);
}

void RestStreamExchange::OnEnd(const grpc::Status& status) {
  call_ = 0;
  if (!status.ok() && !begun_) {
    ended_ = true;
    quiet_.Cancel();
    return responder_->Respond(ErrorResponse(status));
  }
  Begin();
  if (!status.ok()) WriteEvent("error", ErrorResponse(status).body);
  Finish();
}

void RestStreamExchange::Finish() {
  ended_ = true;
  caller_->Cancel(std::exchange(call_, 0));
  responder_->Finish();
}

void RestStreamExchange::OnStreamIdle() { responder_->Write(std::string(kSseKeepAlive)); }

void RestStreamExchange::OnShutdown() {
  if (ended_) return;
  if (begun_) return Finish();
  ended_ = true;
  quiet_.Cancel();
  caller_->Cancel(std::exchange(call_, 0));
  responder_->Respond(ErrorResponse(503, "the gateway is shutting down; connect again"));
}

}  // namespace unmcp::gateway
