#include "kube/embedded/readiness_probe.h"

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace unmcp::kube {
namespace {

using boost::asio::ip::tcp;

// Of an HTTP answer: its first line, and no more.
constexpr size_t kMaxAnswerBytes = 1024;

int Number(const Json& object, const char* key, int otherwise, int least) {
  auto it = object.find(key);
  return it != object.end() && it->is_number_integer() ? std::max(it->get<int>(), least) : otherwise;
}

std::string Text(const Json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// A number, or the name of one of the container's ports.
int PortOf(const Json& container, const Json& port) {
  if (port.is_number_integer()) return port.get<int>();
  if (!port.is_string() || !container.contains("ports") || !container["ports"].is_array()) return 0;
  for (const Json& each : container["ports"]) {
    if (each.is_object() && each.value("name", Json()) == port) return Number(each, "containerPort", 0, 0);
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::optional<ProbeSpec>> ReadinessProbeOf(const Json& container) {
  auto probe = container.find("readinessProbe");
  if (probe == container.end() || !probe->is_object()) return std::nullopt;
  const bool http = probe->contains("httpGet");
  auto action = probe->find(http ? "httpGet" : "tcpSocket");
  if (action == probe->end() || !action->is_object()) return std::nullopt;
  ProbeSpec spec;
  spec.http = http;
  const Json port = action->value("port", Json());
  spec.port = PortOf(container, port);
  if (spec.port <= 0 || spec.port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("spec.containers[0].readinessProbe.", http ? "httpGet" : "tcpSocket",
                                                   ".port: ", port.dump(),
                                                   " is neither a port nor the name of one of the container's ports"));
  }
  if (http && Text(*action, "path") != "") spec.path = Text(*action, "path");
  if (auto headers = action->find("httpHeaders"); http && headers != action->end() && headers->is_array()) {
    for (const Json& header : *headers) {
      if (header.is_object()) spec.headers.emplace_back(Text(header, "name"), Text(header, "value"));
    }
  }
  spec.initial_delay = absl::Seconds(Number(*probe, "initialDelaySeconds", 0, 0));
  spec.period = absl::Seconds(Number(*probe, "periodSeconds", 10, 1));
  spec.timeout = absl::Seconds(Number(*probe, "timeoutSeconds", 1, 1));
  spec.success_threshold = Number(*probe, "successThreshold", 1, 1);
  spec.failure_threshold = Number(*probe, "failureThreshold", 3, 1);
  return spec;
}

// One probe. Kept by its own handlers; told with `over` that nobody asks any more.
struct ReadinessProbe::Attempt : std::enable_shared_from_this<Attempt> {
  Attempt(ReadinessProbe* probe, EventLoop* loop) : probe(probe), socket(loop->io()) {}

  void Start() {
    const tcp::endpoint target(boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(probe->spec_.port));
    socket.async_connect(target, [self = shared_from_this()](const boost::system::error_code& error) {
      if (self->over) return;
      if (error) return self->Finish(error.message());
      self->OnConnected();
    });
  }

  void OnConnected() {
    boost::system::error_code ignored;
    // A socket that is given the very port it calls is connected to itself.
    if (socket.local_endpoint(ignored) == socket.remote_endpoint(ignored)) return Finish("Connection refused");
    if (!probe->spec_.http) return Finish("");
    text = absl::StrCat("GET ", probe->spec_.path, " HTTP/1.1\r\n");
    bool has_host = false;
    for (const auto& [name, value] : probe->spec_.headers) {
      absl::StrAppend(&text, name, ": ", value, "\r\n");
      has_host = has_host || absl::EqualsIgnoreCase(name, "host");
    }
    if (!has_host) absl::StrAppend(&text, "Host: 127.0.0.1:", probe->spec_.port, "\r\n");
    text += "User-Agent: unmcp-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    boost::asio::async_write(socket, boost::asio::buffer(text),
                             [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                               if (self->over) return;
                               if (error) return self->Finish(error.message());
                               self->ReadStatus();
                             });
  }

  void ReadStatus() {
    text.clear();
    boost::asio::async_read_until(socket, boost::asio::dynamic_buffer(text, kMaxAnswerBytes), '\n',
                                  [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                                    if (self->over) return;
                                    if (error) return self->Finish(error.message());
                                    int status = 0;
                                    const bool http = absl::StartsWith(self->text, "HTTP/1.") && self->text.size() > 12 &&
                                                      absl::SimpleAtoi(self->text.substr(9, 3), &status);
                                    if (!http) return self->Finish("what it answers is not HTTP/1");
                                    self->Finish(status >= 200 && status < 400 ? "" : absl::StrCat("status ", status));
                                  });
  }

  void Finish(const std::string& problem) {
    Cancel();
    probe->OnResult(problem);
  }
  void Cancel() {
    over = true;
    boost::system::error_code ignored;
    socket.close(ignored);
  }

  ReadinessProbe* const probe;
  tcp::socket socket;
  bool over = false;
  std::string text;
};

ReadinessProbe::ReadinessProbe(EventLoop* loop, ProbeSpec spec,
                               absl::AnyInvocable<void(bool ready, const std::string& why)> changed)
    : loop_(loop), spec_(std::move(spec)), changed_(std::move(changed)), started_(loop->Now()), timer_(loop) {
  timer_.Set(spec_.initial_delay, [this] { Probe(); });
}

ReadinessProbe::~ReadinessProbe() {
  if (attempt_ != nullptr) attempt_->Cancel();
}

void ReadinessProbe::Probe() {
  attempt_ = std::make_shared<Attempt>(this, loop_);
  timer_.Set(spec_.timeout, [this] {
    attempt_->Finish(absl::StrCat("no answer within ", absl::FormatDuration(spec_.timeout)));
  });
  attempt_->Start();
}

void ReadinessProbe::OnResult(const std::string& problem) {
  attempt_ = nullptr;
  const bool eager = !ready_ && loop_->Now() - started_ < spec_.initial_delay + kEager;
  timer_.Set(eager ? std::min(spec_.period, kEagerPeriod) : spec_.period, [this] { Probe(); });
  if (problem.empty() == ready_) {
    streak_ = 0;
    return;
  }
  if (++streak_ < (ready_ ? spec_.failure_threshold : spec_.success_threshold)) return;
  streak_ = 0;
  ready_ = !ready_;
  changed_(ready_, ready_ ? "" : absl::StrCat(spec_.http ? spec_.path + " at " : "", "127.0.0.1:", spec_.port, ": ",
                                              problem));
}

}  // namespace unmcp::kube
