#include "kube/embedded/readiness_probe.h"

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/event_loop.h"
#include "gtest/gtest.h"
#include "kube/await.h"

namespace unmcp::kube {
namespace {

using boost::asio::ip::tcp;

ProbeSpec SpecOf(const Json& probe, const Json& ports = Json::array()) {
  return **ReadinessProbeOf({{"readinessProbe", probe}, {"ports", ports}});
}

TEST(ReadinessProbeOf, AsKubernetesReadsIt) {
  const ProbeSpec defaults = SpecOf(R"({"tcpSocket": {"port": 80}})"_json);
  EXPECT_EQ(defaults.port, 80);
  EXPECT_FALSE(defaults.http);
  EXPECT_EQ(defaults.initial_delay, absl::ZeroDuration());
  EXPECT_EQ(defaults.period, absl::Seconds(10));
  EXPECT_EQ(defaults.timeout, absl::Seconds(1));
  EXPECT_EQ(defaults.success_threshold, 1);
  EXPECT_EQ(defaults.failure_threshold, 3);

  const ProbeSpec http = SpecOf(R"({
    "httpGet": {"port": "web", "path": "/health", "httpHeaders": [{"name": "A", "value": "b"}]},
    "initialDelaySeconds": 2, "periodSeconds": 3, "timeoutSeconds": 4, "successThreshold": 5, "failureThreshold": 6
  })"_json,
                                R"([{"name": "web", "containerPort": 8080}])"_json);
  EXPECT_EQ(http.port, 8080);
  EXPECT_TRUE(http.http);
  EXPECT_EQ(http.path, "/health");
  EXPECT_EQ(http.headers.size(), 1u);
  EXPECT_EQ(http.initial_delay, absl::Seconds(2));
  EXPECT_EQ(http.period, absl::Seconds(3));
  EXPECT_EQ(http.timeout, absl::Seconds(4));
  EXPECT_EQ(http.success_threshold, 5);
  EXPECT_EQ(http.failure_threshold, 6);

  EXPECT_FALSE(ReadinessProbeOf(Json::object())->has_value());
  EXPECT_FALSE(ReadinessProbeOf(R"({"readinessProbe": {"exec": {"command": ["x"]}}})"_json)->has_value());
  EXPECT_EQ(ReadinessProbeOf(R"({"readinessProbe": {"tcpSocket": {"port": "none"}}})"_json).status().message(),
            "spec.containers[0].readinessProbe.tcpSocket.port: \"none\" is neither a port nor the name of one of the "
            "container's ports");
}

// Something that listens on 127.0.0.1, and answers each connection with `answer`.
class Server {
 public:
  explicit Server(EventLoop* loop, std::string answer = "")
      : answer_(std::move(answer)), acceptor_(loop->io(), {boost::asio::ip::address_v4::loopback(), 0}) {
    port_ = acceptor_.local_endpoint().port();
    Accept();
  }
  int port() const { return port_; }

 private:
  void Accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
      if (error) return;
      boost::system::error_code ignored;
      if (!answer_.empty()) {
        socket.send(boost::asio::buffer(answer_), 0, ignored);
        open_.push_back(std::move(socket));
      }
      Accept();
    });
  }

  const std::string answer_;
  tcp::acceptor acceptor_;
  std::vector<tcp::socket> open_;
  int port_ = 0;
};

class ReadinessProbeTest : public testing::Test {
 protected:
  struct Heard {
    int changes = 0;
    bool ready = false;
    std::string why;
  };
  ~ReadinessProbeTest() override { loop_.Stop(); }

  void OnLoop(std::function<void()> task) {
    auto done = std::make_shared<Monitor<bool>>(false);
    loop_.Post([task = std::move(task), done] {
      task();
      done->Update([](bool& value) { value = true; });
    });
    ASSERT_TRUE(done->WaitFor([](bool value) { return value; }));
  }
  void Probe(ProbeSpec spec) {
    OnLoop([this, spec] {
      probe_ = std::make_unique<ReadinessProbe>(&loop_, spec, [this](bool ready, const std::string& why) {
        heard_.Update([&](Heard& heard) { heard = {heard.changes + 1, ready, why}; });
      });
    });
  }
  bool Becomes(bool ready) {
    return heard_.WaitFor([ready](const Heard& heard) { return heard.changes > 0 && heard.ready == ready; });
  }

  EventLoop loop_{"test"};
  std::optional<Server> server_;
  std::unique_ptr<ReadinessProbe> probe_;
  Monitor<Heard> heard_;
};

TEST_F(ReadinessProbeTest, ReadyWhenItAcceptsAndNotWhenItStops) {
  loop_.Start();
  int port = 0;
  OnLoop([&] {
    server_.emplace(&loop_);
    port = server_->port();
    server_.reset();
  });
  ProbeSpec spec;
  spec.port = port;
  spec.period = absl::Milliseconds(10);
  spec.failure_threshold = 2;
  Probe(spec);
  // Nobody is there yet; then somebody is, at another port, which a new probe finds.
  OnLoop([&] { server_.emplace(&loop_); });
  spec.port = server_->port();
  Probe(spec);
  EXPECT_TRUE(Becomes(true));
  OnLoop([&] { server_.reset(); });
  EXPECT_TRUE(Becomes(false));
  EXPECT_EQ(heard_.Copy().why, "127.0.0.1:" + std::to_string(spec.port) + ": Connection refused");
  OnLoop([&] { probe_.reset(); });
}

TEST_F(ReadinessProbeTest, HttpIsReadyWithAGoodStatus) {
  loop_.Start();
  for (const auto& [answer, ready] : {std::pair("HTTP/1.1 204 No Content\r\n\r\n", true),
                                      std::pair("HTTP/1.0 302 Found\r\n\r\n", true)}) {
    OnLoop([&, answer = answer] { server_.emplace(&loop_, answer); });
    ProbeSpec spec;
    spec.http = true;
    spec.port = server_->port();
    spec.period = absl::Milliseconds(10);
    Probe(spec);
    EXPECT_TRUE(Becomes(ready)) << answer;
    // Once ready, a bad answer counts.
    OnLoop([&] { probe_.reset(), server_.reset(); });
    heard_.Update([](Heard& heard) { heard = {}; });
  }
}

TEST_F(ReadinessProbeTest, WhatAnswersBadlyOrNotAtAllIsNotReady) {
  loop_.Start();
  for (const char* answer : {"HTTP/1.1 503 Service Unavailable\r\n\r\n", "SSH-2.0-OpenSSH\r\n", "x"}) {
    OnLoop([&] { server_.emplace(&loop_, answer); });
    ProbeSpec spec;
    spec.http = true;
    spec.port = server_->port();
    spec.period = spec.timeout = absl::Milliseconds(5);
    Probe(spec);
    auto waited = std::make_shared<Monitor<bool>>(false);
    OnLoop([&] {
      loop_.After(absl::Milliseconds(100), [waited] { waited->Update([](bool& value) { value = true; }); });
    });
    EXPECT_TRUE(waited->WaitFor([](bool value) { return value; }));
    EXPECT_EQ(heard_.Copy().changes, 0) << answer;
    OnLoop([&] { probe_.reset(), server_.reset(); });
  }
}

}  // namespace
}  // namespace unmcp::kube
