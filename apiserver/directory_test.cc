#include "apiserver/directory.h"

#include "gtest/gtest.h"

namespace unmcp::apiserver {
namespace {

Directory::Entry Server(const std::string& uid, const std::string& name) {
  auto entry = std::make_shared<v1::PublishedServer>();
  entry->mutable_server()->set_uid(uid);
  entry->mutable_server()->set_name(name);
  return entry;
}

TEST(Directory, FindsByUidAndByName) {
  Directory directory;
  directory.Put(Server("u1", "time"));
  EXPECT_EQ(directory.Find("u1")->server().name(), "time");
  EXPECT_EQ(directory.Find("time")->server().uid(), "u1");
  EXPECT_EQ(directory.Find("weather"), nullptr);
}

TEST(Directory, ListsByName) {
  Directory directory;
  directory.Put(Server("u1", "weather"));
  directory.Put(Server("u2", "time"));
  const auto entries = directory.List();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0]->server().name(), "time");
}

TEST(Directory, ANameBelongsToTheNewestServerThatBearsIt) {
  Directory directory;
  directory.Put(Server("old", "time"));
  directory.Put(Server("new", "time"));
  directory.Remove("old");  // the news of the deletion comes late
  ASSERT_NE(directory.Find("time"), nullptr);
  EXPECT_EQ(directory.Find("time")->server().uid(), "new");
  EXPECT_EQ(directory.Find("old"), nullptr);
  EXPECT_EQ(directory.List().size(), 1u);
}

}  // namespace
}  // namespace unmcp::apiserver
