// CustomResourceDefinitions made from the proto schema: the structural OpenAPI
// v3 schemas of MCPServer and MCPPool follow from the fields of their messages
// and the FieldRules on them (proto/unmcp/v1/options.proto).
//
//   for (const Json& crd : AllCrds()) cluster->Define(crd);
//
// Source: apiextensions.k8s.io/v1,
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
//
// Thread safety: everything here is thread safe.
#ifndef UNMCP_PROTO_SCHEMA_CRD_H_
#define UNMCP_PROTO_SCHEMA_CRD_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "nlohmann/json.hpp"

namespace unmcp {

// The bounds of metadata.name: a Service bears the same name (RFC 1035 label)
// and labels hold it.
inline constexpr char kNamePattern[] = "^[a-z]([-a-z0-9]*[a-z0-9])?$";
inline constexpr int kNameMaxLength = 63;

// A column of `kubectl get`.
struct PrinterColumn {
  std::string name;
  std::string type;
  std::string json_path;
};

struct CustomResource {
  std::string kind;
  std::string plural;
  std::string short_name;
  // A message with the fields `spec` and `status`.
  const google::protobuf::Descriptor* message;
  std::vector<PrinterColumn> columns;
};

// MCPServer and MCPPool.
const std::vector<CustomResource>& CustomResources();

// The CustomResourceDefinition. Comments become descriptions when `described`.
// Fields with the rule `derived` are left out.
nlohmann::json CrdFor(const CustomResource& resource, bool described = false);

// CrdFor of every CustomResource.
std::vector<nlohmann::json> AllCrds(bool described = false);

// Fills in the declared defaults (FieldRules.default_json) that `json`, a
// document of message `type`, lacks: what an API server does with the schemas
// above. Parts of another type than the schema's are left as they are.
void FillDefaults(const google::protobuf::Descriptor* type, nlohmann::json* json);

}  // namespace unmcp

#endif  // UNMCP_PROTO_SCHEMA_CRD_H_
