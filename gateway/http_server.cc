#include "gateway/http_server.h"

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "gateway/http_connection.h"
#include "glog/logging.h"

namespace unmcp::gateway {
namespace {

using boost::asio::ip::tcp;
using Acceptor = boost::asio::basic_socket_acceptor<tcp, boost::asio::io_context::executor_type>;
using ErrorCode = boost::system::error_code;

// One recv takes a usual request whole, and a large one in few turns.
constexpr size_t kScratchBytes = 64 << 10;
// After accept failed, as it does when descriptors run out: until some are free.
constexpr absl::Duration kAcceptRetry = absl::Milliseconds(100);
// How often the clock is looked at, at the least.
constexpr absl::Duration kMaxTick = absl::Seconds(1);

// A quarter of the shortest bound, so that none is late by more.
absl::Duration TickFor(const HttpServer::Limits& limits) {
  absl::Duration shortest = std::min({limits.request, limits.keep_alive, limits.write_stall, limits.stream_idle,
                                      limits.linger});
  return std::min(kMaxTick, std::max(shortest / 4, absl::Milliseconds(1)));
}

absl::StatusOr<tcp::endpoint> Resolve(boost::asio::io_context& io, const std::string& host, int port) {
  ErrorCode error;
  const auto number = static_cast<unsigned short>(port);
  const auto address = boost::asio::ip::make_address(host, error);
  if (!error) return tcp::endpoint(address, number);
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(host, "", tcp::resolver::passive, error);
  if (error || found.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on \"", host, "\": ", error.message(), "; give an address of this machine"));
  }
  return tcp::endpoint(found.begin()->endpoint().address(), number);
}

absl::StatusOr<Acceptor> Listen(boost::asio::io_context& io, const std::string& host, int port) {
  if (port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("--port ", port, ": must be between 0 and 65535"));
  }
  UNMCP_ASSIGN_OR_RETURN(const tcp::endpoint endpoint, Resolve(io, host, port));
  Acceptor acceptor(io.get_executor());
  ErrorCode error;
  acceptor.open(endpoint.protocol(), error);
  // So that connections of the last run that linger do not keep the port.
  if (!error) acceptor.set_option(Acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(Acceptor::max_listen_connections, error);
  if (!error) return acceptor;
  const std::string where = absl::StrCat(host, ":", port);
  if (error == boost::asio::error::address_in_use) {
    return absl::AlreadyExistsError(absl::StrCat(
        where, " is already in use; stop what listens there or choose another with --port (0 picks a free one)"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("cannot listen on ", where, ": ", error.message(), "; choose another with --host and --port"));
}

}  // namespace

struct HttpServer::Impl final : public HttpConnectionHost, public std::enable_shared_from_this<Impl> {
  Impl(Options options, Acceptor acceptor)
      : options(std::move(options)),
        acceptor(std::move(acceptor)),
        port(this->acceptor.local_endpoint().port()),
        retry(this->options.loop),
        ticker(this->options.loop),
        grace(this->options.loop) {
    UpdateClock();
  }

  const Limits& limits() const override { return options.limits; }
  HttpHandler* handler() const override { return options.handler; }
  absl::Time now() const override { return clock; }
  const std::string& date() const override { return clock_text; }
  absl::Span<char> scratch() override { return absl::MakeSpan(buffer); }
  bool stopping() const override { return stopped; }

  void FlushSoon(std::shared_ptr<HttpConnection> connection) override {
    to_flush.push_back(std::move(connection));
    if (std::exchange(flush_posted, true)) return;
    options.loop->Post([self = weak_from_this()] {
      if (auto impl = self.lock()) impl->FlushAll();
    });
  }
  void FlushAll() {
    flush_posted = false;
    for (const auto& connection : std::exchange(to_flush, {})) connection->Flush();
  }

  bool AddBodyBytes(size_t bytes) override {
    body_bytes += bytes;
    return body_bytes <= options.limits.total_body_bytes;
  }
  void RemoveBodyBytes(size_t bytes) override { body_bytes -= bytes; }

  void OnClosed(HttpConnection* connection) override {
    connections.erase(connection);
    options.handler->OnConnectionCount(connections.size());
    if (!stopped) {
      Accept();
    } else if (connections.empty()) {
      Finish();
    }
  }

  void Accept() {
    if (stopped || accepting || retry.pending()) return;
    if (connections.size() >= options.limits.connections) {
      // The others wait in the kernel's queue until one of these closes.
      if (!std::exchange(full, true)) {
        LOG(WARNING) << "all " << connections.size() << " HTTP connections are in use; new ones wait";
        options.handler->OnRejected("connections");
      }
      return;
    }
    full = false;
    accepting = true;
    acceptor.async_accept([self = shared_from_this()](const ErrorCode& error, Socket socket) {
      self->accepting = false;
      if (self->stopped) return;
      if (error) {
        LOG_EVERY_N(WARNING, 100) << "cannot accept HTTP connections: " << error.message()
                                  << "; raise the limit of open files (ulimit -n) if that is what ran out";
        self->retry.Set(kAcceptRetry, [impl = self.get()] { impl->Accept(); });
        return;
      }
      self->Begin(std::move(socket));
      self->Accept();
    });
  }

  void Begin(Socket socket) {
    ErrorCode ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto connection = std::make_shared<HttpConnection>(this, std::move(socket));
    connections.emplace(connection.get(), connection);
    options.handler->OnConnectionCount(connections.size());
    connection->Start();
  }

  // A copy, for loops in which connections close.
  std::vector<std::shared_ptr<HttpConnection>> AllConnections() const {
    std::vector<std::shared_ptr<HttpConnection>> all;
    all.reserve(connections.size());
    for (const auto& [key, connection] : connections) all.push_back(connection);
    return all;
  }

  void UpdateClock() {
    clock = options.loop->Now();
    clock_text = absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", clock, absl::UTCTimeZone());
  }
  void Tick() {
    UpdateClock();
    for (const auto& connection : AllConnections()) connection->Tick();
    ticker.Set(TickFor(options.limits), [this] { Tick(); });
  }

  void StopListening() {
    stopped = true;
    ErrorCode ignored;
    acceptor.close(ignored);
    retry.Cancel();
  }
  void Finish() {
    grace.Cancel();
    ticker.Cancel();
    if (done) options.loop->Post(std::exchange(done, nullptr));
  }

  const Options options;
  Acceptor acceptor;
  const int port;
  absl::flat_hash_map<HttpConnection*, std::shared_ptr<HttpConnection>> connections;
  std::vector<std::shared_ptr<HttpConnection>> to_flush;
  std::vector<char> buffer = std::vector<char>(kScratchBytes);
  size_t body_bytes = 0;
  absl::Time clock;
  std::string clock_text;
  Timer retry;
  Timer ticker;
  Timer grace;
  absl::AnyInvocable<void()> done;
  bool flush_posted = false;
  bool accepting = false;
  bool full = false;
  bool stopped = false;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Create(Options options) {
  UNMCP_ASSIGN_OR_RETURN(Acceptor acceptor, Listen(options.loop->io(), options.host, options.port));
  auto impl = std::make_shared<Impl>(std::move(options), std::move(acceptor));
  impl->Accept();
  impl->Tick();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->StopListening();
  impl_->done = nullptr;
  for (const auto& connection : impl_->AllConnections()) connection->Close();
  impl_->Finish();
}

int HttpServer::port() const { return impl_->port; }

void HttpServer::Shutdown(absl::Duration grace, absl::AnyInvocable<void()> done) {
  impl_->StopListening();
  impl_->done = std::move(done);
  for (const auto& connection : impl_->AllConnections()) connection->BeginShutdown();
  if (impl_->connections.empty()) return impl_->Finish();
  impl_->grace.Set(grace, [impl = impl_.get()] {
    for (const auto& connection : impl->AllConnections()) connection->Close();
  });
}

}  // namespace unmcp::gateway
