// The parts of request targets: percent-encoding and query strings (RFC 3986).
#ifndef UNMCP_GATEWAY_URI_H_
#define UNMCP_GATEWAY_URI_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace unmcp::gateway {

// A request target taken apart; the views point into it.
struct Target {
  absl::string_view authority;  // only of an absolute-form target
  absl::string_view path;       // still percent-encoded
  absl::string_view query;      // without '?'
};

// Accepts origin-form ("/path?query") and absolute-form ("http://host/path").
// INVALID_ARGUMENT otherwise.
absl::StatusOr<Target> ParseTarget(absl::string_view target);

// INVALID_ARGUMENT when an escape is broken, or the result is not UTF-8 or
// holds a control character. `plus_is_space` in query strings only.
absl::StatusOr<std::string> PercentDecode(absl::string_view text, bool plus_is_space = false);

// For one path segment.
std::string PercentEncode(absl::string_view text);

// "a=1&b=x%20y" → pairs, decoded, in order. A parameter without '=' has an
// empty value.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseQuery(absl::string_view query);

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_URI_H_
