#include "gateway/http_server.h"

#include <sys/resource.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "gateway/http_test_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp::gateway {
namespace {

using ::testing::HasSubstr;

// The paths mean: /echo answers with the body; /now answers at the head;
// /hang never does; /stream opens a stream that the test writes to.
class FakeHandler : public HttpHandler {
 public:
  class Exchange : public HttpExchange {
   public:
    Exchange(FakeHandler* owner, HttpResponder* responder, std::string kind)
        : owner_(owner), responder_(responder), kind_(std::move(kind)) {}
    ~Exchange() override {
      if (owner_->current == this) owner_->current = nullptr;
      if (kind_ != "/echo") owner_->gone.Notify();
    }
    void OnRequest(std::string body) override {
      if (kind_ == "/echo") return responder_->Respond({200, {{"X-Forged", "a\r\nb"}}, std::move(body)});
      owner_->current = this;
      if (kind_ == "/stream") responder_->BeginStream(200, {{"Content-Type", "text/event-stream"}});
      owner_->begun.Notify();
    }
    void OnWritten(size_t credit) override { owner_->credit += credit; }
    void OnStreamIdle() override { responder_->Write(":idle\n", 0); }
    void OnShutdown() override {
      if (kind_ == "/stream") responder_->Finish();
    }
    HttpResponder* responder() const { return responder_; }

   private:
    FakeHandler* const owner_;
    HttpResponder* const responder_;
    const std::string kind_;
  };

  std::unique_ptr<HttpExchange> OnHead(const RequestHead& head, HttpResponder* responder) override {
    const std::string path(head.target());
    responder->SetRoute("/some");
    if (path == "/now") {
      responder->Respond({200, {}, "now"});
      return nullptr;
    }
    return std::make_unique<Exchange>(this, responder, path);
  }
  void OnAnswered(absl::string_view route, absl::string_view method, int status) override {
    ++answered[absl::StrCat(route, " ", method, " ", status)];
  }
  void OnRejected(absl::string_view reason) override { ++rejected[std::string(reason)]; }
  void OnConnectionCount(size_t count) override { connections = std::max(connections, count); }

  Exchange* current = nullptr;  // the last /hang or /stream
  Notification begun, gone;     // of the first /hang or /stream
  size_t credit = 0;
  size_t connections = 0;
  std::map<std::string, int> answered, rejected;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpServer::Limits limits = {}) {
    auto server = HttpServer::Create({.loop = &loop_, .handler = &handler_, .limits = limits});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    loop_.Start();
  }
  ~HttpServerTest() override { loop_.Stop(); }
  int port() const { return server_->port(); }

  // Runs on the loop, and waits for it.
  void OnLoop(absl::AnyInvocable<void()> task) {
    Notification done;
    loop_.Post([&] {
      task();
      done.Notify();
    });
    done.Wait();
  }
  int Rejected(const std::string& reason) {
    int count = 0;
    OnLoop([&] { count = handler_.rejected[reason]; });
    return count;
  }

  FakeHandler handler_;
  EventLoop loop_{"http-test"};
  std::unique_ptr<HttpServer> server_;
};

std::string Post(absl::string_view body, absl::string_view path = "/echo") {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: x\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

TEST_F(HttpServerTest, AConnectionServesManyRequests) {
  Start();
  HttpTestClient client(port());
  for (int i = 0; i < 3; ++i) {
    client.Request("POST", "/echo", "", absl::StrCat("body ", i));
    const TestResponse response = client.ReadResponse();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, absl::StrCat("body ", i));
    EXPECT_EQ(response.headers.count("connection"), 0u);
    EXPECT_EQ(response.headers.count("date"), 1u);
    EXPECT_EQ(response.headers.count("x-forged"), 0u) << "a header with a line break must not be sent";
  }
  client.Request("HEAD", "/now");
  const TestResponse head = client.ReadResponse(/*head=*/true);
  EXPECT_EQ(head.headers.at("content-length"), "3");
  client.Request("GET", "/now");
  EXPECT_EQ(client.ReadResponse().body, "now") << "HEAD's answer had a body";
  client.Request("GET", "/now", "Connection: close\r\n");
  EXPECT_EQ(client.ReadResponse().headers.at("connection"), "close");
  EXPECT_TRUE(client.AtEnd());
  OnLoop([&] {
    EXPECT_EQ(handler_.answered["/some POST 200"], 3);
    EXPECT_EQ(handler_.answered["/some HEAD 200"], 1);
  });
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  HttpTestClient client(port());
  std::string requests;
  for (int i = 0; i < 50; ++i) absl::StrAppend(&requests, Post(absl::StrCat("n", i)), i % 2 ? "\r\n" : "");
  client.Send(requests);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.ReadResponse().body, absl::StrCat("n", i));
}

TEST_F(HttpServerTest, PipelinedRequestsBeforeAHalfCloseAreAnswered) {
  Start();
  HttpTestClient client(port());
  client.Send(Post("a") + Post("b"));
  client.CloseSending();
  EXPECT_EQ(client.ReadResponse().body, "a");
  EXPECT_EQ(client.ReadResponse().body, "b");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, BytesMayComeOneByOne) {
  Start();
  HttpTestClient client(port());
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n" + Post("next");
  for (const char c : request) ASSERT_TRUE(client.Send(absl::string_view(&c, 1)));
  EXPECT_EQ(client.ReadResponse().body, "abc0123456789abcdef");
  EXPECT_EQ(client.ReadResponse().body, "next");
}

TEST_F(HttpServerTest, TellsTheClientToContinue) {
  Start();
  HttpTestClient client(port());
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadHead().status, 100);
  client.Send("ok");
  EXPECT_EQ(client.ReadResponse().body, "ok");
  // Too large: told before it sends.
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadResponse().status, 413);
}

TEST_F(HttpServerTest, Http10ClosesUnlessAskedNotTo) {
  Start();
  HttpTestClient client(port());
  client.Send("GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client.ReadResponse().headers.at("connection"), "keep-alive");
  client.Send("GET /now HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client.ReadResponse().body, "now");
  EXPECT_TRUE(client.AtEnd());

  HttpTestClient stream(port());
  stream.Send("GET /stream HTTP/1.0\r\n\r\n");
  handler_.begun.Wait();
  OnLoop([&] {
    handler_.current->responder()->Write("data", 4);
    handler_.current->responder()->Finish();
  });
  const TestResponse response = stream.ReadResponse();
  EXPECT_EQ(response.headers.count("transfer-encoding"), 0u);
  EXPECT_EQ(response.body, "data");
}

TEST_F(HttpServerTest, RubbishIsRefusedAndTheConnectionEnds) {
  Start();
  const std::pair<std::string, int> cases[] = {
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},  // TLS
      {"rubbish\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nName : blank before the colon\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n", 417},
  };
  for (const auto& [request, status] : cases) {
    HttpTestClient client(port());
    client.Send(request);
    const TestResponse response = client.ReadResponse();
    EXPECT_EQ(response.status, status) << request;
    EXPECT_THAT(response.body, HasSubstr("{\"error\":{\"code\":")) << request;
    EXPECT_EQ(response.headers.at("connection"), "close") << request;
    EXPECT_TRUE(client.AtEnd()) << request;
  }
  HttpTestClient after(port());
  after.Request("GET", "/now");
  EXPECT_EQ(after.ReadResponse().status, 200);
}

TEST_F(HttpServerTest, AHeadThatIsTooLargeIs431) {
  Start();
  {
    HttpTestClient client(port());
    client.Request("GET", "/now", absl::StrCat("X: ", std::string(15 << 10, 'x'), "\r\n"));
    EXPECT_EQ(client.ReadResponse().status, 200);
    client.Request("GET", "/now", absl::StrCat("X: ", std::string(17 << 10, 'x'), "\r\n"));
    EXPECT_EQ(client.ReadResponse().status, 431);
  }
  {  // never ending, a field at a time
    HttpTestClient client(port());
    client.Send("GET /now HTTP/1.1\r\n");
    bool open = true;
    for (int i = 0; i < 2000 && open; ++i) open = client.Send("X: 0123456789\r\n");
    EXPECT_EQ(client.ReadResponse().status, 431);
  }
  {  // an endless chunk extension
    HttpTestClient client(port());
    client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    client.Send(std::string(20 << 10, 'x'));
    EXPECT_EQ(client.ReadResponse().status, 431);
  }
  EXPECT_EQ(Rejected("head_too_large"), 3);
}

TEST_F(HttpServerTest, ABodyThatIsTooLargeIs413) {
  Start();
  {  // before any of it was sent
    HttpTestClient client(port());
    client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 16777217\r\n\r\n");
    EXPECT_EQ(client.ReadResponse().status, 413);
  }
  {  // while it is being sent: the answer is not lost to a reset
    HttpTestClient client(port());
    client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n");
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 20; ++i) client.Send(piece);
    EXPECT_EQ(client.ReadResponse().status, 413);
  }
  {  // chunked, so that only counting tells
    HttpTestClient client(port());
    client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string piece = absl::StrCat("100000\r\n", std::string(1 << 20, 'x'), "\r\n");
    for (int i = 0; i < 17; ++i) client.Send(piece);
    EXPECT_EQ(client.ReadResponse().status, 413);
  }
  EXPECT_EQ(Rejected("body_too_large"), 3);
}

TEST_F(HttpServerTest, ALargeBodyPasses) {
  Start();
  HttpTestClient client(port());
  const std::string body(10 << 20, 'x');
  ASSERT_TRUE(client.Request("POST", "/echo", "", body));
  EXPECT_TRUE(client.ReadResponse().body == body);
  client.Request("GET", "/now");
  EXPECT_EQ(client.ReadResponse().body, "now");
}

TEST_F(HttpServerTest, LargeBodiesAreBoundedTogether) {
  HttpServer::Limits limits;
  limits.total_body_bytes = 1 << 20;
  Start(limits);
  HttpTestClient first(port()), second(port());
  const std::string half(700 << 10, 'x');
  first.Send("POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + half);
  second.Send("POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + half);
  // Whichever the server reads last is refused, and that makes room again.
  handler_.gone.Wait();
  EXPECT_EQ(Rejected("body_memory"), 1);
  HttpTestClient third(port());
  third.Request("POST", "/echo", "", std::string(100 << 10, 'y'));
  EXPECT_EQ(third.ReadResponse().status, 200);
}

TEST_F(HttpServerTest, ASlowClientCostsItsBound) {
  HttpServer::Limits limits;
  limits.request = absl::Milliseconds(100);
  limits.keep_alive = absl::Milliseconds(200);
  Start(limits);
  HttpTestClient head(port()), body(port()), idle(port());
  head.Send("GET /now HT");
  body.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(head.ReadResponse().status, 408);
  EXPECT_TRUE(head.AtEnd());
  EXPECT_EQ(body.ReadResponse().status, 408);
  EXPECT_TRUE(body.AtEnd());
  EXPECT_TRUE(idle.AtEnd()) << "an idle connection gets nothing but its end";
  EXPECT_EQ(Rejected("slow_request"), 2);
}

TEST_F(HttpServerTest, FiveHundredConnectionsAtOnce) {
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Start();
  std::vector<std::unique_ptr<HttpTestClient>> clients;
  for (int i = 0; i < 500; ++i) clients.push_back(std::make_unique<HttpTestClient>(port()));
  for (int round = 0; round < 3; ++round) {
    for (auto& client : clients) client->Request("POST", "/echo", "", "hello");
    for (auto& client : clients) ASSERT_EQ(client->ReadResponse().body, "hello");
  }
  OnLoop([&] { EXPECT_EQ(handler_.connections, 500u); });
}

TEST_F(HttpServerTest, OverTheConnectionLimitClientsWait) {
  HttpServer::Limits limits;
  limits.connections = 2;
  Start(limits);
  auto first = std::make_unique<HttpTestClient>(port());
  first->Request("GET", "/now");
  EXPECT_EQ(first->ReadResponse().status, 200);
  HttpTestClient second(port());
  second.Request("GET", "/now");
  EXPECT_EQ(second.ReadResponse().status, 200);
  HttpTestClient third(port());
  third.Request("GET", "/now");
  second.Request("GET", "/now");
  EXPECT_EQ(second.ReadResponse().status, 200);
  OnLoop([&] { EXPECT_EQ(handler_.connections, 2u); });
  first = nullptr;  // makes room
  EXPECT_EQ(third.ReadResponse().status, 200);
  EXPECT_EQ(Rejected("connections"), 2) << "full at first, and full again with the third";
}

TEST_F(HttpServerTest, AStreamsPiecesOfOneTurnAreOneChunk) {
  Start();
  HttpTestClient client(port());
  client.Request("GET", "/stream");
  EXPECT_EQ(client.ReadHead().headers.at("transfer-encoding"), "chunked");
  handler_.begun.Wait();
  OnLoop([&] {
    handler_.current->responder()->Write("one,", 4);
    handler_.current->responder()->Write("two", 3);
  });
  EXPECT_EQ(client.ReadChunk(), "one,two");
  OnLoop([&] { handler_.current->responder()->Write("three", 5); });
  EXPECT_EQ(client.ReadChunk(), "three");
  OnLoop([&] {
    EXPECT_EQ(handler_.credit, 12u);
    handler_.current->responder()->Finish();
  });
  bool cut = true;
  EXPECT_EQ(client.ReadChunk(&cut), "");
  EXPECT_FALSE(cut);
  handler_.gone.Wait();
  client.Request("GET", "/now");
  EXPECT_EQ(client.ReadResponse().body, "now") << "the connection lives on";
}

TEST_F(HttpServerTest, AnAbortedStreamIsSeenToBeCut) {
  Start();
  HttpTestClient client(port());
  client.Request("GET", "/stream");
  client.ReadHead();
  handler_.begun.Wait();
  OnLoop([&] { handler_.current->responder()->Abort(); });
  bool cut = false;
  client.ReadChunk(&cut);
  EXPECT_TRUE(cut);
  handler_.gone.Wait();
}

TEST_F(HttpServerTest, AClientThatLeavesEndsItsExchange) {
  Start();
  HttpTestClient client(port());
  client.Request("GET", "/stream");
  client.ReadHead();
  client.Reset();
  handler_.gone.Wait();
  OnLoop([&] { EXPECT_EQ(handler_.current, nullptr); });
}

TEST_F(HttpServerTest, HalfClosingEndsAStream) {
  Start();
  HttpTestClient client(port());
  client.Request("GET", "/stream");
  client.ReadHead();
  client.CloseSending();
  handler_.gone.Wait();
}

TEST_F(HttpServerTest, HalfClosingBeforeAnAnswerStillGetsIt) {
  Start();
  HttpTestClient client(port());
  client.Request("GET", "/hang");
  client.CloseSending();
  handler_.begun.Wait();
  OnLoop([&] { handler_.current->responder()->Respond({200, {}, "late"}); });
  EXPECT_EQ(client.ReadResponse().body, "late");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, WhatAClientSendsOnAStreamIsThrownAway) {
  Start();
  HttpTestClient client(port());
  client.Request("GET", "/stream");
  client.ReadHead();
  client.Send(std::string(3 << 20, 'x'));  // more than sockets hold
  OnLoop([&] { handler_.current->responder()->Write("still here", 0); });
  EXPECT_EQ(client.ReadChunk(), "still here");
}

TEST_F(HttpServerTest, AReaderThatStopsIsCutOffAndGetsNoCredit) {
  HttpServer::Limits limits;
  limits.write_stall = absl::Milliseconds(200);
  Start(limits);
  HttpTestClient client(port());
  client.ShrinkReceiveBuffer();
  client.Request("GET", "/stream");
  handler_.begun.Wait();
  constexpr size_t kBytes = 64 << 20;
  OnLoop([&] { handler_.current->responder()->Write(std::string(kBytes, 'x'), kBytes); });
  handler_.gone.Wait();
  OnLoop([&] { EXPECT_EQ(handler_.credit, 0u); });
  EXPECT_EQ(Rejected("slow_reader"), 1);
}

TEST_F(HttpServerTest, AQuietStreamIsKeptAlive) {
  HttpServer::Limits limits;
  limits.stream_idle = absl::Milliseconds(20);
  Start(limits);
  HttpTestClient client(port());
  client.Request("GET", "/stream");
  client.ReadHead();
  EXPECT_EQ(client.ReadChunk(), ":idle\n");
  EXPECT_EQ(client.ReadChunk(), ":idle\n");
}

TEST_F(HttpServerTest, ShutdownEndsEverythingInGoodOrder) {
  Start();
  HttpTestClient idle(port()), hang(port()), stream(port());
  idle.Request("GET", "/now");
  EXPECT_EQ(idle.ReadResponse().status, 200);
  hang.Request("GET", "/hang");
  handler_.begun.Wait();
  HttpResponder* hanging = nullptr;
  OnLoop([&] { hanging = handler_.current->responder(); });
  stream.Request("GET", "/stream");
  stream.ReadHead();

  Notification done;
  OnLoop([&] { server_->Shutdown(absl::Hours(1), [&] { done.Notify(); }); });
  EXPECT_TRUE(idle.AtEnd());
  bool cut = true;
  EXPECT_EQ(stream.ReadChunk(&cut), "");
  EXPECT_FALSE(cut) << "a stream has to end with its last chunk";
  EXPECT_TRUE(stream.AtEnd());
  OnLoop([&] { hanging->Respond({200, {}, "finished"}); });
  const TestResponse response = hang.ReadResponse();
  EXPECT_EQ(response.body, "finished");
  EXPECT_EQ(response.headers.at("connection"), "close");
  done.Wait();
}

TEST_F(HttpServerTest, ShutdownCutsOffWhatOutstaysTheGrace) {
  Start();
  HttpTestClient hang(port());
  hang.Request("GET", "/hang");
  handler_.begun.Wait();
  Notification done;
  OnLoop([&] { server_->Shutdown(absl::Milliseconds(10), [&] { done.Notify(); }); });
  done.Wait();
  EXPECT_TRUE(hang.AtEnd());
}

TEST_F(HttpServerTest, APortInUseSaysWhatToDo) {
  Start();
  const auto second = HttpServer::Create({.loop = &loop_, .port = port(), .handler = &handler_, .limits = {}});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(second.status().message(),
            absl::StrCat("127.0.0.1:", port(),
                         " is already in use; stop what listens there or choose another with --port (0 picks a free "
                         "one)"));
  const auto elsewhere = HttpServer::Create({.loop = &loop_, .host = "192.0.2.1", .handler = &handler_, .limits = {}});
  EXPECT_EQ(elsewhere.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(elsewhere.status().message()), HasSubstr("--host"));
}

}  // namespace
}  // namespace unmcp::gateway
