// Servers that speak HTTP+SSE (MCP 2024-11-05): one stream of events from the
// server, and a POST for each message to it.
#ifndef UNMCP_APISERVER_UPSTREAM_SSE_H_
#define UNMCP_APISERVER_UPSTREAM_SSE_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "apiserver/upstream.h"
#include "apiserver/upstream_http.h"
#include "common/event_loop.h"
#include "http/http_client.h"
#include "http/sse_parser.h"

namespace unmcp::apiserver {

// Open when the server has named the URL for messages, which has to be of its
// own origin. Messages are posted one after another. When the stream ends, so
// does the upstream: the server keeps its session for the stream alone.
class SseUpstream final : public Upstream, public http::Handler {
 public:
  // `handler` outlives this.
  SseUpstream(HttpEndpoint endpoint, Upstream::Handler* handler);
  ~SseUpstream() override;

  void Send(std::string message) override;
  size_t pending() const override { return pending_; }

 private:
  class Post;

  // http::Handler, of the stream
  void OnHead(int status, const http::Headers& head) override;
  void OnData(absl::string_view bytes) override;
  void OnEnd(absl::Status status) override;

  void Connect();
  void OnEvent(const http::SseEvent& event);
  void OnEndpoint(absl::string_view reference);
  // The stream could not be had: again in a while, or no more.
  void RetryOrClose(absl::Status why);
  void Pump();
  void Proceed(Post* post);
  void Close(absl::Status why);

  const HttpEndpoint endpoint_;
  Upstream::Handler* const handler_;
  const absl::Time retry_until_;
  Backoff backoff_;
  Timer retry_;
  Timer startup_;
  std::unique_ptr<http::Call> stream_;
  std::optional<http::SseParser> parser_;  // of the present stream
  std::string message_url_;
  bool open_ = false, closed_ = false;

  std::deque<std::string> queue_;
  size_t pending_ = 0;
  Post* awaited_ = nullptr;  // the next message waits for its acceptance
  absl::flat_hash_map<Post*, std::unique_ptr<Post>> posts_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_UPSTREAM_SSE_H_
