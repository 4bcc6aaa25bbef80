#include "tests/bench/sse_session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace unmcp::bench {
namespace {

// One read takes all that a burst of small answers brings.
constexpr size_t kReadSize = 256 << 10;

std::string_view Strip(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// The value of a header; "" when the head has none.
std::string_view Header(std::string_view head, std::string_view name) {
  for (size_t at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    const std::string_view line = head.substr(at + 1, head.find('\n', at + 1) - at - 1);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        strncasecmp(line.data(), name.data(), name.size()) == 0) {
      return Strip(line.substr(name.size() + 1));
    }
  }
  return "";
}

}  // namespace

bool ParseUrl(const std::string& url, Target& target) {
  constexpr std::string_view kScheme = "http://";
  if (url.compare(0, kScheme.size(), kScheme) != 0) return false;
  const size_t colon = url.find(':', kScheme.size());
  if (colon == std::string::npos) return false;
  target.host = url.substr(kScheme.size(), colon - kScheme.size());
  const char* end = url.data() + url.size();
  const auto [rest, error] = std::from_chars(url.data() + colon + 1, end, target.port);
  target.path = std::string(rest, end);
  in_addr address;
  return error == std::errc() && inet_pton(AF_INET, target.host.c_str(), &address) == 1 &&
         target.path.compare(0, 1, "/") == 0;
}

bool HttpReader::ParseHead() {
  if (line_.size() < 12 || line_.compare(0, 7, "HTTP/1.") != 0) return false;
  status_ = atoi(line_.c_str() + 9);
  const std::string_view length = Header(line_, "content-length");
  if (Header(line_, "transfer-encoding") == "chunked") {
    state_ = State::kChunkSize;
  } else if (!length.empty()) {
    std::from_chars(length.data(), length.data() + length.size(), left_);
    state_ = State::kFixedBody;
  } else {
    state_ = State::kUntilClose;
  }
  line_.clear();
  return true;
}

int HttpReader::Feed(std::string_view bytes) {
  int ended = 0;
  const auto end_of_response = [&] {
    ++ended;
    state_ = State::kHead;
  };
  // Moves a line into line_; false until its end is there.
  const auto take_line = [&] {
    const size_t end = bytes.find('\n');
    line_.append(bytes.substr(0, end));
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    return end != std::string_view::npos;
  };
  while (!bytes.empty()) {
    switch (state_) {
      case State::kHead: {
        if (!take_line()) break;
        line_ += '\n';
        if (line_.size() < 4 || line_.compare(line_.size() - 4, 4, "\r\n\r\n") != 0) break;
        if (!ParseHead()) return -1;
        if (state_ == State::kFixedBody && left_ == 0) end_of_response();
        break;
      }
      case State::kChunkSize:
        if (!take_line()) break;
        left_ = strtoull(line_.c_str(), nullptr, 16);
        line_.clear();
        state_ = left_ == 0 ? State::kTrailer : State::kChunk;
        break;
      case State::kChunk:
      case State::kFixedBody: {
        const size_t take = std::min<uint64_t>(left_, bytes.size());
        on_body_(bytes.substr(0, take));
        bytes.remove_prefix(take);
        left_ -= take;
        if (left_ > 0) break;
        if (state_ == State::kChunk) {
          state_ = State::kChunkEnd;
        } else {
          end_of_response();
        }
        break;
      }
      case State::kChunkEnd:
      case State::kTrailer: {  // a trailer ends with an empty line; benchmarks meet no other
        if (!take_line()) break;
        line_.clear();
        if (state_ == State::kTrailer) {
          end_of_response();
        } else {
          state_ = State::kChunkSize;
        }
        break;
      }
      case State::kUntilClose:
        on_body_(bytes);
        return ended;
    }
  }
  return ended;
}

void SseReader::Feed(std::string_view bytes) {
  size_t end;
  while ((end = bytes.find('\n')) != std::string_view::npos) {
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (partial_.empty()) {
      Line(line);
    } else {
      partial_.append(line);
      Line(partial_);
      partial_.clear();
    }
  }
  partial_.append(bytes);
}

void SseReader::Line(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  const auto field = [&](std::string_view name) {
    if (line.compare(0, name.size(), name) != 0) return false;
    line.remove_prefix(name.size());
    if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    return true;
  };
  if (line.empty()) {
    if (has_data_) on_event_(event_.empty() ? "message" : event_, data_);
    event_.clear();
    data_.clear();
    has_data_ = false;
  } else if (field("data:")) {
    if (has_data_) data_ += '\n';
    data_.append(line);
    has_data_ = true;
  } else if (field("event:")) {
    event_ = line;
  }
}

SseSession::SseSession(int epoll_fd, Target target, int index, Listener* listener)
    : epoll_fd_(epoll_fd),
      target_(std::move(target)),
      index_(index),
      listener_(listener),
      stream_reader_([this](std::string_view piece) { sse_reader_.Feed(piece); }),
      post_reader_([](std::string_view) {}),
      sse_reader_([this](std::string_view event, std::string_view data) {
        if (event == "endpoint") {
          // Absolute URLs are cut to their path: the host is the one we know.
          const size_t path = data.find("://") == std::string_view::npos ? 0 : data.find('/', data.find("://") + 3);
          post_path_ = data.substr(path);
          listener_->OnEndpoint(*this);
        } else if (event == "message") {
          listener_->OnMessage(*this, data);
        }
      }) {}

SseSession::~SseSession() {
  for (int fd : {stream_fd_, post_fd_}) {
    if (fd >= 0) close(fd);
  }
}

int SseSession::Connect(bool is_post) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(target_.port);
  inet_pton(AF_INET, target_.host.c_str(), &address.sin_addr);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    Fail(std::string("connect: ") + strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
  }
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = EpollKey(index_, is_post);
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  return fd;
}

bool SseSession::Write(int fd, std::string_view bytes) {
  const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return n == static_cast<ssize_t>(bytes.size());
}

void SseSession::Fail(const std::string& why) {
  if (std::exchange(failed_, true)) return;
  listener_->OnError(*this, why);
}

void SseSession::Open() {
  stream_fd_ = Connect(/*is_post=*/false);
  if (stream_fd_ < 0) return;
  const std::string host = target_.host + ":" + std::to_string(target_.port);
  if (!Write(stream_fd_, "GET " + target_.path + " HTTP/1.1\r\nHost: " + host + "\r\nAccept: text/event-stream\r\n\r\n")) {
    Fail("the GET was not sent");
  }
}

void SseSession::Post(std::string_view json) {
  if (post_fd_ < 0 && (post_fd_ = Connect(/*is_post=*/true)) < 0) return;
  request_.assign("POST ").append(post_path_).append(" HTTP/1.1\r\nHost: ").append(target_.host).append(":");
  request_.append(std::to_string(target_.port)).append("\r\nContent-Type: application/json\r\nContent-Length: ");
  request_.append(std::to_string(json.size())).append("\r\n\r\n").append(json);
  posting_ = true;
  if (!Write(post_fd_, request_)) Fail("the POST did not fit the socket's buffer: use a smaller payload");
}

void SseSession::OnReadable(bool is_post) {
  if (failed_) return;
  static char buffer[kReadSize];
  int& fd = is_post ? post_fd_ : stream_fd_;
  const ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    if (is_post && !posting_) {  // an idle connection was closed: the next POST opens another
      close(std::exchange(fd, -1));
      return;
    }
    return Fail(is_post ? "the POST's connection was closed" : "the stream was closed");
  }
  HttpReader& reader = is_post ? post_reader_ : stream_reader_;
  const int ended = reader.Feed(std::string_view(buffer, n));
  if (ended < 0) return Fail("the answer is not HTTP");
  if (!is_post) {
    if (reader.status() != 200 && reader.status() != 0) Fail("GET: status " + std::to_string(reader.status()));
  } else if (ended > 0) {
    posting_ = false;
    listener_->OnPosted(*this, reader.status());
  }
}

}  // namespace unmcp::bench
