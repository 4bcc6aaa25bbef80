#include "session/messages.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "session/envelope.h"

namespace unmcp::session {
namespace {

TEST(Messages, RewritesInAnyOrderAndTouchesNothingElse) {
  const std::string text =
      R"({"params":{"_meta":{"progressToken":"t"}, "x":1.50},"id" : "longer than before","method":"m"})";
  Envelope e;
  Scan(text, &e);
  const absl::string_view token = e.meta_progress_token;
  EXPECT_EQ(Rewrite(text, {{e.id, "7"}, {token, "77"}}, false),
            R"({"params":{"_meta":{"progressToken":77}, "x":1.50},"id" : 7,"method":"m"})");
  EXPECT_EQ(Rewrite(text, {{e.id, "7"}, {{}, "never"}}, false),
            R"({"params":{"_meta":{"progressToken":"t"}, "x":1.50},"id" : 7,"method":"m"})");
  EXPECT_EQ(Rewrite(text, {}, false), text);
}

TEST(Messages, PutsEverythingOnOneLineOfTheSameLength) {
  const std::string text = "{\r\n  \"a\": \"x\\ny\"\n}";
  EXPECT_EQ(Rewrite(text, {}, true), "{    \"a\": \"x\\ny\" }");
}

TEST(Messages, OwnMessagesAreWellFormed) {
  EXPECT_EQ(ResultMessage("\"a\""), R"({"jsonrpc":"2.0","id":"a","result":{}})");
  EXPECT_EQ(RequestMessage(5, "ping"), R"({"jsonrpc":"2.0","id":5,"method":"ping"})");
  EXPECT_EQ(NotificationMessage("n", "{\"a\":1}"), R"({"jsonrpc":"2.0","method":"n","params":{"a":1}})");
  const auto error =
      nlohmann::json::parse(ErrorMessage("", kParseError, "bad \"\xFF\"\n", "{\"reason\":\"R\"}"), nullptr, false);
  ASSERT_TRUE(error.is_object());
  EXPECT_TRUE(error["id"].is_null());
  EXPECT_EQ(error["error"]["code"], -32700);
  EXPECT_EQ(error["error"]["data"]["reason"], "R");
}

}  // namespace
}  // namespace unmcp::session
