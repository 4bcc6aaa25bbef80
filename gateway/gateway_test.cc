#include "gateway/gateway.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "gateway/http_test_client.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "prometheus/registry.h"
#include "unmcp/v1/edge.pb.h"
#include "unmcp/v1/metrics_service.grpc.pb.h"
#include "unmcp/v1/server_service.grpc.pb.h"

namespace unmcp::gateway {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using Headers = std::vector<std::pair<std::string, std::string>>;

// The other end of the Link, played by the test, on the loop.
class FakeCaller : public link::Caller {
 public:
  struct Exchange {
    v1::Open open;
    std::string message;
    link::CallHandler* handler = nullptr;
    size_t consumed = 0;
  };

  bool connected() const override { return up; }
  ExchangeId Open(v1::Open open, std::string message, link::CallHandler* handler) override {
    if (!up) return 0;
    const ExchangeId id = ++last;
    exchanges[id] = {std::move(open), std::move(message), handler};
    if (on_open) on_open(id);
    return id;
  }
  void Consumed(ExchangeId id, size_t bytes) override { exchanges.at(id).consumed += bytes; }
  void Cancel(ExchangeId id) override {
    exchanges.at(id).handler = nullptr;
    cancelled.push_back(id);
    if (on_cancel) on_cancel(id);
  }
  void Shutdown() override {}

  void Close(ExchangeId id, bool cut_off, const std::string& reason) {
    std::exchange(exchanges.at(id).handler, nullptr)->OnClose(cut_off, reason);
  }

  bool up = true;
  ExchangeId last = 0;
  std::map<ExchangeId, Exchange> exchanges;
  std::vector<ExchangeId> cancelled;
  std::function<void(ExchangeId)> on_open, on_cancel;
};

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const grpc::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

class CannedServers : public v1::ServerService::CallbackService {
 public:
  grpc::ServerUnaryReactor* ListServers(grpc::CallbackServerContext* context, const v1::ListServersRequest*,
                                        v1::ListServersResponse* response) override {
    v1::MCPServer* server = response->add_items();
    server->set_name("time-service");
    server->set_namespace_("default");
    server->set_pool("default");
    server->mutable_status()->set_is_running(true);
    server->mutable_status()->set_is_idle(false);
    server->mutable_status()->set_total_requests(42);
    server->mutable_status()->mutable_last_request_at()->set_seconds(1746180930);
    return Finish(context, grpc::Status::OK);
  }
  grpc::ServerUnaryReactor* GetServer(grpc::CallbackServerContext* context, const v1::GetServerRequest* request,
                                      v1::MCPServer* response) override {
    if (request->uid() == "hang") {
      hanging.Notify();
      return new Hang(&hang_cancelled);
    }
    if (request->uid() == "away") {
      return Finish(context, grpc::Status(grpc::StatusCode::UNAVAILABLE, "no state yet; try again"));
    }
    if (request->uid() == "slow") {
      return Finish(context, grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded"));
    }
    if (request->uid() != "a b") {
      return Finish(context, grpc::Status(grpc::StatusCode::NOT_FOUND, "no server " + request->uid()));
    }
    response->set_uid(request->uid());
    return Finish(context, grpc::Status::OK);
  }

  grpc::ServerUnaryReactor* CreateServer(grpc::CallbackServerContext* context, const v1::CreateServerRequest* request,
                                         v1::MCPServer* response) override {
    *response = request->server();
    response->set_uid("u-1");
    return Finish(context, grpc::Status::OK);
  }
  grpc::ServerUnaryReactor* StopServer(grpc::CallbackServerContext* context, const v1::StopServerRequest* request,
                                       v1::MCPServer* response) override {
    response->mutable_spec()->set_suspend(request->suspend());
    return Finish(context, grpc::Status::OK);
  }
  grpc::ServerUnaryReactor* DeleteServer(grpc::CallbackServerContext* context, const v1::DeleteServerRequest*,
                                         v1::DeleteServerResponse*) override {
    return Finish(context, grpc::Status::OK);
  }
  // By the pool that is asked for: "none" fails at once, "few" ends after three
  // messages, "broken" fails after one, "quiet" says nothing, "endless" goes on.
  grpc::ServerWriteReactor<v1::ServerChange>* WatchServers(grpc::CallbackServerContext*,
                                                           const v1::WatchServersRequest* request) override {
    return new Watching(this, request->pool());
  }

  std::atomic<int> changes_written = 0;
  std::atomic<int> watches_ended = 0;
  Mutex mutex;
  Notification* watch_ended ABSL_GUARDED_BY(mutex) = nullptr;
  Notification hanging, hang_cancelled;

 private:
  // Answers only when it is cancelled.
  struct Hang : grpc::ServerUnaryReactor {
    explicit Hang(Notification* cancelled) : cancelled(cancelled) {}
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override {
      cancelled->Notify();
      delete this;
    }
    Notification* const cancelled;
  };
  class Watching : public grpc::ServerWriteReactor<v1::ServerChange> {
   public:
    Watching(CannedServers* owner, const std::string& kind) : owner_(owner), kind_(kind) {
      if (kind == "none") {
        Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "no state yet; try again"));
      } else if (kind != "quiet") {
        WriteNext();
      }
    }
    void OnWriteDone(bool ok) override {
      if (!ok) return;  // OnCancel follows
      ++owner_->changes_written;
      ++written_;
      if (kind_ == "broken") return Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "lost"));
      if (kind_ == "few" && written_ == 3) return Finish(grpc::Status::OK);
      WriteNext();
    }
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override {
      ++owner_->watches_ended;
      {
        MutexLock lock(&owner_->mutex);
        if (owner_->watch_ended != nullptr) std::exchange(owner_->watch_ended, nullptr)->Notify();
      }
      delete this;
    }

   private:
    void WriteNext() {
      change_.set_type("ADDED");
      change_.mutable_object()->set_name(absl::StrCat("s", written_));
      if (kind_ == "endless") change_.mutable_object()->mutable_spec()->set_image(std::string(16 << 10, 'x'));
      StartWrite(&change_);
    }
    CannedServers* const owner_;
    const std::string kind_;
    int written_ = 0;
    v1::ServerChange change_;
  };
};

class CannedMetrics : public v1::MetricsService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetMetrics(grpc::CallbackServerContext* context, const v1::GetMetricsRequest*,
                                       v1::OperatorMetrics* response) override {
    response->mutable_controller()->set_connected(controller_connected);
    return Finish(context, grpc::Status::OK);
  }
  grpc::ServerUnaryReactor* GetPrometheusMetrics(grpc::CallbackServerContext* context,
                                                 const v1::GetPrometheusMetricsRequest*,
                                                 v1::PrometheusMetrics* response) override {
    response->set_text("# TYPE unmcp_servers gauge\nunmcp_servers{phase=\"Ready\"} 3\n");
    return Finish(context, fail ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "away") : grpc::Status::OK);
  }
  std::atomic<bool> controller_connected = true, fail = false;
};

class GatewayTest : public ::testing::Test {
 protected:
  GatewayTest() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.RegisterService(&servers_);
    builder.RegisterService(&metrics_);
    grpc_server_ = builder.BuildAndStart();
  }
  ~GatewayTest() override {
    loop_.Stop();
    gateway_ = nullptr;
    grpc_server_->Shutdown();
  }

  void Start(HttpServer::Limits limits = {}) {
    auto gateway = Gateway::Create({.loop = &loop_,
                                    .port = 0,
                                    .channel = grpc_server_->InProcessChannel({}),
                                    .caller = &caller_,
                                    .registry = &registry_,
                                    .allowed_hosts = {"unmcp.example"},
                                    .allowed_origins = {"https://app.example"},
                                    .limits = limits,
                                    .version = "1.2.3"});
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    loop_.Start();
  }
  std::string Metrics() { return Ask("GET", "/metrics").body; }

  void OnLoop(absl::AnyInvocable<void()> task) {
    Notification done;
    loop_.Post([&] {
      task();
      done.Notify();
    });
    done.Wait();
  }

  TestResponse Ask(absl::string_view method, absl::string_view target, absl::string_view headers = "",
                   absl::string_view body = "") {
    HttpTestClient client(gateway_->port());
    client.Request(method, target, headers, body);
    return client.ReadResponse(method == "HEAD");
  }
  static json Error(const TestResponse& response) {
    const json body = json::parse(response.body, nullptr, false);
    EXPECT_TRUE(body.is_object() && body.contains("error")) << response.body;
    EXPECT_EQ(response.headers.at("content-type"), "application/json");
    const json error = body.value("error", json::object());
    EXPECT_EQ(error.value("code", 0), response.status);
    EXPECT_NE(error.value("message", ""), "");
    return error;
  }

  // Opens an event stream and waits until it is on the Link.
  void OpenStream(HttpTestClient* client) {
    Notification opened;
    OnLoop([&] { caller_.on_open = [&](uint64_t) { opened.Notify(); }; });
    client->Request("GET", "/api/v1/servers/every%2Dthing/sse", "MCP-Protocol-Version: 2025-06-18\r\n");
    opened.Wait();
    OnLoop([&] { caller_.on_open = nullptr; });
  }
  void SendHead(uint64_t id = 1) {
    OnLoop([&, id] {
      caller_.exchanges[id].handler->OnHead(200, {{"Content-Type", "text/event-stream"},
                                                  {"Cache-Control", "no-cache, no-transform"},
                                                  {"X-Accel-Buffering", "no"},
                                                  {"Content-Length", "7"}});
    });
  }

  EventLoop loop_{"gateway-test"};
  FakeCaller caller_;
  CannedServers servers_;
  CannedMetrics metrics_;
  prometheus::Registry registry_;
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<Gateway> gateway_;
};

constexpr char kMessage[] = "/api/v1/servers/everything/message?sessionId=abc";
constexpr char kJson[] = "Content-Type: application/json\r\n";

// --- REST ---

TEST_F(GatewayTest, ListsServersAsDocumented) {
  Start();
  const TestResponse response = Ask("GET", "/api/v1/servers");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("content-type"), "application/json");
  const json body = json::parse(response.body);
  ASSERT_EQ(body["items"].size(), 1u);
  const json& item = body["items"][0];
  EXPECT_EQ(item["name"], "time-service");
  EXPECT_EQ(item["namespace"], "default");
  EXPECT_EQ(item["pool"], "default");
  const json& status = item["status"];
  EXPECT_EQ(status["isRunning"], true);
  EXPECT_EQ(status["isIdle"], false);
  EXPECT_EQ(status["totalRequests"], 42);
  EXPECT_EQ(status["currentConnections"], 0) << "a zero says something";
  EXPECT_EQ(status["lastRequestAt"], "2025-05-02T10:15:30Z");
}

TEST_F(GatewayTest, BindsThePathAndTurnsStatusesIntoErrors) {
  Start();
  EXPECT_EQ(json::parse(Ask("GET", "/api/v1/servers/a%20b").body)["uid"], "a b");
  EXPECT_EQ(Ask("HEAD", "/api/v1/servers/a%20b").status, 200);

  const json error = Error(Ask("GET", "/api/v1/servers/none"));
  EXPECT_EQ(error["code"], 404);
  EXPECT_EQ(error["status"], "NOT_FOUND");
  EXPECT_EQ(error["message"], "no server none");

  const json slow = Error(Ask("GET", "/api/v1/servers/slow"));
  EXPECT_EQ(slow["code"], 504);
  EXPECT_EQ(slow["status"], "DEADLINE_EXCEEDED");
  EXPECT_EQ(slow["message"],
            "there was no answer within 30s; what was asked for may be done all the same: look before you ask again");
  const TestResponse away = Ask("GET", "/api/v1/servers/away");
  EXPECT_EQ(Error(away)["code"], 503);
  EXPECT_EQ(away.headers.count("retry-after"), 1u);

  EXPECT_THAT(std::string(Error(Ask("GET", "/api/v1/servers?nonsense=1"))["message"]), HasSubstr("nonsense"));
  EXPECT_EQ(Ask("GET", "/api/v1/servers?nonsense=1").status, 400);
  EXPECT_EQ(Ask("GET", "/api/v1/servers/%ff").status, 400);
}

TEST_F(GatewayTest, AClientThatLeavesCancelsItsCall) {
  Start();
  HttpTestClient client(gateway_->port());
  client.Request("GET", "/api/v1/servers/hang");
  servers_.hanging.Wait();
  client.Reset();
  servers_.hang_cancelled.Wait();
}

TEST_F(GatewayTest, CanBeDestroyedWhileACallIsUnderWay) {
  Start();
  HttpTestClient client(gateway_->port());
  client.Request("GET", "/api/v1/servers/hang");
  servers_.hanging.Wait();
  OnLoop([&] { gateway_ = nullptr; });
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(GatewayTest, CreatesAndDeletes) {
  Start();
  const TestResponse created = Ask("POST", "/api/v1/servers", kJson, R"({"name":"a","spec":{"command":["x"]}})");
  EXPECT_EQ(created.status, 201);
  EXPECT_EQ(created.headers.at("location"), "/api/v1/servers/u-1");
  EXPECT_EQ(json::parse(created.body)["spec"]["command"][0], "x");

  const TestResponse deleted = Ask("DELETE", "/api/v1/servers/u-1");
  EXPECT_EQ(deleted.status, 204);
  EXPECT_EQ(deleted.body, "");
  EXPECT_EQ(deleted.headers.count("content-type"), 0u);
  EXPECT_EQ(deleted.headers.count("content-length"), 0u);

  EXPECT_EQ(json::parse(Ask("POST", "/api/v1/servers/u-1/stop").body)["spec"]["suspend"], false);
  EXPECT_EQ(json::parse(Ask("POST", "/api/v1/servers/u-1/stop?suspend=true", kJson, "{}").body)["spec"]["suspend"],
            true);
}

TEST_F(GatewayTest, BadBodiesAreTheClientsMistakeAndNamed) {
  Start();
  const std::pair<std::string, const char*> cases[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"nonsense", "not JSON"},
      {"\xEF\xBB\xBF{}", "byte order mark"},
      {"{\"name\":\"\\ud800\"}", "not JSON"},
      {"{\"name\":\"\xff\"}", "not JSON"},
      {R"({"spec":{"idleTimeout":1e999}})", "not JSON"},
      {R"({"spec":{"idleTimeout":NaN}})", "not JSON"},
      {R"({"spec":{"idleTimeout":1e3}})", "spec.idleTimeout: must be a whole number"},
      {R"({"spec":{"idleTimeout":99999999999}})", "spec.idleTimeout"},
      {R"({"name":"a","name":"b"})", "\"name\" is there twice"},
      {R"({"spec":{"comand":["x"]}})", "spec.comand: unknown field; did you mean \"command\"?"},
      {R"({"spec":{"command":"x"}})", "spec.command: must be a list, not a string"},
      {R"({"server":{"name":"a"}})", "server: unknown field"},
      {"[]", "must be an object"},
      {"7", "must be an object"},
      {"null", "must be an object"},
      {std::string(100'000, '['), "nested deeper than 100"},
      {absl::StrCat(R"({"spec":{"podTemplate":{"a":)", std::string(40, '['), std::string(40, ']'), "}}}"),
       "spec.podTemplate: is nested deeper than 32"},
  };
  for (const auto& [body, message] : cases) {
    const TestResponse response = Ask("POST", "/api/v1/servers", kJson, body);
    EXPECT_EQ(response.status, 400) << body.substr(0, 100);
    EXPECT_THAT(std::string(Error(response)["message"]), HasSubstr(message)) << body.substr(0, 100);
  }
  // Small in JSON, large as a message.
  std::string numbers = R"({"spec":{"podTemplate":{"a":[1)";
  for (int i = 0; i < 800'000; ++i) numbers += ",1";
  EXPECT_EQ(Ask("POST", "/api/v1/servers", kJson, numbers + "]}}}").status, 413);
}

// --- streams ---

TEST_F(GatewayTest, AWatchIsAStreamOfEvents) {
  Start();
  const TestResponse response = Ask("GET", "/api/v1/servers?watch=true&pool=few");
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.complete);
  EXPECT_EQ(response.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(response.headers.at("cache-control"), "no-store");
  EXPECT_EQ(response.headers.at("x-accel-buffering"), "no");
  std::vector<std::string> names;
  for (size_t at = 0; at < response.body.size();) {
    const size_t end = response.body.find("\n\n", at);
    ASSERT_EQ(response.body.substr(at, 6), "data: ");
    const json change = json::parse(response.body.substr(at + 6, end - at - 6));
    EXPECT_EQ(change["type"], "ADDED");
    names.push_back(change["object"]["name"]);
    at = end + 2;
  }
  EXPECT_THAT(names, ::testing::ElementsAre("s0", "s1", "s2"));
  EXPECT_EQ(json::parse(Ask("GET", "/api/v1/servers?watch=false").body)["items"].size(), 1u);
  EXPECT_EQ(Ask("GET", "/api/v1/servers?watch=perhaps").status, 400);
  const TestResponse head = Ask("HEAD", "/api/v1/servers?watch=true");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-type"), "text/event-stream");
}

TEST_F(GatewayTest, AStreamThatFailsSaysSo) {
  Start();
  const TestResponse at_once = Ask("GET", "/api/v1/servers?watch=true&pool=none");
  EXPECT_EQ(at_once.status, 503);
  EXPECT_EQ(Error(at_once)["message"], "no state yet; try again");
  EXPECT_EQ(at_once.headers.count("retry-after"), 1u);

  const TestResponse later = Ask("GET", "/api/v1/servers?watch=true&pool=broken");
  EXPECT_EQ(later.status, 200);
  EXPECT_TRUE(later.complete);
  const size_t error = later.body.find("event: error\ndata: ");
  ASSERT_NE(error, std::string::npos) << later.body;
  EXPECT_EQ(json::parse(later.body.substr(error + 19))["error"]["message"], "lost");
}

TEST_F(GatewayTest, AQuietStreamOpensAndIsKeptOpen) {
  HttpServer::Limits limits;
  limits.stream_idle = absl::Milliseconds(20);
  Start(limits);
  HttpTestClient client(gateway_->port());
  client.Request("GET", "/api/v1/servers?watch=true&pool=quiet");
  EXPECT_EQ(client.ReadHead().status, 200);
  EXPECT_EQ(client.ReadChunk(), ": keep-alive\n\n");
  Notification done;
  OnLoop([&] { gateway_->Shutdown(absl::Hours(1), [&] { done.Notify(); }); });
  bool cut = true;
  while (!client.ReadChunk(&cut).empty()) {
  }
  EXPECT_FALSE(cut);
  done.Wait();
}

// A client that does not read may not make the gateway read for it.
TEST_F(GatewayTest, ASlowReaderStopsTheStream) {
  Start();
  Notification ended;
  {
    MutexLock lock(&servers_.mutex);
    servers_.watch_ended = &ended;
  }
  HttpTestClient client(gateway_->port());
  client.Request("GET", "/api/v1/servers?watch=true&pool=endless");
  EXPECT_EQ(client.ReadHead().status, 200);
  client.ReadChunk();
  // It has stopped when nothing is written any more.
  for (int before = -1; before != servers_.changes_written;) {
    before = servers_.changes_written;
    Notification later;
    OnLoop([&] { loop_.After(absl::Milliseconds(300), [&] { later.Notify(); }); });
    later.Wait();
  }
  const int stopped_at = servers_.changes_written;
  EXPECT_LT(stopped_at, 2000) << "32 MB; sockets hold a few";
  while (servers_.changes_written <= stopped_at + 10) client.ReadChunk();

  client.Reset();
  ended.Wait();
  EXPECT_THAT(Metrics(), HasSubstr("unmcp_gateway_sse_streams 0"));
}

TEST_F(GatewayTest, CanBeDestroyedWhileStreamsAreOpen) {
  Start();
  HttpTestClient quiet(gateway_->port()), busy(gateway_->port());
  quiet.Request("GET", "/api/v1/servers?watch=true&pool=quiet");
  busy.Request("GET", "/api/v1/servers?watch=true&pool=endless");
  EXPECT_EQ(quiet.ReadHead().status, 200);
  EXPECT_EQ(busy.ReadHead().status, 200);
  OnLoop([&] { gateway_ = nullptr; });
  EXPECT_EQ(quiet.ReadChunk(), "");
}

// --- its description ---

// Both ways: what is described is served with these methods, and with no others;
// what Create serves without a description it refuses.
TEST_F(GatewayTest, DescribesWhatItServes) {
  Start();
  const TestResponse response = Ask("GET", "/openapi.json");
  EXPECT_EQ(response.headers.at("content-type"), "application/json");
  const json document = json::parse(response.body);
  EXPECT_EQ(document["info"]["version"], "1.2.3");
  for (const char* path : {"/health", "/ready", "/metrics", "/openapi.json", "/api/v1/servers/{uid}/sse",
                           "/api/v1/servers/{uid}/message", "/api/v1/servers/{uid}", "/api/v1/pools/{name}"}) {
    EXPECT_TRUE(document["paths"].contains(path)) << path;
  }
  for (const auto& [path, operations] : document["paths"].items()) {
    const std::string allow = absl::StrCat(", ", Ask("OPTIONS", path).headers["allow"], ", ");
    int count = 0;
    for (const auto& [method, operation] : operations.items()) {
      EXPECT_THAT(allow, HasSubstr(absl::StrCat(", ", absl::AsciiStrToUpper(method), ", "))) << path;
      ++count;
    }
    for (const char* method : {"GET", "POST", "PUT", "DELETE", "PATCH"}) {
      count -= allow.find(absl::StrCat(", ", method, ", ")) != std::string::npos;
    }
    EXPECT_EQ(count, 0) << path << " has " << allow;
  }
}

// --- the checks ---

TEST_F(GatewayTest, ChecksEveryRequest) {
  Start();
  struct Case {
    const char* method;
    const char* target;
    const char* headers;
    int status;
  };
  const Case cases[] = {
      {"GET", "/health", "", 200},
      {"GET", "/health?x=1", "", 200},
      {"HEAD", "/health", "", 200},
      {"GET", "http://localhost/health", "", 200},
      {"GET", "/", "", 404},
      {"GET", "/health/", "", 404},
      {"GET", "/api/v1/servers/", "", 404},
      {"GET", "/api/v1/../../etc/passwd", "", 404},
      {"GET", "health", "", 400},
      {"GET", "http://evil.example/health", "", 403},
      {"DELETE", "/health", "", 405},
      {"HEAD", "/api/v1/servers/x/sse", "", 405},
      {"POST", "/api/v1/servers/x/sse", "", 405},
      {"GET", "/api/v1/servers/x/message?sessionId=1", "", 405},
      {"BREW", "/api/v1/servers", "", 405},
      {"POST", kMessage, "", 415},
      {"POST", kMessage, "Content-Type: text/plain\r\n", 415},
      {"POST", kMessage, "Content-Type: application/jsonp\r\n", 415},
      {"POST", "/api/v1/servers/x/message", kJson, 400},
      {"POST", "/api/v1/servers/x/message?sessionId=", kJson, 400},
      {"POST", kMessage, kJson, 400},  // no body
      {"GET", "/health", "Origin: http://localhost:6274\r\n", 200},
      {"GET", "/health", "Origin: https://unmcp.example\r\n", 200},
      {"GET", "/health", "Origin: null\r\n", 403},
      {"GET", "/health", "Origin: http://evil.example\r\n", 403},
      {"OPTIONS", "*", "", 204},
      // The order: Origin before the route, the route before the method, the
      // method before the type, the type before the size.
      {"GET", "/nothing", "Origin: http://evil.example\r\n", 403},
      {"PUT", kMessage, "Content-Length: 99999999\r\n", 405},
      {"POST", kMessage, "Content-Length: 99999999\r\n", 415},
      {"POST", kMessage, "Content-Type: application/json; charset=utf-8\r\nContent-Length: 99999999\r\n", 413},
  };
  for (const Case& c : cases) {
    const TestResponse response = Ask(c.method, c.target, c.headers);
    EXPECT_EQ(response.status, c.status) << c.method << " " << c.target << " " << c.headers;
    if (c.status >= 400 && std::string(c.method) != "HEAD") Error(response);
    if (c.status == 405) {
      EXPECT_THAT(response.headers.at("allow"), HasSubstr("OPTIONS"));
    }
  }
  const TestResponse allowed = Ask("POST", "/health");
  EXPECT_EQ(allowed.headers.at("allow"), "GET, HEAD, OPTIONS");
}

TEST_F(GatewayTest, ChecksTheHost) {
  Start();
  const std::pair<const char*, int> cases[] = {
      {"Host: localhost:1\r\n", 200},   {"Host: [::1]:1\r\n", 200},
      {"Host: unmcp.example\r\n", 200}, {"Host: evil.example\r\n", 403},
      {"Host:\r\n", 403},               {"", 400},
      {"Host: localhost\r\nHost: localhost\r\n", 400}};
  for (const auto& [host, status] : cases) {
    HttpTestClient client(gateway_->port());
    client.Send(absl::StrCat("GET /health HTTP/1.1\r\n", host, "\r\n"));
    const TestResponse response = client.ReadResponse();
    EXPECT_EQ(response.status, status) << host;
    if (status != 200) Error(response);
  }
  EXPECT_THAT(Metrics(), HasSubstr("unmcp_gateway_rejected_total{reason=\"host\"} 2"));
}

TEST_F(GatewayTest, AnswersPagesOfAllowedOrigins) {
  Start();
  const std::string origin = "Origin: https://app.example\r\n";
  // A path that is not there, too: the page shall see the 404.
  for (const char* path : {kMessage, "/api/v1/servers", "/nothing"}) {
    const TestResponse preflight =
        Ask("OPTIONS", path, absl::StrCat(origin, "Access-Control-Request-Method: PUT\r\n",
                                          "Access-Control-Request-Headers: mcp-session-id\r\n",
                                          "Access-Control-Request-Private-Network: true\r\n"));
    EXPECT_EQ(preflight.status, 204);
    EXPECT_EQ(preflight.headers.at("access-control-allow-origin"), "https://app.example");
    EXPECT_EQ(preflight.headers.at("access-control-allow-methods"), "GET, POST, PUT, DELETE");
    for (const char* field : {"Accept", "Authorization", "Content-Type", "Last-Event-ID", "MCP-Protocol-Version",
                              "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"}) {
      EXPECT_THAT(preflight.headers.at("access-control-allow-headers"), HasSubstr(field));
    }
    EXPECT_EQ(preflight.headers.at("access-control-allow-private-network"), "true");
    EXPECT_EQ(preflight.headers.at("access-control-max-age"), "7200");
    EXPECT_EQ(preflight.headers.at("vary"), "Origin");
  }
  const TestResponse error = Ask("GET", "/nothing", origin);
  EXPECT_EQ(error.headers.at("access-control-allow-origin"), "https://app.example") << "or the page cannot read why";
  for (const char* field : {"Location", "MCP-Protocol-Version", "Mcp-Session-Id", "Retry-After", "WWW-Authenticate"}) {
    EXPECT_THAT(error.headers.at("access-control-expose-headers"), HasSubstr(field));
  }
  EXPECT_EQ(Ask("GET", "/health").headers.count("access-control-allow-origin"), 0u);
  const TestResponse stranger = Ask("OPTIONS", "/api/v1/servers",
                                    "Origin: http://evil.example\r\nAccess-Control-Request-Method: PUT\r\n");
  EXPECT_EQ(stranger.status, 403);
  EXPECT_EQ(stranger.headers.count("access-control-allow-origin"), 0u);
}

// OPTIONS that is no page's question.
TEST_F(GatewayTest, OptionsNamesTheMethods) {
  Start();
  const std::pair<const char*, const char*> cases[] = {
      {kMessage, "POST, OPTIONS"},
      {"/api/v1/servers", "GET, POST, HEAD, OPTIONS"},
      {"/api/v1/servers/x", "DELETE, GET, PUT, HEAD, OPTIONS"},
      {"/health", "GET, HEAD, OPTIONS"},
  };
  for (const auto& [path, allow] : cases) {
    const TestResponse options = Ask("OPTIONS", path);
    EXPECT_EQ(options.status, 204);
    EXPECT_EQ(options.headers.at("allow"), allow);
    EXPECT_EQ(Ask("PATCH", path).headers.at("allow"), allow);
  }
}

// --- MCP ---

TEST_F(GatewayTest, AStreamIsFramedAsEvents) {
  Start();
  HttpTestClient client(gateway_->port());
  OpenStream(&client);
  OnLoop([&] {
    const v1::Open& open = caller_.exchanges[1].open;
    EXPECT_EQ(open.kind(), v1::EXCHANGE_KIND_SSE_STREAM);
    EXPECT_EQ(open.server(), "every-thing");
    EXPECT_EQ(open.protocol_version(), "2025-06-18");
    EXPECT_EQ(caller_.exchanges[1].message, "");
  });
  SendHead();
  const TestResponse head = client.ReadHead();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(head.headers.at("cache-control"), "no-cache, no-transform");
  EXPECT_EQ(head.headers.at("x-accel-buffering"), "no");
  EXPECT_EQ(head.headers.count("content-length"), 0u);
  OnLoop([&] { caller_.exchanges[1].handler->OnData("/m?sessionId=1", "endpoint", "", true); });
  EXPECT_EQ(client.ReadChunk(), "event: endpoint\ndata: /m?sessionId=1\n\n");
  OnLoop([&] {
    link::CallHandler* handler = caller_.exchanges[1].handler;
    handler->OnData("{1}", "", "", true);
    handler->OnData("{2}", "", "5", true);
  });
  EXPECT_EQ(client.ReadChunk(), "event: message\ndata: {1}\n\nevent: message\nid: 5\ndata: {2}\n\n");
  OnLoop([&] { EXPECT_EQ(caller_.exchanges[1].consumed, 20u); });
  EXPECT_THAT(Metrics(), HasSubstr("unmcp_gateway_sse_streams 1"));

  OnLoop([&] { caller_.Close(1, false, ""); });
  bool cut = true;
  EXPECT_EQ(client.ReadChunk(&cut), "");
  EXPECT_FALSE(cut);
  EXPECT_THAT(Metrics(), HasSubstr("unmcp_gateway_sse_streams 0"));
}

TEST_F(GatewayTest, ALargeAnswerPassesInPieces) {
  Start();
  HttpTestClient client(gateway_->port());
  OpenStream(&client);
  SendHead();
  client.ReadHead();
  constexpr int kPieces = 320;  // 20 MB
  OnLoop([&] {
    for (int i = 0; i < kPieces; ++i) {
      caller_.exchanges[1].handler->OnData(std::string(64 << 10, static_cast<char>('a' + i % 26)), "", "",
                                           i == kPieces - 1);
    }
  });
  std::string text;
  while (text.size() < 2 || text.substr(text.size() - 2) != "\n\n") text += client.ReadChunk();
  const std::string prefix = "event: message\ndata: ";
  ASSERT_EQ(text.size(), prefix.size() + (kPieces << 16) + 2);
  EXPECT_EQ(text.substr(0, prefix.size() + 1), prefix + "a");
  EXPECT_EQ(text[prefix.size() + (1 << 16)], 'b');
  OnLoop([&] { EXPECT_EQ(caller_.exchanges[1].consumed, size_t{kPieces} << 16); });
}

TEST_F(GatewayTest, AQuietStreamGetsCommentsButNotWithinAnEvent) {
  HttpServer::Limits limits;
  limits.stream_idle = absl::Milliseconds(20);
  Start(limits);
  HttpTestClient client(gateway_->port());
  OpenStream(&client);
  SendHead();
  client.ReadHead();
  EXPECT_EQ(client.ReadChunk(), ": keep-alive\n\n");
  OnLoop([&] { caller_.exchanges[1].handler->OnData("{", "", "", false); });
  std::string text;
  while (text.find('{') == std::string::npos) text = client.ReadChunk();
  // Several idle times later the event goes on where it was.
  Notification later;
  OnLoop([&] {
    loop_.After(absl::Milliseconds(100), [&] {
      caller_.exchanges[1].handler->OnData("}", "", "", true);
      later.Notify();
    });
  });
  later.Wait();
  EXPECT_EQ(client.ReadChunk(), "}\n\n");
}

TEST_F(GatewayTest, AMessageIsOneExchange) {
  Start();
  OnLoop([&] {
    caller_.on_open = [&](uint64_t id) {
      loop_.Post([&, id] {
        caller_.exchanges[id].handler->OnHead(202, {});
        caller_.Close(id, false, "");
      });
    };
  });
  HttpTestClient client(gateway_->port());
  for (int i = 1; i <= 3; ++i) {  // one connection, as clients keep it
    client.Request("POST", kMessage, "Content-Type: application/json; charset=utf-8\r\n", "{\"id\":1}");
    const TestResponse response = client.ReadResponse();
    EXPECT_EQ(response.status, 202);
    EXPECT_EQ(response.headers.at("content-length"), "0");
    EXPECT_EQ(response.body, "");
  }
  OnLoop([&] {
    ASSERT_EQ(caller_.exchanges.size(), 3u);
    EXPECT_EQ(caller_.exchanges[1].open.kind(), v1::EXCHANGE_KIND_SSE_MESSAGE);
    EXPECT_EQ(caller_.exchanges[1].open.server(), "everything");
    EXPECT_EQ(caller_.exchanges[1].open.session(), "abc");
    EXPECT_EQ(caller_.exchanges[1].message, "{\"id\":1}");
    EXPECT_TRUE(caller_.cancelled.empty());
  });
  EXPECT_THAT(Metrics(), HasSubstr("unmcp_gateway_http_requests_total{code=\"202\",method=\"POST\","
                                   "route=\"/api/v1/servers/{uid}/message\"} 3"));
}

TEST_F(GatewayTest, AnswersWithBodiesKeepTheirStatus) {
  Start();
  OnLoop([&] {
    caller_.on_open = [&](uint64_t id) {
      loop_.Post([&, id] {
        link::CallHandler* handler = caller_.exchanges[id].handler;
        handler->OnHead(404, {{"Content-Type", "application/json"}});
        if (id == 1) {
          handler->OnData("{\"error\":1}", "", "", true);
        } else {
          for (int i = 0; i < 3; ++i) handler->OnData(std::string(64 << 10, 'x'), "", "", i == 2);
        }
        caller_.Close(id, false, "");
      });
    };
  });
  const TestResponse small = Ask("POST", kMessage, kJson, "{}");
  EXPECT_EQ(small.status, 404);
  EXPECT_EQ(small.body, "{\"error\":1}");
  EXPECT_EQ(small.headers.at("content-length"), "11");
  const TestResponse large = Ask("POST", kMessage, kJson, "{}");
  EXPECT_EQ(large.status, 404);
  EXPECT_EQ(large.body.size(), size_t{3} << 16);
  EXPECT_TRUE(large.complete);
}

TEST_F(GatewayTest, WithoutTheLinkItSaysSo) {
  Start();
  OnLoop([&] { caller_.up = false; });
  const TestResponse response = Ask("POST", kMessage, kJson, "{}");
  EXPECT_EQ(Error(response)["status"], "UNAVAILABLE");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.count("retry-after"), 1u);
}

TEST_F(GatewayTest, CutOffBeforeTheHeadIsAnError) {
  Start();
  for (const bool link_broke : {false, true}) {
    OnLoop([&] {
      caller_.up = true;
      caller_.on_open = [&](uint64_t id) {
        loop_.Post([&, id] {
          caller_.up = !link_broke;
          caller_.Close(id, true, "because");
        });
      };
    });
    const TestResponse response = Ask("GET", "/api/v1/servers/x/sse");
    EXPECT_EQ(response.status, link_broke ? 503 : 502);
    Error(response);
  }
}

TEST_F(GatewayTest, CutOffAfterTheHeadCutsTheConnection) {
  Start();
  HttpTestClient client(gateway_->port());
  OpenStream(&client);
  SendHead();
  client.ReadHead();
  OnLoop([&] { caller_.Close(1, true, "the link broke"); });
  bool cut = false;
  client.ReadChunk(&cut);
  EXPECT_TRUE(cut);
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(GatewayTest, AClientThatLeavesCancelsItsExchange) {
  Start();
  for (const bool with_head : {true, false}) {
    Notification cancelled;
    HttpTestClient client(gateway_->port());
    OpenStream(&client);
    OnLoop([&] { caller_.on_cancel = [&](uint64_t) { cancelled.Notify(); }; });
    if (with_head) {
      SendHead(caller_.last);
      client.ReadHead();
    }
    client.CloseSending();
    cancelled.Wait();
    OnLoop([&] { caller_.on_cancel = nullptr; });
  }
  EXPECT_THAT(Metrics(), HasSubstr("unmcp_gateway_sse_streams 0"));
}

TEST_F(GatewayTest, ASlowReadersCreditWaits) {
  Start();
  HttpTestClient client(gateway_->port());
  OpenStream(&client);
  SendHead();
  constexpr size_t kBytes = 32 << 20;  // far more than sockets hold
  OnLoop([&] {
    for (size_t i = 0; i < kBytes >> 16; ++i) {
      caller_.exchanges[1].handler->OnData(std::string(64 << 10, 'x'), "", "", true);
    }
  });
  OnLoop([&] { EXPECT_LT(caller_.exchanges[1].consumed, kBytes / 2); });
  client.ReadHead();
  for (size_t read = 0; read < kBytes;) read += client.ReadChunk().size();
  OnLoop([&] { EXPECT_EQ(caller_.exchanges[1].consumed, kBytes); });
}

TEST_F(GatewayTest, ShutdownEndsStreamsInGoodOrder) {
  Start();
  HttpTestClient open(gateway_->port()), waiting(gateway_->port());
  OpenStream(&open);
  SendHead();
  open.ReadHead();
  OpenStream(&waiting);
  Notification done;
  OnLoop([&] { gateway_->Shutdown(absl::Hours(1), [&] { done.Notify(); }); });
  bool cut = true;
  EXPECT_EQ(open.ReadChunk(&cut), "");
  EXPECT_FALSE(cut);
  EXPECT_EQ(waiting.ReadResponse().status, 503);
  done.Wait();
  OnLoop([&] { EXPECT_THAT(caller_.cancelled, ::testing::UnorderedElementsAre(1, 2)); });
}

// --- health ---

TEST_F(GatewayTest, TellsHealthAndReadiness) {
  Start();
  const TestResponse health = Ask("GET", "/health");
  EXPECT_EQ(json::parse(health.body)["status"], "ok");
  EXPECT_EQ(json::parse(health.body)["version"], "1.2.3");

  TestResponse ready = Ask("GET", "/ready");
  EXPECT_EQ(ready.status, 503);
  EXPECT_NE(json::parse(ready.body)["checks"]["serving"], "ok");
  EXPECT_EQ(json::parse(ready.body)["checks"]["apiserver"], "ok");

  OnLoop([&] { gateway_->SetServing(true); });
  ready = Ask("GET", "/ready");
  EXPECT_EQ(ready.status, 200);
  EXPECT_EQ(json::parse(ready.body), json::parse(R"({"status":"ready",
      "checks":{"serving":"ok","link":"ok","apiserver":"ok","controller":"ok"}})"));

  // Named, and no reason to turn clients away.
  metrics_.controller_connected = false;
  ready = Ask("GET", "/ready");
  EXPECT_EQ(ready.status, 200);
  EXPECT_THAT(std::string(json::parse(ready.body)["checks"]["controller"]), HasSubstr("not connected"));

  OnLoop([&] { caller_.up = false; });
  EXPECT_EQ(Ask("GET", "/ready").status, 503);
  OnLoop([&] { caller_.up = true; });
  grpc_server_->GetHealthCheckService()->SetServingStatus(false);
  EXPECT_EQ(Ask("GET", "/ready").status, 503);
}

TEST_F(GatewayTest, ShowsMetrics) {
  Start();
  Ask("GET", "/api/v1/servers/none");
  Ask("BREW", "/nothing-of-ours");
  const TestResponse response = Ask("GET", "/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.headers.at("content-type"), HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(response.body, HasSubstr("unmcp_gateway_http_requests_total{code=\"404\",method=\"GET\","
                                       "route=\"/api/v1/servers/{uid}\"} 1"));
  EXPECT_THAT(response.body, HasSubstr("{code=\"404\",method=\"other\",route=\"unmatched\"} 1"));
  EXPECT_THAT(response.body, HasSubstr("unmcp_gateway_connections 1"));
  EXPECT_THAT(response.body, HasSubstr("unmcp_gateway_apiserver_up 1"));
  EXPECT_THAT(response.body, HasSubstr("unmcp_servers{phase=\"Ready\"} 3")) << "the apiserver's figures, too";
}

TEST_F(GatewayTest, ShowsItsOwnMetricsWithoutTheApiserver) {
  Start();
  metrics_.fail = true;
  const TestResponse response = Ask("GET", "/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("unmcp_gateway_apiserver_up 0"));
  EXPECT_THAT(response.body, ::testing::Not(HasSubstr("unmcp_servers")));
}

TEST_F(GatewayTest, ShowsTheProcess) {
  Start();
  const std::string text = Metrics();
  const auto value = [&](const std::string& name) {
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size() + 2));
  };
  EXPECT_GT(value("process_cpu_seconds_total"), 0);
  EXPECT_GT(value("process_resident_memory_bytes"), 1e6);
  EXPECT_GE(value("process_open_fds"), 3);
  const double age = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()) - value("process_start_time_seconds");
  EXPECT_GT(age, -2) << "the boot time is in whole seconds";
  EXPECT_LT(age, 3600);
}

}  // namespace
}  // namespace unmcp::gateway
