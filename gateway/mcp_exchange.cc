#include "gateway/mcp_exchange.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/http_status.h"
#include "glog/logging.h"

namespace unmcp::gateway {
namespace {

// Below this a copy costs less than writing from three places.
constexpr size_t kJoinBytes = 16 << 10;

// Fields that the HTTP server itself decides.
bool IsOurs(absl::string_view name) {
  for (absl::string_view ours : {"connection", "content-length", "date", "keep-alive", "transfer-encoding"}) {
    if (absl::EqualsIgnoreCase(name, ours)) return true;
  }
  return false;
}

bool IsEventStream(const Headers& headers) {
  return std::any_of(headers.begin(), headers.end(), [](const auto& header) {
    return absl::EqualsIgnoreCase(header.first, "content-type") &&
           absl::StartsWithIgnoreCase(header.second, "text/event-stream");
  });
}

}  // namespace

McpExchange::McpExchange(link::Caller* caller, HttpResponder* responder, v1::Open open, prometheus::Gauge* streams)
    : caller_(caller),
      responder_(responder),
      is_stream_(open.kind() == v1::EXCHANGE_KIND_SSE_STREAM),
      open_(std::move(open)),
      streams_(streams) {}

McpExchange::~McpExchange() {
  if (state_ == State::kEvents) streams_->Decrement();
  if (id_ != 0) caller_->Cancel(id_);
}

void McpExchange::OnRequest(std::string body) {
  if (is_stream_) {
    body.clear();  // a GET's body means nothing (RFC 9110, 9.3.1)
  } else if (body.empty()) {
    return Answer(ErrorResponse(400, "the body is empty; send one JSON-RPC message"));
  }
  id_ = caller_->Open(std::move(open_), std::move(body), this);
  if (id_ == 0) Answer(ErrorResponse(503, "the apiserver cannot be reached at present; try again in a moment"));
}

void McpExchange::OnWritten(size_t credit) {
  if (id_ != 0) caller_->Consumed(id_, credit);
}

void McpExchange::OnStreamIdle() {
  if (state_ == State::kEvents && framer_.between_events()) responder_->Write(std::string(kSseKeepAlive), 0);
}

void McpExchange::OnShutdown() {
  if (state_ == State::kEvents) {
    EndStream(/*cut_off=*/false);
  } else if (is_stream_ && state_ == State::kWaiting) {
    Answer(ErrorResponse(503, "the gateway is shutting down; connect again"));
  }
}

void McpExchange::OnHead(int status, Headers headers) {
  if (status < 200 || status > 599) {
    LOG(ERROR) << "the Link answered with HTTP status " << status;
    return Answer(ErrorResponse(502, "the apiserver gave an answer that is none"));
  }
  held_.status = status;
  for (auto& header : headers) {
    if (!IsOurs(header.first)) held_.headers.push_back(std::move(header));
  }
  if (!IsEventStream(held_.headers)) {
    state_ = State::kHeld;
    return;
  }
  responder_->BeginStream(status, held_.headers);
  held_ = {};
  state_ = State::kEvents;
  streams_->Increment();
}

void McpExchange::OnData(std::string bytes, absl::string_view event, absl::string_view event_id, bool final) {
  const size_t credit = bytes.size();
  switch (state_) {
    case State::kEvents: {
      SseFramer::Frame frame = framer_.Piece(std::move(bytes), event, event_id, final);
      if (frame.bytes.size() <= kJoinBytes) {
        frame.prefix.reserve(frame.prefix.size() + frame.bytes.size() + frame.suffix.size() + 2);
        absl::StrAppend(&frame.prefix, frame.bytes, frame.suffix);
        responder_->Write(std::move(frame.prefix), credit);
      } else {
        responder_->Write(std::move(frame.prefix), 0);
        responder_->Write(std::move(frame.bytes), credit);
        responder_->Write(std::string(frame.suffix), 0);
      }
      return;
    }
    case State::kHeld:
      // The usual answer is one piece: then its length is known, and it waits
      // for the Close that comes with it.
      if (final) {
        held_.body = std::move(bytes);
        held_complete_ = true;
        return;
      }
      responder_->BeginStream(held_.status, held_.headers);
      state_ = State::kBody;
      [[fallthrough]];
    case State::kBody:
      responder_->Write(std::move(bytes), credit);
      return;
    case State::kWaiting:
    case State::kDone:
      return;
  }
}

void McpExchange::OnClose(bool cut_off, absl::string_view reason) {
  id_ = 0;
  VLOG_IF(1, cut_off) << "exchange cut off: " << std::string(reason);
  switch (state_) {
    case State::kEvents:
    case State::kBody:
      return EndStream(cut_off);
    case State::kHeld:
      // An answer that came whole is not taken back by what happened after it.
      if (!cut_off || held_complete_) return Answer(std::move(held_));
      [[fallthrough]];
    case State::kWaiting:
      // Not connected any more: the Link broke, and asking again is of use.
      if (!caller_->connected()) {
        return Answer(ErrorResponse(503, "the connection to the apiserver broke; try again in a moment"));
      }
      return Answer(
          ErrorResponse(502, reason.empty() ? "the apiserver ended the exchange without an answer" : reason));
    case State::kDone:
      return;
  }
}

void McpExchange::Answer(HttpResponse response) {
  state_ = State::kDone;
  if (id_ != 0) caller_->Cancel(std::exchange(id_, 0));
  responder_->Respond(std::move(response));
}

void McpExchange::EndStream(bool cut_off) {
  if (state_ == State::kEvents) streams_->Decrement();
  state_ = State::kDone;
  if (id_ != 0) caller_->Cancel(std::exchange(id_, 0));
  if (cut_off) {
    responder_->Abort();
  } else {
    responder_->Finish();
  }
}

}  // namespace unmcp::gateway
