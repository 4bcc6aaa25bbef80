// Servers that speak Streamable HTTP (MCP 2025-03-26, 2025-06-18, 2025-11-25):
// a POST for each message to the server, which answers it there.
#ifndef UNMCP_APISERVER_UPSTREAM_STREAMABLE_H_
#define UNMCP_APISERVER_UPSTREAM_STREAMABLE_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "apiserver/upstream.h"
#include "apiserver/upstream_http.h"
#include "common/event_loop.h"
#include "http/http_client.h"

namespace unmcp::apiserver {

// Requests run side by side, each with a POST of its own; what is no request
// (notifications, answers) is accepted by the server before the next message
// goes out. What the server says of itself comes on a GET stream, if it offers
// one. Answers that break off are resumed where the server numbers its events.
//
// Closes when the server has forgotten the session (404, or 400 that speaks of
// a session), and when initialize
// brings no JSON-RPC answer. A call that fails otherwise fails alone.
class StreamableUpstream final : public Upstream {
 public:
  // `handler` outlives this.
  StreamableUpstream(HttpEndpoint endpoint, Handler* handler);
  // Ends the session at the server (DELETE).
  ~StreamableUpstream() override;

  void Send(std::string message) override;
  size_t pending() const override { return pending_; }

 private:
  class Exchange;

  // A request with what belongs to the session.
  http::Request NewSessionRequest(std::string method) const;
  void Pump();
  // What waits for `exchange` to be accepted may go.
  void Proceed(Exchange* exchange);
  // The server has sent initialize's answer, and has been told that we have it.
  void OnInitialized();
  // The request by this raw id has been given up.
  void OnCancelled(absl::string_view id);
  // Answers a call that cannot be sent.
  void Refuse(const std::string& id);
  void Retire(Exchange* exchange);
  void Close(absl::Status why);

  const HttpEndpoint endpoint_;
  Handler* const handler_;
  const absl::Time retry_until_;
  Timer opening_;
  Timer refusing_;
  std::vector<std::string> refusals_;  // answers to calls that were not sent
  bool closed_ = false;
  std::string session_;           // "": the server keeps none
  std::string protocol_version_;  // "" until initialize is answered

  std::deque<std::string> queue_;
  size_t pending_ = 0;
  Exchange* awaited_ = nullptr;  // the next message waits for its acceptance
  bool listening_ = false;       // the GET stream was begun
  absl::flat_hash_map<Exchange*, std::unique_ptr<Exchange>> exchanges_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_UPSTREAM_STREAMABLE_H_
