#include "session/json_text.h"

#include "gtest/gtest.h"

namespace unmcp::session {
namespace {

TEST(JsonText, FindsMembersAtTheirOwnLevelOnly) {
  const char object[] = R"( {"a" : {"b":"}\"", "c":[1,{"b":2}]} , "b":"two","n":-1.5 ,"e\u0066":true})";
  EXPECT_EQ(FindMember(object + 1, "a"), R"({"b":"}\"", "c":[1,{"b":2}]})");
  EXPECT_EQ(FindMember(object + 1, "b"), R"("two")");
  EXPECT_EQ(FindMember(object + 1, "n"), "-1.5");
  EXPECT_EQ(FindMember(object + 1, "ef"), "true");
  EXPECT_EQ(FindMember(object + 1, "c").data(), nullptr);
  EXPECT_EQ(FindMember("[1]", "a").data(), nullptr);
  EXPECT_EQ(FindMember("", "a").data(), nullptr);
  EXPECT_EQ(FindMember("{}", "a").data(), nullptr);
}

TEST(JsonText, CountsElements) {
  EXPECT_EQ(CountElements("[]"), 0);
  EXPECT_EQ(CountElements("[ ]"), 0);
  EXPECT_EQ(CountElements(R"([{"a":[1,2]}, "x,]", 3,[ ],null ])"), 5);
  EXPECT_EQ(CountElements("{}"), 0);
  EXPECT_EQ(CountElements(""), 0);
}

TEST(JsonText, Unescapes) {
  EXPECT_EQ(StringValue(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(StringValue(R"("\u0041\u00e9\u20AC\ud83d\ude00")"), "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(StringValue(R"("\ud83dx\udc00")"), "\xEF\xBF\xBDx\xEF\xBF\xBD");
  EXPECT_EQ(StringValue("12"), "");
  EXPECT_EQ(StringValue(R"("")"), "");
  std::string scratch;
  EXPECT_EQ(StringView(R"("tools\/call")", &scratch), "tools/call");
  EXPECT_EQ(StringView(R"("tools/call")", &scratch), "tools/call");
}

TEST(JsonText, QuotesAnything) {
  EXPECT_EQ(Quote("a\"b\n"), R"("a\"b\n")");
  EXPECT_EQ(Quote("\xFFx"), "\"\xEF\xBF\xBDx\"");
}

}  // namespace
}  // namespace unmcp::session
