// An HTTP/1.1 server on an event loop. It knows sockets, requests, answers and
// streams; what they mean is an HttpHandler's affair.
//
// One request at a time per connection (pipelined ones wait), keep-alive, HEAD,
// Expect: 100-continue, chunked bodies, HTTP/1.0. What a client can cost is
// bounded by Limits; whatever breaks one is answered and counted.
//
// Made to be cheap: input is parsed where recv put it, in one buffer for all
// connections; what is written in one turn of the loop leaves in one sendmsg;
// a quiet connection owns no buffer.
#ifndef UNMCP_GATEWAY_HTTP_SERVER_H_
#define UNMCP_GATEWAY_HTTP_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "gateway/http_message.h"

namespace unmcp::gateway {

// Where the answer to one request goes. Valid until the request's HttpExchange
// is destroyed (or, when there is none, within OnHead). Nothing calls back from
// within these, and what they write leaves at the end of the loop's turn.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;

  // The label under which the request is counted; it outlives the server.
  virtual void SetRoute(absl::string_view route) = 0;
  // Adds a field to the answer's head, also when the server itself answers.
  virtual void AddHeader(absl::string_view name, absl::string_view value) = 0;
  // A client that shuts down its sending side is gone. (Otherwise it gets its
  // answer, unless that is a stream.)
  virtual void EndOnHalfClose() = 0;

  // Either a whole answer:
  virtual void Respond(HttpResponse response) = 0;

  // or a stream: its head, then pieces, then Finish (in good order) or Abort
  // (the connection is cut, so that the client can tell).
  virtual void BeginStream(int status, const Headers& headers) = 0;
  // `credit` comes back in OnWritten when the socket has taken the bytes.
  virtual void Write(std::string bytes, size_t credit = 0) = 0;
  virtual void Finish() = 0;
  virtual void Abort() = 0;
};

// One request being worked on. Destroyed when its answer is written, or the
// client is gone, or the request turned out to be bad; never from within a
// call that it makes on the responder.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  // The request is complete. Once. The responder may be used from now on.
  virtual void OnRequest(std::string body) = 0;
  // The socket has taken bytes that were worth `credit`.
  virtual void OnWritten(size_t /*credit*/) {}
  // Nothing has been written on this stream for Limits::stream_idle.
  virtual void OnStreamIdle() {}
  // The server goes down: end what would not end by itself.
  virtual void OnShutdown() {}
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // The head of a request. Either answers at once with Respond and returns
  // null, or returns the exchange that will (its body is read first). `head`
  // is valid during the call.
  virtual std::unique_ptr<HttpExchange> OnHead(const RequestHead& head, HttpResponder* responder) = 0;
  // An answer's head was written. `route` is "" when SetRoute was not called.
  virtual void OnAnswered(absl::string_view route, absl::string_view method, int status) = 0;
  // The server itself refused or gave up on a client; `reason` is a word.
  virtual void OnRejected(absl::string_view reason) = 0;
  virtual void OnConnectionCount(size_t count) = 0;
};

class HttpServer {
 public:
  struct Limits {
    // As nginx and Node have it; no header of ours comes near.
    size_t head_bytes = 16 << 10;
    // A 10 MB message has to pass, with room.
    size_t body_bytes = 16 << 20;
    // Bodies being received, all together: 16 of the largest, whoever sends.
    size_t total_body_bytes = 256 << 20;
    // Each costs a descriptor and about 1 KB. 1,000 SSE clients have 2,000.
    size_t connections = 10'000;
    // For a head to arrive; and for a body, beyond the time that its bytes
    // take at body_rate. What is slower is an attack (slowloris), not a link.
    absl::Duration request = absl::Seconds(30);
    size_t body_rate = 16 << 10;  // bytes a second
    // Between requests. Longer than the 60 s of common load balancers, so
    // that it is they who close, and no request meets a closing connection.
    absl::Duration keep_alive = absl::Seconds(75);
    // Without the client taking a byte while bytes wait for it.
    absl::Duration write_stall = absl::Seconds(60);
    // OnStreamIdle. With a second of slack under the 15 s that MCP wants.
    absl::Duration stream_idle = absl::Seconds(13);
    // How long a client that still sends is listened to after the answer:
    // closing at once would destroy the answer before it is read.
    absl::Duration linger = absl::Seconds(2);
  };

  struct Options {
    EventLoop* loop = nullptr;  // outlives the server
    std::string host = "127.0.0.1";
    int port = 0;  // 0 picks a free one
    HttpHandler* handler = nullptr;  // outlives the server
    Limits limits;
  };

  // Listens from here on; serves when the loop runs. ALREADY_EXISTS when the
  // port is in use, INVALID_ARGUMENT when the host is no address of ours.
  // Called before the loop starts, or on it.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Create(Options options);
  // On the loop, or after it stopped. Closes everything.
  ~HttpServer();

  int port() const;

  // Stops listening, closes idle connections, tells the exchanges, lets
  // answers that are under way go out, and cuts off what is left after
  // `grace`. `done` runs on the loop. Once; on the loop.
  void Shutdown(absl::Duration grace, absl::AnyInvocable<void()> done);

  struct Impl;  // of http_server.cc

 private:
  explicit HttpServer(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_HTTP_SERVER_H_
