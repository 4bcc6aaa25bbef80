#include "gateway/uri.h"

#include "gtest/gtest.h"

namespace unmcp::gateway {
namespace {

TEST(ParseTarget, TakesOriginAndAbsoluteForm) {
  auto target = ParseTarget("/a/b?x=1?y");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->path, "/a/b");
  EXPECT_EQ(target->query, "x=1?y");
  EXPECT_EQ(target->authority, "");

  target = ParseTarget("http://evil.example:80/a");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->authority, "evil.example:80");
  EXPECT_EQ(target->path, "/a");

  target = ParseTarget("http://host");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->path, "/");

  EXPECT_FALSE(ParseTarget("").ok());
  EXPECT_FALSE(ParseTarget("host:443").ok());
  EXPECT_FALSE(ParseTarget("*").ok());
}

TEST(PercentDecode, DecodesBytesOfUtf8) {
  EXPECT_EQ(*PercentDecode("a%20b%2Fc+d"), "a b/c+d");
  EXPECT_EQ(*PercentDecode("a+b", /*plus_is_space=*/true), "a b");
  EXPECT_EQ(*PercentDecode("%C3%A9%e2%82%ac%F0%9F%98%80"), "é€😀");
}

TEST(PercentDecode, RefusesWhatIsBroken) {
  for (const char* bad : {"%", "%4", "%zz", "a%2", "%00", "%0d%0a", "%ff", "%C3", "%C0%AF", "%ED%A0%80", "%F4%90%80%80",
                          "%E2%82"}) {
    EXPECT_FALSE(PercentDecode(bad).ok()) << bad;
  }
}

TEST(PercentEncode, RoundTrips) {
  const std::string text = "a/b c?d%é~";
  EXPECT_EQ(PercentEncode(text), "a%2Fb%20c%3Fd%25%C3%A9~");
  EXPECT_EQ(*PercentDecode(PercentEncode(text)), text);
}

TEST(ParseQuery, KeepsOrderAndEmptyValues) {
  auto query = ParseQuery("b=2&a=1%3D1&&flag&b=x=y");
  ASSERT_TRUE(query.ok());
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"b", "2"}, {"a", "1=1"}, {"flag", ""}, {"b", "x=y"}};
  EXPECT_EQ(*query, expected);
  EXPECT_FALSE(ParseQuery("a=%q").ok());
}

}  // namespace
}  // namespace unmcp::gateway
