// Clients, and the surroundings of a hub, for tests.
//
//   HubWorld w;                         // a hub without a process
//   FakeClient a(w.hub.get());          // GET …/sse
//   EXPECT_EQ(a.Post(R"(…)").status, 202);
//   w.Start();                          // the process comes up
#ifndef UNMCP_SESSION_TESTING_FAKES_H_
#define UNMCP_SESSION_TESTING_FAKES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/random.h"
#include "common/simulated_scheduler.h"
#include "nlohmann/json.hpp"
#include "session/exchange.h"
#include "session/shared_hub.h"

namespace unmcp::session {

// What became of one exchange. Outlives the Exchange.
struct Recorded {
  struct Event {
    std::string event, data;
  };
  int status = 0;  // 0: no answer was begun
  std::map<std::string, std::string> headers;
  std::vector<Event> events;
  bool closed = false;     // in good order
  bool destroyed = false;  // after closed, or cut off
  size_t queued = 0;
  bool reads = true;  // false: everything sent stays queued
  ExchangeHandler* handler = nullptr;
  std::string message;  // arrives from within SetHandler, unless empty
  bool late = false;    // or when the test calls handler->OnMessage itself

  std::string body() const { return events.empty() ? "" : events[0].data; }
};

class FakeExchange final : public Exchange {
 public:
  explicit FakeExchange(std::shared_ptr<Recorded> recorded) : r_(std::move(recorded)) {}
  ~FakeExchange() override {
    r_->destroyed = true;
    r_->handler = nullptr;
  }
  void SetHandler(ExchangeHandler* handler) override {
    const auto r = r_;  // the handler may destroy this
    r->handler = handler;
    if (handler != nullptr && !r->message.empty() && !r->late) handler->OnMessage(std::exchange(r->message, ""));
  }
  void SendHead(int status, Headers headers) override {
    r_->status = status;
    for (auto& [name, value] : headers) r_->headers[name] = value;
  }
  void Send(std::string message, absl::string_view event, absl::string_view) override {
    if (!r_->reads) r_->queued += message.size();
    r_->events.push_back({std::string(event), std::move(message)});
  }
  size_t queued() const override { return r_->queued; }
  void Close() override { r_->closed = true; }

 private:
  const std::shared_ptr<Recorded> r_;
};

// One client with an open stream.
class FakeClient {
 public:
  explicit FakeClient(SharedHub* hub, std::string protocol_version = "") : hub_(hub) {
    ExchangeRequest request{.kind = ExchangeRequest::Kind::kSseStream,
                            .server = "srv",
                            .session = "",
                            .protocol_version = std::move(protocol_version)};
    hub_->Handle(std::move(request), std::make_unique<FakeExchange>(stream));
  }

  // POST …/message with this session's id. What came back is the HTTP answer.
  Recorded Post(std::string message) { return PostTo(hub_, id(), std::move(message)); }
  static Recorded PostTo(SharedHub* hub, std::string session, std::string message) {
    auto recorded = std::make_shared<Recorded>();
    recorded->message = std::move(message);
    ExchangeRequest request{.kind = ExchangeRequest::Kind::kSseMessage,
                            .server = "srv",
                            .session = std::move(session),
                            .protocol_version = ""};
    hub->Handle(std::move(request), std::make_unique<FakeExchange>(recorded));
    return *recorded;
  }

  // From the endpoint event.
  std::string id() const {
    const std::string& endpoint = stream->events.at(0).data;
    return endpoint.substr(endpoint.find('=') + 1);
  }
  // The messages that came since the last call, without the endpoint event.
  std::vector<std::string> Take() {
    std::vector<std::string> taken;
    for (; read_ < stream->events.size(); ++read_) taken.push_back(stream->events[read_].data);
    return taken;
  }
  // The client goes away.
  void Leave() {
    if (stream->handler != nullptr) stream->handler->OnClosed();
  }

  const std::shared_ptr<Recorded> stream = std::make_shared<Recorded>();

 private:
  SharedHub* const hub_;
  size_t read_ = 1;
};

class CountingRandom final : public Random {
 public:
  std::string Id128() override { return absl::StrCat(absl::Hex(++count_, absl::kZeroPad16), "0123456789abcdef"); }
  double Uniform() override { return 0.5; }

 private:
  uint64_t count_ = 0;
};

class FakeHost : public SharedHub::Host {
 public:
  void Wake() override { ++wakes; }
  void OnRefused() override { ++refusals; }
  void SendUpstream(std::string message) override { sent.push_back(std::move(message)); }
  size_t upstream_pending() const override { return pending; }
  void OnDiscovered(const Discovered& d) override { discovered.push_back(d); }
  void OnHandshakeFailed(absl::Status why) override { failures.push_back(std::move(why)); }
  void OnActivity() override { ++activities; }

  std::vector<std::string> TakeSent() { return std::exchange(sent, {}); }

  int wakes = 0, refusals = 0, activities = 0;
  size_t pending = 0;
  std::vector<std::string> sent;
  std::vector<Discovered> discovered;
  std::vector<absl::Status> failures;
};

// The raw id of a message, wherever it stands at the top level.
inline std::string RawId(const std::string& message) {
  const auto parsed = nlohmann::json::parse(message, nullptr, false);
  return parsed.is_object() && parsed.contains("id") ? parsed["id"].dump() : "";
}

// A hub with its surroundings, and short cuts for what most tests begin with.
struct HubWorld {
  HubWorld() {
    hub = SharedHub::Create({.scheduler = &scheduler, .random = &random, .host = &host, .client_version = "1.2.3"});
  }

  static constexpr absl::string_view kServerResult =
      R"({"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{},"resources":{"subscribe":true}},)"
      R"("serverInfo":{"name":"demo","version":"9"},"extra":[1, 2.50]})";

  // The process comes up, and answers the handshake.
  void Start(absl::string_view result = kServerResult, bool count_tools = false) {
    hub->UpstreamUp(count_tools, absl::Seconds(60));
    AnswerLast(result);
  }
  // The server answers the last message that it was sent.
  void AnswerLast(absl::string_view result) { Answer(host.sent.back(), result); }
  void Answer(const std::string& request, absl::string_view result) {
    hub->OnUpstreamMessage(absl::StrCat(R"({"result":)", result, R"(,"jsonrpc":"2.0","id":)", RawId(request), "}"));
  }

  SimulatedScheduler scheduler;
  CountingRandom random;
  FakeHost host;
  std::unique_ptr<SharedHub> hub;
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_TESTING_FAKES_H_
