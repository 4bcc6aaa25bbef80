#include "apiserver/session_service.h"

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "session/shared_hub.h"

namespace unmcp::apiserver {
namespace {

// A server that answers every call at once, but for the method "hang".
class EchoHost final : public session::SharedHub::Host {
 public:
  explicit EchoHost(EventLoop* loop)
      : loop_(loop),
        hub_(session::SharedHub::Create(
            {.scheduler = loop, .random = Random::System(), .host = this, .client_version = "test"})) {}

  session::SharedHub* hub() { return hub_.get(); }

  void Wake() override {
    loop_->Post([this] { hub_->UpstreamUp(false, absl::Seconds(10)); });
  }
  void OnRefused() override {}
  void SendUpstream(std::string message) override {
    const auto call = nlohmann::json::parse(message);
    if (!call.contains("id") || call["method"] == "hang") return;
    nlohmann::json answer = {{"jsonrpc", "2.0"}, {"id", call["id"]}, {"result", {{"echo", call["params"]}}}};
    if (call["method"] == "initialize") {
      answer["result"] = {{"protocolVersion", "2025-11-25"},
                          {"capabilities", nlohmann::json::object()},
                          {"serverInfo", {{"name", "echo"}, {"version", "1"}}}};
    }
    loop_->Post([this, text = answer.dump()] { hub_->OnUpstreamMessage(text); });
  }
  size_t upstream_pending() const override { return 0; }
  void OnDiscovered(const session::Discovered&) override {}
  void OnHandshakeFailed(absl::Status) override {}
  void OnActivity() override { sessions = hub_->activity().open_sessions; }

  int sessions = 0;

 private:
  EventLoop* const loop_;
  const std::unique_ptr<session::SharedHub> hub_;
};

using Stream = grpc::ClientReaderWriter<v1::ConnectRequest, v1::ConnectResponse>;

class SessionServiceTest : public ::testing::Test {
 protected:
  SessionServiceTest()
      : host_(std::make_unique<EchoHost>(&loop_)),
        service_(&loop_, [this](session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange) {
          if (request.server == "echo") return host_->hub()->Handle(std::move(request), std::move(exchange));
          exchange->SendHead(404, {});
          exchange->Send(R"({"error":{"code":404,"message":"no such server"}})");
          exchange->Close();
        }) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::SessionService::NewStub(server_->InProcessChannel({}));
    loop_.Start();
  }
  ~SessionServiceTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    Run([this] { host_ = nullptr; });
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

  static void SendOpen(Stream* stream, const std::string& server) {
    v1::ConnectRequest request;
    request.mutable_open()->set_server(server);
    stream->Write(request);
  }
  static void Send(Stream* stream, const std::string& message) {
    v1::ConnectRequest request;
    request.set_payload(message);
    stream->Write(request);
  }
  static std::string Read(Stream* stream) {
    v1::ConnectResponse response;
    return stream->Read(&response) ? response.payload() : "(the stream ended)";
  }
  // An open session that has been initialized.
  std::unique_ptr<Stream> OpenSession(grpc::ClientContext* context) {
    std::unique_ptr<Stream> stream = stub_->Connect(context);
    SendOpen(stream.get(), "echo");
    EXPECT_EQ(Read(stream.get()), "");
    Send(stream.get(), R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
                       R"("capabilities":{},"clientInfo":{"name":"t","version":"1"}}})");
    EXPECT_TRUE(absl::StrContains(Read(stream.get()), R"("name":"echo")"));
    Send(stream.get(), R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
    return stream;
  }

  EventLoop loop_{"data"};
  std::unique_ptr<EchoHost> host_;
  SessionService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::SessionService::Stub> stub_;
};

TEST_F(SessionServiceTest, CarriesASession) {
  grpc::ClientContext context;
  const auto stream = OpenSession(&context);
  for (int i = 1; i <= 100; ++i) {
    Send(stream.get(), absl::StrCat(R"({"jsonrpc":"2.0","id":)", i, R"(,"method":"m","params":{"n":)", i, "}}"));
  }
  for (int i = 1; i <= 100; ++i) {
    const auto answer = nlohmann::json::parse(Read(stream.get()));
    EXPECT_EQ(answer["id"], i);
    EXPECT_EQ(answer["result"]["echo"]["n"], i);
  }
  stream->WritesDone();
  EXPECT_EQ(Read(stream.get()), "(the stream ended)");
  EXPECT_TRUE(stream->Finish().ok());
  Run([this] { EXPECT_EQ(host_->sessions, 0); });
}

TEST_F(SessionServiceTest, SessionsWithTheSameIdsAreKeptApart) {
  grpc::ClientContext context_a, context_b;
  const auto a = OpenSession(&context_a);
  const auto b = OpenSession(&context_b);
  Send(a.get(), R"({"jsonrpc":"2.0","id":7,"method":"m","params":{"who":"a"}})");
  Send(b.get(), R"({"jsonrpc":"2.0","id":7,"method":"m","params":{"who":"b"}})");
  EXPECT_TRUE(absl::StrContains(Read(b.get()), R"("who":"b")"));
  EXPECT_TRUE(absl::StrContains(Read(a.get()), R"("who":"a")"));
  context_a.TryCancel();
  context_b.TryCancel();
}

TEST_F(SessionServiceTest, AnUnknownServerIsNotFound) {
  grpc::ClientContext context;
  const auto stream = stub_->Connect(&context);
  SendOpen(stream.get(), "nobody");
  EXPECT_EQ(Read(stream.get()), "(the stream ended)");
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no such server");
}

TEST_F(SessionServiceTest, WhatComesBeforeOpenOrIsNoMessageIsInvalid) {
  {
    grpc::ClientContext context;
    const auto stream = stub_->Connect(&context);
    Send(stream.get(), "{}");
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  {
    grpc::ClientContext context;
    const auto stream = stub_->Connect(&context);
    SendOpen(stream.get(), "");
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  {
    grpc::ClientContext context;
    const auto stream = OpenSession(&context);
    Send(stream.get(), "{oops");
    EXPECT_EQ(Read(stream.get()), "(the stream ended)");
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_TRUE(absl::StrContains(status.error_message(), "not JSON")) << status.error_message();
  }
}

TEST_F(SessionServiceTest, TheEndOfTheProcessFailsCallsAndEndsTheStream) {
  grpc::ClientContext context;
  const auto stream = OpenSession(&context);
  Send(stream.get(), R"({"jsonrpc":"2.0","id":1,"method":"hang"})");
  Send(stream.get(), R"({"jsonrpc":"2.0","id":2,"method":"m","params":{}})");
  EXPECT_TRUE(absl::StrContains(Read(stream.get()), R"("id":2)"));
  loop_.Post([this] { host_->hub()->UpstreamDown(absl::UnavailableError("it crashed")); });
  EXPECT_TRUE(absl::StrContains(Read(stream.get()), "it crashed"));
  EXPECT_EQ(Read(stream.get()), "(the stream ended)");
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(SessionServiceTest, AClientThatGoesAwayEndsItsSession) {
  grpc::ClientContext context;
  const auto stream = OpenSession(&context);
  Send(stream.get(), R"({"jsonrpc":"2.0","id":1,"method":"hang"})");
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  bool gone = false;
  while (!gone) Run([&] { gone = host_->sessions == 0; });
}

TEST_F(SessionServiceTest, AServerThatCannotStartIsUnavailable) {
  Run([this] { host_->hub()->SetUnavailable(session::Unavailable{"Suspended", "it is suspended", 60}); });
  grpc::ClientContext context;
  const auto stream = stub_->Connect(&context);
  SendOpen(stream.get(), "echo");
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "it is suspended");
}

}  // namespace
}  // namespace unmcp::apiserver
