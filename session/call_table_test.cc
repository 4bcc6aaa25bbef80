#include "session/call_table.h"

#include <memory>

#include "gtest/gtest.h"
#include "session/testing/fakes.h"

namespace unmcp::session {
namespace {

class CallTableTest : public testing::Test, public ClientSession::Owner {
 protected:
  void OnStreamClosed(ClientSession*) override {}
  uint64_t Add(ClientSession* session, const char* client_id, bool sent = true) {
    const uint64_t id = table_.NewId();
    table_.Add(id, {.sent = sent, .session = session, .client_id = client_id});
    return id;
  }
  ClientSession a_{this, "a", std::make_unique<FakeExchange>(std::make_shared<Recorded>())};
  ClientSession b_{this, "b", std::make_unique<FakeExchange>(std::make_shared<Recorded>())};
  CallTable table_;
};

TEST_F(CallTableTest, TheSameIdOfTwoClientsIsTwoCalls) {
  const uint64_t a1 = Add(&a_, "1"), b1 = Add(&b_, "1"), a_string = Add(&a_, "\"1\"");
  EXPECT_EQ(table_.IdOf(a_, "1"), a1);
  EXPECT_EQ(table_.IdOf(b_, "1"), b1);
  EXPECT_EQ(table_.IdOf(a_, "\"1\""), a_string);
  EXPECT_EQ(table_.IdOf(b_, "\"1\""), 0u);
  EXPECT_EQ(table_.Take(a1)->session, &a_);
  EXPECT_FALSE(table_.Take(a1).has_value());
  EXPECT_EQ(table_.IdOf(a_, "1"), 0u);
  EXPECT_EQ(table_.IdOf(a_, "\"1\""), a_string);
}

TEST_F(CallTableTest, ASessionsCallsGoTogether) {
  Add(&a_, "1");
  Add(&a_, "2");
  const uint64_t b1 = Add(&b_, "1");
  EXPECT_EQ(table_.TakeAllOf(&a_).size(), 2u);
  EXPECT_TRUE(a_.calls.empty());
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(table_.IdOf(b_, "1"), b1);
  EXPECT_EQ(table_.TakeAll().size(), 1u);
  EXPECT_TRUE(b_.calls.empty());
}

TEST_F(CallTableTest, OnlyCallsThatTheServerHasMakeASessionBusy) {
  EXPECT_EQ(table_.OnlyBusySession(), nullptr);
  Add(&a_, "1", /*sent=*/false);
  EXPECT_EQ(table_.OnlyBusySession(), nullptr);
  const uint64_t first = Add(&b_, "1");
  EXPECT_EQ(table_.OnlyBusySession(), &b_);
  EXPECT_EQ(table_.OnlySentCall(), first);
  Add(&b_, "2");
  EXPECT_EQ(table_.OnlyBusySession(), &b_);
  EXPECT_EQ(table_.OnlySentCall(), 0u);
  Add(&a_, "2");
  EXPECT_EQ(table_.OnlyBusySession(), nullptr);
}

TEST(ParseId, TakesWhatWeGaveOutAndNothingElse) {
  EXPECT_EQ(ParseId("1"), 1u);
  EXPECT_EQ(ParseId("18446744073709551615"), 18446744073709551615u);
  for (const char* raw :
       {"", "0", "01", "+1", " 1", "1.0", "1e0", "-1", "\"1\"", "null", "18446744073709551616", "[1]"}) {
    EXPECT_EQ(ParseId(raw), 0u) << raw;
  }
}

}  // namespace
}  // namespace unmcp::session
