#include "cli/commands/tool_arguments.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/proto_json.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;

// References and alternatives nest one or two deep in what generators write.
constexpr int kMaxSchemaDepth = 8;

// A member of `object`, or null.
const Json& Member(const Json& object, const std::string& key) {
  static const Json* const kNull = new Json();
  if (!object.is_object()) return *kNull;
  const auto it = object.find(key);
  return it == object.end() ? *kNull : *it;
}

// JSON types that `schema` allows; none: any. `root` is where "#/$defs/…" is.
std::set<std::string> TypesOf(const Json& root, const Json& schema, int depth = 0) {
  std::set<std::string> types;
  if (depth > kMaxSchemaDepth) return types;
  const Json& type = Member(schema, "type");
  if (type.is_string()) return {type.get<std::string>()};
  if (type.is_array()) {
    for (const Json& one : type) {
      if (one.is_string()) types.insert(one.get<std::string>());
    }
    return types;
  }
  if (const Json& reference = Member(schema, "$ref"); reference.is_string()) {
    const Json* at = &root;
    const absl::string_view path = absl::StripPrefix(reference.get_ref<const std::string&>(), "#/");
    for (absl::string_view part : absl::StrSplit(path, '/')) {
      at = &Member(*at, std::string(part));
    }
    return TypesOf(root, *at, depth + 1);
  }
  for (const char* alternatives : {"anyOf", "oneOf"}) {
    const Json& list = Member(schema, alternatives);
    if (!list.is_array()) continue;
    for (const Json& one : list) types.merge(TypesOf(root, one, depth + 1));
  }
  for (const Json& value : Member(schema, "enum")) {
    if (value.is_string()) types.insert("string");
  }
  return types;
}

bool IsOfType(const Json& value, const std::string& type) {
  if (type == "number") return value.is_number();
  // 2.0 is an integer to JSON Schema; to a server it may not be, so it is sent as it was given.
  if (type == "integer") return value.is_number_integer() || (value.is_number() && value == int64_t(value.get<double>()));
  if (type == "boolean") return value.is_boolean();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  if (type == "null") return value.is_null();
  return type == "string" && value.is_string();
}

std::string TypeWords(const std::set<std::string>& types) {
  return types.empty() ? "any type" : absl::StrJoin(types, " or ");
}

// One value; `types` is what it may be.
absl::StatusOr<Json> Value(const std::string& name, const std::string& text, const std::set<std::string>& types) {
  const bool may_be_string = types.empty() || types.contains("string");
  // Text that a string may hold is that text: "007" is not 7.
  if (may_be_string && !types.empty() && types.size() == 1) return text;
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_discarded()) {
    if (types.empty()) return value;
    for (const std::string& type : types) {
      if (type != "string" && IsOfType(value, type)) return value;
    }
  }
  if (may_be_string) return text;
  return absl::InvalidArgumentError(
      absl::StrCat("argument \"", name, "\" must be of type ", TypeWords(types), ", not ", text));
}

}  // namespace

std::string DescribeToolArguments(const Json& schema) {
  std::set<std::string> required;
  for (const Json& name : Member(schema, "required")) {
    if (name.is_string()) required.insert(name.get<std::string>());
  }
  std::vector<std::string> described;
  for (const auto& [name, property] : Member(schema, "properties").items()) {
    described.push_back(absl::StrCat(name, " (", TypeWords(TypesOf(schema, property)),
                                     required.contains(name) ? ", required)" : ")"));
  }
  return described.empty() ? "none" : absl::StrJoin(described, ", ");
}

absl::StatusOr<Json> BuildToolArguments(const Json& schema, const std::vector<std::string>& words,
                                        const std::string& json) {
  Json arguments = Json::object();
  if (!json.empty()) {
    absl::StatusOr<Json> parsed = ParseJson(json);
    if (!parsed.ok()) return absl::InvalidArgumentError(absl::StrCat("--json: ", parsed.status().message()));
    if (!parsed->is_object()) return absl::InvalidArgumentError("--json: must be a JSON object");
    arguments = *std::move(parsed);
  }
  const Json& properties = Member(schema, "properties");
  const Json& additional = Member(schema, "additionalProperties");
  const bool open = !properties.is_object() || properties.empty() || additional.is_object() || additional == true;
  std::set<std::string> given;
  for (const std::string& word : words) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(word, absl::MaxSplits('=', 1));
    const std::string& name = parts.first;
    if (name.empty() || !absl::StrContains(word, '=')) {
      return absl::InvalidArgumentError(absl::StrCat("--arg: must be NAME=VALUE, not \"", word, "\""));
    }
    const Json& property = Member(properties, name);
    if (!open && property.is_null()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the tool has no argument \"", name, "\"; its arguments: ", DescribeToolArguments(schema)));
    }
    const std::set<std::string> types = TypesOf(schema, property);
    absl::StatusOr<Json> value = Value(name, parts.second, types);
    if (types.contains("array") && (!value.ok() || !value->is_array())) {
      UNMCP_ASSIGN_OR_RETURN(Json element,
                             Value(name, parts.second, TypesOf(schema, Member(property, "items"))));
      if (!given.contains(name)) arguments[name] = Json::array();
      arguments[name].push_back(std::move(element));
      given.insert(name);
      continue;
    }
    UNMCP_RETURN_IF_ERROR(value.status());
    if (!given.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("argument \"", name, "\" is given twice"));
    }
    arguments[name] = *std::move(value);
  }
  std::vector<std::string> missing;
  for (const Json& name : Member(schema, "required")) {
    if (!name.is_string() || arguments.contains(name.get<std::string>())) continue;
    missing.push_back(absl::StrCat("\"", name.get<std::string>(), "\" (",
                                   TypeWords(TypesOf(schema, Member(properties, name.get<std::string>()))), ")"));
  }
  if (missing.empty()) return arguments;
  return absl::InvalidArgumentError(absl::StrCat("the tool needs ", missing.size() == 1 ? "the argument " : "arguments ",
                                                 absl::StrJoin(missing, ", "), ": give --arg NAME=VALUE"));
}

}  // namespace unmcp
