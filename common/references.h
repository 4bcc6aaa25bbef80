// References to variables, $(NAME), as Kubernetes has them in a container's
// command, arguments and values of variables, and unmcp in spec.url.
//
// "$$" stands for "$". What names no variable stays as it is, and so does what
// a reference brings in.
// Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container
//
// Thread safety: functions only.
#ifndef UNMCP_COMMON_REFERENCES_H_
#define UNMCP_COMMON_REFERENCES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp {

// `text` with what it refers to; `value` knows the variables.
//
//   ExpandReferences("a$$b $(X) $(Y)", [](absl::string_view name) { … })  // "a$b 1 $(Y)", when only X is known
std::string ExpandReferences(absl::string_view text,
                             absl::FunctionRef<std::optional<std::string>(absl::string_view name)> value);

// The names in `text` that could be a variable's, in order: not "a b" of $(a b).
std::vector<std::string> ReferencesIn(absl::string_view text);

// `text` without those references, with "$" for "$$".
std::string WithoutReferences(absl::string_view text);

// What expands to `text` itself.
std::string EscapeReferences(absl::string_view text);

// The entries of spec.env that spec.url refers to, itself or by way of their
// values, in their order.
std::vector<const v1::EnvVar*> VariablesOfUrl(const v1::MCPServerSpec& spec);

}  // namespace unmcp

#endif  // UNMCP_COMMON_REFERENCES_H_
