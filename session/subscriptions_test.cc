#include "session/subscriptions.h"

#include <memory>

#include "gtest/gtest.h"
#include "session/testing/fakes.h"

namespace unmcp::session {
namespace {

using Joined = Subscriptions::Joined;

class SubscriptionsTest : public testing::Test, public ClientSession::Owner {
 protected:
  void OnStreamClosed(ClientSession*) override {}
  void Stand(absl::string_view uri, ClientSession* session) {
    ASSERT_EQ(subscriptions_.Subscribe(uri, session, ++last_), Joined::kFirst);
    subscriptions_.Asked(uri, ++last_);
    ASSERT_TRUE(subscriptions_.Answered(last_, true).unsubscribe.empty());
  }
  uint64_t last_ = 100;
  ClientSession a_{this, "a", std::make_unique<FakeExchange>(std::make_shared<Recorded>())};
  ClientSession b_{this, "b", std::make_unique<FakeExchange>(std::make_shared<Recorded>())};
  Subscriptions subscriptions_;
};

TEST_F(SubscriptionsTest, OneThatStandsIsSharedAtOnce) {
  Stand("u", &a_);
  EXPECT_EQ(subscriptions_.Subscribe("u", &b_, 1), Joined::kStands);
  EXPECT_EQ(subscriptions_.Subscribe("u", &b_, 2), Joined::kStands);
  EXPECT_EQ(b_.subscriptions, 1);  // counted once
  EXPECT_FALSE(subscriptions_.Unsubscribe("u", &b_));
  EXPECT_TRUE(subscriptions_.Unsubscribe("u", &a_));
  EXPECT_FALSE(subscriptions_.Unsubscribe("u", &a_));
  EXPECT_EQ(subscriptions_.size(), 0u);
}

TEST_F(SubscriptionsTest, ARefusalLeavesNothing) {
  EXPECT_EQ(subscriptions_.Subscribe("u", &a_, 1), Joined::kFirst);
  subscriptions_.Asked("u", 7);
  EXPECT_EQ(subscriptions_.Subscribe("u", &b_, 2), Joined::kWaits);
  EXPECT_TRUE(subscriptions_.IsPending(7));
  EXPECT_EQ(subscriptions_.Answered(7, false).calls, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(a_.subscriptions + b_.subscriptions, 0);
  EXPECT_EQ(subscriptions_.Subscribe("u", &b_, 3), Joined::kFirst);
}

TEST_F(SubscriptionsTest, WhoUnsubscribesBeforeTheAnswerIsStillAnswered) {
  subscriptions_.Subscribe("u", &a_, 1);
  subscriptions_.Asked("u", 7);
  EXPECT_FALSE(subscriptions_.Unsubscribe("u", &a_));
  const auto answer = subscriptions_.Answered(7, true);
  EXPECT_EQ(answer.calls, std::vector<uint64_t>{1});
  EXPECT_EQ(answer.unsubscribe, "u");
  EXPECT_EQ(subscriptions_.size(), 0u);
}

TEST_F(SubscriptionsTest, DropTellsWhatNobodyWantsAnyMore) {
  Stand("only", &a_);
  Stand("both", &a_);
  subscriptions_.Subscribe("both", &b_, 1);
  EXPECT_EQ(subscriptions_.Drop(&a_), std::vector<std::string>{"only"});
  EXPECT_EQ(a_.subscriptions, 0);
  EXPECT_EQ(subscriptions_.Listeners("both"), std::vector<ClientSession*>{&b_});
  subscriptions_.Clear();
  EXPECT_EQ(b_.subscriptions, 0);
}

TEST_F(SubscriptionsTest, UpdatesWithinAResourceReachItsListenersOnce) {
  Stand("file:///a", &a_);
  Stand("file:///a/b/", &a_);
  const auto listeners = [this](absl::string_view uri) { return subscriptions_.Listeners(uri).size(); };
  EXPECT_EQ(listeners("file:///a"), 1u);
  EXPECT_EQ(listeners("file:///a/b/c"), 1u);
  EXPECT_EQ(listeners("file:///a#x"), 1u);
  EXPECT_EQ(listeners("file:///ab"), 0u);
  EXPECT_EQ(listeners("file:///"), 0u);
}

}  // namespace
}  // namespace unmcp::session
