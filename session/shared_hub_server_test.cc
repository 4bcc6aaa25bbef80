// What the server sees and says: its requests, notifications, logging,
// subscriptions, and what it should not have said.
#include <memory>
#include <string>
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

class HubServerTest : public testing::Test, protected HubWorld {
 protected:
  // An initialized client.
  std::unique_ptr<FakeClient> Connect(absl::string_view capabilities = "{}") {
    auto client = std::make_unique<FakeClient>(hub.get());
    client->Post(
        absl::StrCat(R"({"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25",)",
                     R"("capabilities":)", capabilities, "}}"));
    client->Take();
    return client;
  }
  // Sends a request; returns what the server got.
  std::string Call(FakeClient* client, int id, absl::string_view method = "tools/call",
                   absl::string_view params = "{}") {
    client->Post(
        absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":")", method, R"(","params":)", params, "}"));
    return host.sent.empty() ? "" : host.sent.back();
  }
  void Notify(absl::string_view method, absl::string_view params = "{}") {
    hub->OnUpstreamMessage(absl::StrCat(R"({"method":")", method, R"(","params":)", params, R"(,"jsonrpc":"2.0"})"));
  }
  void Ask(absl::string_view id, absl::string_view method, absl::string_view params = "{}") {
    hub->OnUpstreamMessage(
        absl::StrCat(R"({"method":")", method, R"(","params":)", params, R"(,"jsonrpc":"2.0","id":)", id, "}"));
  }
  // The methods of what was sent since the last look.
  Strings SentMethods() {
    Strings methods;
    for (const std::string& m : host.TakeSent()) methods.push_back(Parse(m).value("method", ""));
    return methods;
  }
};

// ---- the server's requests --------------------------------------------------------

TEST_F(HubServerTest, PingIsAnsweredEvenDuringTheHandshake) {
  hub->UpstreamUp(false, absl::Seconds(60));
  Ask("\"p\"", "ping");
  EXPECT_EQ(host.sent.back(), R"({"jsonrpc":"2.0","id":"p","result":{}})");
}

TEST_F(HubServerTest, ARequestGoesToTheClientWhoseCallRunsAndTheAnswerBack) {
  Start();
  auto a = Connect(R"({"sampling":{},"elicitation":{}})"), b = Connect(R"({"sampling":{}})");
  Call(a.get(), 1);
  host.TakeSent();
  Ask("\"s-1\"", "sampling/createMessage", R"({"maxTokens" : 5,"_meta":{"progressToken":"up"}})");
  const Strings asked = a->Take();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(b->Take().empty());
  const std::string id = RawId(asked[0]);
  EXPECT_EQ(
      asked[0],
      absl::StrCat(R"({"method":"sampling/createMessage","params":{"maxTokens" : 5,"_meta":{"progressToken":"up"}},)",
                   R"("jsonrpc":"2.0","id":)", id, "}"));
  // Another client cannot answer for it, nor report its progress.
  const std::string answer = absl::StrCat(R"({"jsonrpc":"2.0", "id":)", id, R"(,"result":{"role":"assistant"}})");
  const std::string progress =
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"up","progress":1}})";
  b->Post(answer);
  b->Post(progress);
  EXPECT_TRUE(host.sent.empty());
  a->Post(progress);
  EXPECT_EQ(host.TakeSent(), Strings{progress});
  EXPECT_EQ(a->Post(answer).status, 202);
  EXPECT_EQ(host.TakeSent(), Strings{R"({"jsonrpc":"2.0", "id":"s-1","result":{"role":"assistant"}})"});
  a->Post(answer);  // once only
  EXPECT_TRUE(host.sent.empty());
}

TEST_F(HubServerTest, ARequestThatBelongsToNobodyIsRefused) {
  Start();
  auto a = Connect(R"({"roots":{}})"), b = Connect(R"({"roots":{}})");
  const auto refusal = [this] {
    Ask("9", "roots/list");
    const Json answer = Parse(host.TakeSent().back());
    EXPECT_EQ(answer["id"], 9);
    return answer["error"]["code"].get<int>();
  };
  EXPECT_EQ(refusal(), -32603);  // no call runs
  Call(a.get(), 1);
  const std::string second = Call(b.get(), 1);
  EXPECT_EQ(refusal(), -32603);  // two do
  EXPECT_TRUE(a->Take().empty());
  Answer(second, "{}");
  Ask("9", "roots/list");
  EXPECT_EQ(a->Take().size(), 1u);
}

TEST_F(HubServerTest, ARequestThatTheClientCannotServeIsRefused) {
  Start();
  auto a = Connect(R"({"sampling":{}})");
  Call(a.get(), 1);
  host.TakeSent();
  Ask("1", "elicitation/create");
  Ask("2", "no/such/thing");
  ASSERT_EQ(host.sent.size(), 2u);
  for (const std::string& answer : host.sent) EXPECT_EQ(Parse(answer)["error"]["code"], -32601);
  EXPECT_TRUE(a->Take().empty());
}

TEST_F(HubServerTest, ARequestWhoseClientLeavesGetsAnError) {
  Start();
  auto a = Connect(R"({"sampling":{}})");
  Call(a.get(), 1);
  Ask("\"q\"", "sampling/createMessage");
  host.TakeSent();
  a->Leave();
  bool answered = false;
  for (const std::string& m : host.sent) answered |= Parse(m).value("id", "") == "q" && Parse(m).contains("error");
  EXPECT_TRUE(answered);
}

TEST_F(HubServerTest, TheServerCancelsItsRequestUnderTheClientsId) {
  Start();
  auto a = Connect(R"({"sampling":{}})");
  Call(a.get(), 1);
  Ask("\"q\"", "sampling/createMessage");
  const std::string id = RawId(a->Take().at(0));
  Notify("notifications/cancelled", R"({"requestId":"q"})");
  EXPECT_EQ(a->Take(), Strings{absl::StrCat(R"({"method":"notifications/cancelled","params":{"requestId":)", id,
                                            R"(},"jsonrpc":"2.0"})")});
  host.TakeSent();
  a->Post(absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"result":{}})"));
  EXPECT_TRUE(host.sent.empty());
}

TEST_F(HubServerTest, ItsRequestsToClientsAreBounded) {
  Start();
  auto a = Connect(R"({"sampling":{}})");
  Call(a.get(), 1);
  host.TakeSent();
  for (int i = 0; i < 300; ++i) Ask(absl::StrCat(i), "sampling/createMessage");
  EXPECT_EQ(a->Take().size(), 256u);
  EXPECT_EQ(host.sent.size(), 44u);
}

// ---- notifications --------------------------------------------------------------

TEST_F(HubServerTest, ListChangesGoToEverybodyWhoIsInitialized) {
  Start();
  auto a = Connect(), b = Connect();
  FakeClient reconnected(hub.get(), "2025-06-18"), fresh(hub.get());
  for (const char* what : {"tools", "prompts", "resources"})
    Notify(absl::StrCat("notifications/", what, "/list_changed"));
  EXPECT_EQ(a->Take().size(), 3u);
  EXPECT_EQ(b->Take().size(), 3u);
  EXPECT_EQ(reconnected.Take().size(), 3u);
  EXPECT_TRUE(fresh.Take().empty());
}

TEST_F(HubServerTest, LogMessagesGoToTheOnlySessionOrTheOnlyOneWithACall) {
  Start();
  auto a = Connect();
  Notify("notifications/message", R"({"level":"info","data":1})");
  EXPECT_EQ(a->Take(),
            Strings{R"({"method":"notifications/message","params":{"level":"info","data":1},"jsonrpc":"2.0"})"});
  auto b = Connect();
  Notify("notifications/message", R"({"level":"info","data":2})");
  const std::string call = Call(b.get(), 1);
  Notify("notifications/message", R"({"level":"info","data":3})");
  Call(a.get(), 1);
  Notify("notifications/message", R"({"level":"info","data":4})");
  EXPECT_TRUE(a->Take().empty());
  EXPECT_EQ(b->Take().size(), 1u);
}

TEST_F(HubServerTest, UnknownNotificationsGoToTheOnlySessionElseNobody) {
  Start();
  auto a = Connect();
  Notify("notifications/custom");
  EXPECT_EQ(a->Take().size(), 1u);
  auto b = Connect();
  Call(a.get(), 1);
  Notify("notifications/custom");
  EXPECT_TRUE(a->Take().empty());
  EXPECT_TRUE(b->Take().empty());
}

TEST_F(HubServerTest, ProgressWithATokenThatIsNotOursGoesToNobody) {
  Start();
  auto a = Connect();
  const std::string call = Call(a.get(), 1);  // asked for no progress
  for (const std::string& token : {RawId(call), std::string("\"x\""), std::string("12345"), std::string("null")}) {
    Notify("notifications/progress", absl::StrCat(R"({"progress":1,"progressToken":)", token, "}"));
  }
  EXPECT_TRUE(a->Take().empty());
}

TEST_F(HubServerTest, RootsChangesPassToARunningServerAndWakeNoOther) {
  FakeClient a(hub.get(), "2025-06-18");
  const std::string changed = R"({"jsonrpc":"2.0","method":"notifications/roots/list_changed"})";
  a.Post(changed);
  EXPECT_EQ(host.wakes, 0);
  Start();
  host.TakeSent();
  a.Post(changed);
  EXPECT_EQ(host.sent, Strings{changed});
}

// ---- logging --------------------------------------------------------------------

TEST_F(HubServerTest, TheServerIsToldTheMostVerboseLevelAndEachClientGetsItsOwn) {
  Start();
  auto a = Connect(), b = Connect();
  host.TakeSent();
  const auto set_level = [this](FakeClient* client, absl::string_view level) {
    Call(client, 50, "logging/setLevel", absl::StrCat(R"({"level":")", level, "\"}"));
    return client->Take();
  };
  const auto told = [this] {
    Strings levels;
    for (const std::string& m : host.TakeSent()) {
      if (Parse(m)["method"] == "logging/setLevel") levels.push_back(Parse(m)["params"]["level"]);
    }
    return levels;
  };
  EXPECT_EQ(set_level(a.get(), "warning"), Strings{R"({"jsonrpc":"2.0","id":50,"result":{}})"});
  EXPECT_EQ(told(), Strings{"warning"});
  set_level(b.get(), "error");
  EXPECT_EQ(told(), Strings{});
  set_level(b.get(), "debug");
  EXPECT_EQ(told(), Strings{"debug"});
  EXPECT_EQ(Parse(set_level(b.get(), "loud").at(0))["error"]["code"], -32602);

  const std::string call = Call(a.get(), 1);
  Notify("notifications/message", R"({"level":"info"})");
  Notify("notifications/message", R"({"level":"error"})");
  EXPECT_EQ(a->Take().size(), 1u);
  Answer(call, "{}");
  a->Take();

  // A new life is told again, and less when the one who wanted it has left.
  ASSERT_TRUE(hub->TryDrain());
  hub->UpstreamDown(absl::OkStatus());
  host.TakeSent();
  Start();
  EXPECT_EQ(told(), Strings{"debug"});
  b->Leave();
  EXPECT_EQ(told(), Strings{"warning"});
}

TEST_F(HubServerTest, AServerThatDoesNotLogIsNotAskedTo) {
  Start(R"({"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"n","version":"1"}})");
  auto a = Connect();
  host.TakeSent();
  Call(a.get(), 1, "logging/setLevel", R"({"level":"info"})");
  EXPECT_TRUE(host.sent.empty());
  EXPECT_EQ(Parse(a->Take().at(0))["error"]["code"], -32601);
}

// ---- subscriptions --------------------------------------------------------------

constexpr absl::string_view kUri = R"({"uri":"file:///a"})";

TEST_F(HubServerTest, TheServerSeesTheFirstSubscriberAndTheLastUnsubscriber) {
  Start();
  auto a = Connect(), b = Connect(), c = Connect();
  host.TakeSent();
  const std::string asked = Call(a.get(), 1, "resources/subscribe", kUri);
  Call(b.get(), 1, "resources/subscribe", R"({"uri":"file:\/\/\/a"})");  // the same one
  EXPECT_EQ(SentMethods(), Strings{"resources/subscribe"});
  EXPECT_TRUE(b->Take().empty());  // until the server has said yes
  Answer(asked, "{}");
  EXPECT_EQ(a->Take(), Strings{R"({"result":{},"jsonrpc":"2.0","id":1})"});
  EXPECT_EQ(b->Take(), Strings{R"({"result":{},"jsonrpc":"2.0","id":1})"});
  EXPECT_EQ(hub->activity().subscriptions, 1);

  Notify("notifications/resources/updated", kUri);
  Notify("notifications/resources/updated", R"({"uri":"file:///a/within"})");
  Notify("notifications/resources/updated", R"({"uri":"file:///ab"})");
  EXPECT_EQ(a->Take().size(), 2u);
  EXPECT_EQ(b->Take().size(), 2u);
  EXPECT_TRUE(c->Take().empty());

  Call(c.get(), 2, "resources/unsubscribe", kUri);  // it never had it
  Call(a.get(), 2, "resources/unsubscribe", kUri);
  EXPECT_TRUE(host.sent.empty());
  EXPECT_EQ(a->Take().size(), 1u);
  Notify("notifications/resources/updated", kUri);
  EXPECT_TRUE(a->Take().empty());
  EXPECT_EQ(b->Take().size(), 1u);
  b->Leave();
  EXPECT_EQ(SentMethods(), Strings{"resources/unsubscribe"});
  EXPECT_EQ(hub->activity().subscriptions, 0);
}

TEST_F(HubServerTest, ARefusedSubscriptionIsRefusedToAllWhoWaited) {
  Start();
  auto a = Connect(), b = Connect();
  const std::string asked = Call(a.get(), 1, "resources/subscribe", kUri);
  Call(b.get(), 1, "resources/subscribe", kUri);
  hub->OnUpstreamMessage(
      absl::StrCat(R"({"jsonrpc":"2.0","id":)", RawId(asked), R"(,"error":{"code":-32002,"message":"no"}})"));
  EXPECT_EQ(a->Take(), Strings{R"({"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"no"}})"});
  EXPECT_EQ(b->Take().size(), 1u);
  EXPECT_EQ(hub->activity().subscriptions, 0);
  EXPECT_EQ(hub->activity().calls_in_flight, 0);
}

TEST_F(HubServerTest, ASubscriptionOutlivesTheClientThatAskedFirst) {
  Start();
  auto a = Connect(), b = Connect();
  const std::string asked = Call(a.get(), 1, "resources/subscribe", kUri);
  Call(b.get(), 1, "resources/subscribe", kUri);
  host.TakeSent();
  a->Leave();
  EXPECT_TRUE(host.sent.empty());  // nothing to cancel: the subscription is ours, not the client's
  Answer(asked, "{}");
  EXPECT_EQ(b->Take().size(), 1u);
  Notify("notifications/resources/updated", kUri);
  EXPECT_EQ(b->Take().size(), 1u);
  EXPECT_TRUE(host.sent.empty());
}

TEST_F(HubServerTest, ASubscriptionThatNobodyWantsAnyMoreWhenItStandsIsGivenUp) {
  Start();
  auto a = Connect();
  const std::string asked = Call(a.get(), 1, "resources/subscribe", kUri);
  a->Leave();
  host.TakeSent();
  EXPECT_FALSE(hub->TryDrain());
  Answer(asked, "{}");
  EXPECT_EQ(SentMethods(), Strings{"resources/unsubscribe"});
  EXPECT_TRUE(hub->TryDrain());
}

TEST_F(HubServerTest, SubscriptionsOfASessionAreBounded) {
  Start();
  auto a = Connect();
  for (int i = 0; i < 1024; ++i) {
    Answer(Call(a.get(), i, "resources/subscribe", absl::StrCat(R"({"uri":"u:)", i, "\"}")), "{}");
  }
  a->Take();
  Call(a.get(), 5000, "resources/subscribe", R"({"uri":"one:more"})");
  EXPECT_EQ(Parse(a->Take().at(0))["error"]["code"], -32603);
  Call(a.get(), 5001, "resources/subscribe", absl::StrCat(R"({"uri":"data:)", std::string(9'000, 'x'), "\"}"));
  EXPECT_EQ(Parse(a->Take().at(0))["error"]["code"], -32602);
}

// ---- what should not come -----------------------------------------------------------

TEST_F(HubServerTest, LinesThatAreNoMessagesDoNoHarm) {
  hub->UpstreamUp(false, absl::Seconds(60));
  for (const char* line :
       {"Starting server…", "{}", "[]", "{\"jsonrpc\":\"2.0\"", "\xFF\xFE",
        "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":1}", "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}"}) {
    hub->OnUpstreamMessage(line);
  }
  AnswerLast(kServerResult);
  EXPECT_EQ(host.discovered.size(), 1u);
}

TEST_F(HubServerTest, AnAnswerThatIsNoMessageFailsItsCall) {
  Start();
  auto a = Connect();
  const std::string one = Call(a.get(), 1), two = Call(a.get(), 2);
  hub->OnUpstreamMessage(absl::StrCat(R"({"jsonrpc":"2.0","id":)", RawId(one), ",\"result\":{\"text\":\"caf\xE9\"}}"));
  hub->OnUpstreamMessage(absl::StrCat(R"({"id":)", RawId(two), R"(,"log":"a line that only looks like one"})"));
  const Strings failed = a->Take();
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(Parse(failed[0])["id"], 1);
  EXPECT_EQ(Parse(failed[0])["error"]["code"], -32603);
  EXPECT_TRUE(absl::StrContains(failed[0], "UTF-8"));
  hub->OnUpstreamMessage(absl::StrCat(R"({"id":)", RawId(two), R"(,"result":{}})"));
  EXPECT_EQ(a->Take().size(), 1u);
}

TEST_F(HubServerTest, AMessageThatIsTooLongFailsTheCallThatItAnswers) {
  Start();
  auto a = Connect();
  const std::string one = Call(a.get(), 1), two = Call(a.get(), 2);
  hub->OnUpstreamOversized(absl::StrCat(R"({"jsonrpc":"2.0","id":)", RawId(two), R"(,"result":{"content":[{"te)"),
                           "x\"}]}}", 40'000'000);
  Strings failed = a->Take();
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(Parse(failed[0])["id"], 2);
  EXPECT_EQ(Parse(failed[0])["error"]["code"], -32603);
  EXPECT_TRUE(absl::StrContains(failed[0], "40000000"));
  // The id is neither first nor last, and only one answer is out.
  hub->OnUpstreamOversized(R"({"result":{"content":[{"te)", "x\"}]}}", 40'000'000);
  failed = a->Take();
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(Parse(failed[0])["id"], 1);
  // Not to be told: nothing is failed that may still be answered.
  const std::string three = Call(a.get(), 3);
  Call(a.get(), 4);
  hub->OnUpstreamOversized(R"({"result":{"content":[{"te)", "x\"}]}}", 40'000'000);
  hub->OnUpstreamOversized(R"({"method":"notifications/x","params":{"te)", "x\"}]}}", 40'000'000);
  // What only looks like an id is inside a string or a member.
  hub->OnUpstreamOversized(R"({"result":{"te)", absl::StrCat(R"(\"id\":)", RawId(three), R"(}"})"), 40'000'000);
  hub->OnUpstreamOversized(R"({"result":{"te)", absl::StrCat(R"(,"id":)", RawId(three), "}}"), 40'000'000);
  EXPECT_TRUE(a->Take().empty());
  // The id comes last.
  hub->OnUpstreamOversized(R"({"result":{"te)", absl::StrCat(R"(x"}]},"jsonrpc":"2.0","id" : )", RawId(three), " }"),
                           40'000'000);
  failed = a->Take();
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(Parse(failed[0])["id"], 3);
}

}  // namespace
}  // namespace unmcp::session
