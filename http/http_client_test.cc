// Against real servers on real sockets, good and bad ones.

#include "http/http_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "gtest/gtest.h"
#include "http/test_server.h"

namespace unmcp::http {
namespace {

// What came of one request, on the loop.
struct Recorder final : Handler {
  int status = 0;
  Headers headers;
  std::string body;
  bool sent = false;
  absl::Status end = absl::UnknownError("not ended");
  Notification ended;
  std::function<void()> on_head = [] {};
  std::function<void()> on_data = [] {};

  void OnBodySent() override { sent = true; }
  void OnHead(int code, const Headers& with) override {
    status = code;
    headers = with;
    on_head();
  }
  void OnData(absl::string_view bytes) override {
    body.append(bytes.data(), bytes.size());
    on_data();
  }
  void OnEnd(absl::Status why) override {
    end = std::move(why);
    ended.Notify();
  }
};

class HttpClientTest : public ::testing::Test {
 protected:
  HttpClientTest() {
    loop_.Start();
    Make({});
  }
  ~HttpClientTest() override {
    Run([this] {
      call_ = nullptr;
      client_ = nullptr;
    });
    loop_.Stop();
  }

  void Make(Client::Options options) {
    Run([&] {
      options.loop = &loop_;
      call_ = nullptr;
      client_ = Client::Create(options).value();
    });
  }
  void Run(std::function<void()> step) {
    Notification done;
    loop_.Post([&] {
      step();
      done.Notify();
    });
    done.Wait();
  }
  void Start(Request request, Recorder* recorder) {
    Run([&] { call_ = client_->Start(std::move(request), recorder); });
  }
  // Starts it and waits for its end.
  Recorder& Do(Request request, Recorder* recorder) {
    Start(std::move(request), recorder);
    recorder->ended.Wait();
    return *recorder;
  }

  EventLoop loop_{"http"};
  std::unique_ptr<Client> client_;
  std::unique_ptr<Call> call_;
};

// Says what was asked of it.
void Echo(TestConnection& connection) {
  while (auto request = connection.Read()) {
    connection.Respond(200, "text/plain", absl::StrCat(request->method, " ", request->target, " ", request->body),
                       absl::StrCat("X-Seen: ", request->headers["x-test"], "\r\n"));
  }
}

TEST_F(HttpClientTest, ARequestIsAnsweredAndItsConnectionUsedAgain) {
  TestServer server(Echo);
  Recorder get;
  Do({.url = server.url("/a?b=c"), .headers = {{"X-Test", "7"}}}, &get);
  EXPECT_TRUE(get.end.ok()) << get.end;
  EXPECT_EQ(get.status, 200);
  EXPECT_EQ(get.body, "GET /a?b=c ");
  EXPECT_EQ(FindHeader(get.headers, "x-seen"), "7");
  Recorder post;
  Do({.method = "POST", .url = server.url("/"), .body = "hello"}, &post);
  EXPECT_EQ(post.body, "POST / hello");
  EXPECT_TRUE(post.sent);
  Recorder remove;
  Do({.method = "DELETE", .url = server.url("/x")}, &remove);
  EXPECT_EQ(remove.body, "DELETE /x ");
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, AnAnswerIsReadAsItArrives) {
  Notification first_read;
  TestServer server([&](TestConnection& connection) {
    connection.Read();
    connection.Begin(200, "text/event-stream");
    connection.Chunk("one ");
    first_read.Wait();  // a client that waits for the end would never get here
    connection.Chunk("two");
    connection.Chunk("");
  });
  Recorder recorder;
  recorder.on_data = [&] {
    if (recorder.body == "one ") first_read.Notify();
  };
  Do({.url = server.url("/")}, &recorder);
  EXPECT_EQ(recorder.body, "one two");
  EXPECT_TRUE(recorder.end.ok());
}

TEST_F(HttpClientTest, TenMegabytesPassBothWays) {
  TestServer server([](TestConnection& connection) {
    while (auto request = connection.Read()) connection.Respond(200, "text/plain", request->body);
  });
  const std::string body(10 << 20, 'x');
  Recorder recorder;
  Do({.method = "POST", .url = server.url("/"), .body = body}, &recorder);
  EXPECT_TRUE(recorder.end.ok()) << recorder.end;
  EXPECT_TRUE(recorder.body == body) << recorder.body.size();
}

TEST_F(HttpClientTest, APausedAnswerStopsTheServerAndGoesOnWhenResumed) {
  std::atomic<size_t> written{0};
  TestServer server([&](TestConnection& connection) {
    connection.Read();
    connection.Begin(200, "text/plain");
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 64 && connection.Chunk(piece); ++i) written += piece.size();
    connection.Chunk("");
  });
  Recorder recorder;
  Notification head;
  recorder.on_head = [&] {
    call_->Pause();
    head.Notify();
  };
  Start({.url = server.url("/")}, &recorder);
  head.Wait();
  // A second request passes while the first one holds its data back.
  TestServer other(Echo);
  Recorder beside;
  std::unique_ptr<Call> second;
  Run([&] { second = client_->Start({.url = other.url("/")}, &beside); });
  beside.ended.Wait();
  EXPECT_EQ(recorder.body, "");
  EXPECT_LT(written, size_t{64} << 20) << "what is not read stays with the server";
  Run([&] { call_->Resume(); });
  recorder.ended.Wait();
  EXPECT_EQ(recorder.body.size(), size_t{64} << 20);
  Run([&] { second = nullptr; });
}

TEST_F(HttpClientTest, ACancelledRequestIsSilentAndClosesItsConnection) {
  Notification closed;
  TestServer server([&](TestConnection& connection) {
    connection.Read();
    connection.Begin(200, "text/plain");
    connection.Chunk("x");
    connection.AwaitClose();
    closed.Notify();
  });
  Recorder recorder;
  recorder.on_data = [&] { call_ = nullptr; };  // from within the handler
  Start({.url = server.url("/")}, &recorder);
  closed.Wait();
  Run([] {});
  EXPECT_EQ(recorder.end.code(), absl::StatusCode::kUnknown) << recorder.end;
}

TEST_F(HttpClientTest, NobodyListeningIsUnavailable) {
  // A port that was free a moment ago.
  int port = 0;
  { port = TestServer(Echo).port(); }
  Recorder recorder;
  Do({.url = absl::StrCat("http://user:pass@127.0.0.1:", port, "/?token=secret")}, &recorder);
  EXPECT_EQ(recorder.end.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(recorder.end.message(), absl::StrCat("http://127.0.0.1:", port))) << recorder.end;
  EXPECT_FALSE(absl::StrContains(recorder.end.message(), "pass")) << recorder.end;
  EXPECT_FALSE(absl::StrContains(recorder.end.message(), "secret")) << recorder.end;
}

TEST_F(HttpClientTest, AConnectionThatBreaksIsAborted) {
  TestServer server([](TestConnection& connection) {
    connection.Read();
    connection.Begin(200, "text/plain");
    connection.Chunk("begun");
    connection.Reset();
  });
  Recorder recorder;
  Do({.url = server.url("/")}, &recorder);
  EXPECT_EQ(recorder.status, 200);
  EXPECT_EQ(recorder.end.code(), absl::StatusCode::kAborted) << recorder.end;
}

TEST_F(HttpClientTest, ABodyIsNeverSentTwice) {
  std::atomic<int> posts{0};
  TestServer server([&](TestConnection& connection) {
    // The connection is good for one answer, and then breaks when used again.
    bool used = false;
    while (auto request = connection.Read()) {
      if (request->method == "POST") ++posts;
      if (std::exchange(used, true)) return;
      connection.Respond(200, "text/plain", "");
    }
  });
  Recorder first, second;
  Do({.method = "POST", .url = server.url("/"), .body = "1"}, &first);
  EXPECT_TRUE(first.end.ok());
  Do({.method = "POST", .url = server.url("/"), .body = "2"}, &second);
  EXPECT_EQ(second.end.code(), absl::StatusCode::kAborted) << second.end;
  EXPECT_EQ(posts, 2);
}

TEST_F(HttpClientTest, WaitingHasAnEnd) {
  TestServer server([](TestConnection& connection) { connection.AwaitClose(); });
  Recorder recorder;
  Do({.url = server.url("/"), .timeout = absl::Milliseconds(20)}, &recorder);
  EXPECT_EQ(recorder.end.code(), absl::StatusCode::kDeadlineExceeded) << recorder.end;
}

TEST_F(HttpClientTest, AHeadHasABound) {
  TestServer server([](TestConnection& connection) {
    connection.Read();
    connection.Respond(200, "text/plain", "", absl::StrCat("X-Long: ", std::string(70'000, 'x'), "\r\n"));
  });
  Recorder recorder;
  Do({.url = server.url("/")}, &recorder);
  EXPECT_EQ(recorder.end.code(), absl::StatusCode::kResourceExhausted) << recorder.end;
}

TEST_F(HttpClientTest, WhatIsNoHttpIsSaid) {
  TestServer server([](TestConnection& connection) {
    connection.Read();
    connection.Write("SSH-2.0-OpenSSH_9.2\r\n");
  });
  Recorder recorder;
  Do({.url = server.url("/")}, &recorder);
  EXPECT_EQ(recorder.end.code(), absl::StatusCode::kInternal) << recorder.end;
  Recorder file;
  Do({.url = "file:///etc/hostname"}, &file);
  EXPECT_FALSE(file.end.ok());
  EXPECT_EQ(file.body, "");
}

TEST_F(HttpClientTest, RedirectsAreFollowedWithinTheOriginOnly) {
  TestServer elsewhere(Echo);
  TestServer server([&](TestConnection& connection) {
    while (auto request = connection.Read()) {
      if (request->target == "/mcp") {
        connection.Respond(307, "", "moved", "Location: /mcp/\r\n");
      } else if (request->target == "/out") {
        connection.Respond(307, "", "", absl::StrCat("Location: ", elsewhere.url("/"), "\r\n"));
      } else if (request->target == "/loop") {
        connection.Respond(308, "", "", "Location: /loop\r\n");
      } else {
        connection.Respond(200, "text/plain", absl::StrCat(request->method, request->target, request->body));
      }
    }
  });
  Recorder within, out, loop, never;
  Do({.method = "POST", .url = server.url("/mcp"), .body = "x", .max_redirects = 3}, &within);
  EXPECT_EQ(within.body, "POST/mcp/x");
  Do({.method = "POST", .url = server.url("/out"), .body = "x", .max_redirects = 3}, &out);
  EXPECT_EQ(out.status, 307);
  EXPECT_EQ(elsewhere.connections(), 0);
  Do({.url = server.url("/loop"), .max_redirects = 3}, &loop);
  EXPECT_EQ(loop.status, 308);
  Do({.url = server.url("/mcp")}, &never);
  EXPECT_EQ(never.status, 307);
}

TEST_F(HttpClientTest, ACertificateIsVerified) {
  TestServer server(Echo, TestServer::Security::kTls);
  Recorder untrusted;
  Do({.url = server.url("/")}, &untrusted);
  EXPECT_EQ(untrusted.end.code(), absl::StatusCode::kFailedPrecondition) << untrusted.end;
  EXPECT_TRUE(absl::StrContains(untrusted.end.message(), "certificate")) << untrusted.end;

  const std::string file = absl::StrCat(::testing::TempDir(), "/ca.pem");
  std::ofstream(file) << server.certificate();
  Make({.ca_file = file});
  Recorder trusted;
  Do({.url = server.url("/")}, &trusted);
  EXPECT_TRUE(trusted.end.ok()) << trusted.end;
  EXPECT_EQ(trusted.body, "GET / ");
}

TEST_F(HttpClientTest, AProxyOfTheEnvironmentIsUsedUnlessTheWayIsDirect) {
  TestServer server(Echo), proxy(Echo);
  ASSERT_EQ(setenv("http_proxy", proxy.url("").c_str(), 1), 0);
  Recorder through, direct;
  Do({.url = server.url("/x")}, &through);
  Do({.url = server.url("/x"), .direct = true}, &direct);
  unsetenv("http_proxy");
  EXPECT_EQ(through.body, absl::StrCat("GET ", server.url("/x"), " "));
  EXPECT_EQ(direct.body, "GET /x ");
}

TEST_F(HttpClientTest, AClientWithRequestsUnderWayCanGo) {
  TestServer server([](TestConnection& connection) { connection.AwaitClose(); });
  Recorder recorder;
  Start({.url = server.url("/")}, &recorder);
  Run([&] {
    client_->StartDetached({.method = "DELETE", .url = server.url("/")});
    call_ = nullptr;
    client_ = nullptr;
  });
  EXPECT_EQ(recorder.end.code(), absl::StatusCode::kUnknown) << recorder.end;
}

}  // namespace
}  // namespace unmcp::http
