#include "cli/import/jsonc.h"

#include <string>

#include "absl/strings/match.h"
#include "common/proto_json.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

nlohmann::json Parse(const std::string& text) {
  const auto strict = StripJsonComments(text);
  EXPECT_TRUE(strict.ok()) << strict.status();
  EXPECT_EQ(strict->size(), text.size());
  const auto json = ParseJson(*strict);
  EXPECT_TRUE(json.ok()) << json.status() << "\n" << *strict;
  return json.ok() ? *json : nlohmann::json();
}

TEST(JsoncTest, CommentsAndTrailingCommasGo) {
  EXPECT_EQ(Parse("{ // one\n \"a\": [1, 2, /* three, */ ], /* x\n y */ }\n// end"),
            nlohmann::json::parse(R"({"a":[1,2]})"));
  EXPECT_EQ(Parse("\xEF\xBB\xBF{\"a\":{\"b\":1,},\r\n}"), nlohmann::json::parse(R"({"a":{"b":1}})"));
}

TEST(JsoncTest, StringsStayAsTheyAre) {
  EXPECT_EQ(Parse(R"({"url": "https://x/*y*/,]", "quote": "\"// no", "slash": "\\"})"),
            nlohmann::json::parse(R"({"url":"https://x/*y*/,]","quote":"\"// no","slash":"\\"})"));
}

TEST(JsoncTest, WhatIsNotJsonStaysForTheParser) {
  for (const char* text : {"[1,,2]", "[1 / 2]", "{\"a\" \"b\"}", "\"open", "\"open\\", "/"}) {
    const auto strict = StripJsonComments(text);
    ASSERT_TRUE(strict.ok());
    EXPECT_FALSE(ParseJson(*strict).ok()) << text;
  }
}

TEST(JsoncTest, AnOpenCommentIsNamedByItsLine) {
  const auto strict = StripJsonComments("{\n\n /* and so on }");
  EXPECT_EQ(strict.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(strict.status().message(), "line 3")) << strict.status();
}

}  // namespace
}  // namespace unmcp
