// The API's description for programs: an OpenAPI 3.1 document of every route,
// from the proto schema and its comments. https://spec.openapis.org/oas/v3.1.0
#ifndef UNMCP_GATEWAY_OPENAPI_H_
#define UNMCP_GATEWAY_OPENAPI_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/transcoder.h"
#include "nlohmann/json.hpp"

namespace unmcp::gateway {

// A route that is served.
struct ApiRoute {
  std::string http_method;        // "GET"
  std::string path;               // "/api/v1/servers/{uid}"
  const RestRoute* rest = nullptr;  // null: what is no gRPC method is described by hand
};

// Pure and thread safe. NOT_FOUND for a route that is neither REST nor
// described by hand (in openapi.cc).
absl::StatusOr<nlohmann::json> OpenApiDocument(const std::vector<ApiRoute>& routes, absl::string_view version);

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_OPENAPI_H_
