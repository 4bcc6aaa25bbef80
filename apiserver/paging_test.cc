#include "apiserver/paging.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp::apiserver {
namespace {

using ::testing::ElementsAre;

class PagingTest : public ::testing::Test {
 protected:
  void Put(const std::string& name, size_t bytes = 0) {
    auto pool = std::make_shared<v1::MCPPool>();
    pool->set_uid("uid-" + name);
    pool->set_name(name);
    pool->mutable_spec()->mutable_server_defaults()->set_image(std::string(bytes, 'x'));
    pools_.Put(pool);
  }
  std::vector<std::string> Names(const absl::StatusOr<Page<v1::MCPPool>>& page) {
    std::vector<std::string> names;
    for (const auto& entry : page->entries) names.push_back(entry->name());
    return names;
  }
  static bool All(const v1::MCPPool&) { return true; }

  Pools pools_;
};

TEST_F(PagingTest, TheLastPageSaysThatItIs) {
  for (const char* name : {"a", "b", "c"}) Put(name);
  const auto first = MakePage<v1::MCPPool>(pools_, 2, "", All);
  EXPECT_THAT(Names(first), ElementsAre("a", "b"));
  const auto second = MakePage<v1::MCPPool>(pools_, 2, first->next_page_token, All);
  EXPECT_THAT(Names(second), ElementsAre("c"));
  EXPECT_EQ(second->next_page_token, "");
  EXPECT_EQ(MakePage<v1::MCPPool>(pools_, 3, "", All)->next_page_token, "");
  EXPECT_EQ(Names(MakePage<v1::MCPPool>(pools_, 0, "", All)).size(), 3u);
}

TEST_F(PagingTest, NoPageIsLargerThanAnAnswerMayBe) {
  for (const char* name : {"a", "b", "c"}) Put(name, 600);
  Put("d", 5000);
  auto page = MakePage<v1::MCPPool>(pools_, 0, "", All, 2000);
  EXPECT_THAT(Names(page), ElementsAre("a", "b", "c"));
  // One entry is always sent, or there would be no end.
  page = MakePage<v1::MCPPool>(pools_, 0, page->next_page_token, All, 2000);
  EXPECT_THAT(Names(page), ElementsAre("d"));
  EXPECT_EQ(page->next_page_token, "");
}

TEST_F(PagingTest, WhatIsNoTokenIsRefused) {
  for (const char* token : {"%", "QQ", "Li4vYQ"}) {  // not base64; "A"; "../a"
    EXPECT_EQ(MakePage<v1::MCPPool>(pools_, 0, token, All).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace unmcp::apiserver
