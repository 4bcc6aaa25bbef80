#include "http/test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"

namespace unmcp::http {

bool TestConnection::Fill() {
  char bytes[16 * 1024];
  const ssize_t count = ssl_ != nullptr ? SSL_read(ssl_, bytes, sizeof(bytes)) : recv(fd_, bytes, sizeof(bytes), 0);
  if (count <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(count));
  return true;
}

std::optional<TestRequest> TestConnection::Read() {
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return std::nullopt;
  }
  TestRequest request;
  const std::vector<std::string> lines = absl::StrSplit(buffer_.substr(0, end), "\r\n");
  buffer_.erase(0, end + 4);
  const std::vector<std::string> words = absl::StrSplit(lines[0], ' ');
  if (words.size() < 2) return std::nullopt;
  request.method = words[0];
  request.target = words[1];
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> field = absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
    request.headers[absl::AsciiStrToLower(field.first)] = std::string(absl::StripAsciiWhitespace(field.second));
  }
  size_t length = 0;
  if (absl::SimpleAtoi(request.headers["content-length"], &length)) {
    while (buffer_.size() < length) {
      if (!Fill()) return std::nullopt;
    }
    request.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
  }
  return request;
}

bool TestConnection::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                          : send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool TestConnection::Respond(int status, absl::string_view content_type, absl::string_view body,
                             absl::string_view headers) {
  return Write(absl::StrCat("HTTP/1.1 ", status, " X\r\n", headers,
                            content_type.empty() ? "" : absl::StrCat("Content-Type: ", content_type, "\r\n"),
                            "Content-Length: ", body.size(), "\r\n\r\n", body));
}

bool TestConnection::Begin(int status, absl::string_view content_type, absl::string_view headers) {
  return Write(absl::StrCat("HTTP/1.1 ", status, " X\r\n", headers, "Content-Type: ", content_type,
                            "\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

bool TestConnection::Chunk(absl::string_view bytes) {
  return Write(absl::StrCat(absl::Hex(bytes.size()), "\r\n", bytes, "\r\n"));
}

void TestConnection::Reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void TestConnection::AwaitClose() {
  while (Fill()) buffer_.clear();
}

TestServer::TestServer(Serve serve, Security security) : serve_(std::move(serve)) {
  if (security == Security::kTls) SetUpTls();
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  CHECK_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
  CHECK_EQ(listen(listener_, 128), 0);
  CHECK_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TestServer::~TestServer() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    threads = std::move(threads_);
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  for (std::thread& thread : threads) thread.join();
  if (tls_ != nullptr) SSL_CTX_free(tls_);
}

std::string TestServer::url(absl::string_view path) const {
  return absl::StrCat(tls_ != nullptr ? "https" : "http", "://127.0.0.1:", port_, path);
}

int TestServer::connections() const {
  MutexLock lock(&mutex_);
  return count_;
}

void TestServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    MutexLock lock(&mutex_);
    if (closing_) {
      close(fd);
      return;
    }
    ++count_;
    open_.insert(fd);
    threads_.emplace_back([this, fd] { ServeOne(fd); });
  }
}

void TestServer::ServeOne(int fd) {
  SSL* ssl = nullptr;
  bool accepted = true;
  if (tls_ != nullptr) {
    ssl = SSL_new(tls_);
    SSL_set_fd(ssl, fd);
    accepted = SSL_accept(ssl) == 1;
  }
  if (accepted) {
    TestConnection connection(fd, ssl);
    serve_(connection);
  }
  if (ssl != nullptr) SSL_free(ssl);
  MutexLock lock(&mutex_);
  open_.erase(fd);
  close(fd);
}

void TestServer::SetUpTls() {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* const names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  CHECK_NE(X509_sign(certificate, key, EVP_sha256()), 0);

  tls_ = SSL_CTX_new(TLS_server_method());
  CHECK_EQ(SSL_CTX_use_certificate(tls_, certificate), 1);
  CHECK_EQ(SSL_CTX_use_PrivateKey(tls_, key), 1);
  BIO* const pem = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(pem, certificate);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(pem, &bytes);
  certificate_.assign(bytes, static_cast<size_t>(size));
  BIO_free(pem);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

}  // namespace unmcp::http
