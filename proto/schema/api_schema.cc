#include "proto/schema/api_schema.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "glog/logging.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "proto/schema/described.h"
#include "unmcp/v1/options.pb.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;
using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;

Json Integer(const char* format, const v1::FieldRules& rules) {
  Json schema = {{"type", "integer"}, {"format", format}};
  if (rules.has_minimum()) schema["minimum"] = rules.minimum();
  if (rules.has_maximum()) schema["maximum"] = rules.maximum();
  return schema;
}

Json Unsigned(const char* format) { return {{"type", "integer"}, {"format", format}, {"minimum", 0}}; }

// `pattern`, or nothing.
std::string OrEmpty(absl::string_view pattern) { return absl::StrCat("^$|", pattern); }

Json String(const v1::FieldRules& rules, bool may_be_empty) {
  Json schema = {{"type", "string"}};
  if (rules.max_length() > 0) schema["maxLength"] = rules.max_length();
  if (rules.min_length() > 0 && !may_be_empty) schema["minLength"] = rules.min_length();
  if (!rules.pattern().empty()) schema["pattern"] = may_be_empty ? OrEmpty(rules.pattern()) : rules.pattern();
  for (const std::string& value : rules.values()) schema["enum"].push_back(value);
  if (rules.values_size() > 0 && may_be_empty) schema["enum"].push_back("");
  if (!rules.quantity()) return schema;
  schema["pattern"] = OrEmpty(kQuantityPattern);
  return {{"oneOf", Json::array({schema, {{"type", "number"}, {"minimum", 0}}})}};
}

}  // namespace

Json ApiSchemas::Of(const Descriptor* message) {
  if (message == google::protobuf::Timestamp::descriptor()) return {{"type", "string"}, {"format", "date-time"}};
  if (message == google::protobuf::Struct::descriptor()) return {{"type", "object"}};
  const Json reference = {{"$ref", absl::StrCat("#/components/schemas/", message->name())}};
  if (components_.contains(message->name())) return reference;
  components_[message->name()] = Json::object();  // or a message that holds itself would have no end
  Json schema = {{"type", "object"}, {"properties", Json::object()}};
  if (std::string comment = CommentOf(message); !comment.empty()) schema["description"] = std::move(comment);
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    schema["properties"][field->json_name()] = Of(field);
    if (field->options().GetExtension(v1::rules).required()) schema["required"].push_back(field->json_name());
  }
  components_[message->name()] = std::move(schema);
  return reference;
}

Json ApiSchemas::Of(const FieldDescriptor* field) {
  const v1::FieldRules& rules = field->options().GetExtension(v1::rules);
  Json schema;
  if (field->is_map()) {
    schema = {{"type", "object"}, {"additionalProperties", Value(field->message_type()->map_value())}};
    if (rules.max_items() > 0) schema["maxProperties"] = rules.max_items();
  } else if (field->is_repeated()) {
    schema = {{"type", "array"}, {"items", Value(field)}};
    if (rules.max_items() > 0) schema["maxItems"] = rules.max_items();
  } else {
    schema = Value(field);
  }
  if (std::string comment = CommentOf(field); !comment.empty()) schema["description"] = std::move(comment);
  if (!rules.default_json().empty()) schema["default"] = Json::parse(rules.default_json());
  if (rules.output_only() || rules.derived()) schema["readOnly"] = true;
  return schema;
}

// One value of the field: an element, when it is repeated.
Json ApiSchemas::Value(const FieldDescriptor* field) {
  const v1::FieldRules& rules = field->options().GetExtension(v1::rules);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return Integer("int32", rules);
    case FieldDescriptor::CPPTYPE_INT64: return Integer("int64", rules);
    case FieldDescriptor::CPPTYPE_UINT32: return Unsigned("uint32");
    case FieldDescriptor::CPPTYPE_UINT64: return Unsigned("uint64");
    case FieldDescriptor::CPPTYPE_DOUBLE: return {{"type", "number"}, {"format", "double"}};
    case FieldDescriptor::CPPTYPE_FLOAT: return {{"type", "number"}, {"format", "float"}};
    case FieldDescriptor::CPPTYPE_BOOL: return {{"type", "boolean"}};
    case FieldDescriptor::CPPTYPE_MESSAGE: return Of(field->message_type());
    case FieldDescriptor::CPPTYPE_STRING:
      if (field->type() == FieldDescriptor::TYPE_BYTES) return {{"type", "string"}, {"contentEncoding", "base64"}};
      return String(rules, /*may_be_empty=*/!rules.required() && !field->is_repeated());
    case FieldDescriptor::CPPTYPE_ENUM:
      break;
  }
  // Kubernetes has declared words in place of enums, and so has our API.
  LOG(FATAL) << field->full_name() << ": the REST API has no " << field->type_name() << " fields";
}

}  // namespace unmcp
