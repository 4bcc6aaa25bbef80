#include "apiserver/upstream_http.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "http/url.h"

namespace unmcp::apiserver {
namespace {

// A trailing slash, http to https within a proxy, and one more.
constexpr int kMaxRedirects = 3;

}  // namespace

http::Request NewRequest(const HttpEndpoint& endpoint, std::string method) {
  http::Request request;
  request.method = std::move(method);
  request.url = endpoint.url;
  request.headers = endpoint.headers;
  request.max_redirects = kMaxRedirects;
  request.direct = endpoint.direct;
  return request;
}

absl::Status HttpProblem(const HttpEndpoint& endpoint, int status, const http::Headers& head) {
  const std::string who = absl::StrCat("the server at ", http::Origin(endpoint.url));
  if (status == 401 || status == 403) {
    return absl::PermissionDeniedError(
        absl::StrCat(who, " wants ", endpoint.headers.empty() ? "" : "other ", "credentials (HTTP ", status,
                     "): give them in spec.headers, for example Authorization from a Secret"));
  }
  if (status >= 300 && status < 400) {
    const absl::StatusOr<std::string> target = http::ResolveUrl(endpoint.url, http::FindHeader(head, "location"));
    return absl::FailedPreconditionError(
        absl::StrCat(who, " redirects", target.ok() ? " to " : "", target.ok() ? http::Origin(*target) : "", " (HTTP ",
                     status, "), which is not followed, since spec.headers are meant for the declared address alone; "
                     "declare the address it redirects to"));
  }
  if (status == 404 || status == 405 || status == 406 || status == 415) {
    return absl::FailedPreconditionError(
        absl::StrCat(who, " has no such MCP endpoint (HTTP ", status,
                     "): check the path in spec.url or spec.transport.path, and whether spec.transport.type (sse or "
                     "streamable-http) is what it speaks"));
  }
  const std::string what = absl::StrCat(who, " answered HTTP ", status);
  if (status >= 502 && status <= 504) return absl::UnavailableError(what);
  return absl::InternalError(what);
}

bool IsContentType(const http::Headers& head, absl::string_view type) {
  const absl::string_view value = http::FindHeader(head, "content-type");
  return absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(value.substr(0, value.find(';'))), type);
}

}  // namespace unmcp::apiserver
