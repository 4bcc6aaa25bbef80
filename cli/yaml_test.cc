#include "cli/yaml.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<YamlDocument> Documents(const std::string& text) {
  auto documents = ParseYaml(text);
  EXPECT_TRUE(documents.ok()) << documents.status() << "\n" << text;
  return documents.ok() ? *documents : std::vector<YamlDocument>();
}

Json One(const std::string& text) {
  const auto documents = Documents(text);
  EXPECT_EQ(documents.size(), 1u) << text;
  return documents.size() == 1 ? documents[0].json : Json();
}

std::string ParseError(const std::string& text) {
  const auto documents = ParseYaml(text);
  EXPECT_EQ(documents.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(documents.status().message());
}

TEST(YamlTest, ScalarsHaveTheTypesOfTheCoreSchema) {
  const std::pair<const char*, const char*> cases[] = {
      {"yes", "\"yes\""},     {"on", "\"on\""},         {"No", "\"No\""},        {"true", "true"},
      {"TRUE", "true"},       {"False", "false"},       {"tRUE", "\"tRUE\""},    {"~", "null"},
      {"null", "null"},       {"'null'", "\"null\""},   {"\"1\"", "\"1\""},      {"12", "12"},
      {"-12", "-12"},         {"+12", "12"},            {"0", "0"},              {"0755", "\"0755\""},
      {"00", "\"00\""},       {"0o17", "15"},           {"0x1F", "31"},          {"0x", "\"0x\""},
      {"1.5", "1.5"},         {".5", "0.5"},            {"1.", "1.0"},           {"1e3", "1000.0"},
      {"-1.5E-2", "-0.015"},  {"1.2.3", "\"1.2.3\""},   {".", "\".\""},          {"+", "\"+\""},
      {"1_000", "\"1_000\""},   {"12:30", "\"12:30\""},  {"2025-01-31", "\"2025-01-31\""},
      {"9223372036854775808", "9223372036854775808"},   {"!!str 5", "\"5\""},    {"1e", "\"1e\""},
  };
  for (const auto& [yaml, json] : cases) {
    EXPECT_EQ(JsonText(One(absl::StrCat("v: ", yaml))["v"]), json) << yaml;
  }
  EXPECT_EQ(One("v: |\n  1\n")["v"], "1\n");
  EXPECT_EQ(One("- \n- 1\n"), Json::parse("[null,1]"));
  EXPECT_EQ(One("v:\nw: 1\n")["v"], nullptr);
}

TEST(YamlTest, WhatHasNoFormInJsonIsAnError) {
  EXPECT_EQ(ParseError("a: 1\nb: .inf\n"), "line 2: .inf has no form in JSON");
  EXPECT_EQ(ParseError("b: -.inf\n"), "line 1: -.inf has no form in JSON");
  EXPECT_EQ(ParseError("b: .nan\n"), "line 1: .nan has no form in JSON");
  EXPECT_THAT(ParseError("b: !!binary aGk=\n"), HasSubstr("the tag tag:yaml.org,2002:binary is not supported"));
  EXPECT_EQ(ParseError("? [a]\n: b\n"), "line 1: a key must be text");
  EXPECT_THAT(ParseError("b: 0xFFFFFFFFFFFFFFFFFF"), HasSubstr("too large"));
}

TEST(YamlTest, ReadsEveryDocumentThatHoldsSomething) {
  const auto documents = Documents("# head\n---\na: 1\n---\n# nothing\n---\nb: [2, {c: x}]\n---\n");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(JsonText(documents[0].json), R"({"a":1})");
  EXPECT_EQ(JsonText(documents[1].json), R"({"b":[2,{"c":"x"}]})");
  EXPECT_TRUE(Documents("").empty());
  EXPECT_TRUE(Documents("# only a comment\n").empty());
}

TEST(YamlTest, KnowsTheLineOfEveryValue) {
  const auto documents = Documents("---\nkind: A\n---\nkind: B\nspec:\n  env:\n  - name: x\n  - name: y\n    value: z\n");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].LineOf("kind"), 2);
  EXPECT_EQ(documents[1].LineOf(""), 4);
  EXPECT_EQ(documents[1].LineOf("spec"), 5);
  EXPECT_EQ(documents[1].LineOf("spec.env[1].value"), 9);
  // What is missing is looked for where it should have been.
  EXPECT_EQ(documents[1].LineOf("spec.env[0].value"), 7);
  EXPECT_EQ(documents[1].LineOf("metadata.name"), 4);
}

TEST(YamlTest, ErrorsNameTheLine) {
  EXPECT_EQ(ParseError("a: 1\nb: 2\na: 3\n"), "line 3: the key \"a\" is there twice in one object");
  EXPECT_THAT(ParseError("a: 1\n---\nb: [1\n"), StartsWith("line 4: "));
  EXPECT_THAT(ParseError("a: *nowhere\n"), StartsWith("line 1: "));
  // The first thing that goes wrong for people who write npm's names.
  EXPECT_EQ(ParseError("args:\n- -y\n- @scope/server\n"),
            "line 3: a value that begins with @, ` or % has to be in quotes");
}

TEST(YamlTest, AliasesStandForWhatTheyName) {
  EXPECT_EQ(One("a: &x [1, 2]\nb: *x\n")["b"], Json::parse("[1,2]"));
}

TEST(YamlTest, AliasesCannotFillTheMemory) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) absl::StrAppend(&bomb, j == 0 ? "" : ", ", "*a", i - 1);
    absl::StrAppend(&bomb, "]\n");
  }
  EXPECT_THAT(ParseError(bomb), HasSubstr("more than 200000 values"));
}

TEST(YamlTest, DepthIsBounded) {
  EXPECT_THAT(ParseError(std::string(150, '[') + std::string(150, ']')), HasSubstr("nested deeper than 100"));
  ParseError(std::string(100'000, '['));
}

TEST(YamlTest, WritesWhatItReadsBack) {
  const Json json = Json::parse(R"({
    "text": "plain words", "words": ["yes", "no", "null", "true", "1", "1.5", "0755", "", " a", "a ", "a: b", "a #b", "-",
    "@x", "\"q\"", "tab\t", "ü", "# c"], "numbers": [0, -1, 1.5, 18446744073709551615], "empty": {"o": {}, "l": []},
    "null": null, "b": true, "block": "one\n\n  two: x\nthree", "odd": "\nstarts", "ends": "ends\n", "list": [[1, [2]],
    {"a": {"b": 1}, "c": "x\ny"}, "s"], "a key: with": 1, "^[a-z]([-a-z0-9]*[a-z0-9])?$": "^[a-z]+$"
  })");
  EXPECT_EQ(One(WriteYaml(json)), json) << WriteYaml(json);
  EXPECT_EQ(One(WriteYaml("x")), "x");
}

TEST(YamlTest, WritesAsPeopleWould) {
  EXPECT_EQ(WriteYaml(Json::parse(R"({"kind":"A","spec":{"env":[{"name":"x","value":"1"}],"text":"one\ntwo"}})")),
            "kind: A\n"
            "spec:\n"
            "  env:\n"
            "  - name: x\n"
            "    value: \"1\"\n"
            "  text: |-\n"
            "    one\n"
            "    two\n");
}

}  // namespace
}  // namespace unmcp
