#include "cli/commands/tool_arguments.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const Json& Schema() {
  static const auto* const kSchema = new Json(Json::parse(R"({
    "type": "object",
    "properties": {
      "text": {"type": "string"},
      "count": {"type": "integer"},
      "ratio": {"type": "number"},
      "deep": {"type": "boolean"},
      "tags": {"type": "array", "items": {"type": "string"}},
      "numbers": {"type": "array", "items": {"type": "integer"}},
      "filter": {"type": "object"},
      "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
      "either": {"type": ["string", "number"]},
      "unit": {"$ref": "#/$defs/Unit"},
      "open": {}
    },
    "$defs": {"Unit": {"enum": ["celsius", "kelvin"]}},
    "additionalProperties": false
  })"));
  return *kSchema;
}

Json Build(const std::vector<std::string>& words, const std::string& json = "") {
  const auto built = BuildToolArguments(Schema(), words, json);
  EXPECT_TRUE(built.ok()) << built.status();
  return built.ok() ? *built : Json();
}

std::string Error(const std::vector<std::string>& words, const std::string& json = "", const Json& schema = Schema()) {
  const auto built = BuildToolArguments(schema, words, json);
  EXPECT_EQ(built.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(built.status().message());
}

TEST(ToolArgumentsTest, TypesAreThoseOfTheSchema) {
  EXPECT_EQ(Build({"text=007", "count=7", "ratio=0.5", "deep=true"}),
            Json::parse(R"({"text":"007","count":7,"ratio":0.5,"deep":true})"));
  EXPECT_EQ(Build({"filter={\"a\":[1]}", "numbers=[1,2]", "text={}"}),
            Json::parse(R"({"filter":{"a":[1]},"numbers":[1,2],"text":"{}"})"));
  EXPECT_EQ(Build({"maybe=3"})["maybe"], 3);
  EXPECT_EQ(Build({"maybe=null"})["maybe"], nullptr);
  EXPECT_EQ(Build({"either=3"})["either"], 3);
  EXPECT_EQ(Build({"either=three"})["either"], "three");
  EXPECT_EQ(Build({"unit=kelvin"})["unit"], "kelvin");
  EXPECT_EQ(Build({"open=[1]"})["open"], Json::parse("[1]"));
  EXPECT_EQ(Build({"open=word"})["open"], "word");
  EXPECT_EQ(Build({"text="})["text"], "");
  EXPECT_EQ(Build({"text=a=b"})["text"], "a=b");
}

TEST(ToolArgumentsTest, AnArrayMayBeGivenWordByWord) {
  EXPECT_EQ(Build({"tags=a", "tags=b c"})["tags"], Json::parse(R"(["a","b c"])"));
  EXPECT_EQ(Build({"numbers=1", "numbers=2"})["numbers"], Json::parse("[1,2]"));
  EXPECT_THAT(Error({"numbers=1", "numbers=x"}), HasSubstr("\"numbers\""));
}

TEST(ToolArgumentsTest, JsonIsTheBase) {
  EXPECT_EQ(Build({"count=2"}, R"({"text":"a","count":1})"), Json::parse(R"({"text":"a","count":2})"));
  EXPECT_THAT(Error({}, "[1]"), HasSubstr("--json: must be a JSON object"));
  EXPECT_THAT(Error({}, "{a:1}"), HasSubstr("--json: "));
}

TEST(ToolArgumentsTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(Error({"count=many"}), AllOf(HasSubstr("\"count\""), HasSubstr("integer"), HasSubstr("many")));
  EXPECT_THAT(Error({"count=1.5"}), HasSubstr("\"count\""));
  EXPECT_THAT(Error({"deep=yes"}), HasSubstr("boolean"));
  EXPECT_THAT(Error({"txt=a"}), AllOf(HasSubstr("no argument \"txt\""), HasSubstr("text (string)")));
  EXPECT_THAT(Error({"text"}), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(Error({"text=a", "text=b"}), HasSubstr("twice"));
}

TEST(ToolArgumentsTest, WhatIsMissingIsNamed) {
  const Json schema = Json::parse(R"({"properties":{"a":{"type":"number"},"b":{}},"required":["a","b"]})");
  EXPECT_THAT(Error({"b=1"}, "", schema), HasSubstr("needs the argument \"a\" (number)"));
  EXPECT_THAT(Error({}, "", schema), AllOf(HasSubstr("\"a\""), HasSubstr("\"b\"")));
}

TEST(ToolArgumentsTest, SchemasOfAllSortsAreSurvived) {
  for (const char* schema : {"null", "[]", "3", "{}", R"({"properties":3,"required":"a"})",
                             R"({"properties":{"a":3},"required":[1,null]})",
                             R"({"properties":{"a":{"$ref":"#/properties/a"}}})",
                             R"({"properties":{"a":{"type":[3],"enum":7,"anyOf":{}}}})"}) {
    const auto built = BuildToolArguments(Json::parse(schema), {"a=1"}, "");
    ASSERT_TRUE(built.ok()) << schema << " " << built.status();
    EXPECT_EQ((*built)["a"], 1) << schema;
  }
}

}  // namespace
}  // namespace unmcp
