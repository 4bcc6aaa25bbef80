// Structural OpenAPI v3 schemas, as a CustomResourceDefinition holds them:
// pruning, defaulting and validation of custom resources.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
//
// Understood: type, properties, additionalProperties, required, enum, pattern,
// minimum, maximum (and exclusive ones), minLength, maxLength, items, minItems,
// maxItems, minProperties, maxProperties, nullable, default,
// x-kubernetes-preserve-unknown-fields, x-kubernetes-int-or-string,
// x-kubernetes-list-type (set, map), x-kubernetes-list-map-keys. Everything
// else, such as format and CEL rules, is accepted and has no effect.
#ifndef UNMCP_KUBE_EMBEDDED_SCHEMA_H_
#define UNMCP_KUBE_EMBEDDED_SCHEMA_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kube/errors.h"
#include "kube/object.h"

namespace unmcp::kube {

// Example (the order in which an API server does it):
//
//   UNMCP_ASSIGN_OR_RETURN(auto schema, Schema::Parse(crd_version["schema"]["openAPIV3Schema"]));
//   schema->Prune(document);
//   schema->FillDefaults(document);
//   std::vector<FieldError> errors = schema->Validate(document);
//
// Immutable; thread safe.
class Schema {
 public:
  // INVALID_ARGUMENT names the place in the schema that makes no sense.
  static absl::StatusOr<std::unique_ptr<const Schema>> Parse(const Json& document);
  ~Schema();

  // Removes what the schema does not know. `document` is a whole object: its
  // apiVersion, kind and metadata are left alone.
  void Prune(Json& document) const;
  // Fills in what is absent (or null where null is not allowed).
  void FillDefaults(Json& value) const;
  // All broken rules, none when the value is valid.
  std::vector<FieldError> Validate(const Json& value) const;

 private:
  enum class Type { kAny, kObject, kArray, kString, kInteger, kNumber, kBoolean };
  enum class ListType { kAtomic, kSet, kMap };
  struct Pattern;

  Schema();
  static absl::StatusOr<std::unique_ptr<Schema>> ParseNode(const Json& json, const std::string& path, int depth);
  absl::Status ParseChildren(const Json& json, const std::string& path, int depth);
  absl::Status ParseBounds(const Json& json, const std::string& path);
  absl::Status ParseListType(const Json& json, const std::string& path);

  void PruneNode(Json& value, bool root) const;
  bool HasType(const Json& value) const;
  void ValidateNode(const Json& value, const std::string& path, std::vector<FieldError>* errors) const;
  void ValidateString(const Json& value, const std::string& path, std::vector<FieldError>* errors) const;
  void ValidateNumber(const Json& value, const std::string& path, std::vector<FieldError>* errors) const;
  void ValidateObject(const Json& value, const std::string& path, std::vector<FieldError>* errors) const;
  void ValidateArray(const Json& value, const std::string& path, std::vector<FieldError>* errors) const;

  Type type_ = Type::kAny;
  std::string type_name_;
  bool nullable_ = false, int_or_string_ = false, preserve_unknown_ = false;
  std::map<std::string, std::unique_ptr<Schema>> properties_;
  bool any_property_ = false;                      // additionalProperties: true
  std::unique_ptr<Schema> additional_properties_;  // additionalProperties: {…}
  std::unique_ptr<Schema> items_;
  std::vector<std::string> required_;
  std::vector<Json> enum_;
  std::optional<Json> default_;
  std::unique_ptr<Pattern> pattern_;
  std::optional<Json> minimum_, maximum_;
  bool exclusive_minimum_ = false, exclusive_maximum_ = false;
  std::optional<int64_t> min_length_, max_length_, min_items_, max_items_, min_properties_, max_properties_;
  ListType list_type_ = ListType::kAtomic;
  std::vector<std::string> list_map_keys_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_SCHEMA_H_
