#include "proto/schema/crd.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "glog/logging.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "proto/schema/described.h"
#include "unmcp/v1/options.pb.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;
using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;

constexpr char kGroup[] = "unmcp.dev";
constexpr char kVersion[] = "v1";

// A declared default, which was written by us: one that does not parse is a
// mistake in the schema, not something to go on with.
Json DefaultOf(const v1::FieldRules& rules) {
  const absl::StatusOr<Json> value = ParseJson(rules.default_json());
  CHECK(value.ok()) << "default_json " << rules.default_json() << ": " << value.status();
  return *value;
}

bool IsObject(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map() &&
         field->message_type()->file()->package() != "google.protobuf";
}

// A default inside an object only takes effect when the object is there.
bool HasDefaults(const Descriptor* type) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (!field->options().GetExtension(v1::rules).default_json().empty()) return true;
    if (!field->is_repeated() && IsObject(field) && HasDefaults(field->message_type())) return true;
  }
  return false;
}

class SchemaWriter {
 public:
  explicit SchemaWriter(bool described) : described_(described) {}

  template <class T>
  std::string Comment(const T* linked) const {
    return described_ ? CommentOf(linked) : "";
  }

  Json Object(const Descriptor* type) const {
    Json schema = {{"type", "object"}};
    Describe(Comment(type), &schema);
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      const v1::FieldRules& rules = field->options().GetExtension(v1::rules);
      if (rules.derived()) continue;
      schema["properties"][field->json_name()] = Field(field, rules);
      if (rules.required()) schema["required"].push_back(field->json_name());
    }
    return schema;
  }

  Json Field(const FieldDescriptor* field, const v1::FieldRules& rules) const {
    Json schema;
    if (field->is_map()) {
      schema = {{"type", "object"}, {"additionalProperties", Value(field->message_type()->map_value(), rules)}};
      if (rules.max_items() > 0) schema["maxProperties"] = rules.max_items();
    } else if (field->is_repeated()) {
      schema = {{"type", "array"}, {"items", Value(field, rules)}};
      if (rules.max_items() > 0) schema["maxItems"] = rules.max_items();
      if (!rules.map_key().empty()) {
        schema["x-kubernetes-list-type"] = "map";
        schema["x-kubernetes-list-map-keys"] = Json::array({rules.map_key()});
      }
    } else {
      schema = Value(field, rules);
      if (IsObject(field) && HasDefaults(field->message_type())) schema["default"] = Json::object();
    }
    if (!rules.default_json().empty()) schema["default"] = DefaultOf(rules);
    Describe(Comment(field), &schema);
    return schema;
  }

 private:
  static void Describe(const std::string& comment, Json* schema) {
    if (!comment.empty()) (*schema)["description"] = comment;
  }

  // One value of the field: an element, when it is repeated.
  Json Value(const FieldDescriptor* field, const v1::FieldRules& rules) const {
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: return Integer("int32", rules);
      case FieldDescriptor::CPPTYPE_INT64: return Integer("int64", rules);
      case FieldDescriptor::CPPTYPE_BOOL: return {{"type", "boolean"}};
      case FieldDescriptor::CPPTYPE_STRING: return String(rules);
      case FieldDescriptor::CPPTYPE_MESSAGE: return Message(field->message_type());
      default:
        // Unsigned and floating-point numbers are against the Kubernetes API
        // conventions, and enums are declared words here.
        LOG(FATAL) << field->full_name() << ": a custom resource has no " << field->type_name() << " fields";
    }
  }

  static Json Integer(const char* format, const v1::FieldRules& rules) {
    Json schema = {{"type", "integer"}, {"format", format}};
    if (rules.has_minimum()) schema["minimum"] = rules.minimum();
    if (rules.has_maximum()) schema["maximum"] = rules.maximum();
    return schema;
  }

  static Json String(const v1::FieldRules& rules) {
    // As Kubernetes has quantities. A maxLength would not fit both types.
    if (rules.quantity()) {
      return {{"anyOf", Json::array({{{"type", "integer"}}, {{"type", "string"}}})},
              {"pattern", kQuantityPattern},
              {"x-kubernetes-int-or-string", true}};
    }
    Json schema = {{"type", "string"}};
    if (rules.max_length() > 0) schema["maxLength"] = rules.max_length();
    if (rules.min_length() > 0) schema["minLength"] = rules.min_length();
    if (!rules.pattern().empty()) schema["pattern"] = rules.pattern();
    for (const std::string& value : rules.values()) schema["enum"].push_back(value);
    return schema;
  }

  Json Message(const Descriptor* type) const {
    if (type == google::protobuf::Timestamp::descriptor()) return {{"type", "string"}, {"format", "date-time"}};
    if (type == google::protobuf::Struct::descriptor()) {
      return {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
    }
    return Object(type);
  }

  const bool described_;
};

}  // namespace

const std::vector<CustomResource>& CustomResources() {
  static const auto* const resources = new std::vector<CustomResource>{
      {"MCPServer",
       "mcpservers",
       "mcp",
       v1::MCPServer::descriptor(),
       {{"Phase", "string", ".status.phase"},
        {"Pool", "string", ".spec.pool"},
        {"Requests", "integer", ".status.totalRequests"},
        {"Age", "date", ".metadata.creationTimestamp"}}},
      {"MCPPool",
       "mcppools",
       "mcpp",
       v1::MCPPool::descriptor(),
       {{"Active", "integer", ".status.activeServersCount"},
        {"Pending", "integer", ".status.pendingServersCount"},
        {"Total", "integer", ".status.totalServersCount"},
        {"Age", "date", ".metadata.creationTimestamp"}}},
  };
  return *resources;
}

Json CrdFor(const CustomResource& resource, bool described) {
  const SchemaWriter writer(described);
  const auto section = [&](const char* name) {
    const FieldDescriptor* field = resource.message->FindFieldByName(name);
    CHECK(field != nullptr) << resource.kind << " has no " << name;
    return writer.Field(field, v1::FieldRules());
  };
  Json schema = {
      {"type", "object"},
      {"properties",
       {{"apiVersion", {{"type", "string"}}},
        {"kind", {{"type", "string"}}},
        {"metadata",
         {{"type", "object"},
          {"properties",
           {{"name", {{"type", "string"}, {"pattern", kNamePattern}, {"maxLength", kNameMaxLength}}}}}}},
        {"spec", section("spec")},
        {"status", section("status")}}},
  };
  if (const std::string comment = writer.Comment(resource.message); !comment.empty()) schema["description"] = comment;

  Json columns = Json::array();
  for (const PrinterColumn& column : resource.columns) {
    columns.push_back({{"name", column.name}, {"type", column.type}, {"jsonPath", column.json_path}});
  }
  const Json version = {{"name", kVersion},
                        {"served", true},
                        {"storage", true},
                        {"subresources", {{"status", Json::object()}}},
                        {"additionalPrinterColumns", columns},
                        {"schema", {{"openAPIV3Schema", schema}}}};
  return {{"apiVersion", "apiextensions.k8s.io/v1"},
          {"kind", "CustomResourceDefinition"},
          {"metadata", {{"name", absl::StrCat(resource.plural, ".", kGroup)}}},
          {"spec",
           {{"group", kGroup},
            {"scope", "Namespaced"},
            {"names",
             {{"kind", resource.kind},
              {"listKind", absl::StrCat(resource.kind, "List")},
              {"plural", resource.plural},
              {"singular", absl::AsciiStrToLower(resource.kind)},
              {"shortNames", Json::array({resource.short_name})},
              {"categories", Json::array({"unmcp"})}}},
            {"versions", Json::array({version})}}}};
}

std::vector<Json> AllCrds(bool described) {
  std::vector<Json> crds;
  for (const CustomResource& resource : CustomResources()) crds.push_back(CrdFor(resource, described));
  return crds;
}

void FillDefaults(const Descriptor* type, Json* json) {
  if (!json->is_object()) return;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string& name = field->json_name();
    const v1::FieldRules& rules = field->options().GetExtension(v1::rules);
    if (!rules.default_json().empty() && !json->contains(name)) (*json)[name] = DefaultOf(rules);
    if (!IsObject(field)) continue;
    if (field->is_repeated()) {
      if (json->contains(name) && (*json)[name].is_array()) {
        for (Json& element : (*json)[name]) FillDefaults(field->message_type(), &element);
      }
    } else if (json->contains(name) || HasDefaults(field->message_type())) {
      FillDefaults(field->message_type(), &json->emplace(name, Json::object()).first.value());
    }
  }
}

}  // namespace unmcp
