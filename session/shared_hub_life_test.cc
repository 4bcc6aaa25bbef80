// The life of the process behind a hub: waking, the handshake, sleep, and ends.
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "session/shared_hub.h"
#include "session/testing/fakes.h"

namespace unmcp::session {
namespace {

using Json = nlohmann::json;
using Strings = std::vector<std::string>;

Json Parse(const std::string& text) { return Json::parse(text, nullptr, false); }

constexpr absl::string_view kInitialize =
    R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}})";

std::string CallWith(int id) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":"tools/call","params":{"n":)", id, "}}");
}

class HubLifeTest : public testing::Test, protected HubWorld {
 protected:
  Strings SentMethods() {
    Strings methods;
    for (const std::string& m : host.TakeSent()) methods.push_back(Parse(m).value("method", ""));
    return methods;
  }
};

TEST_F(HubLifeTest, TheHandshakeIsCanonical) {
  Start();
  ASSERT_EQ(host.sent.size(), 2u);
  const Json initialize = Parse(host.sent[0]);
  EXPECT_EQ(initialize["method"], "initialize");
  EXPECT_EQ(initialize["params"],
            Json::parse(R"({"protocolVersion":"2025-11-25","clientInfo":{"name":"unmcp","version":"1.2.3"},
      "capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{}}})"));
  EXPECT_EQ(host.sent[1], R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  ASSERT_EQ(host.discovered.size(), 1u);
  EXPECT_EQ(host.discovered[0].name, "demo");
  EXPECT_EQ(host.discovered[0].version, "9");
  EXPECT_EQ(host.discovered[0].protocol_version, "2025-11-25");
  EXPECT_FALSE(scheduler.has_timers());
}

TEST_F(HubLifeTest, WhatCameWhileTheServerStartedFollowsTheHandshakeInOrder) {
  FakeClient a(hub.get()), b(hub.get());
  a.Post(std::string(kInitialize));
  a.Post(CallWith(1));
  hub->UpstreamUp(false, absl::Seconds(60));
  b.Post(CallWith(2));
  a.Post(R"({"jsonrpc":"2.0","method":"notifications/custom"})");
  a.Post(CallWith(3));
  EXPECT_EQ(host.sent.size(), 1u);
  EXPECT_EQ(hub->activity().calls_in_flight, 4);
  AnswerLast(kServerResult);
  ASSERT_EQ(host.sent.size(), 6u);
  EXPECT_EQ(Parse(host.sent[2])["params"]["n"], 1);
  EXPECT_EQ(Parse(host.sent[3])["params"]["n"], 2);
  EXPECT_EQ(Parse(host.sent[4])["method"], "notifications/custom");
  EXPECT_EQ(Parse(host.sent[5])["params"]["n"], 3);
  EXPECT_EQ(a.Take().size(), 1u);  // initialize
  EXPECT_EQ(host.wakes, 1);
}

TEST_F(HubLifeTest, ToolsAreCountedOverAllPages) {
  hub->UpstreamUp(true, absl::Seconds(60));
  AnswerLast(kServerResult);
  AnswerLast(R"({"tools":[{"name":"a","x":[1,2]},{"name":"b"}],"nextCursor":"c\"1"})");
  EXPECT_TRUE(host.discovered.empty());
  EXPECT_FALSE(hub->TryDrain());
  EXPECT_EQ(Parse(host.sent.back())["params"]["cursor"], "c\"1");
  AnswerLast(R"({"tools":[{"name":"c"}]})");
  ASSERT_EQ(host.discovered.size(), 1u);
  EXPECT_EQ(host.discovered[0].tool_count, 3);
  EXPECT_FALSE(scheduler.has_timers());
}

TEST_F(HubLifeTest, CountingToolsEndsWhateverTheServerDoes) {
  // A cursor that never ends.
  hub->UpstreamUp(true, absl::Seconds(60));
  AnswerLast(kServerResult);
  for (int i = 0; i < 1'000 && host.discovered.empty(); ++i) AnswerLast(R"({"tools":[{}],"nextCursor":"again"})");
  ASSERT_EQ(host.discovered.size(), 1u);
  EXPECT_EQ(host.discovered[0].tool_count, 100);
  // No answer at all.
  hub->UpstreamDown(absl::UnknownError("exit status 1"));
  hub->UpstreamUp(true, absl::Seconds(60));
  AnswerLast(kServerResult);
  scheduler.Advance(absl::Seconds(60));
  EXPECT_EQ(host.discovered.size(), 2u);
  EXPECT_TRUE(host.failures.empty());
  // An answer that is too long.
  hub->UpstreamDown(absl::UnknownError("exit status 1"));
  hub->UpstreamUp(true, absl::Seconds(60));
  AnswerLast(kServerResult);
  hub->OnUpstreamOversized(R"({"result":{"tools":[{"na)", "x\"}]}}", 40'000'000);
  EXPECT_EQ(host.discovered.size(), 3u);
  // No tools to speak of.
  hub->UpstreamDown(absl::UnknownError("exit status 1"));
  Start(R"({"protocolVersion":"2025-11-25","capabilities":{}})", true);
  EXPECT_EQ(host.discovered.size(), 4u);
}

TEST_F(HubLifeTest, AnOlderServerIsAskedAgainInItsOwnVersion) {
  hub->UpstreamUp(false, absl::Seconds(60));
  const auto refuse = [this] {
    hub->OnUpstreamMessage(absl::StrCat(R"({"jsonrpc":"2.0","id":)", RawId(host.sent.back()),
                                        R"(,"error":{"code":-32602,"message":"Unsupported protocol Version"}})"));
  };
  refuse();
  EXPECT_TRUE(host.failures.empty());
  EXPECT_EQ(Parse(host.sent.back())["params"]["protocolVersion"], "2024-11-05");
  AnswerLast(R"({"protocolVersion":"2024-11-05","capabilities":{}})");
  EXPECT_EQ(host.discovered.size(), 1u);
  // Once more, and no oftener.
  hub->UpstreamDown(absl::OkStatus());
  hub->UpstreamUp(false, absl::Seconds(60));
  refuse();
  refuse();
  EXPECT_EQ(host.failures.size(), 1u);
}

TEST_F(HubLifeTest, AHandshakeThatFailsFailsWhatWaitsAndSparesTheSessions) {
  const auto fails = [](const std::function<void(HubWorld*)>& how, absl::string_view words) {
    HubWorld w;
    FakeClient a(w.hub.get());
    a.Post(std::string(kInitialize));
    a.Post(CallWith(1));
    w.hub->UpstreamUp(true, absl::Seconds(60));
    how(&w);
    ASSERT_EQ(w.host.failures.size(), 1u) << words;
    EXPECT_TRUE(absl::StrContains(w.host.failures[0].message(), words)) << w.host.failures[0];
    EXPECT_TRUE(w.host.discovered.empty());
    const Strings answers = a.Take();
    ASSERT_EQ(answers.size(), 2u);
    for (const std::string& answer : answers) EXPECT_EQ(Parse(answer)["error"]["code"], -32603) << answer;
    // The Host ends the process; the next message wakes it again.
    a.Post(CallWith(2));
    w.hub->UpstreamDown(absl::UnknownError("ended by unmcp"));
    EXPECT_EQ(a.Take().size(), 1u);
    EXPECT_FALSE(a.stream->closed);
    a.Post(CallWith(3));
    EXPECT_EQ(w.host.wakes, 2);
    EXPECT_EQ(w.hub->activity().calls_in_flight, 1);
    EXPECT_FALSE(w.scheduler.has_timers());
  };
  fails([](HubWorld* w) { w->scheduler.Advance(absl::Seconds(60)); }, "startup timeout");
  fails([](HubWorld* w) { w->AnswerLast("{}"); }, "protocolVersion");
  fails([](HubWorld* w) { w->AnswerLast("\"hello\""); }, "protocolVersion");
  fails([](HubWorld* w) { w->hub->OnUpstreamOversized("{\"result\":{", "x\"}]}}", 40'000'000); }, "over the limit");
  fails(
      [](HubWorld* w) {
        w->hub->OnUpstreamMessage(absl::StrCat(R"({"jsonrpc":"2.0","id":)", RawId(w->host.sent[0]),
                                               R"(,"error":{"code":-32603,"message":"no licence"}})"));
      },
      "no licence");
}

TEST_F(HubLifeTest, AWakeThatFailsFailsWhatWaitsAndSparesTheSessions) {
  FakeClient a(hub.get());
  a.Post(std::string(kInitialize));
  a.Post(CallWith(1));
  hub->WakeFailed({.reason = "PoolFull", .message = "raise maxServersActive", .retry_after_seconds = 9});
  const Strings answers = a.Take();
  ASSERT_EQ(answers.size(), 2u);
  for (const std::string& answer : answers) {
    EXPECT_EQ(Parse(answer)["error"]["code"], -32603);
    EXPECT_EQ(Parse(answer)["error"]["data"]["reason"], "PoolFull");
    EXPECT_TRUE(absl::StrContains(answer, "raise maxServersActive"));
  }
  EXPECT_FALSE(a.stream->closed);
  a.Post(CallWith(1));  // the id is free again
  EXPECT_EQ(host.wakes, 2);
  Start();
  EXPECT_EQ(host.sent.size(), 3u);  // and what had failed is not sent after all
}

TEST_F(HubLifeTest, ACrashFailsCallsAtOnceAndClosesTheStreams) {
  Start();
  FakeClient a(hub.get()), b(hub.get());
  a.Post(CallWith(1));
  a.Post(CallWith(2));
  host.TakeSent();
  hub->UpstreamDown(absl::UnavailableError("signal 9; its last words: \"out of \xFF memory\""));
  const Strings answers = a.Take();
  ASSERT_EQ(answers.size(), 2u);
  for (const std::string& answer : answers) {
    EXPECT_EQ(Parse(answer)["error"]["code"], -32603) << answer;
    EXPECT_TRUE(absl::StrContains(answer, "signal 9")) << answer;
  }
  EXPECT_TRUE(a.stream->closed && b.stream->closed);
  EXPECT_EQ(hub->activity().open_sessions, 0);
  EXPECT_EQ(hub->activity().calls_in_flight, 0);
  EXPECT_EQ(a.Post(CallWith(3)).status, 404);
  EXPECT_TRUE(host.sent.empty());  // there is nobody to tell
  // The next session works, and finds nothing of the old ones.
  FakeClient c(hub.get());
  EXPECT_EQ(host.wakes, 1);
  Start();
  c.Post(CallWith(1));
  AnswerLast("{}");
  EXPECT_EQ(c.Take().size(), 1u);
}

TEST_F(HubLifeTest, SleepKeepsTheSessionsAndTheNextMessageWakes) {
  Start();
  FakeClient a(hub.get());
  a.Post(std::string(kInitialize));
  a.Post(CallWith(1));
  EXPECT_FALSE(hub->TryDrain());
  AnswerLast("{}");
  a.Take();
  ASSERT_TRUE(hub->TryDrain());
  hub->UpstreamDown(absl::OkStatus());
  EXPECT_EQ(host.wakes, 0);
  EXPECT_FALSE(a.stream->closed);
  host.TakeSent();
  a.Post(CallWith(2));
  EXPECT_EQ(host.wakes, 1);
  EXPECT_TRUE(host.sent.empty());
  Start();
  EXPECT_EQ(SentMethods(), (Strings{"initialize", "notifications/initialized", "tools/call"}));
}

TEST_F(HubLifeTest, AServerThatIsDeclaredAnewEndsTheSessionsThatKnowTheOldOne) {
  FakeClient early(hub.get());
  early.Post(std::string(kInitialize));
  hub->ServerChanged();
  EXPECT_FALSE(early.stream->closed) << "it knows of none yet";
  Start();
  FakeClient waits(hub.get());
  waits.Post(std::string(kInitialize));
  ASSERT_TRUE(hub->TryDrain());
  hub->UpstreamDown(absl::OkStatus());
  waits.Take();
  waits.Post(CallWith(1));
  FakeClient fresh(hub.get());
  fresh.Post(std::string(kInitialize));
  hub->ServerChanged();
  EXPECT_TRUE(early.stream->closed);
  EXPECT_FALSE(waits.stream->closed) << "no call fails by an edit";
  EXPECT_FALSE(fresh.stream->closed);
  Start();
  AnswerLast("{}");
  EXPECT_EQ(waits.Take().size(), 1u);
  EXPECT_EQ(fresh.Take().size(), 1u);
}

TEST_F(HubLifeTest, WhatComesWhileTheServerIsPutToSleepWakesItAgain) {
  Start();
  FakeClient a(hub.get());
  host.TakeSent();
  ASSERT_TRUE(hub->TryDrain());
  a.Post(CallWith(1));
  EXPECT_TRUE(host.sent.empty());
  EXPECT_EQ(host.wakes, 0);
  hub->UpstreamDown(absl::OkStatus());
  EXPECT_EQ(host.wakes, 1);
  Start();
  AnswerLast("{}");
  EXPECT_EQ(a.Take().size(), 1u);
}

TEST_F(HubLifeTest, ADrainThatIsCancelledLetsWhatWaitedGo) {
  Start();
  FakeClient a(hub.get());
  host.TakeSent();
  ASSERT_TRUE(hub->TryDrain());
  a.Post(CallWith(1));
  a.Post(std::string(kInitialize));
  EXPECT_TRUE(a.Take().empty());
  hub->CancelDrain();
  EXPECT_EQ(SentMethods(), Strings{"tools/call"});
  EXPECT_EQ(a.Take().size(), 1u);
}

TEST_F(HubLifeTest, ASubscriptionKeepsTheServerAwake) {
  Start();
  FakeClient a(hub.get());
  a.Post(R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"x:y"}})");
  AnswerLast("{}");
  EXPECT_FALSE(hub->TryDrain());
  a.Post(R"({"jsonrpc":"2.0","id":2,"method":"resources/unsubscribe","params":{"uri":"x:y"}})");
  EXPECT_TRUE(hub->TryDrain());
}

TEST_F(HubLifeTest, CloseAllEndsEverySessionInGoodOrder) {
  Start();
  FakeClient a(hub.get()), b(hub.get());
  a.Post(CallWith(1));
  host.TakeSent();
  hub->CloseAll("unmcp is stopping");
  EXPECT_TRUE(a.stream->closed && b.stream->closed);
  EXPECT_TRUE(absl::StrContains(a.Take().at(0), "unmcp is stopping"));
  EXPECT_EQ(SentMethods(), Strings{"notifications/cancelled"});
  EXPECT_EQ(hub->activity().open_sessions, 0);
}

// A Host whose answers come from within.
class EagerHost : public FakeHost {
 public:
  void Wake() override {
    FakeHost::Wake();
    if (refuse) {
      hub->WakeFailed({.reason = "Suspended", .message = "resume it"});
    } else {
      hub->UpstreamUp(false, absl::Seconds(60));
    }
  }
  void SendUpstream(std::string message) override {
    if (crash && absl::StrContains(message, "tools/call")) {
      hub->UpstreamDown(absl::UnavailableError("broken pipe"));
      return;
    }
    const std::string id = RawId(message);
    FakeHost::SendUpstream(std::move(message));
    if (id.empty()) return;
    hub->OnUpstreamMessage(
        absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"result":)", HubWorld::kServerResult, "}"));
  }
  void OnHandshakeFailed(absl::Status why) override {
    FakeHost::OnHandshakeFailed(why);
    hub->UpstreamDown(why);
  }
  bool refuse = false, crash = false;
  SharedHub* hub = nullptr;
};

TEST(HubReentry, AHostMayAnswerFromWithin) {
  SimulatedScheduler scheduler;
  CountingRandom random;
  EagerHost host;
  auto hub = SharedHub::Create({.scheduler = &scheduler, .random = &random, .host = &host, .client_version = "1"});
  host.hub = hub.get();
  FakeClient a(hub.get());
  a.Post(std::string(kInitialize));
  a.Post(CallWith(1));
  EXPECT_EQ(a.Take().size(), 2u);
  ASSERT_TRUE(hub->TryDrain());
  hub->UpstreamDown(absl::OkStatus());

  host.refuse = true;
  a.Post(CallWith(2));
  EXPECT_TRUE(absl::StrContains(a.Take().at(0), "resume it"));

  host.refuse = false;
  host.crash = true;
  a.Post(CallWith(3));
  EXPECT_TRUE(absl::StrContains(a.Take().at(0), "broken pipe"));
  EXPECT_TRUE(a.stream->closed);
  scheduler.RunUntilIdle();
  EXPECT_EQ(hub->activity().open_sessions, 0);
}

// A stream that breaks while it is written to.
class BreakingExchange : public Exchange {
 public:
  void SetHandler(ExchangeHandler* handler) override { handler_ = handler; }
  void SendHead(int, Headers) override {}
  void Send(std::string, absl::string_view, absl::string_view) override {
    if (sent_++ > 0 && handler_ != nullptr) std::exchange(handler_, nullptr)->OnClosed();
  }
  size_t queued() const override { return 0; }
  void Close() override {}

 private:
  int sent_ = 0;  // the endpoint event still goes
  ExchangeHandler* handler_ = nullptr;
};

TEST_F(HubLifeTest, StreamsMayBreakWhileTheyAreWrittenTo) {
  Start();
  for (int i = 0; i < 3; ++i) {
    hub->Handle(
        {.kind = ExchangeRequest::Kind::kSseStream, .server = "s", .session = "", .protocol_version = "2025-11-25"},
        std::make_unique<BreakingExchange>());
  }
  FakeClient a(hub.get(), "2025-11-25");
  hub->OnUpstreamMessage(R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})");
  EXPECT_EQ(a.Take().size(), 1u);
  EXPECT_EQ(hub->activity().open_sessions, 1);
  scheduler.Advance(absl::Seconds(1));
}

}  // namespace
}  // namespace unmcp::session
