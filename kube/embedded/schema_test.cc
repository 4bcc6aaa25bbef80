#include "kube/embedded/schema.h"

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

// A schema of type object with these properties.
std::unique_ptr<const Schema> Parse(const char* properties) {
  absl::StatusOr<std::unique_ptr<const Schema>> schema =
      Schema::Parse({{"type", "object"}, {"properties", Json::parse(properties)}});
  EXPECT_TRUE(schema.ok()) << schema.status();
  return *std::move(schema);
}

std::string FirstError(const Schema& schema, const char* document) {
  const std::vector<FieldError> errors = schema.Validate(Json::parse(document));
  return errors.empty() ? "" : errors[0].path + ": " + errors[0].problem;
}

TEST(Schema, PrunesAtEveryDepthAndSparesIdentity) {
  const auto schema = Parse(R"({
    "a": {"type": "object", "properties": {"b": {"type": "string"}}},
    "list": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}},
    "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"d": {"type": "string"}}}},
    "any": {"type": "object", "additionalProperties": true},
    "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
             "properties": {"known": {"type": "object"}}},
    "nothing": {"type": "object"}
  })");
  Json document = Json::parse(R"({
    "apiVersion": "v1", "kind": "K", "metadata": {"odd": 1}, "x": 1,
    "a": {"b": "", "x": 1}, "list": [{"c": "", "x": 1}], "map": {"k": {"d": "", "x": 1}},
    "any": {"x": {"y": 1}}, "kept": {"x": 1, "known": {"x": 1}}, "nothing": {"x": 1}
  })");
  schema->Prune(document);
  EXPECT_EQ(document, Json::parse(R"({
    "apiVersion": "v1", "kind": "K", "metadata": {"odd": 1},
    "a": {"b": ""}, "list": [{"c": ""}], "map": {"k": {"d": ""}},
    "any": {"x": {"y": 1}}, "kept": {"x": 1, "known": {}}, "nothing": {}
  })"));
}

TEST(Schema, DefaultsGoWhereTheirParentIs) {
  const auto schema = Parse(R"({
    "spec": {"type": "object", "properties": {
      "size": {"type": "integer", "default": 3},
      "deep": {"type": "object", "default": {}, "properties": {"x": {"type": "string", "default": "y"}}},
      "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}},
      "map": {"type": "object", "additionalProperties": {"type": "object",
              "properties": {"n": {"type": "integer", "default": 2}}}}}}
  })");
  Json absent = Json::object();
  schema->FillDefaults(absent);
  EXPECT_EQ(absent, Json::object());
  Json present = Json::parse(R"({"spec": {"list": [{}, {"n": 5}], "map": {"k": {}}, "size": null}})");
  schema->FillDefaults(present);
  EXPECT_EQ(present, Json::parse(R"({"spec": {"size": 3, "deep": {"x": "y"}, "list": [{"n": 1}, {"n": 5}],
                                     "map": {"k": {"n": 2}}}})"));
}

TEST(Schema, LengthsCountCharactersNotBytes) {
  const auto schema = Parse(R"({"s": {"type": "string", "maxLength": 3}})");
  EXPECT_EQ(FirstError(*schema, R"({"s": "äöü"})"), "");
  EXPECT_EQ(FirstError(*schema, R"({"s": "äöüß"})"), "s: Too long: may not be longer than 3");
}

TEST(Schema, APatternIsFoundAnywhereUnlessItIsAnchored) {
  const auto schema =
      Parse(R"({"free": {"type": "string", "pattern": "b+"}, "tied": {"type": "string", "pattern": "^b+$"}})");
  EXPECT_EQ(FirstError(*schema, R"({"free": "abc", "tied": "bb"})"), "");
  EXPECT_EQ(FirstError(*schema, R"({"tied": "abc"})"), "tied: Invalid value: \"abc\": should match '^b+$'");
}

// A header of a few kilobytes, and a text as long as a caller likes: neither
// stack nor time.
TEST(Schema, APatternTakesHugeTexts) {
  const auto schema = Parse(R"({"s": {"type": "string", "pattern": "^(a|b)*$"}})");
  EXPECT_TRUE(schema->Validate({{"s", std::string(1'000'000, 'a')}}).empty());
  EXPECT_EQ(schema->Validate({{"s", std::string(1'000'000, 'a') + "c"}}).size(), 1u);
}

TEST(Schema, NumbersAreComparedAsNumbers) {
  const auto schema = Parse(R"({
    "n": {"type": "number", "minimum": 0.5, "maximum": 9007199254740993},
    "open": {"type": "integer", "minimum": 0, "exclusiveMinimum": true}
  })");
  EXPECT_EQ(FirstError(*schema, R"({"n": 1, "open": 1})"), "");
  EXPECT_EQ(FirstError(*schema, R"({"n": 0.25})"), "n: Invalid value: 0.25: should be greater than or equal to 0.5");
  EXPECT_EQ(FirstError(*schema, R"({"n": 9007199254740994})"),
            "n: Invalid value: 9007199254740994: should be less than or equal to 9007199254740993");
  EXPECT_EQ(FirstError(*schema, R"({"open": 0})"), "open: Invalid value: 0: should be greater than 0");
  EXPECT_EQ(FirstError(*schema, R"({"open": 2.0})"), "");
  EXPECT_EQ(FirstError(*schema, R"({"open": 2.5})"), "open: Invalid value: 2.5: must be of type integer");
}

TEST(Schema, ListsOfTypeSetAndMapHoldNothingTwice) {
  const auto schema = Parse(R"({
    "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "map": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k", "l"]}
  })");
  EXPECT_EQ(FirstError(*schema, R"({"set": ["a", "b"], "map": [{"k": 1, "l": 1}, {"k": 1, "l": 2}]})"), "");
  EXPECT_EQ(FirstError(*schema, R"({"set": ["a", "a"]})"), "set[1]: Duplicate value: \"a\"");
  EXPECT_EQ(FirstError(*schema, R"({"map": [{"k": 1, "l": 1}, {"k": 1, "l": 1, "m": 2}]})"),
            "map[1]: Duplicate value: {\"k\":1,\"l\":1}");
}

TEST(Schema, AllBrokenRulesAreTold) {
  const auto schema = Parse(R"({"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"type": "array",
                                "minItems": 1, "items": {"type": "string"}}})");
  EXPECT_EQ(schema->Validate(Json::parse(R"({"a": "", "b": 1, "c": []})")).size(), 3u);
}

TEST(Schema, NonsenseIsNamedByItsPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"s": {"type": "text"}})", "schema at s: unknown type \"text\""},
      {R"({"s": {}})", "schema at s: type is required in a structural schema"},
      {R"({"a": {"type": "object", "properties": {"s": {"type": "array"}}}})", "schema at a.s: an array needs items"},
      {R"({"s": {"type": "string", "maxLength": "x"}})", "schema at s: maxLength must be a whole number"},
      {R"({"s": {"type": "integer", "default": "x"}})",
       "schema at s: default: Invalid value: \"x\": must be of type integer"},
      {R"({"s": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}})",
       "schema at s: a list of type map needs x-kubernetes-list-map-keys"},
      {R"({"s": 1})", "schema at s: must be an object"},
  };
  for (const auto& [properties, message] : cases) {
    const absl::Status status = Schema::Parse({{"type", "object"}, {"properties", Json::parse(properties)}}).status();
    EXPECT_EQ(status, absl::InvalidArgumentError(message)) << properties;
  }
  EXPECT_FALSE(Schema::Parse({{"type", "string"}}).ok());
}

}  // namespace
}  // namespace unmcp::kube
