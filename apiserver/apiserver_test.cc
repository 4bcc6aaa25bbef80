// The apiserver as a whole, over in-process channels: a controller that the
// test plays on the state stream, a gateway's end of the Link, and a server
// process behind a scripted attachment.

#include "apiserver/apiserver.h"

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "http/test_server.h"
#include "link/caller.h"
#include "nlohmann/json.hpp"
#include "prometheus/registry.h"
#include "unmcp/v1/edge.pb.h"
#include "unmcp/v1/server_service.grpc.pb.h"
#include "unmcp/v1/state.grpc.pb.h"

namespace unmcp::apiserver {
namespace {

using nlohmann::json;

// A server process: answers initialize, and every other request with an echo
// of its method. Lives on the data loop once started.
class FakeProcess final : public kube::Attachment {
 public:
  // What the test sees of it, and the switch that makes it silent.
  struct Shared {
    EventLoop* loop = nullptr;
    kube::AttachHandler* handler = nullptr;  // null: not attached
    std::vector<std::string> received;       // methods
    bool mute = false;
  };
  explicit FakeProcess(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  ~FakeProcess() override { shared_->handler = nullptr; }

  void Start(EventLoop*, kube::AttachHandler* handler) override { shared_->handler = handler; }
  void Write(std::string bytes) override {
    const json message = json::parse(bytes);
    const std::string method = message.value("method", "");
    shared_->received.push_back(method);
    if (!message.contains("id") || shared_->mute) return;
    json answer = {{"jsonrpc", "2.0"}, {"id", message["id"]}};
    if (method == "initialize") {
      answer["result"] = {{"protocolVersion", "2025-06-18"},
                          {"capabilities", {{"tools", json::object()}}},
                          {"serverInfo", {{"name", "fake"}, {"version", "7"}}}};
    } else if (method == "tools/list") {
      answer["result"] = {{"tools", {{{"name", "a"}}, {{"name", "b"}}}}};
    } else {
      answer["result"] = {{"echo", method}};
    }
    // A process answers later, not from within the write.
    shared_->loop->Post([shared = shared_, line = answer.dump() + "\n"] {
      if (shared->handler != nullptr) shared->handler->OnOutput(line);
    });
  }
  size_t pending() const override { return 0; }
  void PauseOutput() override {}
  void ResumeOutput() override {}

 private:
  const std::shared_ptr<Shared> shared_;
};

// A cluster in which two things work: attaching to processes[pod], and reading
// servers[name].
class FakeCluster final : public kube::Cluster {
 public:
  void Attach(const kube::ObjectRef& pod, kube::AttachOptions,
              kube::Callback<std::unique_ptr<kube::Attachment>> done) override {
    auto it = processes.find(pod.name);
    if (it == processes.end()) return done(absl::NotFoundError("no such pod"));
    done(std::make_unique<FakeProcess>(it->second));
  }
  void Get(const kube::ObjectRef& ref, kube::Callback<kube::Object> done) override {
    auto it = servers.find(ref.name);
    if (it == servers.end()) return done(absl::NotFoundError(ref.name));
    done(it->second);
  }
  void List(const kube::Kind&, const std::string&, kube::ListOptions, kube::Callback<kube::ObjectList>) override {
    FAIL();
  }
  void Create(const kube::Kind&, kube::Object, kube::Callback<kube::Object>) override { FAIL(); }
  void Patch(const kube::ObjectRef&, kube::Json, kube::PatchOptions, kube::Callback<kube::Object>) override {
    FAIL();
  }
  void Delete(const kube::ObjectRef&, kube::DeleteOptions, kube::DoneCallback) override { FAIL(); }
  std::unique_ptr<kube::Watch> StartWatch(const kube::Kind&, const std::string&, kube::WatchOptions,
                                          kube::WatchCallbacks) override {
    return nullptr;
  }
  void Logs(const kube::ObjectRef&, kube::LogOptions, kube::Callback<std::string>) override { FAIL(); }
  std::unique_ptr<kube::Watch> FollowLogs(const kube::ObjectRef&, kube::LogOptions, kube::LogCallbacks) override {
    return nullptr;
  }

  std::map<std::string, std::shared_ptr<FakeProcess::Shared>> processes;
  std::map<std::string, kube::Object> servers;
};

// A controller's end of the state stream, blocking, for the test's thread.
class FakeController {
 public:
  explicit FakeController(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::StateService::NewStub(channel)), stream_(stub_->Sync(&context_)) {}
  ~FakeController() { Cut(); }

  void Hello(uint64_t epoch) {
    v1::SyncRequest request;
    request.mutable_hello()->set_epoch(epoch);
    request.mutable_hello()->set_identity("test");
    stream_->Write(request);
  }
  void Publish(const v1::PublishedServer& server) {
    v1::SyncRequest request;
    *request.mutable_change()->mutable_server() = server;
    stream_->Write(request);
  }
  void Delete(const std::string& uid) {
    v1::SyncRequest request;
    request.mutable_change()->set_server_deleted(uid);
    stream_->Write(request);
  }
  void SnapshotEnd() {
    v1::SyncRequest request;
    request.mutable_snapshot_end();
    stream_->Write(request);
  }
  void Drain(const std::string& uid, int64_t incarnation, bool withdraw = false) {
    v1::SyncRequest request;
    request.mutable_drain()->set_server_uid(uid);
    request.mutable_drain()->set_incarnation(incarnation);
    request.mutable_drain()->set_withdraw(withdraw);
    stream_->Write(request);
  }
  // The next message of the kind, over whatever comes before it.
  v1::SyncResponse Next(v1::SyncResponse::MessageCase kind) {
    v1::SyncResponse response;
    while (stream_->Read(&response)) {
      if (response.message_case() == kind) return response;
    }
    ADD_FAILURE() << "the stream ended";
    return response;
  }
  grpc::Status Finish() {
    v1::SyncResponse response;
    while (stream_->Read(&response)) {
    }
    finished_ = true;
    return stream_->Finish();
  }
  void Cut() {
    context_.TryCancel();
    if (!finished_) Finish();
  }

 private:
  std::unique_ptr<v1::StateService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SyncRequest, v1::SyncResponse>> stream_;
  bool finished_ = false;
};

// One HTTP client's exchange, as the gateway holds it.
struct Client final : link::CallHandler {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::string> messages{""};
  bool closed = false, cut_off = false;

  void OnHead(int code, std::vector<std::pair<std::string, std::string>> with) override {
    status = code;
    headers = std::move(with);
  }
  void OnData(std::string bytes, absl::string_view, absl::string_view, bool final) override {
    messages.back() += bytes;
    if (final) messages.emplace_back();
  }
  void OnClose(bool cut, absl::string_view) override {
    closed = true;
    cut_off = cut;
  }
};

class ApiServerTest : public ::testing::Test {
 protected:
  ApiServerTest() {
    auto apiserver = ApiServer::Create({.loop = &loop_,
                                        .cluster = &cluster_,
                                        .random = Random::System(),
                                        .registry = &registry_,
                                        .version = "test",
                                        .host = "127.0.0.1",
                                        .port = 0});
    EXPECT_TRUE(apiserver.ok()) << apiserver.status();
    apiserver_ = *std::move(apiserver);
    caller_ = link::Caller::Create({&loop_, apiserver_->InternalChannel(), apiserver_->completions(), [this](bool up) {
                                      if (up) linked_.Notify();
                                    }});
    loop_.Start();
    linked_.Wait();
    servers_ = v1::ServerService::NewStub(apiserver_->ApiChannel());
  }

  ~ApiServerTest() override {
    controller_ = nullptr;
    Run([this] { caller_->Shutdown(); });
    apiserver_->Shutdown(absl::ZeroDuration());
    loop_.Stop();
  }

  void Run(std::function<void()> step) {
    Notification done;
    loop_.Post([&] {
      step();
      done.Notify();
    });
    done.Wait();
  }
  void Until(std::function<bool()> condition) {
    bool holds = false;
    while (!holds) Run([&] { holds = condition(); });
  }

  // A controller whose snapshot is `servers`.
  void Connect(uint64_t epoch, const std::vector<v1::PublishedServer>& servers) {
    controller_ = std::make_unique<FakeController>(apiserver_->InternalChannel());
    controller_->Hello(epoch);
    controller_->Next(v1::SyncResponse::kHello);
    for (const auto& server : servers) controller_->Publish(server);
    controller_->SnapshotEnd();
  }

  // Asleep, and known already.
  static v1::PublishedServer Asleep(const std::string& name = "time") {
    v1::PublishedServer published;
    v1::MCPServer& server = *published.mutable_server();
    server.set_uid("uid-" + name);
    server.set_name(name);
    server.set_namespace_("default");
    server.set_generation(1);
    server.mutable_spec()->set_pool("default");
    server.mutable_status()->set_phase("Asleep");
    v1::Condition* discovered = server.mutable_status()->add_conditions();
    discovered->set_type("Discovered");
    discovered->set_status("True");
    return published;
  }
  // The same with a process, which is made too.
  v1::PublishedServer Awake(int64_t incarnation) {
    v1::PublishedServer published = Asleep();
    published.mutable_server()->mutable_status()->set_phase("Ready");
    v1::Route& route = *published.mutable_route();
    route.set_incarnation(incarnation);
    route.set_pod(absl::StrCat("time-", incarnation));
    route.set_container("server");
    route.set_container_id(absl::StrCat("process://", incarnation));
    auto process = std::make_shared<FakeProcess::Shared>();
    process->loop = &loop_;
    Run([&] { cluster_.processes[route.pod()] = process; });
    return published;
  }

  // GET …/sse
  Client& OpenStream(const std::string& server = "time") {
    Client& client = clients_.emplace_back();
    Run([&] {
      v1::Open open;
      open.set_kind(v1::EXCHANGE_KIND_SSE_STREAM);
      open.set_server(server);
      caller_->Open(std::move(open), "", &client);
    });
    Until([&] { return client.status != 0; });
    return client;
  }
  // The same, as often as it takes until the answer is `status`: what a
  // controller wrote takes a moment to arrive.
  Client& OpenStreamUntil(int status, const std::string& server = "time") {
    while (true) {
      Client& client = OpenStream(server);
      if (client.status == status) return client;
    }
  }
  // POST …/message
  int Post(Client& stream, const std::string& message) {
    Client& client = clients_.emplace_back();
    std::string session;
    Run([&] { session = stream.messages[0].substr(stream.messages[0].find("sessionId=") + 10); });
    Run([&] {
      v1::Open open;
      open.set_kind(v1::EXCHANGE_KIND_SSE_MESSAGE);
      open.set_server("time");
      open.set_session(session);
      caller_->Open(std::move(open), message, &client);
    });
    Until([&] { return client.closed; });
    return client.status;
  }
  // The n-th message on a stream after the endpoint event.
  json Message(Client& stream, size_t n) {
    Until([&] { return stream.messages.size() > n + 1 || stream.closed; });
    json message;
    Run([&] { message = json::parse(stream.messages.at(n), nullptr, false); });
    return message;
  }

  static constexpr char kInitialize[] =
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},)"
      R"("clientInfo":{"name":"c","version":"1"}}})";
  static constexpr char kCall[] = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}})";

  EventLoop loop_{"data"};
  FakeCluster cluster_;
  prometheus::Registry registry_;
  Notification linked_;
  std::unique_ptr<ApiServer> apiserver_;
  std::unique_ptr<link::Caller> caller_;
  std::unique_ptr<v1::ServerService::Stub> servers_;
  std::unique_ptr<FakeController> controller_;
  std::deque<Client> clients_;
};

TEST_F(ApiServerTest, SaysThatItKnowsNothingYetAndThenWhatItKnows) {
  EXPECT_EQ(OpenStream().status, 503);
  {
    grpc::ClientContext context;
    v1::ListServersResponse response;
    EXPECT_EQ(servers_->ListServers(&context, {}, &response).error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  Connect(1, {Asleep("weather"), Asleep()});
  OpenStreamUntil(404, "nobody");
  grpc::ClientContext context;
  v1::ListServersResponse response;
  ASSERT_TRUE(servers_->ListServers(&context, {}, &response).ok());
  ASSERT_EQ(response.items_size(), 2);
  EXPECT_EQ(response.items(0).name(), "time");
  EXPECT_EQ(response.items(0).pool(), "default");
  EXPECT_FALSE(response.items(0).status().is_running());
  EXPECT_TRUE(response.items(0).status().is_idle());

  grpc::ClientContext second;
  v1::GetServerRequest request;
  request.set_uid("nobody");
  v1::MCPServer server;
  const grpc::Status status = servers_->GetServer(&second, request, &server);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(status.error_message().find("nobody"), std::string::npos);
}

TEST_F(ApiServerTest, AConnectingClientWakesTheServerAndIsAnswered) {
  Connect(1, {Asleep()});
  Client& stream = OpenStreamUntil(200);
  EXPECT_EQ(controller_->Next(v1::SyncResponse::kDemand).demand().server_uid(), "uid-time");
  EXPECT_EQ(Post(stream, kInitialize), 202);
  controller_->Publish(Awake(1));
  const json answer = Message(stream, 1);
  EXPECT_EQ(answer["id"], 0);
  EXPECT_EQ(answer["result"]["serverInfo"]["name"], "fake");
  EXPECT_EQ(Post(stream, kCall), 202);
  EXPECT_EQ(Message(stream, 2)["result"]["echo"], "tools/call");

  // The API shows what has happened without waiting for the controller.
  v1::MCPServer server;
  while (server.status().total_requests() < 2) {
    grpc::ClientContext context;
    v1::GetServerRequest request;
    request.set_uid("time");
    ASSERT_TRUE(servers_->GetServer(&context, request, &server).ok());
  }
  EXPECT_EQ(server.status().current_connections(), 1);
  EXPECT_TRUE(server.status().is_running());
  EXPECT_FALSE(server.status().is_idle());
}

TEST_F(ApiServerTest, AServerThatIsNotKnownYetIsDiscovered) {
  v1::PublishedServer published = Awake(1);
  published.mutable_server()->mutable_status()->clear_conditions();
  Connect(1, {published});
  const v1::Discovery discovery = controller_->Next(v1::SyncResponse::kDiscovery).discovery();
  EXPECT_EQ(discovery.server_uid(), "uid-time");
  EXPECT_EQ(discovery.incarnation(), 1);
  EXPECT_EQ(discovery.server_info().name(), "fake");
  EXPECT_EQ(discovery.tool_count(), 2);
  EXPECT_EQ(discovery.error(), "");

  // A controller that comes later has missed it, and is told too.
  controller_->Cut();
  Connect(1, {published});
  EXPECT_EQ(controller_->Next(v1::SyncResponse::kDiscovery).discovery().tool_count(), 2);
}

TEST_F(ApiServerTest, AServerThatCannotStartIsRefusedWithTheReason) {
  v1::PublishedServer full = Asleep();
  full.mutable_unavailable()->set_reason("PoolFull");
  full.mutable_unavailable()->set_message("3 of 3 servers of pool default run");
  full.mutable_unavailable()->set_retry_after_seconds(10);
  Connect(1, {full});
  Client* refused = nullptr;
  do {
    refused = &OpenStreamUntil(503);
    Until([&] { return refused->closed; });
  } while (!absl::StrContains(refused->messages[0], "PoolFull"));
  bool retry_after = false;
  for (const auto& [name, value] : refused->headers) {
    if (absl::EqualsIgnoreCase(name, "retry-after")) retry_after = value == "10";
  }
  EXPECT_TRUE(retry_after);
}

TEST_F(ApiServerTest, ServesOnWhenTheStateStreamBreaksAndAsksAgainWhenItIsBack) {
  Connect(1, {Asleep(), Asleep("weather")});
  OpenStreamUntil(200, "weather");
  Client& stream = OpenStream();
  controller_->Cut();

  // Known servers are still served, and the wake is not forgotten.
  EXPECT_EQ(Post(stream, kInitialize), 202);
  Connect(1, {Asleep()});  // "weather", which somebody waits for too, was deleted meanwhile
  while (controller_->Next(v1::SyncResponse::kDemand).demand().server_uid() != "uid-time") {
  }
  OpenStreamUntil(404, "weather");
  controller_->Publish(Awake(1));
  EXPECT_EQ(Message(stream, 1)["result"]["serverInfo"]["version"], "7");

  // A process that runs is not disturbed by another break.
  controller_->Cut();
  EXPECT_EQ(Post(stream, kCall), 202);
  EXPECT_EQ(Message(stream, 2)["result"]["echo"], "tools/call");
}

TEST_F(ApiServerTest, ADeposedControllerIsRefused) {
  Connect(7, {Asleep()});
  FakeController old(apiserver_->InternalChannel());
  old.Hello(6);
  EXPECT_EQ(old.Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  FakeController rude(apiserver_->InternalChannel());
  rude.SnapshotEnd();  // without Hello
  EXPECT_EQ(rude.Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  // The leader's stream is untouched; a newer one takes its place.
  controller_->Drain("uid-time", 1);
  EXPECT_TRUE(controller_->Next(v1::SyncResponse::kDrainAnswer).drain_answer().drained());
  FakeController newer(apiserver_->InternalChannel());
  newer.Hello(8);
  newer.Next(v1::SyncResponse::kHello);
  EXPECT_EQ(controller_->Finish().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(ApiServerTest, NobodyOutsideCanPublishStateOrOpenALink) {
  const auto outside = grpc::CreateChannel(absl::StrCat("127.0.0.1:", apiserver_->port()),
                                           grpc::InsecureChannelCredentials());
  FakeController intruder(outside);
  intruder.Hello(999);
  EXPECT_EQ(intruder.Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
  // Who belongs there is not disturbed.
  Connect(1, {Asleep()});
  OpenStreamUntil(200);
}

TEST_F(ApiServerTest, AServerThatOnlyClosesItsOutputIsReportedAsFailed) {
  Connect(1, {Awake(1)});
  Client& stream = OpenStreamUntil(200);
  Post(stream, kInitialize);
  Message(stream, 1);
  Run([&] { cluster_.processes["time-1"]->handler->OnClosed(absl::OkStatus()); });
  Until([&] { return stream.closed; });
  // No news of its end comes.
  const v1::Discovery discovery = controller_->Next(v1::SyncResponse::kDiscovery).discovery();
  EXPECT_EQ(discovery.incarnation(), 1);
  EXPECT_TRUE(absl::StrContains(discovery.error(), "output")) << discovery.error();
}

TEST_F(ApiServerTest, SleepIsRefusedWhileACallIsInFlight) {
  const v1::PublishedServer awake = Awake(1);
  Connect(1, {awake});
  Client& stream = OpenStreamUntil(200);
  Post(stream, kInitialize);
  Message(stream, 1);
  Run([&] { cluster_.processes["time-1"]->mute = true; });
  Post(stream, kCall);
  controller_->Drain("uid-time", 1);
  const v1::DrainAnswer answer = controller_->Next(v1::SyncResponse::kDrainAnswer).drain_answer();
  EXPECT_FALSE(answer.drained());
  EXPECT_NE(answer.reason(), "");
}

TEST_F(ApiServerTest, WhatComesDuringAnAgreedDrainIsHeldAndServedByTheNextLife) {
  Connect(1, {Awake(1)});
  Client& stream = OpenStreamUntil(200);
  Post(stream, kInitialize);
  Message(stream, 1);
  controller_->Drain("uid-time", 1);
  ASSERT_TRUE(controller_->Next(v1::SyncResponse::kDrainAnswer).drain_answer().drained());
  // A change that was on its way does not undo the agreement.
  controller_->Publish(Awake(1));
  EXPECT_EQ(Post(stream, kCall), 202);
  Run([&] {
    auto& process = *cluster_.processes["time-1"];
    EXPECT_EQ(std::count(process.received.begin(), process.received.end(), "tools/call"), 0);
    process.handler = nullptr;
  });
  // The process ends, and the client notices nothing but the time.
  Run([&] { cluster_.processes.clear(); });
  controller_->Publish(Asleep());
  // …
  controller_->Publish(Awake(2));
  EXPECT_EQ(Message(stream, 2)["result"]["echo"], "tools/call");
  Run([&] { EXPECT_FALSE(stream.closed); });
}

TEST_F(ApiServerTest, AWithdrawnDrainLetsHeldCallsThrough) {
  Connect(1, {Awake(1)});
  Client& stream = OpenStreamUntil(200);
  Post(stream, kInitialize);
  Message(stream, 1);
  controller_->Drain("uid-time", 1);
  ASSERT_TRUE(controller_->Next(v1::SyncResponse::kDrainAnswer).drain_answer().drained());
  Post(stream, kCall);
  controller_->Drain("uid-time", 1, /*withdraw=*/true);
  EXPECT_EQ(Message(stream, 2)["result"]["echo"], "tools/call");
}

TEST_F(ApiServerTest, ADeletedServerClosesItsStreams) {
  Connect(1, {Awake(1)});
  Client& stream = OpenStreamUntil(200);
  controller_->Delete("uid-time");
  Until([&] { return stream.closed; });
  EXPECT_EQ(OpenStream().status, 404);
}

// ---- servers that speak HTTP ---------------------------------------------------------

// A server that speaks Streamable HTTP, with two tools. It wants a key.
class HttpServerScript {
 public:
  void operator()(http::TestConnection& connection) {
    while (auto request = connection.Read()) {
      {
        MutexLock lock(&mutex_);
        target_ = request->target;
      }
      if (request->headers["x-key"] != "secret-value") {
        connection.Respond(401, "text/plain", absl::StrCat("not ", request->headers["x-key"]));
      } else if (request->method != "POST") {
        if (request->method == "DELETE") ++ended;
        connection.Respond(request->method == "GET" ? 405 : 200, "", "");
      } else {
        OnMessage(connection, *request);
      }
    }
  }

  std::atomic<int> started{0}, ended{0};
  std::atomic<bool> forgetful{false};
  // Of the last request.
  std::string target() const {
    MutexLock lock(&mutex_);
    return target_;
  }

 private:
  void OnMessage(http::TestConnection& connection, http::TestRequest& request) {
    const json message = json::parse(request.body);
    const std::string method = message.value("method", "");
    if (forgetful && method != "initialize") {
      forgetful = false;
      connection.Respond(404, "", "");
      return;
    }
    if (!message.contains("id")) {
      connection.Respond(202, "", "");
      return;
    }
    json answer = {{"jsonrpc", "2.0"}, {"id", message["id"]}, {"result", {{"echo", method}}}};
    if (method == "initialize") {
      ++started;
      answer["result"] = {{"protocolVersion", "2025-06-18"},
                          {"capabilities", {{"tools", json::object()}}},
                          {"serverInfo", {{"name", "remote"}, {"version", "3"}}}};
    } else if (method == "tools/list") {
      answer["result"] = {{"tools", {{{"name", "a"}}, {{"name", "b"}}}}};
    }
    connection.Respond(200, "application/json", answer.dump(), "Mcp-Session-Id: s\r\n");
  }

  mutable Mutex mutex_;
  std::string target_ ABSL_GUARDED_BY(mutex_);
};

class ApiServerHttpTest : public ApiServerTest {
 protected:
  // A server that runs elsewhere, as a controller publishes it.
  v1::PublishedServer Elsewhere(int64_t incarnation, bool discovered) {
    v1::PublishedServer published = Asleep();
    v1::MCPServerStatus& status = *published.mutable_server()->mutable_status();
    status.set_phase(discovered ? "Ready" : "Starting");
    if (!discovered) status.clear_conditions();
    published.mutable_route()->set_incarnation(incarnation);
    v1::MCPServerSpec& spec = *published.mutable_effective_spec();
    spec.set_url(remote_.url("/mcp"));
    spec.mutable_transport()->set_type("streamable-http");
    spec.set_idle_timeout(-1);
    v1::HttpHeader& header = *spec.add_headers();
    header.set_name("X-Key");
    header.set_value("secret-value");
    return published;
  }
  // The answer to a call of a client that has just connected.
  json CallOnce() {
    Client& stream = OpenStreamUntil(200);
    Post(stream, kInitialize);
    Post(stream, kCall);
    Message(stream, 1);
    return Message(stream, 2);
  }

  HttpServerScript script_;
  http::TestServer remote_{[this](http::TestConnection& connection) { script_(connection); }};
};

TEST_F(ApiServerHttpTest, AServerElsewhereIsDiscoveredByItselfAndLetGo) {
  v1::PublishedServer published = Elsewhere(1, /*discovered=*/false);
  published.mutable_effective_spec()->set_idle_timeout(1);
  Connect(1, {published});
  const v1::Discovery discovery = controller_->Next(v1::SyncResponse::kDiscovery).discovery();
  EXPECT_EQ(discovery.incarnation(), 1);
  EXPECT_EQ(discovery.server_info().name(), "remote");
  EXPECT_EQ(discovery.tool_count(), 2);
  EXPECT_EQ(discovery.error(), "");
  while (script_.ended == 0) {
  }
  EXPECT_EQ(script_.started, 1);
}

TEST_F(ApiServerHttpTest, AServerElsewhereIsConnectedToWhenAClientComesAndNotBefore) {
  Connect(1, {Elsewhere(1, /*discovered=*/true)});
  OpenStreamUntil(404, "nobody");  // the state has arrived
  EXPECT_EQ(script_.started, 0);
  EXPECT_EQ(CallOnce()["result"]["echo"], "tools/call");
  EXPECT_EQ(CallOnce()["result"]["echo"], "tools/call");
  EXPECT_EQ(script_.started, 1) << "one session for all clients";
}

TEST_F(ApiServerHttpTest, AClientKeepsItsStreamWhileTheConnectionSleeps) {
  v1::PublishedServer published = Elsewhere(1, /*discovered=*/true);
  published.mutable_effective_spec()->set_idle_timeout(1);
  Connect(1, {published});
  Client& stream = OpenStreamUntil(200);
  Post(stream, kInitialize);
  Message(stream, 1);
  while (script_.ended == 0) {
  }
  Post(stream, kCall);
  EXPECT_EQ(Message(stream, 2)["result"]["echo"], "tools/call");
  EXPECT_EQ(script_.started, 2);
}

TEST_F(ApiServerHttpTest, AServerDeclaredAnewIsConnectedToAnewOnceItIsQuiet) {
  Connect(1, {Elsewhere(1, /*discovered=*/true)});
  Client& stream = OpenStreamUntil(200);
  Post(stream, kInitialize);
  Message(stream, 1);
  controller_->Publish(Elsewhere(2, /*discovered=*/false));
  EXPECT_EQ(controller_->Next(v1::SyncResponse::kDiscovery).discovery().incarnation(), 2);
  // Whoever knew the old one connects anew, and asks what the new one can do.
  EXPECT_EQ(CallOnce()["result"]["echo"], "tools/call");
  EXPECT_EQ(script_.started, 2);

  // Suspended: no route. The connection is let go of.
  v1::PublishedServer suspended = Elsewhere(2, /*discovered=*/true);
  suspended.clear_route();
  controller_->Publish(suspended);
  while (script_.ended < 2) {
  }
}

TEST_F(ApiServerHttpTest, WrongCredentialsAreReportedWithoutThem) {
  v1::PublishedServer published = Elsewhere(1, /*discovered=*/false);
  published.mutable_effective_spec()->mutable_headers(0)->set_value("wrong-value");
  Connect(1, {published});
  const std::string error = controller_->Next(v1::SyncResponse::kDiscovery).discovery().error();
  EXPECT_TRUE(absl::StrContains(error, "spec.headers")) << error;
  EXPECT_FALSE(absl::StrContains(error, "wrong-value")) << error;
  // A new incarnation says: try again.
  controller_->Publish(Elsewhere(2, /*discovered=*/false));
  const v1::Discovery discovery = controller_->Next(v1::SyncResponse::kDiscovery).discovery();
  EXPECT_EQ(discovery.incarnation(), 2);
  EXPECT_EQ(discovery.error(), "");
}

TEST_F(ApiServerHttpTest, AUrlIsAskedForWithWhatItRefersTo) {
  v1::PublishedServer published = Elsewhere(1, /*discovered=*/false);
  v1::MCPServerSpec& spec = *published.mutable_effective_spec();
  spec.set_url(absl::StrCat(spec.url(), "?token=$(TOKEN)"));
  spec.add_env()->set_name("TOKEN");
  spec.mutable_env(0)->set_value("t-1");
  Connect(1, {published});
  EXPECT_EQ(controller_->Next(v1::SyncResponse::kDiscovery).discovery().error(), "");
  EXPECT_EQ(script_.target(), "/mcp?token=t-1");
}

TEST_F(ApiServerHttpTest, AServerElsewhereThatIsNotThereFailsItsCallers) {
  v1::PublishedServer published = Elsewhere(1, /*discovered=*/true);
  { published.mutable_effective_spec()->set_url(http::TestServer([](http::TestConnection&) {}).url("/mcp")); }
  Connect(1, {published});
  Client& stream = OpenStreamUntil(200);
  Post(stream, kInitialize);
  const std::string error = Message(stream, 1)["error"]["message"];
  EXPECT_TRUE(absl::StrContains(error, "cannot reach http://127.0.0.1")) << error;
  EXPECT_TRUE(absl::StrContains(controller_->Next(v1::SyncResponse::kDiscovery).discovery().error(), "cannot reach"));
}

TEST_F(ApiServerHttpTest, AServerThatForgetsItsSessionIsInitializedAnew) {
  Connect(1, {Elsewhere(1, /*discovered=*/true)});
  Client& stream = OpenStreamUntil(200);
  Post(stream, kInitialize);
  Message(stream, 1);
  script_.forgetful = true;
  Post(stream, kCall);
  EXPECT_EQ(Message(stream, 2)["error"]["code"], -32603);
  Until([&] { return stream.closed; });
  EXPECT_EQ(CallOnce()["result"]["echo"], "tools/call");
  EXPECT_EQ(script_.started, 2);
}

TEST_F(ApiServerHttpTest, AServerInAPodIsReachedAtItsPort) {
  v1::PublishedServer published = Awake(1);
  *published.mutable_effective_spec() = Elsewhere(1, true).effective_spec();
  published.mutable_effective_spec()->clear_url();
  published.mutable_effective_spec()->mutable_transport()->set_port(remote_.port());
  published.mutable_route()->set_address("127.0.0.1");
  Connect(1, {published});
  EXPECT_EQ(CallOnce()["result"]["echo"], "tools/call");
  // Its life ends, and the next one is connected to.
  controller_->Publish(Asleep());
  while (script_.ended == 0) {
  }
  published.mutable_route()->set_incarnation(2);
  controller_->Publish(published);
  EXPECT_EQ(CallOnce()["result"]["echo"], "tools/call");
  EXPECT_EQ(script_.started, 2);
}

TEST_F(ApiServerTest, AnExchangeWaitsForAServerThatTheControllerHasNotPublishedYet) {
  Connect(1, {});
  OpenStreamUntil(404);
  kube::Object object(kube::MCPServerKind(), "default", "time");
  object.json()["metadata"]["uid"] = "uid-time";
  object.json()["metadata"]["resourceVersion"] = "1";
  cluster_.servers["time"] = object;
  grpc::ClientContext context;
  v1::GetServerRequest request;
  request.set_uid("time");
  v1::MCPServer server;
  ASSERT_TRUE(servers_->GetServer(&context, request, &server).ok());
  EXPECT_EQ(server.uid(), "uid-time");

  Client& held = clients_.emplace_back();
  Run([&] {
    v1::Open open;
    open.set_kind(v1::EXCHANGE_KIND_SSE_STREAM);
    open.set_server("time");
    caller_->Open(std::move(open), "", &held);
  });
  // Another goes the same way, and is answered: so the first has arrived.
  OpenStream("nobody");
  Run([&] { EXPECT_EQ(held.status, 0); });
  controller_->Publish(Asleep());
  Until([&] { return held.status != 0; });
  EXPECT_EQ(held.status, 200);
}

TEST_F(ApiServerTest, APortInUseIsSaidToBe) {
  EventLoop loop("second");
  const auto second = ApiServer::Create({.loop = &loop,
                                         .cluster = &cluster_,
                                         .random = Random::System(),
                                         .registry = &registry_,
                                         .version = "test",
                                         .host = "127.0.0.1",
                                         .port = apiserver_->port()});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("--grpc-port"), absl::string_view::npos);
}

}  // namespace
}  // namespace unmcp::apiserver
