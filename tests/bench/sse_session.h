// A client session over MCP's HTTP+SSE transport, as cheap as it can be: raw
// non-blocking sockets, one for the stream and one, kept alive, for the POSTs.
// The load generator runs thousands of them on one epoll.
//
//   SseSession session(epoll_fd, address, "/sse", &listener);
//   session.Open();             // connects, sends GET
//   … on EPOLLIN of session.fds(): session.OnReadable(fd);
//   session.Post(json);         // after OnEndpoint; one at a time, until OnPosted
//
// It follows its peers only as far as a benchmark must: local sockets that
// connect at once, messages that fit the socket's buffer, bodies that are
// chunked or have a length.
//
// Thread safety: none; one thread. Errors go to Listener::OnError; the session
// is then dead.
#ifndef UNMCP_TESTS_BENCH_SSE_SESSION_H_
#define UNMCP_TESTS_BENCH_SSE_SESSION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace unmcp::bench {

struct Target {
  std::string host;  // an IPv4 address
  uint16_t port = 0;
  std::string path;
};

// Takes "http://127.0.0.1:8080/path" apart; false if it is not of that form.
bool ParseUrl(const std::string& url, Target& target);

// Reads HTTP/1.1 responses from a stream of bytes.
class HttpReader {
 public:
  // `on_body` gets the body in pieces, which are valid during the call.
  explicit HttpReader(std::function<void(std::string_view)> on_body) : on_body_(std::move(on_body)) {}
  // Returns how many responses ended in `bytes`; -1 when this is not HTTP.
  int Feed(std::string_view bytes);
  // Status of the present or last response; 0 before the first.
  int status() const { return status_; }

 private:
  enum class State { kHead, kFixedBody, kChunkSize, kChunk, kChunkEnd, kTrailer, kUntilClose };
  bool ParseHead();
  std::string line_;  // the head so far, or a chunk's size line so far
  std::function<void(std::string_view)> on_body_;
  State state_ = State::kHead;
  int status_ = 0;
  uint64_t left_ = 0;  // of the fixed body or the chunk
};

// Takes server-sent events apart (HTML living standard, 9.2).
class SseReader {
 public:
  explicit SseReader(std::function<void(std::string_view event, std::string_view data)> on_event)
      : on_event_(std::move(on_event)) {}
  void Feed(std::string_view bytes);

 private:
  void Line(std::string_view line);
  std::function<void(std::string_view, std::string_view)> on_event_;
  std::string partial_;  // a line whose end has not come
  std::string event_, data_;
  bool has_data_ = false;
};

class SseSession {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnEndpoint(SseSession& session) = 0;
    virtual void OnMessage(SseSession& session, std::string_view json) = 0;
    // The POST was answered, with that status.
    virtual void OnPosted(SseSession& session, int status) = 0;
    virtual void OnError(SseSession& session, const std::string& why) = 0;
  };

  // `listener` outlives the session. `index` tells sessions apart.
  SseSession(int epoll_fd, Target target, int index, Listener* listener);
  ~SseSession();
  SseSession(const SseSession&) = delete;

  void Open();
  void Post(std::string_view json);
  void OnReadable(bool is_post);
  int index() const { return index_; }

 private:
  int Connect(bool is_post);
  bool Write(int fd, std::string_view bytes);
  void Fail(const std::string& why);

  const int epoll_fd_;
  const Target target_;
  const int index_;
  Listener* const listener_;
  int stream_fd_ = -1, post_fd_ = -1;
  bool posting_ = false;
  bool failed_ = false;
  std::string post_path_;
  std::string request_;  // reused
  HttpReader stream_reader_, post_reader_;
  SseReader sse_reader_;
};

// The 64 bits that epoll gives back with an event of a session's socket.
inline uint64_t EpollKey(int index, bool is_post) { return (static_cast<uint64_t>(index) << 1) | (is_post ? 1 : 0); }

}  // namespace unmcp::bench

#endif  // UNMCP_TESTS_BENCH_SSE_SESSION_H_
