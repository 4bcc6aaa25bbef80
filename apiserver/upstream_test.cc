// The HTTP transports against servers that the tests script.

#include "apiserver/upstream.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apiserver/upstream_access.h"
#include "apiserver/upstream_sse.h"
#include "apiserver/upstream_streamable.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "gtest/gtest.h"
#include "http/test_server.h"
#include "nlohmann/json.hpp"

namespace unmcp::apiserver {
namespace {

using http::TestConnection;
using http::TestRequest;
using http::TestServer;
using nlohmann::json;

// What an upstream says, on the loop.
struct Recorder final : Upstream::Handler {
  bool open = false, closed = false;
  std::vector<std::string> messages;
  std::vector<size_t> oversized;
  absl::Status why;
  void OnOpen() override { open = true; }
  void OnMessage(absl::string_view message) override { messages.emplace_back(message); }
  void OnOversized(absl::string_view, absl::string_view, size_t length) override { oversized.push_back(length); }
  void OnClosed(absl::Status status) override {
    closed = true;
    why = std::move(status);
  }
};

// What a scripted server has been asked, for the test's thread.
class Log {
 public:
  void Add(TestRequest request) {
    MutexLock lock(&mutex_);
    requests_.push_back(std::move(request));
  }
  std::vector<TestRequest> Get() const {
    MutexLock lock(&mutex_);
    return requests_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<TestRequest> requests_ ABSL_GUARDED_BY(mutex_);
};

constexpr char kInitialize[] =
    R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})";
constexpr char kInitialized[] = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";

std::string Answer(const std::string& body) {
  json answer = {{"jsonrpc", "2.0"}, {"id", json::parse(body)["id"]}, {"result", {{"protocolVersion", "2025-06-18"}}}};
  return answer.dump();
}
std::string Call(int id) { return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":"tools/call"})"); }

class UpstreamTest : public ::testing::Test {
 protected:
  UpstreamTest() {
    loop_.Start();
    Run([this] { client_ = http::Client::Create({.loop = &loop_}).value(); });
  }
  ~UpstreamTest() override {
    Run([this] {
      upstream_ = nullptr;
      client_ = nullptr;
    });
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
  HttpEndpoint Endpoint(const std::string& url) {
    return {.loop = &loop_,
            .client = client_.get(),
            .url = url,
            .headers = {{"X-Key", "secret-value"}},
            .direct = true};
  }
  template <class T>
  void Open(HttpEndpoint endpoint) {
    Run([&] { upstream_ = std::make_unique<T>(std::move(endpoint), &heard_); });
    Until([&] { return heard_.open || heard_.closed; });
  }
  void Send(const std::string& message) {
    Run([&] { upstream_->Send(message); });
  }
  json Message(size_t index) {
    Until([&] { return heard_.messages.size() > index || heard_.closed; });
    json message;
    Run([&] {
      if (index < heard_.messages.size()) message = json::parse(heard_.messages[index]);
    });
    return message;
  }
  absl::Status Closed() {
    Until([&] { return heard_.closed; });
    return heard_.why;
  }

  EventLoop loop_{"upstream"};
  std::unique_ptr<http::Client> client_;
  Recorder heard_;
  std::unique_ptr<Upstream> upstream_;
};

// ---- Streamable HTTP ---------------------------------------------------------------

// A server with sessions: initialize and notifications work; `call` serves every
// other POST, `get` the GETs.
struct StreamableServer {
  using Serve = std::function<void(TestConnection&, const TestRequest&)>;
  Log log;
  Serve call = [](TestConnection& c, const TestRequest& r) { c.Respond(200, "application/json", Answer(r.body)); };
  Serve get = [](TestConnection& c, const TestRequest&) { c.Respond(405, "", ""); };

  void operator()(TestConnection& connection) {
    while (auto request = connection.Read()) {
      log.Add(*request);
      if (request->method == "GET") {
        get(connection, *request);
      } else if (request->method == "DELETE") {
        connection.Respond(200, "", "");
      } else if (absl::StrContains(request->body, "\"initialize\"")) {
        connection.Respond(200, "application/json", Answer(request->body), "Mcp-Session-Id: session-1\r\n");
      } else if (!json::parse(request->body).contains("id")) {
        connection.Respond(202, "", "");
      } else {
        call(connection, *request);
      }
    }
  }
  // The requests of one method, in order.
  std::vector<TestRequest> Seen(const std::string& method) const {
    std::vector<TestRequest> seen;
    for (TestRequest& request : log.Get()) {
      if (request.method == method) seen.push_back(std::move(request));
    }
    return seen;
  }
};

class StreamableTest : public UpstreamTest {
 protected:
  ~StreamableTest() override {
    Run([this] { upstream_ = nullptr; });
  }
  void Handshake(TestServer& server) {
    Open<StreamableUpstream>(Endpoint(server.url("/mcp")));
    Send(kInitialize);
    ASSERT_EQ(Message(0)["id"], 1);
    Send(kInitialized);
  }
};

TEST_F(StreamableTest, TheSessionAndTheVersionGoWithEveryRequest) {
  StreamableServer script;
  TestServer server([&](TestConnection& c) { script(c); });
  Handshake(server);
  Send(Call(2));
  EXPECT_EQ(Message(1)["id"], 2);
  Until([&] { return !script.Seen("GET").empty(); });
  Run([this] { upstream_ = nullptr; });
  while (script.Seen("DELETE").empty()) {
  }
  const std::vector<TestRequest> posts = script.Seen("POST");
  ASSERT_EQ(posts.size(), 3u);
  EXPECT_EQ(posts[0].headers.at("accept"), "application/json, text/event-stream");
  EXPECT_EQ(posts[0].headers.count("mcp-session-id"), 0u);
  EXPECT_EQ(posts[0].headers.count("mcp-protocol-version"), 0u);
  for (TestRequest request : {posts[1], posts[2], script.Seen("GET").at(0), script.Seen("DELETE").at(0)}) {
    EXPECT_EQ(request.headers["mcp-session-id"], "session-1") << request.method;
    EXPECT_EQ(request.headers["mcp-protocol-version"], "2025-06-18") << request.method;
    EXPECT_EQ(request.headers["x-key"], "secret-value") << request.method;
    EXPECT_EQ(request.target, "/mcp");
  }
}

TEST_F(StreamableTest, AnswersComeAsJsonOrAsEvents) {
  StreamableServer script;
  script.call = [](TestConnection& c, const TestRequest& r) {
    c.Begin(200, "text/event-stream");
    c.Chunk("event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n");
    c.Chunk(absl::StrCat("data: ", Answer(r.body), "\n\n"));
    c.Chunk("");
  };
  TestServer server([&](TestConnection& c) { script(c); });
  Handshake(server);
  Send(Call(2));
  EXPECT_EQ(Message(1)["method"], "notifications/progress");
  EXPECT_EQ(Message(2)["id"], 2);
  EXPECT_FALSE(heard_.closed);
  EXPECT_EQ(upstream_->pending(), 0u);
}

TEST_F(StreamableTest, CallsRunSideBySide) {
  StreamableServer script;
  Notification second;
  script.call = [&](TestConnection& c, const TestRequest& r) {
    const int id = json::parse(r.body)["id"];
    if (id == 2) second.Wait();
    if (id == 3) second.Notify();
    c.Respond(200, "application/json", Answer(r.body));
  };
  TestServer server([&](TestConnection& c) { script(c); });
  Handshake(server);
  Send(Call(2));
  Send(Call(3));
  EXPECT_EQ(Message(1)["id"].get<int>() + Message(2)["id"].get<int>(), 5);
}

TEST_F(StreamableTest, WhatTheServerSaysUnaskedIsHeard) {
  StreamableServer script;
  script.get = [](TestConnection& c, const TestRequest&) {
    c.Begin(200, "text/event-stream");
    c.Chunk("data: {\"jsonrpc\":\"2.0\",\"id\":\"s1\",\"method\":\"sampling/createMessage\"}\n\n");
    c.AwaitClose();
  };
  TestServer server([&](TestConnection& c) { script(c); });
  Handshake(server);
  EXPECT_EQ(Message(1)["method"], "sampling/createMessage");
}

TEST_F(StreamableTest, ACallWhoseConnectionBreaksFailsAlone) {
  StreamableServer script;
  std::atomic<int> calls{0};
  script.call = [&](TestConnection& c, const TestRequest& r) {
    if (calls++ > 0) {
      c.Respond(200, "application/json", Answer(r.body));
      return;
    }
    c.Begin(200, "text/event-stream");
    c.Chunk(": working\n\n");
    c.Reset();
    throw std::string("cut");
  };
  TestServer server([&](TestConnection& c) {
    try {
      script(c);
    } catch (const std::string&) {
    }
  });
  Handshake(server);
  Send(Call(2));
  const json failed = Message(1);
  EXPECT_EQ(failed["id"], 2);
  EXPECT_EQ(failed["error"]["code"], -32603);
  Send(Call(3));
  EXPECT_EQ(Message(2)["id"], 3);
  EXPECT_TRUE(Message(2).contains("result"));
}

TEST_F(StreamableTest, AnAnswerThatBreaksOffIsResumedWhereEventsAreNumbered) {
  StreamableServer script;
  std::string answer;
  script.call = [&](TestConnection& c, const TestRequest& r) {
    answer = Answer(r.body);
    c.Begin(200, "text/event-stream");
    c.Chunk("id: e1\nretry: 1\ndata:\n\n");
    c.Chunk("");  // on purpose: the rest is to be fetched
  };
  script.get = [&](TestConnection& c, const TestRequest& r) {
    if (r.headers.count("last-event-id") == 0) {
      c.Respond(405, "", "");
      return;
    }
    c.Begin(200, "text/event-stream");
    c.Chunk(absl::StrCat("id: e2\ndata: ", answer, "\n\n"));
    c.Chunk("");
  };
  TestServer server([&](TestConnection& c) { script(c); });
  Handshake(server);
  Send(Call(2));
  EXPECT_EQ(Message(1)["id"], 2);
  EXPECT_TRUE(Message(1).contains("result"));
  EXPECT_EQ(script.Seen("GET").back().headers["last-event-id"], "e1");
  EXPECT_EQ(script.Seen("POST").size(), 3u) << "the call is not made again";
}

TEST_F(StreamableTest, AForgottenSessionClosesTheUpstream) {
  // As the standard says, and as servers made with the SDK's example do.
  for (const int status : {404, 400}) {
    StreamableServer script;
    script.call = [&](TestConnection& c, const TestRequest&) {
      c.Respond(status, "application/json",
                R"({"jsonrpc":"2.0","error":{"code":-32000,"message":"No valid session ID provided"},"id":null})");
    };
    TestServer server([&](TestConnection& c) { script(c); });
    heard_ = {};
    Handshake(server);
    Send(Call(2));
    EXPECT_TRUE(absl::StrContains(Closed().message(), "session"));
    Run([this] { upstream_ = nullptr; });
    EXPECT_TRUE(script.Seen("DELETE").empty());
  }
}

TEST_F(StreamableTest, AServerThatWasStartedAnewIsNoticedOnItsStream) {
  StreamableServer script;
  std::atomic<int> streams{0};
  script.get = [&](TestConnection& c, const TestRequest&) {
    if (streams++ > 0) {
      c.Respond(400, "application/json", "{}");
      return;
    }
    c.Begin(200, "text/event-stream");
    c.Chunk("retry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n");
    c.Chunk("");
  };
  TestServer server([&](TestConnection& c) { script(c); });
  Handshake(server);
  EXPECT_TRUE(absl::StrContains(Closed().message(), "session"));
}

TEST_F(StreamableTest, ErrorsOfTheTransportAnswerTheCall) {
  StreamableServer script;
  std::atomic<int> calls{0};
  script.call = [&](TestConnection& c, const TestRequest&) {
    switch (calls++) {
      case 0:
        c.Respond(400, "application/json",
                  R"({"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"not so"}})");
        return;
      case 1: c.Respond(500, "text/html", "<html>a stack trace</html>"); return;
      case 2: c.Respond(202, "", ""); return;
      case 3: c.Respond(200, "application/json", "{}"); return;
      default: c.Respond(401, "", "");
    }
  };
  TestServer server([&](TestConnection& c) { script(c); });
  Handshake(server);
  const std::vector<std::string> expected = {"not so", "HTTP 500", "answered HTTP 202 with nothing",
                                             "no JSON-RPC answer", "spec.headers"};
  for (size_t i = 0; i < expected.size(); ++i) {
    Send(Call(static_cast<int>(i) + 2));
    const json message = Message(i + 1);
    EXPECT_EQ(message["id"], i + 2);
    EXPECT_TRUE(absl::StrContains(message["error"]["message"].get<std::string>(), expected[i])) << message;
  }
  EXPECT_FALSE(heard_.closed);
}

TEST_F(StreamableTest, AServerThatWantsCredentialsSaysSo) {
  TestServer server([](TestConnection& c) {
    while (c.Read()) c.Respond(401, "application/json", R"({"error":"bad token secret-value"})");
  });
  Open<StreamableUpstream>(Endpoint(server.url("/mcp")));
  Send(kInitialize);
  const absl::Status why = Closed();
  EXPECT_EQ(why.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(absl::StrContains(why.message(), "spec.headers")) << why;
  EXPECT_FALSE(absl::StrContains(why.message(), "secret-value")) << why;
}

TEST_F(StreamableTest, AServerThatStartsIsWaitedFor) {
  int port = 0;
  { port = TestServer([](TestConnection&) {}).port(); }
  HttpEndpoint endpoint = Endpoint(absl::StrCat("http://127.0.0.1:", port, "/mcp"));
  Open<StreamableUpstream>(endpoint);
  Send(kInitialize);
  EXPECT_EQ(Closed().code(), absl::StatusCode::kUnavailable) << "without patience";

  // A proxy in front of it that says 503 for a while looks the same.
  std::atomic<int> tries{0};
  TestServer server([&](TestConnection& c) {
    while (auto request = c.Read()) {
      if (tries++ < 2) {
        c.Respond(503, "", "");
      } else {
        c.Respond(200, "application/json", Answer(request->body));
      }
    }
  });
  heard_ = {};
  endpoint = Endpoint(server.url("/mcp"));
  endpoint.patience = absl::Seconds(30);
  Open<StreamableUpstream>(endpoint);
  Send(kInitialize);
  EXPECT_EQ(Message(0)["id"], 1);
  EXPECT_EQ(tries, 3);
}

TEST_F(StreamableTest, MessagesThatAreNoRequestsArriveInOrder) {
  StreamableServer script;
  TestServer server([&](TestConnection& c) { script(c); });
  Handshake(server);
  Run([this] {
    for (int i = 0; i < 20; ++i) {
      upstream_->Send(absl::StrCat(R"({"jsonrpc":"2.0","method":"notifications/x","params":{"n":)", i, "}}"));
    }
    upstream_->Send(Call(2));
  });
  EXPECT_EQ(Message(1)["id"], 2);
  const std::vector<TestRequest> posts = script.Seen("POST");
  ASSERT_EQ(posts.size(), 23u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(json::parse(posts[i + 2].body)["params"]["n"], i);
}

// ---- HTTP+SSE ----------------------------------------------------------------------

// A server whose stream names `endpoint`, and then says what `say` waits for.
class SseServer {
 public:
  explicit SseServer(std::string endpoint) : endpoint_(std::move(endpoint)) {}

  void operator()(TestConnection& connection) {
    while (auto request = connection.Read()) {
      log.Add(*request);
      if (request->method == "POST") {
        connection.Respond(post_status, "", "Accepted");
        if (post_status != 202) continue;
        if (json::parse(request->body).contains("id")) {
          Say(absl::StrCat("event: message\r\ndata: ", Answer(request->body), "\r\n\r\n"));
        }
        continue;
      }
      connection.Begin(200, "text/event-stream; charset=utf-8");
      connection.Chunk(absl::StrCat("event: endpoint\r\ndata: ", endpoint_, "\r\n\r\n"));
      {
        MutexLock lock(&mutex_);
        stream_ = &connection;
      }
      connection.AwaitClose();
      MutexLock lock(&mutex_);
      stream_ = nullptr;
      return;
    }
  }
  void Say(const std::string& bytes) {
    MutexLock lock(&mutex_);
    if (stream_ != nullptr) stream_->Chunk(bytes);
  }

  Log log;
  std::atomic<int> post_status{202};

 private:
  const std::string endpoint_;
  Mutex mutex_;
  TestConnection* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

class SseTest : public UpstreamTest {
 protected:
  ~SseTest() override {
    Run([this] { upstream_ = nullptr; });
  }
};

TEST_F(SseTest, MessagesArePostedInOrderAndAnsweredOnTheStream) {
  SseServer script("/message?sessionId=1");
  TestServer server([&](TestConnection& c) { script(c); });
  Open<SseUpstream>(Endpoint(server.url("/mcp/sse?key=1")));
  Run([this] {
    for (int id = 1; id <= 20; ++id) upstream_->Send(Call(id));
  });
  for (int id = 1; id <= 20; ++id) EXPECT_EQ(Message(id - 1)["id"], id);
  const std::vector<TestRequest> requests = script.log.Get();
  ASSERT_EQ(requests.size(), 21u);
  EXPECT_EQ(requests[0].target, "/mcp/sse?key=1");
  EXPECT_EQ(requests[0].headers.at("accept"), "text/event-stream");
  EXPECT_EQ(requests[1].target, "/message?sessionId=1");
  EXPECT_EQ(requests[1].headers.at("content-type"), "application/json");
  for (const TestRequest& request : requests) EXPECT_EQ(request.headers.at("x-key"), "secret-value");
  Run([this] { EXPECT_EQ(upstream_->pending(), 0u); });
}

TEST_F(SseTest, AnEndpointOfAnotherOriginIsRefused) {
  SseServer elsewhere("/x");
  TestServer other([&](TestConnection& c) { elsewhere(c); });
  SseServer script(other.url("/message"));
  TestServer server([&](TestConnection& c) { script(c); });
  Open<SseUpstream>(Endpoint(server.url("/sse")));
  EXPECT_EQ(Closed().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(elsewhere.log.Get().empty());
}

TEST_F(SseTest, TheEndOfTheStreamIsTheEnd) {
  Notification go;
  TestServer server([&](TestConnection& c) {
    c.Read();
    c.Begin(200, "text/event-stream");
    c.Chunk("event: endpoint\ndata: message\n\n");
    go.Wait();
    c.Reset();
  });
  Open<SseUpstream>(Endpoint(server.url("/sse")));
  EXPECT_TRUE(heard_.open);
  go.Notify();
  EXPECT_EQ(Closed().code(), absl::StatusCode::kAborted);
}

TEST_F(SseTest, ACallThatIsNotAcceptedFails) {
  SseServer script("/message");
  TestServer server([&](TestConnection& c) { script(c); });
  Open<SseUpstream>(Endpoint(server.url("/sse")));
  script.post_status = 500;
  Send(Call(7));
  EXPECT_EQ(Message(0)["id"], 7);
  EXPECT_TRUE(absl::StrContains(Message(0)["error"]["message"].get<std::string>(), "HTTP 500"));
  script.post_status = 202;
  Send(Call(8));
  EXPECT_TRUE(Message(1).contains("result"));
}

TEST_F(SseTest, WhatIsNoEventStreamIsSaid) {
  TestServer server([](TestConnection& c) {
    while (auto request = c.Read()) c.Respond(request->target == "/none" ? 404 : 200, "text/html", "hello");
  });
  Open<SseUpstream>(Endpoint(server.url("/")));
  EXPECT_TRUE(absl::StrContains(Closed().message(), "text/html")) << heard_.why;
  heard_ = {};
  Open<SseUpstream>(Endpoint(server.url("/none")));
  EXPECT_TRUE(absl::StrContains(Closed().message(), "HTTP 404")) << heard_.why;
  EXPECT_TRUE(absl::StrContains(Closed().message(), "spec.transport.path")) << heard_.why;
}

TEST_F(SseTest, AServerThatStartsIsWaitedForAndNoLonger) {
  std::atomic<int> tries{0};
  SseServer script("/message");
  TestServer server([&](TestConnection& c) {
    if (tries++ < 2) return;  // accepts, and hangs up
    script(c);
  });
  HttpEndpoint endpoint = Endpoint(server.url("/sse"));
  endpoint.patience = absl::Seconds(30);
  Open<SseUpstream>(endpoint);
  EXPECT_TRUE(heard_.open);

  heard_ = {};
  TestServer silent([](TestConnection& c) { c.AwaitClose(); });
  endpoint = Endpoint(silent.url("/sse"));
  endpoint.startup_timeout = absl::Milliseconds(20);
  Open<SseUpstream>(endpoint);
  EXPECT_EQ(Closed().code(), absl::StatusCode::kDeadlineExceeded);
}

// ---- headers -----------------------------------------------------------------------

// A cluster that has objects to read, and nothing else.
class FakeCluster final : public kube::Cluster {
 public:
  void Get(const kube::ObjectRef& ref, kube::Callback<kube::Object> done) override {
    auto it = objects.find(absl::StrCat(ref.kind.kind, "/", ref.ns, "/", ref.name));
    if (it == objects.end()) return done(absl::NotFoundError("not found"));
    done(kube::Object(it->second));
  }
  void List(const kube::Kind&, const std::string&, kube::ListOptions, kube::Callback<kube::ObjectList>) override {}
  void Create(const kube::Kind&, kube::Object, kube::Callback<kube::Object>) override {}
  void Patch(const kube::ObjectRef&, kube::Json, kube::PatchOptions, kube::Callback<kube::Object>) override {}
  void Delete(const kube::ObjectRef&, kube::DeleteOptions, kube::DoneCallback) override {}
  std::unique_ptr<kube::Watch> StartWatch(const kube::Kind&, const std::string&, kube::WatchOptions,
                                          kube::WatchCallbacks) override {
    return nullptr;
  }
  void Attach(const kube::ObjectRef&, kube::AttachOptions,
              kube::Callback<std::unique_ptr<kube::Attachment>>) override {}
  void Logs(const kube::ObjectRef&, kube::LogOptions, kube::Callback<std::string>) override {}
  std::unique_ptr<kube::Watch> FollowLogs(const kube::ObjectRef&, kube::LogOptions, kube::LogCallbacks) override {
    return nullptr;
  }

  std::map<std::string, json> objects;
};

class AccessTest : public UpstreamTest {
 protected:
  absl::StatusOr<ResolvedAccess> Access(const v1::MCPServerSpec& spec) {
    Notification done;
    absl::StatusOr<ResolvedAccess> result;
    Run([&] {
      ResolveAccess(&cluster_, &loop_, "ns", spec, [&](absl::StatusOr<ResolvedAccess> answer) {
        result = std::move(answer);
        done.Notify();
      });
    });
    done.Wait();
    return result;
  }
  absl::StatusOr<http::Headers> Resolve(const std::vector<v1::HttpHeader>& headers) {
    v1::MCPServerSpec spec;
    spec.mutable_headers()->Add(headers.begin(), headers.end());
    auto access = Access(spec);
    if (!access.ok()) return access.status();
    return access->headers;
  }
  // The address with TOKEN from the Secret "s"; BASE is in the spec itself.
  absl::StatusOr<ResolvedAccess> Url(const std::string& url, const std::string& key, bool optional = false) {
    v1::MCPServerSpec spec;
    spec.set_url(url);
    spec.add_env()->set_name("OTHER");
    spec.mutable_env(0)->mutable_value_from()->mutable_secret_key_ref()->set_name("not-needed");
    v1::EnvVar& token = *spec.add_env();
    token.set_name("TOKEN");
    *token.mutable_value_from() = FromSecret(key, optional).value_from();
    v1::EnvVar& query = *spec.add_env();
    query.set_name("QUERY");
    query.set_value("t=$(TOKEN)&$$x");
    return Access(spec);
  }
  static v1::HttpHeader Literal(const std::string& name, const std::string& value) {
    v1::HttpHeader header;
    header.set_name(name);
    header.set_value(value);
    return header;
  }
  static v1::HttpHeader FromSecret(const std::string& key, bool optional = false) {
    v1::HttpHeader header;
    header.set_name("Authorization");
    v1::KeyRef& ref = *header.mutable_value_from()->mutable_secret_key_ref();
    ref.set_name("s");
    ref.set_key(key);
    if (optional) ref.set_optional(true);
    return header;
  }

  FakeCluster cluster_;
};

TEST_F(AccessTest, ValuesAreReadFromSecretsAndConfigMaps) {
  cluster_.objects["Secret/ns/s"] = {{"data", {{"token", "QmVhcmVyIGFiYwo="}}}};  // "Bearer abc\n"
  cluster_.objects["ConfigMap/ns/c"] = {{"data", {{"region", "eu"}}}};
  v1::HttpHeader map;
  map.set_name("X-Region");
  map.mutable_value_from()->mutable_config_map_key_ref()->set_name("c");
  map.mutable_value_from()->mutable_config_map_key_ref()->set_key("region");
  const auto headers = Resolve({Literal("X-A", "1"), FromSecret("token"), FromSecret("none", true), map});
  ASSERT_TRUE(headers.ok()) << headers.status();
  EXPECT_EQ(*headers, (http::Headers{{"X-A", "1"}, {"Authorization", "Bearer abc"}, {"X-Region", "eu"}}));
}

TEST_F(AccessTest, WhatIsMissingIsNamedByItsField) {
  const auto absent = Resolve({Literal("X-A", "1"), FromSecret("token")});
  EXPECT_EQ(absent.status().message(),
            "spec.headers[1].valueFrom.secretKeyRef: there is no Secret \"s\" in namespace ns");
  cluster_.objects["Secret/ns/s"] = {{"data", {{"token", "IQ=="}, {"lines", "YQpiCg=="}}}};
  EXPECT_EQ(Resolve({FromSecret("tokem")}).status().message(),
            "spec.headers[0].valueFrom.secretKeyRef: Secret \"s\" has no key \"tokem\"");
  EXPECT_TRUE(absl::StrContains(Resolve({FromSecret("lines")}).status().message(), "several lines"));
  EXPECT_TRUE(absl::StrContains(Resolve({Literal("content-Length", "7")}).status().message(), "spec.headers[0].name"));
}

TEST_F(AccessTest, AUrlRefersToVariables) {
  cluster_.objects["Secret/ns/s"] = {{"data", {{"token", "YSUyMGJjZGVmCg=="}, {"spaces", "YSBi"}}}};  // "a%20bcdef\n", "a b"
  const auto access = Url("https://x/$(TOKEN)/mcp?$(QUERY)&$$(TOKEN)", "token");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->url, "https://x/a%20bcdef/mcp?t=a%20bcdef&$x&$(TOKEN)");
  EXPECT_EQ(WithoutValues("no https://x/a%20bcdef/", *access), "no https://x/***/");

  EXPECT_EQ(Url("https://x/?t=$(TOKEN)", "none").status().message(),
            "spec.env[1].valueFrom.secretKeyRef: Secret \"s\" has no key \"none\"");
  EXPECT_EQ(Url("https://x/?t=$(TOKEN)", "none", /*optional=*/true)->url, "https://x/?t=");
  EXPECT_EQ(Url("https://x/?t=$(TOKEN)", "spaces").status().message(),
            "spec.env[1]: the value has characters that a URL cannot have; percent-encode them");
}

TEST(WithoutValues, NoValueIsLeftInAText) {
  const ResolvedAccess access{.headers = {{"Authorization", "Bearer abcdefgh"}, {"X", "on"}}};
  EXPECT_EQ(WithoutValues("no \"Bearer abcdefgh\", abcdefgh is on", access), "no \"***\", *** is on");
}

}  // namespace
}  // namespace unmcp::apiserver
