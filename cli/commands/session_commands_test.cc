// call and connect, against a stand-in for SessionService.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/commands/call.h"
#include "cli/commands/connect.h"
#include "cli/commands/fake_api.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

constexpr char kTools[] = R"([
  {"name":"add","description":"Adds\nnumbers","inputSchema":{"type":"object",
   "properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}},
  {"name":"fail","inputSchema":{"type":"object"}}])";

class SessionCommandsTest : public testing::Test {
 protected:
  SessionCommandsTest() {
    fake_.Put(FakeApi::Server("calc", "Asleep"));
    fake_.on_session = [this](const std::string&, FakeApi::SessionStream* stream) { return Serve(stream); };
  }

  // An MCP server with two tools. "die" ends the session, unanswered.
  grpc::Status Serve(FakeApi::SessionStream* stream) {
    ++sessions_;
    v1::ConnectRequest request;
    while (stream->Read(&request)) {
      const Json message = Json::parse(request.payload());
      const std::string method = message.value("method", "");
      if (method == "die") return {grpc::StatusCode::ABORTED, "the server's process ended"};
      if (!message.contains("id") || method.empty()) continue;
      Json answer = {{"jsonrpc", "2.0"}, {"id", message["id"]}};
      if (method == "initialize" && refusing_) {
        answer["error"] = {{"code", -32603}, {"message", "the server cannot be started"}};
      } else if (method == "initialize") {
        ++initialized_;
        // A request of the server, which the client has to answer or refuse.
        Say(stream, {{"jsonrpc", "2.0"}, {"id", "s"}, {"method", "roots/list"}});
        answer["result"] = {{"protocolVersion", "2025-06-18"}, {"capabilities", Json::object()}};
      } else if (method == "tools/list") {
        answer["result"] = {{"tools", Json::parse(kTools)}};
      } else if (method == "tools/call") {
        answer["result"] = Call(message["params"]);
      } else {
        answer["result"] = {{"session", sessions_.load()}};
      }
      Say(stream, answer);
    }
    return grpc::Status::OK;
  }

  static void Say(FakeApi::SessionStream* stream, const Json& message) {
    v1::ConnectResponse response;
    response.set_payload(message.dump());
    stream->Write(response);
  }

  static Json Call(const Json& params) {
    if (params["name"] == "fail") {
      return {{"isError", true}, {"content", {{{"type", "text"}, {"text", "out of numbers"}}}}};
    }
    const double sum = params["arguments"]["a"].get<double>() + params["arguments"]["b"].get<double>();
    return {{"content", {{{"type", "text"}, {"text", absl::StrCat("the sum is ", sum)}},
                         {{"type", "image"}, {"data", "AA=="}, {"mimeType", "image/png"}}}}};
  }

  FakeApi fake_;
  TestContext test_{fake_};
  std::atomic<int> sessions_ = 0, initialized_ = 0;
  std::atomic<bool> refusing_ = false;  // new sessions
};

TEST_F(SessionCommandsTest, CallPrintsTextAsItIs) {
  const absl::Status status =
      RunCall({.server = "calc", .tool = "add", .arguments = {"a=1", "b=2.5"}}, test_.context);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(test_.out.str(), "the sum is 3.5\n{\"data\":\"AA==\",\"mimeType\":\"image/png\",\"type\":\"image\"}\n");
  EXPECT_THAT(test_.err.str(), IsEmpty());
}

TEST_F(SessionCommandsTest, CallPrintsJson) {
  ASSERT_TRUE(
      RunCall({.server = "calc", .tool = "add", .json = R"({"a":1,"b":1})", .as_json = true}, test_.context).ok());
  EXPECT_EQ(ParseJson(test_.out.str()).value()["content"][0]["text"], "the sum is 2");
}

TEST_F(SessionCommandsTest, AnErrorOfTheToolIsAnError) {
  const absl::Status status = RunCall({.server = "calc", .tool = "fail"}, test_.context);
  EXPECT_EQ(status.message(), "out of numbers");
  EXPECT_THAT(test_.out.str(), IsEmpty());
}

TEST_F(SessionCommandsTest, WrongNamesAreAnsweredWithTheRightOnes) {
  EXPECT_THAT(RunCall({.server = "calc", .tool = "ad"}, test_.context).message(),
              AllOf(HasSubstr("no tool \"ad\""), HasSubstr("add, fail")));
  EXPECT_THAT(RunCall({.server = "calc", .tool = "add", .arguments = {"a=1"}}, test_.context).message(),
              HasSubstr("\"b\""));
  EXPECT_TRUE(absl::IsNotFound(RunCall({.server = "nobody", .tool = "add"}, test_.context)));
}

TEST_F(SessionCommandsTest, WithoutAToolTheToolsAreListed) {
  ASSERT_TRUE(RunCall({.server = "calc"}, test_.context).ok());
  EXPECT_EQ(test_.out.str(),
            "TOOL   ARGUMENTS                                    DESCRIPTION\n"
            "add    a (number, required), b (number, required)   Adds\n"
            "fail   none\n");
}

TEST_F(SessionCommandsTest, ASessionThatEndsIsAnError) {
  fake_.on_session = [](const std::string&, FakeApi::SessionStream*) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the pool is full");
  };
  const absl::Status status = RunCall({.server = "calc", .tool = "add"}, test_.context);
  EXPECT_EQ(ErrorText(status), "Error from server (ServiceUnavailable): the pool is full");
}

// `connect` on pipes, as a host has it.
class ConnectTest : public SessionCommandsTest {
 protected:
  ConnectTest() {
    int in[2], out[2];
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    test_.context.input_fd = in[0];
    test_.context.output_fd = out[1];
    to_ = in[1];
    from_ = fdopen(out[0], "r");
  }
  ~ConnectTest() override {
    if (runner_.joinable()) (void)End();
    close(test_.context.input_fd);
    close(test_.context.output_fd);
    fclose(from_);
  }

  void Start() {
    runner_ = std::thread([this] { status_ = RunConnect(options_, test_.context); });
  }
  void Say(const std::string& line) {
    EXPECT_EQ(write(to_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  void SayLine(const std::string& line) { Say(line + "\n"); }
  Json Hear() {
    char line[65536];
    return fgets(line, sizeof(line), from_) == nullptr ? Json() : Json::parse(line, nullptr, false);
  }
  void Handshake() {
    SayLine(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{}})");
    EXPECT_EQ(Hear()["method"], "roots/list");
    EXPECT_EQ(Hear()["result"]["protocolVersion"], "2025-06-18");
    SayLine(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  }
  absl::Status End() {
    close(to_);
    runner_.join();
    return status_;
  }

  ConnectOptions options_ = {.server = "calc"};
  int to_;
  FILE* from_;
  std::thread runner_;
  absl::Status status_;
};

TEST_F(ConnectTest, IsAServerUntilItsInputEnds) {
  Start();
  Handshake();
  SayLine(R"({"jsonrpc":"2.0","id":1,"method":"ping"})");
  EXPECT_EQ(Hear()["id"], 1);
  EXPECT_TRUE(End().ok());
}

TEST_F(ConnectTest, WhatIsInFlightIsAnsweredBeforeTheEnd) {
  Say(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");  // and no newline
  close(to_);
  to_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
  Start();
  EXPECT_EQ(Hear()["result"]["tools"].size(), 2u);
  EXPECT_TRUE(End().ok());
}

TEST_F(ConnectTest, ALostSessionIsReplaced) {
  Start();
  Handshake();
  SayLine(R"({"jsonrpc":"2.0","id":7,"method":"die"})");
  const Json error = Hear();
  EXPECT_EQ(error["id"], 7);
  EXPECT_EQ(error["error"]["code"], -32603);
  EXPECT_THAT(error["error"]["message"].get<std::string>(), HasSubstr("the server's process ended"));
  SayLine(R"({"jsonrpc":"2.0","id":8,"method":"ping"})");
  EXPECT_EQ(Hear()["method"], "roots/list") << "of the new session";
  const Json answer = Hear();
  EXPECT_EQ(answer["id"], 8) << "the second answer to initialize is not for the host: " << answer;
  EXPECT_EQ(answer["result"]["session"], 2);
  EXPECT_EQ(initialized_, 2);
  EXPECT_TRUE(End().ok());
}

TEST_F(ConnectTest, WhyThereIsNoNewSessionIsSaidInWords) {
  Start();
  Handshake();
  refusing_ = true;
  SayLine(R"({"jsonrpc":"2.0","id":7,"method":"die"})");
  EXPECT_EQ(Hear()["id"], 7);
  SayLine(R"({"jsonrpc":"2.0","id":8,"method":"ping"})");
  EXPECT_EQ(Hear()["error"]["message"], "there is no new session: the server cannot be started");
  refusing_ = false;
  SayLine(R"({"jsonrpc":"2.0","id":9,"method":"ping"})");
  EXPECT_EQ(Hear()["method"], "roots/list");
  EXPECT_EQ(Hear()["id"], 9);
  EXPECT_TRUE(End().ok());
}

TEST_F(ConnectTest, ARestartOfUnmcpCostsOnlyTime) {
  Start();
  Handshake();
  fake_.Stop();
  SayLine(R"({"jsonrpc":"2.0","id":8,"method":"ping"})");
  fake_.StartAgain();
  EXPECT_EQ(Hear()["method"], "roots/list");
  EXPECT_EQ(Hear()["id"], 8);
  EXPECT_TRUE(End().ok());
}

TEST_F(SessionCommandsTest, UnmcpIsFoundWhereItHasComeBack) {
  FakeApi elsewhere;
  ApiClient api({.addresses = {fake_.address()}, .address_now = [&] { return elsewhere.address(); }});
  ASSERT_TRUE(api.Connect().ok());
  fake_.Stop();
  EXPECT_TRUE(api.Reconnect(absl::Seconds(10)).ok());
  EXPECT_EQ(api.address(), elsewhere.address());
  elsewhere.Stop();
  EXPECT_TRUE(absl::IsUnavailable(api.Reconnect(absl::Milliseconds(100))));
}

TEST_F(ConnectTest, ASubscriptionIsReasonEnoughForANewSession) {
  Start();
  Handshake();
  SayLine(R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a:"}})");
  EXPECT_EQ(Hear()["id"], 1);
  SayLine(R"({"jsonrpc":"2.0","id":2,"method":"die"})");
  EXPECT_EQ(Hear()["error"]["code"], -32603);
  EXPECT_EQ(Hear()["method"], "roots/list") << "though the host has said nothing";
  EXPECT_TRUE(End().ok());
}

TEST_F(ConnectTest, WithoutUnmcpARequestIsAnsweredAfterAWhile) {
  options_.patience = absl::Milliseconds(300);
  Start();
  Handshake();
  fake_.Stop();
  SayLine(R"({"jsonrpc":"2.0","id":8,"method":"ping"})");
  const Json error = Hear();
  EXPECT_EQ(error["id"], 8);
  EXPECT_THAT(error["error"]["message"].get<std::string>(), HasSubstr("unmcp is not running"));
  EXPECT_TRUE(End().ok());
}

TEST_F(ConnectTest, WhatIsNoMessageIsAnsweredAndTheRestGoesOn) {
  Start();
  Handshake();
  SayLine("hello");
  EXPECT_EQ(Hear()["error"]["code"], -32700);
  SayLine(R"({"jsonrpc":"2.0","id":1,"method":"ping"})");
  EXPECT_EQ(Hear()["id"], 1);
  EXPECT_TRUE(End().ok());
}

TEST_F(ConnectTest, WithoutAServerOfThatNameThereIsNoSession) {
  options_.server = "nobody";
  Start();
  runner_.join();
  EXPECT_TRUE(absl::IsNotFound(status_)) << status_;
}

}  // namespace
}  // namespace unmcp
