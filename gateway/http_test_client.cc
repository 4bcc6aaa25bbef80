#include "gateway/http_test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace unmcp::gateway {

HttpTestClient::HttpTestClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval timeout = {20, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  PCHECK(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
}

HttpTestClient::~HttpTestClient() { close(fd_); }

bool HttpTestClient::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(sent);
  }
  return true;
}

bool HttpTestClient::Request(absl::string_view method, absl::string_view target, absl::string_view extra_headers,
                             absl::string_view body) {
  std::string request = absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: localhost\r\n", extra_headers);
  if (!body.empty()) absl::StrAppend(&request, "Content-Length: ", body.size(), "\r\n");
  return Send(absl::StrCat(request, "\r\n", body));
}

void HttpTestClient::CloseSending() { shutdown(fd_, SHUT_WR); }

void HttpTestClient::Reset() {
  const linger now = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd_);
  fd_ = -1;
}

void HttpTestClient::ShrinkReceiveBuffer() {
  const int size = 4096;
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

bool HttpTestClient::Fill() {
  char piece[64 << 10];
  const ssize_t size = recv(fd_, piece, sizeof(piece), 0);
  if (size <= 0) return false;
  buffer_.append(piece, size);
  return true;
}

std::string HttpTestClient::ReadLine() {
  size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!Fill()) return "";
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

std::string HttpTestClient::ReadExactly(size_t size) {
  while (buffer_.size() < size && Fill()) {
  }
  std::string bytes = buffer_.substr(0, size);
  buffer_.erase(0, bytes.size());
  return bytes;
}

TestResponse HttpTestClient::ReadHead() {
  TestResponse response;
  const std::string status_line = ReadLine();
  if (!absl::StartsWith(status_line, "HTTP/1.1 ") || status_line.size() < 12) return response;
  response.status = std::atoi(status_line.c_str() + 9);
  for (std::string line = ReadLine(); !line.empty(); line = ReadLine()) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    std::string& value = response.headers[absl::AsciiStrToLower(line.substr(0, colon))];
    absl::StrAppend(&value, value.empty() ? "" : ", ", line.substr(colon + 2));
  }
  return response;
}

std::string HttpTestClient::ReadChunk(bool* cut) {
  const std::string line = ReadLine();
  if (cut != nullptr) *cut = line.empty();
  const size_t size = std::strtoul(line.c_str(), nullptr, 16);
  std::string bytes = ReadExactly(size);
  if (ReadExactly(2) != "\r\n" && cut != nullptr) *cut = true;
  return bytes;
}

TestResponse HttpTestClient::ReadResponse(bool head) {
  TestResponse response = ReadHead();
  if (response.status == 0 || head || response.status == 204) {
    response.complete = response.status != 0;
  } else if (response.headers.count("content-length") > 0) {
    const size_t size = std::strtoul(response.headers["content-length"].c_str(), nullptr, 10);
    response.body = ReadExactly(size);
    response.complete = response.body.size() == size;
  } else if (response.headers.count("transfer-encoding") > 0) {
    bool cut = false;
    while (true) {
      const std::string chunk = ReadChunk(&cut);
      response.complete = chunk.empty() && !cut;
      if (chunk.empty()) break;
      response.body += chunk;
    }
  } else {
    response.body = ReadToEnd();
    response.complete = true;
  }
  return response;
}

std::string HttpTestClient::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(buffer_, {});
}

bool HttpTestClient::AtEnd() { return buffer_.empty() && !Fill(); }

}  // namespace unmcp::gateway
