// What clients see of a hub: HTTP answers, handshakes, calls, bounds.
#include <memory>
#include <set>
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

std::string InitializeFor(absl::string_view version, absl::string_view capabilities = "{}") {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":")", version,
                      R"(","capabilities":)", capabilities, R"(,"clientInfo":{"name":"c","version":"1"}}})");
}

std::string CallWith(absl::string_view id, absl::string_view rest = "") {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":"tools/call","params":{"name":"t")", rest, "}}");
}

class HubClientsTest : public testing::Test, protected HubWorld {};

TEST_F(HubClientsTest, AStreamBeginsWithItsEndpointAndWakesTheServer) {
  FakeClient a(hub.get());
  EXPECT_EQ(a.stream->status, 200);
  EXPECT_EQ(a.stream->headers["content-type"], "text/event-stream");
  EXPECT_EQ(a.stream->headers["cache-control"], "no-cache, no-transform");
  EXPECT_EQ(a.stream->headers["x-accel-buffering"], "no");
  ASSERT_EQ(a.stream->events.size(), 1u);
  EXPECT_EQ(a.stream->events[0].event, "endpoint");
  EXPECT_EQ(a.stream->events[0].data, absl::StrCat("/api/v1/servers/srv/message?sessionId=", a.id()));
  EXPECT_EQ(a.id().size(), 32u);
  EXPECT_EQ(host.wakes, 1);
  FakeClient b(hub.get());
  EXPECT_NE(a.id(), b.id());
  EXPECT_EQ(host.wakes, 1);  // once per need
  EXPECT_EQ(hub->activity().open_sessions, 2);
}

TEST_F(HubClientsTest, AReconnectingStreamWakesNothingUntilAMessageComes) {
  FakeClient a(hub.get(), "2025-06-18");
  EXPECT_EQ(a.stream->status, 200);
  EXPECT_EQ(host.wakes, 0);
  EXPECT_EQ(a.Post(CallWith("1")).status, 202);
  EXPECT_EQ(host.wakes, 1);
}

TEST_F(HubClientsTest, AServerThatCannotStartIs503) {
  hub->SetUnavailable(
      Unavailable{.reason = "PoolFull", .message = "raise \"maxServersActive\"", .retry_after_seconds = 7});
  auto refused = std::make_shared<Recorded>();
  hub->Handle({}, std::make_unique<FakeExchange>(refused));
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->headers["retry-after"], "7");
  EXPECT_EQ(Parse(refused->body()), Parse(R"({"error":{"code":503,"status":"UNAVAILABLE",
      "message":"raise \"maxServersActive\"","details":[{"reason":"PoolFull"}]}})"));
  EXPECT_TRUE(refused->closed);
  EXPECT_EQ(host.wakes, 0);
  EXPECT_EQ(host.refusals, 1);  // it is wanted all the same
  hub->SetUnavailable(std::nullopt);
  EXPECT_EQ(FakeClient(hub.get()).stream->status, 200);
}

TEST_F(HubClientsTest, ACallThatWouldWakeAServerThatCannotStartIs503) {
  FakeClient a(hub.get(), "2025-06-18");
  hub->SetUnavailable(Unavailable{.reason = "PoolFull", .message = "wait", .retry_after_seconds = 7});
  const Recorded refused = a.Post(CallWith("1"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.at("retry-after"), "7");
  EXPECT_EQ(host.refusals, 1);
  EXPECT_EQ(a.Post(R"({"jsonrpc":"2.0","id":2,"method":"ping"})").status, 202);
  hub->SetUnavailable(std::nullopt);
  EXPECT_EQ(a.Post(CallWith("3")).status, 202);  // the session lives on
  EXPECT_EQ(host.wakes, 1);
  // A process that runs answers, whatever is said of a next one.
  Start();
  hub->SetUnavailable(Unavailable{.reason = "Suspended", .message = "m", .retry_after_seconds = 7});
  EXPECT_EQ(a.Post(CallWith("4")).status, 202);
}

TEST_F(HubClientsTest, BadMessagesAreRefusedAndTheSessionLivesOn) {
  Start();
  FakeClient a(hub.get());
  const auto error_of = [](const Recorded& r) { return Parse(r.body())["error"]["code"]; };
  const Recorded malformed = a.Post(R"({"jsonrpc":"2.0","id":1,)");
  EXPECT_EQ(malformed.status, 400);
  EXPECT_EQ(error_of(malformed), -32700);
  EXPECT_EQ(malformed.headers.at("content-type"), "application/json");
  const Recorded no_rpc = a.Post(R"({"id":"x","method":"m"})");
  EXPECT_EQ(no_rpc.status, 400);
  EXPECT_EQ(error_of(no_rpc), -32600);
  EXPECT_EQ(Parse(no_rpc.body())["id"], "x");
  const Recorded batch = a.Post(absl::StrCat("[", CallWith("1"), "]"));
  EXPECT_EQ(batch.status, 400);
  EXPECT_EQ(error_of(batch), -32600);
  const Recorded unknown = FakeClient::PostTo(hub.get(), "nobody", CallWith("1"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(error_of(unknown), -32001);
  EXPECT_EQ(FakeClient::PostTo(hub.get(), "", CallWith("1")).status, 400);
  host.TakeSent();
  EXPECT_EQ(a.Post(CallWith("1")).status, 202);
  EXPECT_EQ(a.Post(CallWith("1")).status, 400);      // in flight
  EXPECT_EQ(a.Post(CallWith("\"1\"")).status, 202);  // another id than 1
  ASSERT_EQ(host.sent.size(), 2u);
  EXPECT_TRUE(a.Take().empty());
  Answer(host.sent[0], "{}");
  EXPECT_EQ(a.Post(CallWith("1")).status, 202);  // free again
}

TEST_F(HubClientsTest, TheMessageMayComeLaterAndItsClientMayLeaveFirst) {
  Start();
  FakeClient a(hub.get());
  host.TakeSent();
  const auto post = [&](const std::string& session) {
    auto recorded = std::make_shared<Recorded>();
    hub->Handle(
        {.kind = ExchangeRequest::Kind::kSseMessage, .server = "srv", .session = session, .protocol_version = ""},
        std::make_unique<FakeExchange>(recorded));
    return recorded;
  };
  const auto late = post(a.id());
  EXPECT_EQ(late->status, 0);
  late->handler->OnMessage(CallWith("5"));
  EXPECT_EQ(late->status, 202);
  EXPECT_TRUE(late->closed && late->destroyed);
  EXPECT_EQ(host.sent.size(), 1u);

  const auto gone = post(a.id());
  gone->handler->OnClosed();
  EXPECT_TRUE(gone->destroyed);

  const auto orphan = post(a.id());
  a.Leave();
  orphan->handler->OnMessage(CallWith("6"));
  EXPECT_EQ(orphan->status, 404);

  const auto waiting = post(FakeClient(hub.get()).id());
  hub.reset();
  EXPECT_TRUE(waiting->destroyed);
}

TEST_F(HubClientsTest, CallsGoThroughByteForByteButForTheEnvelope) {
  Start();
  FakeClient a(hub.get());
  host.TakeSent();
  a.Post(
      R"({ "params" : {"name":"t","arguments":{"n":1.50,"s":"\u00e9\/","id":"\"7\""},"_meta":{"progressToken":"tok",)"
      R"("k":[ ]}}, "id" : "a-\u0031" , "jsonrpc":"2.0","method":"tools/call"})");
  ASSERT_EQ(host.sent.size(), 1u);
  const std::string up = RawId(host.sent[0]);
  EXPECT_EQ(
      host.sent[0],
      absl::StrCat(
          R"({ "params" : {"name":"t","arguments":{"n":1.50,"s":"\u00e9\/","id":"\"7\""},"_meta":{"progressToken":)",
          up, R"(,"k":[ ]}}, "id" : )", up, R"( , "jsonrpc":"2.0","method":"tools/call"})"));
  hub->OnUpstreamMessage(absl::StrCat(
      R"({"method":"notifications/progress","params":{"progress":0.5, "progressToken":)", up, R"(},"jsonrpc":"2.0"})"));
  hub->OnUpstreamMessage(absl::StrCat(R"({"result": {"x":[1e2,"\u00e9"]} ,"jsonrpc":"2.0","id":)", up, "}"));
  hub->OnUpstreamMessage(absl::StrCat(R"({"result":"late","jsonrpc":"2.0","id":)", up, "}"));
  hub->OnUpstreamMessage(absl::StrCat(R"({"method":"notifications/progress","params":{"progress":1,"progressToken":)",
                                      up, R"(},"jsonrpc":"2.0"})"));
  EXPECT_EQ(
      a.Take(),
      (Strings{
          R"({"method":"notifications/progress","params":{"progress":0.5, "progressToken":"tok"},"jsonrpc":"2.0"})",
          R"({"result": {"x":[1e2,"\u00e9"]} ,"jsonrpc":"2.0","id":"a-\u0031"})"}));
  EXPECT_EQ(hub->activity().calls_in_flight, 0);
}

TEST_F(HubClientsTest, PrettyPrintedMessagesGoOutOnOneLine) {
  Start();
  FakeClient a(hub.get());
  host.TakeSent();
  a.Post("{\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": 1,\n  \"method\": \"x\",\n  \"params\": {\"t\":\"a\\nb\"}\n}");
  ASSERT_EQ(host.sent.size(), 1u);
  EXPECT_FALSE(absl::StrContains(host.sent[0], "\n") || absl::StrContains(host.sent[0], "\r"));
  EXPECT_TRUE(absl::StrContains(host.sent[0], "a\\nb"));
  a.Post("{\n\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}");
  EXPECT_EQ(host.sent[1], R"({ "jsonrpc":"2.0","method":"notifications/x"})");
  hub->OnUpstreamMessage(absl::StrCat("{\"jsonrpc\":\"2.0\",\r\"id\":", RawId(host.sent[0]), ",\"result\":{}}\r"));
  EXPECT_EQ(a.Take(), Strings{"{\"jsonrpc\":\"2.0\", \"id\":1,\"result\":{}} "});
}

TEST_F(HubClientsTest, PingIsAnsweredHereAndIsNoUse) {
  FakeClient a(hub.get(), "2025-11-25");
  a.Post(R"({"jsonrpc":"2.0","id":"p","method":"ping"})");
  EXPECT_EQ(a.Take(), Strings{R"({"jsonrpc":"2.0","id":"p","result":{}})"});
  EXPECT_EQ(host.wakes, 0);
  EXPECT_EQ(hub->activity().requests, 0);
  EXPECT_EQ(hub->activity().last_request, absl::InfinitePast());
}

TEST_F(HubClientsTest, ActivityIsCounted) {
  Start();
  FakeClient a(hub.get());
  const int before = host.activities;
  scheduler.Advance(absl::Seconds(5));
  a.Post(CallWith("1"));
  EXPECT_GT(host.activities, before);
  EXPECT_EQ(hub->activity().requests, 1);
  EXPECT_EQ(hub->activity().calls_in_flight, 1);
  EXPECT_EQ(hub->activity().last_request, scheduler.Now());
}

TEST_F(HubClientsTest, MethodsSpeltWithEscapesAreTheSameMethods) {
  Start();
  FakeClient a(hub.get());
  host.TakeSent();
  a.Post(R"({"jsonrpc":"2.0","method":"notifications\/initialized"})");
  EXPECT_TRUE(host.sent.empty());
}

// ---- initialize -----------------------------------------------------------------

TEST_F(HubClientsTest, InitializeIsAnsweredWithTheServersOwnResult) {
  FakeClient a(hub.get());
  EXPECT_EQ(a.Post(InitializeFor("2025-11-25")).status, 202);
  EXPECT_TRUE(a.Take().empty());  // held
  Start();
  EXPECT_EQ(a.Take(), Strings{absl::StrCat(R"({"jsonrpc":"2.0","id":0,"result":)", kServerResult, "}")});
  host.TakeSent();
  a.Post(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  FakeClient b(hub.get());
  b.Post(InitializeFor("2025-11-25"));
  EXPECT_EQ(b.Take().size(), 1u);
  EXPECT_TRUE(host.sent.empty());  // the server has been initialized, once
}

TEST_F(HubClientsTest, TheVersionIsTheOneAskedForUnlessTheServerIsOlder) {
  const auto agreed = [](absl::string_view server, absl::string_view client) {
    HubWorld world;
    FakeClient a(world.hub.get());
    world.Start(absl::StrCat(R"({"capabilities":{},"protocolVersion" : ")", server, R"(" ,"serverInfo":{}})"));
    a.Post(InitializeFor(client));
    const Strings taken = a.Take();
    return taken.size() == 1 ? Parse(taken[0])["result"]["protocolVersion"].get<std::string>() : "";
  };
  EXPECT_EQ(agreed("2025-11-25", "2024-11-05"), "2024-11-05");
  EXPECT_EQ(agreed("2025-11-25", "2025-03-26"), "2025-03-26");
  EXPECT_EQ(agreed("2025-11-25", "2025-06-18"), "2025-06-18");
  EXPECT_EQ(agreed("2025-11-25", "2099-01-01"), "2025-11-25");
  EXPECT_EQ(agreed("2025-11-25", "2025-04-01"), "2025-11-25");  // there is no such revision
  EXPECT_EQ(agreed("2024-11-05", "2025-11-25"), "2024-11-05");
  EXPECT_EQ(agreed("2025-03-26", "2024-11-05"), "2024-11-05");
}

// ---- cancelling and leaving -------------------------------------------------------

TEST_F(HubClientsTest, ACancelledCallIsCancelledAtTheServerUnderItsIdThere) {
  Start();
  FakeClient a(hub.get()), b(hub.get());
  host.TakeSent();
  a.Post(CallWith("7"));
  b.Post(CallWith("7"));
  const std::string up = RawId(host.sent[0]);
  a.Post(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,"reason":"no \"longer\""}})");
  EXPECT_EQ(host.sent.back(),
            absl::StrCat(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)", up,
                         R"(,"reason":"no \"longer\""}})"));
  Answer(host.sent[0], "1");  // late: nobody's
  Answer(host.sent[1], "2");
  EXPECT_TRUE(a.Take().empty());
  EXPECT_EQ(b.Take().size(), 1u);
  const size_t before = host.sent.size();
  a.Post(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}})");
  a.Post(R"({"jsonrpc":"2.0","method":"notifications/cancelled"})");
  EXPECT_EQ(host.sent.size(), before);
}

TEST_F(HubClientsTest, AHeldCallThatIsCancelledNeverReachesTheServer) {
  FakeClient a(hub.get());
  a.Post(CallWith("7"));
  a.Post(CallWith("8"));
  a.Post(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}})");
  Start();
  ASSERT_EQ(host.sent.size(), 3u);  // initialize, initialized, call 8
  Answer(host.sent[2], "{}");
  EXPECT_EQ(a.Take(), Strings{R"({"result":{},"jsonrpc":"2.0","id":8})"});
}

TEST_F(HubClientsTest, AClientThatLeavesTakesItsCallsWithIt) {
  Start();
  FakeClient a(hub.get()), b(hub.get());
  host.TakeSent();
  a.Post(CallWith("1"));
  a.Post(CallWith("2"));
  b.Post(CallWith("1"));
  const Strings calls = host.TakeSent();
  const std::string id = a.id();
  a.Leave();
  EXPECT_TRUE(a.stream->destroyed);
  ASSERT_EQ(host.sent.size(), 2u);
  std::set<std::string> cancelled;
  for (const std::string& m : host.sent) {
    EXPECT_EQ(Parse(m)["method"], "notifications/cancelled");
    cancelled.insert(Parse(m)["params"]["requestId"].dump());
  }
  EXPECT_EQ(cancelled, (std::set<std::string>{RawId(calls[0]), RawId(calls[1])}));
  EXPECT_EQ(hub->activity().open_sessions, 1);
  EXPECT_EQ(hub->activity().calls_in_flight, 1);
  EXPECT_EQ(FakeClient::PostTo(hub.get(), id, CallWith("3")).status, 404);
  for (const std::string& call : calls) Answer(call, "{}");
  EXPECT_EQ(b.Take().size(), 1u);
  scheduler.RunUntilIdle();
}

TEST_F(HubClientsTest, AClientThatLeavesWhileTheServerStartsCostsItNothing) {
  FakeClient a(hub.get());
  a.Post(InitializeFor("2025-11-25"));
  a.Post(CallWith("1"));
  a.Leave();
  scheduler.Advance(absl::Seconds(1));
  Start();
  EXPECT_EQ(host.sent.size(), 2u);  // the handshake
}

// ---- bounds ---------------------------------------------------------------------

TEST_F(HubClientsTest, AClientThatDoesNotReadCostsItsBoundAndNoMore) {
  Start();
  FakeClient a(hub.get());
  a.stream->reads = false;
  const std::string megabyte = absl::StrCat("\"", std::string(1'000'000, 'x'), "\"");
  int answered = 0;
  for (; answered < 100 && !a.stream->destroyed; ++answered) {
    a.Post(CallWith(absl::StrCat(answered)));
    AnswerLast(megabyte);
    scheduler.RunUntilIdle();
  }
  EXPECT_EQ(answered, 9);          // 8 MiB: eight of these fit, with the endpoint event
  EXPECT_FALSE(a.stream->closed);  // cut off: what waited is thrown away
  EXPECT_LE(a.stream->queued, 8u * 1024 * 1024);
  EXPECT_EQ(hub->activity().open_sessions, 0);
}

TEST_F(HubClientsTest, OneLargeAnswerPassesAndSmallOnesBehindIt) {
  Start();
  FakeClient a(hub.get());
  a.stream->reads = false;
  a.stream->queued = 0;
  a.Post(CallWith("1"));
  a.Post(CallWith("2"));
  const Strings sent = host.sent;
  Answer(sent[sent.size() - 2], absl::StrCat("\"", std::string(20'000'000, 'x'), "\""));
  Answer(sent[sent.size() - 1], "{}");
  EXPECT_EQ(a.Take().size(), 2u);
  EXPECT_FALSE(a.stream->destroyed);
}

TEST_F(HubClientsTest, CallsInFlightAreBounded) {
  Start();
  FakeClient a(hub.get());
  for (int i = 0; i < 1024; ++i) a.Post(CallWith(absl::StrCat(i)));
  EXPECT_TRUE(a.Take().empty());
  EXPECT_EQ(a.Post(CallWith("\"more\"")).status, 202);
  const Strings refused = a.Take();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(Parse(refused[0])["id"], "more");
  EXPECT_EQ(Parse(refused[0])["error"]["code"], -32603);
}

TEST_F(HubClientsTest, WhatWaitsForTheServerIsBounded) {
  FakeClient a(hub.get()), b(hub.get());
  const std::string large = absl::StrCat(",\"arguments\":\"", std::string(3'000'000, 'x'), "\"");
  a.Post(CallWith("1", large));
  a.Post(CallWith("2", large));
  Strings refused = a.Take();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(Parse(refused[0])["id"], 2);
  // One that is over the bound by itself waits when it is alone.
  b.Post(CallWith("1", absl::StrCat(",\"arguments\":\"", std::string(10'000'000, 'x'), "\"")));
  EXPECT_TRUE(b.Take().empty());
  b.Post(CallWith("2"));
  EXPECT_EQ(b.Take().size(), 1u);
  Start();
  EXPECT_EQ(host.sent.size(), 4u);
  // All of it was given back.
  hub->OnUpstreamMessage(absl::StrCat(R"({"jsonrpc":"2.0","id":)", RawId(host.sent[2]), R"(,"result":{}})"));
  hub->OnUpstreamMessage(absl::StrCat(R"({"jsonrpc":"2.0","id":)", RawId(host.sent[3]), R"(,"result":{}})"));
  ASSERT_TRUE(hub->TryDrain());
  a.Post(CallWith("3", large));
  a.Take();
  EXPECT_EQ(hub->activity().calls_in_flight, 1);
}

TEST_F(HubClientsTest, AllClientsTogetherCannotFillMemoryWhileTheServerStarts) {
  const std::string large = absl::StrCat(",\"arguments\":\"", std::string(4'000'000, 'x'), "\"");
  std::vector<std::unique_ptr<FakeClient>> clients;
  size_t refused = 0;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<FakeClient>(hub.get()));
    clients.back()->Post(CallWith("1", large));
    refused += clients.back()->Take().size();
  }
  EXPECT_EQ(refused, 4u);  // 16 of them are 64 MB, and 64 MiB is the bound
}

TEST_F(HubClientsTest, AServerThatDoesNotReadGetsNoMoreCalls) {
  Start();
  FakeClient a(hub.get());
  host.TakeSent();
  host.pending = 9 * 1024 * 1024;
  a.Post(CallWith("1"));
  a.Post(R"({"jsonrpc":"2.0","method":"notifications/custom"})");
  EXPECT_TRUE(host.sent.empty());
  const Strings refused = a.Take();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(Parse(refused[0])["error"]["code"], -32603);
  EXPECT_TRUE(absl::StrContains(refused[0], "is not reading its input"));
  host.pending = 0;
  a.Post(CallWith("2"));
  EXPECT_EQ(host.sent.size(), 1u);
}

TEST_F(HubClientsTest, SessionsAreBounded) {
  std::vector<std::unique_ptr<FakeClient>> clients;
  for (int i = 0; i < 10'000; ++i) clients.push_back(std::make_unique<FakeClient>(hub.get()));
  FakeClient more(hub.get());
  EXPECT_EQ(more.stream->status, 503);
  EXPECT_TRUE(absl::StrContains(more.stream->body(), "TooManySessions"));
  clients[5]->Leave();
  EXPECT_EQ(FakeClient(hub.get()).stream->status, 200);
}

TEST_F(HubClientsTest, IdsAreBounded) {
  Start();
  FakeClient a(hub.get());
  EXPECT_EQ(a.Post(CallWith(absl::StrCat("\"", std::string(2'000, 'i'), "\""))).status, 400);
}

}  // namespace
}  // namespace unmcp::session
