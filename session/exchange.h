// One exchange with a client, seen from the session library: what arrives, and
// where the answer goes. Sockets, HTTP and the Link are behind it.
#ifndef UNMCP_SESSION_EXCHANGE_H_
#define UNMCP_SESSION_EXCHANGE_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace unmcp::session {

// What a client asked for, already checked for its HTTP syntax.
struct ExchangeRequest {
  enum class Kind {
    kSseStream,   // GET …/sse: the answer is a stream that stays open
    kSseMessage,  // POST …/message: one message in, a status out
  };
  Kind kind = Kind::kSseStream;
  // As it stands in the request's path: the server's uid or its name. The
  // endpoint event repeats it.
  std::string server;
  // The session id of the route; "" when the route carries none.
  std::string session;
  // The value of MCP-Protocol-Version; "" when the client sent none.
  std::string protocol_version;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// What arrives. All calls come on the scheduler of whoever made the Exchange.
class ExchangeHandler {
 public:
  virtual ~ExchangeHandler() = default;
  // The request's message, whole. At most once.
  virtual void OnMessage(std::string message) = 0;
  // Everything that was sent has been taken by the client: queued() is 0.
  virtual void OnDrained() {}
  // The client is gone. Nothing follows; the Exchange may be destroyed, here
  // or later.
  virtual void OnClosed() = 0;
};

// Where the answer goes. Destroying it without Close cuts the exchange off.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // Not owned. Set once, as soon as the Exchange is received; nothing arrives
  // before. nullptr detaches.
  virtual void SetHandler(ExchangeHandler* handler) = 0;
  // Begins the answer. Once, before any Send.
  virtual void SendHead(int status, Headers headers) = 0;
  // Sends one message: an SSE event on a stream ("" is event "message"), the
  // body otherwise. Queues without bound: the sender looks at queued().
  virtual void Send(std::string message, absl::string_view event = "", absl::string_view event_id = "") = 0;
  // Bytes sent that wait here because the client does not take them. What is
  // on its way (at most a quarter of a megabyte) does not count.
  virtual size_t queued() const = 0;
  // Ends the answer in good order, after all that was sent. While queued() is
  // not 0, destroying the Exchange loses what is queued and cuts it off.
  virtual void Close() = 0;
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_EXCHANGE_H_
