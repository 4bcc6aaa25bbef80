// What both HTTP transports toward servers have in common.
#ifndef UNMCP_APISERVER_UPSTREAM_HTTP_H_
#define UNMCP_APISERVER_UPSTREAM_HTTP_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "bridge/line_framer.h"
#include "common/event_loop.h"
#include "http/http_client.h"

namespace unmcp::apiserver {

// The longest message of a server, as over stdio.
inline constexpr size_t kMaxUpstreamMessageBytes = bridge::kMaxLineBytes;

// A message waits for the server to have accepted the one before it, so that
// they arrive in order; but no longer than this: a server that answers only
// when it is done is not to hold up the others.
inline constexpr absl::Duration kOrderPatience = absl::Seconds(5);

// For a server to accept a message that has no answer of its own.
inline constexpr absl::Duration kAcceptTimeout = absl::Seconds(60);

// Where a server listens.
struct HttpEndpoint {
  EventLoop* loop = nullptr;
  http::Client* client = nullptr;
  std::string url;
  http::Headers headers;
  // It runs on this machine or in this cluster: no proxy is between.
  bool direct = false;
  // For how long a server that does not accept connections yet is tried again.
  absl::Duration patience = absl::ZeroDuration();
  // For the server to be ready to be spoken to, once it accepts connections.
  absl::Duration startup_timeout = absl::Seconds(120);
};

// A request to it with the endpoint's headers. Redirects are followed within
// the origin.
http::Request NewRequest(const HttpEndpoint& endpoint, std::string method);

// What an answer with a status that is no success (2xx) means, in words for
// whoever declared the server. PERMISSION_DENIED for 401 and 403, UNAVAILABLE
// for 502, 503 and 504, FAILED_PRECONDITION for what repeating does not mend,
// INTERNAL for the rest.
absl::Status HttpProblem(const HttpEndpoint& endpoint, int status, const http::Headers& head);

// Whether a Content-Type is `type` ("application/json"), whatever its parameters.
bool IsContentType(const http::Headers& head, absl::string_view type);

// Waits between attempts: 50 ms at first, then twice as long each time.
class Backoff {
 public:
  explicit Backoff(absl::Duration max) : max_(max) {}
  absl::Duration Next() { return std::exchange(next_, std::min(next_ * 2, max_)); }
  void Reset() { next_ = kFirst; }

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(50);
  const absl::Duration max_;
  absl::Duration next_ = kFirst;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_UPSTREAM_HTTP_H_
