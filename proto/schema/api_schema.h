// JSON Schemas (2020-12, as OpenAPI 3.1 has them) of what the REST API takes and
// gives, from the proto schema and the FieldRules in it.
#ifndef UNMCP_PROTO_SCHEMA_API_SCHEMA_H_
#define UNMCP_PROTO_SCHEMA_API_SCHEMA_H_

#include "google/protobuf/descriptor.h"
#include "nlohmann/json.hpp"

namespace unmcp {

// Example:
//
//   ApiSchemas schemas;
//   operation["responses"]["200"]["content"]["application/json"]["schema"] = schemas.Of(method->output_type());
//   document["components"]["schemas"] = schemas.Take();
//
// Answers hold zeroes, so that a string which may be absent may be "" as well:
// what GET gives, PUT takes.
//
// Thread safety: none.
class ApiSchemas {
 public:
  // A reference to the message's schema, which is among the components from
  // now on, with all that it refers to.
  nlohmann::json Of(const google::protobuf::Descriptor* message);
  // The schema of a field, with its comment: a property or a parameter.
  nlohmann::json Of(const google::protobuf::FieldDescriptor* field);

  // The components, by the messages' short names.
  nlohmann::json Take() { return std::move(components_); }

 private:
  nlohmann::json Value(const google::protobuf::FieldDescriptor* field);

  nlohmann::json components_ = nlohmann::json::object();
};

}  // namespace unmcp

#endif  // UNMCP_PROTO_SCHEMA_API_SCHEMA_H_
