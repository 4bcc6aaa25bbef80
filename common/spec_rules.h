// What a spec may say: the rules declared on its fields (FieldRules in
// options.proto), and those between fields, which no declaration can hold.
// One place for the API, which refuses with them, and the controller, which
// reports what came into the cluster by another way.
//
//   UNMCP_RETURN_IF_ERROR(ValidateServerSpec(server.spec()));
//
// Errors: INVALID_ARGUMENT with the first broken rule, where it is broken and
// what to do: "spec.transport.port: is required for the type sse without a url".
//
// Thread safety: functions only.
#ifndef UNMCP_COMMON_SPEC_RULES_H_
#define UNMCP_COMMON_SPEC_RULES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp {

absl::Status ValidateServerSpec(const v1::MCPServerSpec& spec);
absl::Status ValidatePoolSpec(const v1::MCPPoolSpec& spec);

// A name that a server or pool may bear (a Service bears it, and labels hold it).
absl::Status ValidateName(absl::string_view name);

}  // namespace unmcp

#endif  // UNMCP_COMMON_SPEC_RULES_H_
