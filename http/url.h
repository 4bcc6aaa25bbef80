// URLs of servers: resolving references, and comparing origins (RFC 3986,
// RFC 6454).
//
// Thread safety: functions only.
#ifndef UNMCP_HTTP_URL_H_
#define UNMCP_HTTP_URL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace unmcp::http {

// `reference` (absolute, or relative to `base`) as an absolute http or https
// URL without fragment. INVALID_ARGUMENT when it is none.
absl::StatusOr<std::string> ResolveUrl(absl::string_view base, absl::string_view reference);

// "https://host:443": scheme, host and port, without user, path and query, for
// messages and comparisons. "" when `url` is no http or https URL.
std::string Origin(absl::string_view url);

// Whether both are URLs of one scheme, host and port.
bool SameOrigin(absl::string_view a, absl::string_view b);

}  // namespace unmcp::http

#endif  // UNMCP_HTTP_URL_H_
