// An HTTP client on an event loop: requests whose answers are read as they
// arrive. For MCP servers that speak HTTP, and for watches of a Kubernetes API.
//
// libcurl is behind it: connections are kept and used again, HTTP/2 is spoken
// where a server offers it over TLS, certificates are verified, names are
// resolved on threads of libcurl's own, and HTTP_PROXY, HTTPS_PROXY and
// NO_PROXY are followed. Nothing here blocks.
#ifndef UNMCP_HTTP_HTTP_CLIENT_H_
#define UNMCP_HTTP_HTTP_CLIENT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"

namespace unmcp::http {

// Names in an answer are in lower case, and in the order in which they came.
using Headers = std::vector<std::pair<std::string, std::string>>;

// The first value under `name` (lower case); "" when there is none.
absl::string_view FindHeader(const Headers& headers, absl::string_view name);

struct Request {
  std::string method = "GET";
  // http or https; absolute.
  std::string url;
  // A header of the user's wins over libcurl's own (User-Agent, Accept).
  Headers headers;
  // Sent with Content-Length, when it is not empty or the method is POST.
  std::string body;
  // For everything, from now to the end of the answer.
  absl::Duration timeout = absl::InfiniteDuration();
  // Redirects that are followed, within the origin of `url` only: headers are
  // meant for that origin. 307 and 308 for every method, the others for GET.
  // Any other redirect is an answer like all others.
  int max_redirects = 0;
  // Past any proxy: for addresses of this machine or of the cluster.
  bool direct = false;
};

// What comes of a request; on the loop, never from within Start, Pause or
// Resume.
class Handler {
 public:
  virtual ~Handler() = default;
  // The whole body of the request has been given to the connection.
  virtual void OnBodySent() {}
  // The head of the answer (not those with 1xx).
  virtual void OnHead(int status, const Headers& headers) = 0;
  // Some of the answer's body.
  virtual void OnData(absl::string_view bytes) = 0;
  // Last. OK: the answer is complete. Otherwise
  //   UNAVAILABLE         the server was not reached: nothing was sent
  //   ABORTED             the connection broke: whether the request had an
  //                       effect is not known
  //   DEADLINE_EXCEEDED   Request::timeout
  //   FAILED_PRECONDITION the server could not be proven to be the one meant (TLS)
  //   RESOURCE_EXHAUSTED  the answer's head is larger than Options::max_head_bytes
  //   INVALID_ARGUMENT    the URL is none
  //   INTERNAL            no HTTP was spoken, or libcurl failed
  // Messages name the origin, never the rest of the URL nor a header.
  virtual void OnEnd(absl::Status status) = 0;
};

// A request under way. Destroying it cancels it: the handler hears no more.
// It may be destroyed from within the handler.
class Call {
 public:
  virtual ~Call() = default;
  // Flow control: while paused, OnData and OnEnd are not called, and after a
  // few more kilobytes nothing is read.
  virtual void Pause() = 0;
  virtual void Resume() = 0;
};

// Example:
//
//   auto client = Client::Create({.loop = &loop});
//   call_ = (*client)->Start({.url = "http://127.0.0.1:3000/sse"}, this);
//
// Requests with a body are sent once: when a connection that was used before
// turns out to be broken, only requests without a body are sent again.
//
// Lives on one EventLoop: methods on it, or before it starts; destroyed on it
// or after it has stopped, after all of its Calls.
class Client {
 public:
  struct Options {
    EventLoop* loop = nullptr;
    // For the name, the connection and TLS together.
    absl::Duration connect_timeout = absl::Seconds(10);
    // As Node and nginx have it by and large; libcurl's own bound is 300 KB.
    size_t max_head_bytes = 64 << 10;
    // PEM file with the authorities that are trusted; "" for the system's.
    std::string ca_file = {};
    std::string user_agent = "unmcp";
  };
  // INTERNAL when libcurl cannot be set up.
  static absl::StatusOr<std::unique_ptr<Client>> Create(Options options);
  virtual ~Client() = default;

  // `handler` outlives the Call.
  virtual std::unique_ptr<Call> Start(Request request, Handler* handler) = 0;
  // A request whose answer is nobody's concern. Give it a timeout.
  virtual void StartDetached(Request request) = 0;
};

}  // namespace unmcp::http

#endif  // UNMCP_HTTP_HTTP_CLIENT_H_
