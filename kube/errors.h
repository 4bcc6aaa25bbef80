// The API server's refusals as named functions, each an absl::Status with the
// code that kube/cluster.h promises and the words that Kubernetes uses; and the
// converter between them and a Kubernetes Status document.
// Source: k8s.io/apimachinery, pkg/api/errors and pkg/util/validation/field.
//
// Thread safety: functions only.
#ifndef UNMCP_KUBE_ERRORS_H_
#define UNMCP_KUBE_ERRORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kube/object.h"

namespace unmcp::kube {

// "pods", "mcpservers.unmcp.dev": how messages name a resource.
std::string GroupResource(const Kind& kind);

// NOT_FOUND: mcpservers.unmcp.dev "x" not found
absl::Status NotFound(const ObjectRef& ref);
// NOT_FOUND: the kind itself is unknown, which a missing CRD causes.
absl::Status KindNotFound(const Kind& kind);
// ALREADY_EXISTS: mcpservers.unmcp.dev "x" already exists
absl::Status AlreadyExists(const ObjectRef& ref);
// ABORTED: Operation cannot be fulfilled on mcpservers.unmcp.dev "x": `why`
absl::Status Conflict(const ObjectRef& ref, const std::string& why);
// ABORTED, the commonest why: read the object again and repeat.
absl::Status Modified(const ObjectRef& ref);
// INVALID_ARGUMENT: the request itself makes no sense.
absl::Status BadRequest(const std::string& message);
// OUT_OF_RANGE: a version that is no longer (or not yet) known; list again.
absl::Status Gone(const std::string& message);

// One broken rule: where, and what is wrong.
struct FieldError {
  std::string path;     // "spec.env[2].name"
  std::string problem;  // "Required value"
};

FieldError InvalidValue(std::string path, const Json& value, const std::string& rule);
FieldError RequiredValue(std::string path, const std::string& what_to_do = "");
FieldError DuplicateValue(std::string path, const Json& value);
FieldError Forbidden(std::string path, const std::string& why);
FieldError UnsupportedValue(std::string path, const Json& value, const std::vector<Json>& supported);
FieldError TooLong(std::string path, int64_t max);
FieldError TooMany(std::string path, int64_t count, int64_t max);

// INVALID_ARGUMENT: MCPServer.unmcp.dev "x" is invalid: spec.idleTimeout:
// Invalid value: -5: should be greater than or equal to -1
// `errors` has at least one entry; several are written as [a, b].
absl::Status Invalid(const Kind& kind, const std::string& name, const std::vector<FieldError>& errors);

// A Kubernetes Status document (kind: Status) for an error, and back. A
// document without a known reason is read by its code, and when it has none by
// `http_code`. What is no Status document at all gives its text as the message.
Json StatusToJson(const absl::Status& status);
absl::Status StatusFromJson(const Json& json, int http_code);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_ERRORS_H_
