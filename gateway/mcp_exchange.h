// One MCP request between HTTP and the Link: an Open out, and what comes back
// as an answer or as a stream of server-sent events.
#ifndef UNMCP_GATEWAY_MCP_EXCHANGE_H_
#define UNMCP_GATEWAY_MCP_EXCHANGE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "gateway/http_server.h"
#include "gateway/sse_framer.h"
#include "link/caller.h"
#include "prometheus/gauge.h"
#include "unmcp/v1/edge.pb.h"

namespace unmcp::gateway {

// The client going away destroys this, which cancels the exchange on the Link.
// Credit goes back to the Link when the client's socket has taken the bytes:
// a slow reader slows its own server down, and nobody else.
class McpExchange final : public HttpExchange, public link::CallHandler {
 public:
  // All outlive this. `streams` counts open event streams.
  McpExchange(link::Caller* caller, HttpResponder* responder, v1::Open open, prometheus::Gauge* streams);
  ~McpExchange() override;

  void OnRequest(std::string body) override;
  void OnWritten(size_t credit) override;
  void OnStreamIdle() override;
  void OnShutdown() override;

  void OnHead(int status, std::vector<std::pair<std::string, std::string>> headers) override;
  void OnData(std::string bytes, absl::string_view event, absl::string_view event_id, bool final) override;
  void OnClose(bool cut_off, absl::string_view reason) override;

 private:
  enum class State {
    kWaiting,  // no head yet
    kHeld,     // a head that is not sent yet: its body may be small, or none
    kBody,     // a large body is being sent on
    kEvents,   // an event stream is open
    kDone,     // answered
  };
  void Answer(HttpResponse response);
  void EndStream(bool cut_off);

  link::Caller* const caller_;
  HttpResponder* const responder_;
  const bool is_stream_;  // the answer will not end by itself
  v1::Open open_;
  prometheus::Gauge* const streams_;
  link::Caller::ExchangeId id_ = 0;
  State state_ = State::kWaiting;
  HttpResponse held_;
  bool held_complete_ = false;
  SseFramer framer_;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_MCP_EXCHANGE_H_
