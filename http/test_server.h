// An HTTP/1.1 server for tests that does exactly what it is told, misbehaviour
// included: each connection is served by a function of the test's, on a thread
// of its own, with blocking calls.
#ifndef UNMCP_HTTP_TEST_SERVER_H_
#define UNMCP_HTTP_TEST_SERVER_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

namespace unmcp::http {

struct TestRequest {
  std::string method, target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class TestConnection {
 public:
  TestConnection(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}

  // The next request; nullopt when the client has closed.
  std::optional<TestRequest> Read();
  // False when the client has gone.
  bool Write(absl::string_view bytes);
  // A whole answer. `headers`: lines that end in CRLF.
  bool Respond(int status, absl::string_view content_type, absl::string_view body, absl::string_view headers = "");
  // A chunked answer: its head; Chunk as often as wanted; Chunk("") at its end.
  bool Begin(int status, absl::string_view content_type, absl::string_view headers = "");
  bool Chunk(absl::string_view bytes);
  // Ends the connection with a reset.
  void Reset();
  // Waits until the client has closed; what it sends meanwhile is dropped.
  void AwaitClose();

 private:
  bool Fill();

  const int fd_;
  SSL* const ssl_;
  std::string buffer_;
};

// Example:
//
//   TestServer server([](TestConnection& connection) {
//     while (auto request = connection.Read()) connection.Respond(200, "text/plain", "hello");
//   });
//   … server.url("/path") …
//
// Thread safety: thread safe.
class TestServer {
 public:
  // When `serve` returns the connection is closed.
  using Serve = std::function<void(TestConnection&)>;
  enum class Security { kPlain, kTls };
  explicit TestServer(Serve serve, Security security = Security::kPlain);
  // Cuts every connection, and waits for the functions that serve them.
  ~TestServer();

  int port() const { return port_; }
  std::string url(absl::string_view path) const;
  // The certificate, which signs itself, as PEM.
  const std::string& certificate() const { return certificate_; }
  // How many connections there have been.
  int connections() const;

 private:
  void Accept();
  void ServeOne(int fd);
  void SetUpTls();

  const Serve serve_;
  int listener_ = -1;
  int port_ = 0;
  SSL_CTX* tls_ = nullptr;
  std::string certificate_;
  mutable Mutex mutex_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_set<int> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace unmcp::http

#endif  // UNMCP_HTTP_TEST_SERVER_H_
