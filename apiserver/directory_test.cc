#include "apiserver/directory.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace unmcp::apiserver {
namespace {

Servers::Entry Server(const std::string& uid, const std::string& name, const std::string& version = "1") {
  auto entry = std::make_shared<v1::PublishedServer>();
  entry->mutable_server()->set_uid(uid);
  entry->mutable_server()->set_name(name);
  entry->mutable_server()->set_resource_version(version);
  return entry;
}

class CatalogTest : public ::testing::Test {
 protected:
  std::string VersionOf(const std::string& uid_or_name) {
    const Servers::Entry entry = servers_.Find(uid_or_name);
    return entry ? entry->server().resource_version() : "none";
  }

  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  Servers servers_{[this] { return now_; }};
};

TEST_F(CatalogTest, FindsByUidAndByName) {
  servers_.Put(Server("u1", "time"));
  EXPECT_EQ(servers_.Find("u1")->server().name(), "time");
  EXPECT_EQ(servers_.Find("time")->server().uid(), "u1");
  EXPECT_EQ(servers_.Find("weather"), nullptr);
}

TEST_F(CatalogTest, ListsByName) {
  servers_.Put(Server("u1", "weather"));
  servers_.Put(Server("u2", "time"));
  const auto entries = servers_.List();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0]->server().name(), "time");
}

TEST_F(CatalogTest, ANameBelongsToTheNewestServerThatBearsIt) {
  servers_.Put(Server("old", "time"));
  servers_.Put(Server("new", "time"));
  EXPECT_EQ(servers_.Find("time")->server().uid(), "new");
  EXPECT_EQ(servers_.List().size(), 1u);
  servers_.Remove("old");  // the news of the deletion comes late
  ASSERT_NE(servers_.Find("time"), nullptr);
  EXPECT_EQ(servers_.Find("time")->server().uid(), "new");
  EXPECT_EQ(servers_.Find("old"), nullptr);
}

TEST_F(CatalogTest, WhatIsWrittenIsReadUntilItIsPublished) {
  servers_.Written(Server("u", "time", "7")->server());
  EXPECT_EQ(VersionOf("time"), "7");
  EXPECT_EQ(servers_.List().size(), 1u);
  EXPECT_TRUE(servers_.Published().empty());
  // News from before the write, whose route counts all the same.
  auto old = std::make_shared<v1::PublishedServer>(*Server("u", "time", "6"));
  old->mutable_route()->set_pod("time-1");
  servers_.Put(old);
  EXPECT_EQ(VersionOf("time"), "7");
  EXPECT_EQ(servers_.Find("time")->route().pod(), "time-1");
  servers_.Put(Server("u", "time", "10"));  // as numbers: 10 is after 7
  EXPECT_EQ(VersionOf("time"), "10");
  // A late answer to an older write changes nothing.
  servers_.Written(Server("u", "time", "9")->server());
  EXPECT_EQ(VersionOf("time"), "10");
}

TEST_F(CatalogTest, VersionsThatAreNoNumbersGiveWayToTheNextNews) {
  servers_.Put(Server("u", "time", "a1"));
  servers_.Written(Server("u", "time", "b2")->server());
  servers_.Put(Server("u", "time", "c3"));
  EXPECT_EQ(VersionOf("time"), "c3");
}

TEST_F(CatalogTest, WhatIsDeletedIsGoneAtOnce) {
  servers_.Put(Server("u", "time", "3"));
  servers_.Deleted("u");
  EXPECT_EQ(servers_.Find("u"), nullptr);
  EXPECT_EQ(servers_.Find("time"), nullptr);
  EXPECT_TRUE(servers_.List().empty());
  servers_.Put(Server("u", "time", "4"));  // its last news, deletionTimestamp and all
  servers_.Written(Server("u", "time", "5")->server());
  EXPECT_EQ(servers_.Find("time"), nullptr);
  // Made again, before the news of its end.
  servers_.Written(Server("v", "time", "6")->server());
  EXPECT_EQ(servers_.Find("time")->server().uid(), "v");
  servers_.Remove("u");
  EXPECT_EQ(servers_.Find("time")->server().uid(), "v");
}

TEST_F(CatalogTest, NothingStandsInForTheControllerForLong) {
  servers_.Put(Server("kept", "kept", "1"));
  servers_.Deleted("kept");
  servers_.Written(Server("lost", "lost", "2")->server());
  now_ += kOverlayLifetime;
  EXPECT_EQ(VersionOf("kept"), "1");  // it is still there, whatever holds it
  EXPECT_EQ(VersionOf("lost"), "none");
  servers_.Put(Server("u", "time"));
  EXPECT_EQ(servers_.List().size(), 2u);
}

TEST_F(CatalogTest, OverlaysAreBounded) {
  for (size_t i = 0; i <= kMaxOverlays; ++i) {
    servers_.Written(Server("u" + std::to_string(i), "n" + std::to_string(i))->server());
  }
  EXPECT_EQ(VersionOf("u0"), "none");
  EXPECT_EQ(VersionOf("u1"), "1");
  EXPECT_EQ(servers_.List().size(), kMaxOverlays);
}

TEST_F(CatalogTest, ObserversHearOfEveryChange) {
  struct Recorder : Servers::Observer {
    void OnChanged(const std::string& uid) override { heard.push_back(uid); }
    std::vector<std::string> heard;
  };
  auto recorder = std::make_shared<Recorder>();
  servers_.Observe(recorder);
  servers_.Put(Server("a", "a"));
  servers_.Written(Server("b", "b")->server());
  servers_.Deleted("a");
  now_ += kOverlayLifetime;
  servers_.Remove("c");
  EXPECT_EQ(recorder->heard, (std::vector<std::string>{"a", "b", "a", "c", "b", "a"}));
  recorder = nullptr;
  servers_.Put(Server("d", "d"));  // nobody listens any more
}

}  // namespace
}  // namespace unmcp::apiserver
