// REST from annotations: which gRPC method a request is for, its message, and
// how the method's answer looks as JSON. Reads google.api.http and
// (unmcp.v1.rest) from the linked descriptors, so that a new annotated RPC is
// reachable without a change here. Does no I/O.
//
// Of google.api.http it understands get, put, post, delete, patch, body ("*"
// or a field), additional_bindings, and the templates of PathMatcher.
#ifndef UNMCP_GATEWAY_TRANSCODER_H_
#define UNMCP_GATEWAY_TRANSCODER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gateway/http_message.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace unmcp::gateway {

// One HTTP binding of one RPC.
struct RestRoute {
  std::string http_method;    // "GET"
  std::string path_template;  // "/api/v1/servers/{uid}"
  std::string grpc_method;    // "/unmcp.v1.ServerService/GetServer"
  const google::protobuf::Descriptor* request = nullptr;
  const google::protobuf::Descriptor* response = nullptr;
  std::vector<std::string> variables;  // field paths, in the template's order
  std::string body;                    // "", "*" or a field of the request
  int success_status = 200;
  std::string location;  // template for the Location header, or ""
};

// Example:
//
//   UNMCP_ASSIGN_OR_RETURN(auto routes, LoadRestRoutes("unmcp.v1"));
//   UNMCP_ASSIGN_OR_RETURN(auto message, MakeRestRequest(routes[i], {"everything"}, "limit=5", ""));
//
// Reads the annotated methods of every service in a proto package that is
// linked into this program, in a stable order. INVALID_ARGUMENT for an
// annotation that cannot be served (a field that is not there, a stream).
absl::StatusOr<std::vector<RestRoute>> LoadRestRoutes(absl::string_view proto_package);

// The request's message. `path_values` belong to route.variables and are
// decoded; `query` is not. INVALID_ARGUMENT names the parameter or field that
// is wrong.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> MakeRestRequest(const RestRoute& route,
                                                                           absl::Span<const std::string> path_values,
                                                                           absl::string_view query,
                                                                           absl::string_view body);

// An empty message for the answer.
std::unique_ptr<google::protobuf::Message> NewRestResponse(const RestRoute& route);

// The answer to a call that succeeded.
HttpResponse MakeRestResponse(const RestRoute& route, const google::protobuf::Message& message);

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_TRANSCODER_H_
