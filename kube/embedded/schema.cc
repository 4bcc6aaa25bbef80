#include "kube/embedded/schema.h"

#include <cmath>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "re2/re2.h"

namespace unmcp::kube {
namespace {

// Schemas are trees written by tools; recursion stops before the stack does.
constexpr int kMaxSchemaDepth = 64;

const Json* Find(const Json& json, const std::string& key) {
  if (!json.is_object()) return nullptr;
  auto it = json.find(key);
  return it == json.end() ? nullptr : &*it;
}

absl::Status SchemaError(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("schema", path.empty() ? "" : " at ", path, ": ", what));
}

bool IsTrue(const Json& json, const char* key) {
  const Json* value = Find(json, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::string Join(const std::string& path, const std::string& field) {
  return path.empty() ? field : path + "." + field;
}

int64_t Characters(const std::string& utf8) {
  int64_t count = 0;
  for (const char c : utf8) count += (c & 0xC0) != 0x80;
  return count;
}

}  // namespace

// RE2 matches in linear time, and is what Kubernetes matches patterns with.
struct Schema::Pattern {
  explicit Pattern(const std::string& text) : regex(text, RE2::Quiet) {}
  RE2 regex;
};

Schema::Schema() = default;
Schema::~Schema() = default;

absl::StatusOr<std::unique_ptr<const Schema>> Schema::Parse(const Json& document) {
  UNMCP_ASSIGN_OR_RETURN(std::unique_ptr<Schema> schema, ParseNode(document, "", 0));
  if (schema->type_ != Type::kObject) return SchemaError("", "the type of a resource has to be object");
  return schema;
}

absl::StatusOr<std::unique_ptr<Schema>> Schema::ParseNode(const Json& json, const std::string& path, int depth) {
  if (!json.is_object()) return SchemaError(path, "must be an object");
  if (depth > kMaxSchemaDepth) return SchemaError(path, absl::StrCat("is nested more than ", kMaxSchemaDepth, " deep"));
  static const std::map<std::string, Type>* const types = new std::map<std::string, Type>{
      {"object", Type::kObject},   {"array", Type::kArray},   {"string", Type::kString},
      {"integer", Type::kInteger}, {"number", Type::kNumber}, {"boolean", Type::kBoolean}};
  std::unique_ptr<Schema> node(new Schema);
  node->nullable_ = IsTrue(json, "nullable");
  node->int_or_string_ = IsTrue(json, "x-kubernetes-int-or-string");
  node->preserve_unknown_ = IsTrue(json, "x-kubernetes-preserve-unknown-fields");
  if (const Json* type = Find(json, "type"); type != nullptr) {
    auto known = type->is_string() ? types->find(type->get<std::string>()) : types->end();
    if (known == types->end()) return SchemaError(path, absl::StrCat("unknown type ", type->dump()));
    node->type_ = known->second;
    node->type_name_ = known->first;
  } else if (!node->int_or_string_ && !node->preserve_unknown_) {
    return SchemaError(path, "type is required in a structural schema");
  }
  if (const Json* values = Find(json, "enum"); values != nullptr) {
    if (!values->is_array() || values->empty()) return SchemaError(path, "enum must be a list with entries");
    node->enum_ = values->get<std::vector<Json>>();
  }
  UNMCP_RETURN_IF_ERROR(node->ParseChildren(json, path, depth));
  UNMCP_RETURN_IF_ERROR(node->ParseBounds(json, path));
  UNMCP_RETURN_IF_ERROR(node->ParseListType(json, path));
  if (const Json* value = Find(json, "default"); value != nullptr) {
    Json filled = *value;
    node->PruneNode(filled, /*root=*/false);
    node->FillDefaults(filled);
    std::vector<FieldError> errors;
    node->ValidateNode(filled, "default", &errors);
    if (!errors.empty()) return SchemaError(path, errors[0].path + ": " + errors[0].problem);
    node->default_ = std::move(filled);
  }
  return node;
}

absl::Status Schema::ParseChildren(const Json& json, const std::string& path, int depth) {
  if (const Json* properties = Find(json, "properties"); properties != nullptr) {
    if (!properties->is_object()) return SchemaError(path, "properties must be an object");
    for (const auto& [name, child] : properties->items()) {
      UNMCP_ASSIGN_OR_RETURN(properties_[name], ParseNode(child, Join(path, name), depth + 1));
    }
  }
  if (const Json* additional = Find(json, "additionalProperties"); additional != nullptr) {
    if (additional->is_boolean()) {
      any_property_ = additional->get<bool>();
    } else {
      UNMCP_ASSIGN_OR_RETURN(additional_properties_, ParseNode(*additional, Join(path, "*"), depth + 1));
    }
  }
  if (const Json* items = Find(json, "items"); items != nullptr) {
    UNMCP_ASSIGN_OR_RETURN(items_, ParseNode(*items, path + "[]", depth + 1));
  }
  if (type_ == Type::kArray && items_ == nullptr) return SchemaError(path, "an array needs items");
  if (const Json* required = Find(json, "required"); required != nullptr) {
    if (!required->is_array()) return SchemaError(path, "required must be a list of names");
    for (const Json& name : *required) {
      if (!name.is_string()) return SchemaError(path, "required must be a list of names");
      required_.push_back(name.get<std::string>());
    }
  }
  return absl::OkStatus();
}

absl::Status Schema::ParseBounds(const Json& json, const std::string& path) {
  const std::pair<const char*, std::optional<int64_t>*> counts[] = {
      {"minLength", &min_length_}, {"maxLength", &max_length_},         {"minItems", &min_items_},
      {"maxItems", &max_items_},   {"minProperties", &min_properties_}, {"maxProperties", &max_properties_}};
  for (const auto& [key, bound] : counts) {
    const Json* value = Find(json, key);
    if (value == nullptr) continue;
    if (!value->is_number_integer()) return SchemaError(path, absl::StrCat(key, " must be a whole number"));
    *bound = value->get<int64_t>();
  }
  const std::pair<const char*, std::optional<Json>*> limits[] = {{"minimum", &minimum_}, {"maximum", &maximum_}};
  for (const auto& [key, bound] : limits) {
    const Json* value = Find(json, key);
    if (value == nullptr) continue;
    if (!value->is_number()) return SchemaError(path, absl::StrCat(key, " must be a number"));
    *bound = *value;
  }
  exclusive_minimum_ = IsTrue(json, "exclusiveMinimum");
  exclusive_maximum_ = IsTrue(json, "exclusiveMaximum");
  if (const Json* pattern = Find(json, "pattern"); pattern != nullptr) {
    if (!pattern->is_string()) return SchemaError(path, "pattern must be a string");
    pattern_ = std::make_unique<Pattern>(pattern->get<std::string>());
    if (!pattern_->regex.ok()) {
      return SchemaError(path, absl::StrCat("pattern ", pattern->dump(), ": ", pattern_->regex.error()));
    }
  }
  return absl::OkStatus();
}

absl::Status Schema::ParseListType(const Json& json, const std::string& path) {
  const Json* type = Find(json, "x-kubernetes-list-type");
  if (type == nullptr || *type == "atomic") return absl::OkStatus();
  if (*type == "set") {
    list_type_ = ListType::kSet;
    return absl::OkStatus();
  }
  if (*type != "map") return SchemaError(path, absl::StrCat("unknown x-kubernetes-list-type ", type->dump()));
  list_type_ = ListType::kMap;
  const Json* keys = Find(json, "x-kubernetes-list-map-keys");
  if (keys == nullptr || !keys->is_array() || keys->empty()) {
    return SchemaError(path, "a list of type map needs x-kubernetes-list-map-keys");
  }
  for (const Json& key : *keys) {
    if (!key.is_string()) return SchemaError(path, "x-kubernetes-list-map-keys must be a list of names");
    list_map_keys_.push_back(key.get<std::string>());
  }
  return absl::OkStatus();
}

void Schema::Prune(Json& document) const { PruneNode(document, /*root=*/true); }

void Schema::PruneNode(Json& value, bool root) const {
  if (value.is_array() && items_ != nullptr) {
    for (Json& item : value) items_->PruneNode(item, /*root=*/false);
  }
  if (!value.is_object()) return;
  for (auto it = value.begin(); it != value.end();) {
    auto property = properties_.find(it.key());
    if (root && (it.key() == "apiVersion" || it.key() == "kind" || it.key() == "metadata")) {
      ++it;
    } else if (property != properties_.end()) {
      property->second->PruneNode(*it++, /*root=*/false);
    } else if (additional_properties_ != nullptr) {
      additional_properties_->PruneNode(*it++, /*root=*/false);
    } else if (any_property_ || preserve_unknown_) {
      ++it;
    } else {
      it = value.erase(it);
    }
  }
}

void Schema::FillDefaults(Json& value) const {
  if (value.is_array() && items_ != nullptr) {
    for (Json& item : value) {
      if (item.is_null() && !items_->nullable_ && items_->default_) item = *items_->default_;
      items_->FillDefaults(item);
    }
  }
  if (!value.is_object()) return;
  for (const auto& [name, child] : properties_) {
    auto it = value.find(name);
    if (it == value.end()) {
      if (child->default_) value[name] = *child->default_;
    } else {
      if (it->is_null() && !child->nullable_ && child->default_) *it = *child->default_;
      child->FillDefaults(*it);
    }
  }
  if (additional_properties_ == nullptr) return;
  for (auto it = value.begin(); it != value.end(); ++it) {
    if (properties_.count(it.key()) == 0) additional_properties_->FillDefaults(*it);
  }
}

std::vector<FieldError> Schema::Validate(const Json& value) const {
  std::vector<FieldError> errors;
  ValidateNode(value, "", &errors);
  return errors;
}

bool Schema::HasType(const Json& value) const {
  switch (type_) {
    case Type::kAny:
      return !int_or_string_ || value.is_number_integer() || value.is_string();
    case Type::kObject:
      return value.is_object();
    case Type::kArray:
      return value.is_array();
    case Type::kString:
      return value.is_string();
    case Type::kInteger:
      return value.is_number_integer() ||
             (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
    case Type::kNumber:
      return value.is_number();
    case Type::kBoolean:
      return value.is_boolean();
  }
  return false;
}

void Schema::ValidateNode(const Json& value, const std::string& path, std::vector<FieldError>* errors) const {
  if (value.is_null() && nullable_) return;
  if (!HasType(value)) {
    errors->push_back(
        InvalidValue(path, value, absl::StrCat("must be of type ", int_or_string_ ? "integer or string" : type_name_)));
    return;
  }
  if (!enum_.empty() && std::find(enum_.begin(), enum_.end(), value) == enum_.end()) {
    errors->push_back(UnsupportedValue(path, value, enum_));
    return;
  }
  if (value.is_string()) ValidateString(value, path, errors);
  if (value.is_number()) ValidateNumber(value, path, errors);
  if (value.is_object()) ValidateObject(value, path, errors);
  if (value.is_array()) ValidateArray(value, path, errors);
}

void Schema::ValidateString(const Json& value, const std::string& path, std::vector<FieldError>* errors) const {
  const std::string& text = value.get_ref<const std::string&>();
  const int64_t length = Characters(text);
  if (max_length_ && length > *max_length_) {
    errors->push_back(TooLong(path, *max_length_));
    return;
  }
  if (min_length_ && length < *min_length_) {
    errors->push_back(InvalidValue(path, value, absl::StrCat("should be at least ", *min_length_, " chars long")));
  }
  if (pattern_ != nullptr && !RE2::PartialMatch(text, pattern_->regex)) {
    errors->push_back(InvalidValue(path, value, absl::StrCat("should match '", pattern_->regex.pattern(), "'")));
  }
}

void Schema::ValidateNumber(const Json& value, const std::string& path, std::vector<FieldError>* errors) const {
  if (minimum_ && (value < *minimum_ || (exclusive_minimum_ && value == *minimum_))) {
    errors->push_back(InvalidValue(
        path, value,
        absl::StrCat("should be greater than ", exclusive_minimum_ ? "" : "or equal to ", minimum_->dump())));
  }
  if (maximum_ && (value > *maximum_ || (exclusive_maximum_ && value == *maximum_))) {
    errors->push_back(InvalidValue(
        path, value, absl::StrCat("should be less than ", exclusive_maximum_ ? "" : "or equal to ", maximum_->dump())));
  }
}

void Schema::ValidateObject(const Json& value, const std::string& path, std::vector<FieldError>* errors) const {
  const int64_t size = static_cast<int64_t>(value.size());
  if (max_properties_ && size > *max_properties_) errors->push_back(TooMany(path, size, *max_properties_));
  if (min_properties_ && size < *min_properties_) {
    errors->push_back(
        InvalidValue(path, value, absl::StrCat("should have at least ", *min_properties_, " properties")));
  }
  for (const std::string& name : required_) {
    if (!value.contains(name)) errors->push_back(RequiredValue(Join(path, name)));
  }
  for (const auto& [name, member] : value.items()) {
    auto property = properties_.find(name);
    if (property != properties_.end()) {
      property->second->ValidateNode(member, Join(path, name), errors);
    } else if (additional_properties_ != nullptr) {
      additional_properties_->ValidateNode(member, Join(path, name), errors);
    }
  }
}

void Schema::ValidateArray(const Json& value, const std::string& path, std::vector<FieldError>* errors) const {
  const int64_t size = static_cast<int64_t>(value.size());
  if (max_items_ && size > *max_items_) {
    errors->push_back(TooMany(path, size, *max_items_));
    return;
  }
  if (min_items_ && size < *min_items_) {
    errors->push_back(InvalidValue(path, value, absl::StrCat("should have at least ", *min_items_, " items")));
  }
  std::set<Json> seen;
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string item_path = absl::StrCat(path, "[", i, "]");
    if (items_ != nullptr) items_->ValidateNode(value[i], item_path, errors);
    if (list_type_ == ListType::kAtomic) continue;
    Json identity = value[i];
    if (list_type_ == ListType::kMap) {
      identity = Json::object();
      for (const std::string& key : list_map_keys_) {
        if (const Json* part = Find(value[i], key); part != nullptr) identity[key] = *part;
      }
    }
    if (!seen.insert(identity).second) errors->push_back(DuplicateValue(item_path, identity));
  }
}

}  // namespace unmcp::kube
