// A raw HTTP client for tests: it says exactly the bytes it is told to, and
// shows exactly what came back. Blocking, for the test's own thread.
#ifndef UNMCP_GATEWAY_HTTP_TEST_CLIENT_H_
#define UNMCP_GATEWAY_HTTP_TEST_CLIENT_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace unmcp::gateway {

struct TestResponse {
  int status = 0;                              // 0: the connection ended first
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // chunks put together
  bool complete = false;                       // the body ended as its framing says
};

class HttpTestClient {
 public:
  // Connects to 127.0.0.1. Reads give up after 20 s, so that a test that
  // would hang fails.
  explicit HttpTestClient(int port);
  ~HttpTestClient();
  HttpTestClient(const HttpTestClient&) = delete;
  HttpTestClient& operator=(const HttpTestClient&) = delete;

  // False when the server has closed.
  bool Send(absl::string_view bytes);
  // A request with Host and, for a body, Content-Length.
  bool Request(absl::string_view method, absl::string_view target, absl::string_view extra_headers = "",
               absl::string_view body = "");
  void CloseSending();
  // As a process that is killed: what it did not read is refused with a reset.
  void Reset();

  // The next response; `head`: its body is left out, whatever its head says.
  TestResponse ReadResponse(bool head = false);
  // The head only; the body stays to be read with ReadChunk.
  TestResponse ReadHead();
  // One chunk of a chunked body, as it was framed; "" at its proper end.
  // `cut` is set when the connection ends instead.
  std::string ReadChunk(bool* cut = nullptr);
  // Everything until the server closes.
  std::string ReadToEnd();
  // Whether the server has closed (waits for it or for a byte).
  bool AtEnd();
  // Makes the kernel's receive buffer small, to be a slow reader soon.
  void ShrinkReceiveBuffer();

 private:
  bool Fill();
  std::string ReadLine();
  std::string ReadExactly(size_t size);

  int fd_ = -1;
  std::string buffer_;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_HTTP_TEST_CLIENT_H_
