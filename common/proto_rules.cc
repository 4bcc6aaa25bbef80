// ValidateRules of proto_json.h.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/proto_json.h"
#include "common/status_macros.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/struct.pb.h"
#include "re2/re2.h"
#include "unmcp/v1/options.pb.h"

namespace unmcp {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

absl::Status Broken(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

// Kubernetes counts code points, too.
size_t Characters(const std::string& utf8) {
  return absl::c_count_if(utf8, [](char c) { return (c & 0xC0) != 0x80; });
}

std::string Quoted(const std::string& text) { return JsonText(text); }

// A whole Pod fits several times; it is kept with the resource and sent with
// every change of it.
constexpr size_t kMaxStructBytes = 64 << 10;

// RE2, as Kubernetes matches the same patterns: in linear time and without
// recursion, however long the value.
bool Matches(const std::string& text, const std::string& pattern) {
  // Compiling costs a hundred times the match. Patterns come from the linked
  // schema, so there is a handful of them.
  static thread_local std::unordered_map<std::string, std::unique_ptr<RE2>> compiled;
  std::unique_ptr<RE2>& regex = compiled[pattern];
  if (regex == nullptr) regex = std::make_unique<RE2>(pattern);
  return RE2::FullMatch(text, *regex);
}

absl::Status CheckString(const std::string& value, const std::string& path, const v1::FieldRules& rules) {
  const size_t characters = Characters(value);
  // Lengths first: an answer never repeats what is too long.
  if (rules.max_length() > 0 && characters > static_cast<size_t>(rules.max_length())) {
    return Broken(path, absl::StrCat("is ", characters, " characters long; at most ", rules.max_length(),
                                     " are allowed"));
  }
  if (characters < static_cast<size_t>(rules.min_length())) {
    return Broken(path, absl::StrCat("must have at least ", rules.min_length(), " characters"));
  }
  if (rules.values_size() > 0 && !absl::c_linear_search(rules.values(), value)) {
    const std::string allowed = absl::StrJoin(
        rules.values(), ", ", [](std::string* out, const std::string& word) { out->append(Quoted(word)); });
    return Broken(path, absl::StrCat("must be ", rules.values_size() > 1 ? "one of " : "", allowed, ", not ",
                                     Quoted(value)));
  }
  if (!rules.pattern().empty() && !Matches(value, rules.pattern())) {
    return Broken(path, absl::StrCat("must match ", rules.pattern(), ", which ", Quoted(value), " does not"));
  }
  if (rules.quantity() && !Matches(value, kQuantityPattern)) {
    return Broken(path, absl::StrCat("must be an amount that is not negative, such as \"500m\" or \"256Mi\", not ",
                                     Quoted(value)));
  }
  return absl::OkStatus();
}

absl::Status CheckInteger(int64_t value, const std::string& path, const v1::FieldRules& rules) {
  if (rules.has_minimum() && value < rules.minimum()) {
    return Broken(path, absl::StrCat("must be at least ", rules.minimum()));
  }
  if (rules.has_maximum() && value > rules.maximum()) {
    return Broken(path, absl::StrCat("must be at most ", rules.maximum()));
  }
  return absl::OkStatus();
}

absl::Status CheckStruct(const Message& fields, const std::string& path) {
  const nlohmann::json json = ToJson(fields);
  if (JsonDepth(json) > kMaxStructDepth) {
    return Broken(path, absl::StrCat("is nested deeper than ", kMaxStructDepth, " levels"));
  }
  const size_t bytes = JsonText(json).size();
  if (bytes <= kMaxStructBytes) return absl::OkStatus();
  return Broken(path, absl::StrCat("is ", bytes, " bytes of JSON; at most ", kMaxStructBytes, " are allowed"));
}

absl::Status CheckMessage(const Message& message, const std::string& path);

// A singular field, or the element `index` of a repeated one when index >= 0.
absl::Status CheckValue(const Message& message, const FieldDescriptor* field, int index, const std::string& path,
                        const v1::FieldRules& rules) {
  const Reflection* r = message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return CheckString(one ? r->GetString(message, field) : r->GetRepeatedString(message, field, index), path, rules);
    case FieldDescriptor::CPPTYPE_INT32:
      return CheckInteger(one ? r->GetInt32(message, field) : r->GetRepeatedInt32(message, field, index), path, rules);
    case FieldDescriptor::CPPTYPE_INT64:
      return CheckInteger(one ? r->GetInt64(message, field) : r->GetRepeatedInt64(message, field, index), path, rules);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return CheckMessage(one ? r->GetMessage(message, field) : r->GetRepeatedMessage(message, field, index), path);
    default:
      return absl::OkStatus();
  }
}

absl::Status CheckRepeated(const Message& message, const FieldDescriptor* field, const std::string& path,
                           const v1::FieldRules& rules) {
  const Reflection* r = message.GetReflection();
  const int size = r->FieldSize(message, field);
  if (rules.max_items() > 0 && size > rules.max_items()) {
    return Broken(path, absl::StrCat("has ", size, " entries; at most ", rules.max_items(), " are allowed"));
  }
  if (field->is_map()) {
    for (int i = 0; i < size; ++i) {
      const Message& entry = r->GetRepeatedMessage(message, field, i);
      const FieldDescriptor* key_field = field->message_type()->map_key();
      const std::string key = key_field->cpp_type() == FieldDescriptor::CPPTYPE_STRING
                                  ? entry.GetReflection()->GetString(entry, key_field)
                                  : absl::StrCat(i);
      UNMCP_RETURN_IF_ERROR(
          CheckValue(entry, field->message_type()->map_value(), -1, absl::StrCat(path, ".", key), rules));
    }
    return absl::OkStatus();
  }
  const FieldDescriptor* key_field = nullptr;
  for (int i = 0; i < (rules.map_key().empty() ? 0 : field->message_type()->field_count()); ++i) {
    if (field->message_type()->field(i)->json_name() == rules.map_key()) key_field = field->message_type()->field(i);
  }
  std::map<std::string, int> seen;
  for (int i = 0; i < size; ++i) {
    const std::string element = absl::StrCat(path, "[", i, "]");
    UNMCP_RETURN_IF_ERROR(CheckValue(message, field, i, element, rules));
    if (key_field == nullptr) continue;
    const Message& entry = r->GetRepeatedMessage(message, field, i);
    const std::string key = entry.GetReflection()->GetString(entry, key_field);
    if (const auto [it, fresh] = seen.emplace(key, i); !fresh) {
      return Broken(absl::StrCat(element, ".", rules.map_key()),
                    absl::StrCat(Quoted(key), " is already in ", path, "[", it->second, "]; keep one of the two"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMessage(const Message& message, const std::string& path) {
  const Descriptor* type = message.GetDescriptor();
  if (type == google::protobuf::Struct::descriptor()) return CheckStruct(message, path);
  const Reflection* reflection = message.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const v1::FieldRules& rules = field->options().GetExtension(v1::rules);
    const bool present =
        field->is_repeated() ? reflection->FieldSize(message, field) > 0 : reflection->HasField(message, field);
    if (!present && !rules.required()) continue;
    const std::string field_path = absl::StrCat(path, path.empty() ? "" : ".", field->json_name());
    if (!present) return Broken(field_path, "is required");
    UNMCP_RETURN_IF_ERROR(field->is_repeated() ? CheckRepeated(message, field, field_path, rules)
                                               : CheckValue(message, field, -1, field_path, rules));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateRules(const Message& message) { return CheckMessage(message, ""); }

}  // namespace unmcp
