// One client's connection. Internal to the HTTP server: see http_server.h.
#ifndef UNMCP_GATEWAY_HTTP_CONNECTION_H_
#define UNMCP_GATEWAY_HTTP_CONNECTION_H_

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gateway/http_parser.h"
#include "gateway/http_server.h"
#include "gateway/output_queue.h"

namespace unmcp::gateway {

// Not any_io_executor: it costs an indirect call for every event.
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

class HttpConnection;

// What connections share and report to.
class HttpConnectionHost {
 public:
  virtual ~HttpConnectionHost() = default;
  virtual const HttpServer::Limits& limits() const = 0;
  virtual HttpHandler* handler() const = 0;
  // Of the last tick: times are bounds here, not measurements.
  virtual absl::Time now() const = 0;
  // "Sun, 06 Nov 1994 08:49:37 GMT"
  virtual const std::string& date() const = 0;
  // For recv.
  virtual absl::Span<char> scratch() = 0;
  // Whether the server goes down: answers then say Connection: close.
  virtual bool stopping() const = 0;
  // Flush is called at the end of the loop's turn.
  virtual void FlushSoon(std::shared_ptr<HttpConnection> connection) = 0;
  // Accounts for body bytes held; false when that is over the bound.
  virtual bool AddBodyBytes(size_t bytes) = 0;
  virtual void RemoveBodyBytes(size_t bytes) = 0;
  // The socket is closed.
  virtual void OnClosed(HttpConnection* connection) = 0;
};

// Kept alive by the server until closed, and by handlers that asio has yet to
// run; those do nothing once the connection is closed.
class HttpConnection final : public HttpResponder, public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(HttpConnectionHost* host, Socket socket);

  void Start();
  // Writes what waits to be written, and what follows from it.
  void Flush();
  // Looks at the clock.
  void Tick();
  // Ends when the answer under way has; now when there is none.
  void BeginShutdown();
  // At once. The exchange is destroyed.
  void Close();

  void SetRoute(absl::string_view route) override { route_ = route; }
  void AddHeader(absl::string_view name, absl::string_view value) override;
  void EndOnHalfClose() override { end_on_half_close_ = true; }
  void Respond(HttpResponse response) override;
  void BeginStream(int status, const Headers& headers) override;
  void Write(std::string bytes, size_t credit) override;
  void Finish() override;
  void Abort() override;

 private:
  enum class Phase {
    kIdle,       // nothing of the next request has come
    kHead,       // its head is coming
    kBody,       // its body is coming
    kAnswering,  // the exchange has it, or its answer is being written
    kLingering,  // answered; reading until the client has seen it
    kClosed,
  };

  void WaitForInput();
  void OnReadable();
  void OnInputEnd();
  void Process(absl::string_view input);
  void OnHead();
  void OnWhole();
  // Answers for the server itself and ends the connection.
  void Refuse(int status, absl::string_view message, absl::string_view reason);
  // The head's fixed part, up to and without the empty line.
  std::string Head(int status, const Headers& headers);
  void Schedule();
  void AnswerDone();
  void ReleaseBodyBytes();

  HttpConnectionHost* const host_;
  Socket socket_;
  Phase phase_ = Phase::kIdle;
  RequestParser parser_;
  std::string input_;  // came, and is not parsed yet
  std::unique_ptr<HttpExchange> exchange_;
  OutputQueue output_;
  size_t body_bytes_ = 0;  // accounted for with the host

  // Of the request being answered.
  absl::string_view route_;
  std::string extra_head_;
  bool is_head_ = false;
  bool http10_ = false;
  bool keep_alive_ = true;
  bool end_on_half_close_ = false;
  bool expects_continue_ = false;  // and was not told yet
  bool streaming_ = false;
  bool finished_ = false;
  bool aborted_ = false;

  bool scheduled_ = false;
  bool reading_ = false;   // a wait for input is under way
  bool writing_ = false;   // a wait for room is under way
  bool input_ended_ = false;
  bool linger_ = false;
  absl::Time phase_began_;
  absl::Time deadline_;
  absl::Time last_write_;
  absl::Time stall_deadline_;  // while writing_
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_HTTP_CONNECTION_H_
