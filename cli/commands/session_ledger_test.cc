#include "cli/commands/session_ledger.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kInitialize[] = R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"x"}})";

TEST(SessionLedgerTest, WhatIsNoMessageIsAnswered) {
  const SessionLedger ledger;
  EXPECT_THAT(ledger.Refuse("{").value(), AllOf(HasSubstr("-32700"), HasSubstr("\"id\":null")));
  EXPECT_THAT(ledger.Refuse(R"({"jsonrpc":"2.0","id":7})").value(), AllOf(HasSubstr("-32600"), HasSubstr("\"id\":7")));
  EXPECT_THAT(ledger.Refuse("[]").value(), HasSubstr("-32600"));
  EXPECT_FALSE(ledger.Refuse(kInitialize).has_value());
}

TEST(SessionLedgerTest, WhatIsInFlightIsAnsweredWhenTheSessionIsLost) {
  SessionLedger ledger;
  EXPECT_TRUE(ledger.Register(R"({"jsonrpc":"2.0","id":"a","method":"tools/call"})"));
  EXPECT_TRUE(ledger.Register(R"({"jsonrpc":"2.0","id":2,"method":"tools/call"})"));
  EXPECT_TRUE(ledger.Register(R"({"jsonrpc":"2.0","id":3,"method":"tools/call"})"));
  ledger.Unregister(R"({"jsonrpc":"2.0","id":3,"method":"tools/call"})");
  EXPECT_EQ(ledger.Arrived(R"({"jsonrpc":"2.0","id":2,"result":{}})"), SessionLedger::Arrival::kForHost);
  EXPECT_THAT(ledger.Lost("it is gone"), ElementsAre(AllOf(HasSubstr(R"("id":"a")"), HasSubstr("it is gone"))));
  EXPECT_THAT(ledger.Lost("again"), IsEmpty());
}

TEST(SessionLedgerTest, ANewSessionIsToldWhatTheLostOneWas) {
  SessionLedger ledger;
  EXPECT_EQ(ledger.Initialize(), "");
  ledger.Register(kInitialize);
  EXPECT_EQ(ledger.Initialize(), "") << "it may be refused";
  ledger.Arrived(R"({"jsonrpc":"2.0","id":0,"result":{}})");
  ledger.Register(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  ledger.Register(R"({"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}})");
  ledger.Register(R"({"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"a"}})");
  ledger.Register(R"({"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"b"}})");
  EXPECT_TRUE(ledger.subscribed());
  ledger.Register(R"({"jsonrpc":"2.0","id":4,"method":"resources/unsubscribe","params":{"uri":"a"}})");
  ledger.Lost("");
  EXPECT_EQ(ledger.Initialize(), R"({"jsonrpc":"2.0","id":"unmcp-connect-initialize","method":"initialize",)"
                                 R"("params":{"protocolVersion":"x"}})");
  EXPECT_THAT(ledger.Restore(), ElementsAre(HasSubstr("notifications/initialized"), HasSubstr(R"("level":"info")"),
                                            HasSubstr(R"("uri":"b")")));
  EXPECT_EQ(ledger.Arrived(R"({"jsonrpc":"2.0","id":"unmcp-connect-initialize","result":{}})"),
            SessionLedger::Arrival::kReinitialized);
  EXPECT_EQ(ledger.Arrived(R"({"jsonrpc":"2.0","id":"unmcp-connect-subscribe","result":{}})"),
            SessionLedger::Arrival::kOurs);
  EXPECT_EQ(ledger.in_flight(), 0u);
}

TEST(SessionLedgerTest, ARefusedInitializeIsNotSaidAgain) {
  SessionLedger ledger;
  ledger.Register(kInitialize);
  ledger.Arrived(R"({"jsonrpc":"2.0","id":0,"error":{"code":1,"message":"no"}})");
  EXPECT_EQ(ledger.Initialize(), "");
}

TEST(SessionLedgerTest, AnAnswerToALostSessionGoesNowhere) {
  SessionLedger ledger;
  ledger.Arrived(R"({"jsonrpc":"2.0","id":1,"method":"ping"})");
  EXPECT_TRUE(ledger.Register(R"({"jsonrpc":"2.0","id":1,"result":{}})"));
  ledger.Arrived(R"({"jsonrpc":"2.0","id":2,"method":"ping"})");
  ledger.Lost("");
  EXPECT_FALSE(ledger.Register(R"({"jsonrpc":"2.0","id":2,"result":{}})"));
}

TEST(SessionLedgerTest, RequestsWithoutAnAnswerAreBounded) {
  SessionLedger ledger;
  for (size_t id = 0; id < kMaxInFlight; ++id) {
    ledger.Register(R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":"ping"})");
  }
  EXPECT_THAT(ledger.Refuse(R"({"jsonrpc":"2.0","id":"more","method":"ping"})").value(), HasSubstr("too many"));
  EXPECT_FALSE(ledger.Refuse(R"({"jsonrpc":"2.0","method":"notifications/cancelled"})").has_value());
}

}  // namespace
}  // namespace unmcp
