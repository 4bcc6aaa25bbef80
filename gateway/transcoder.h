// REST from annotations: which gRPC method a request is for, its message, and
// how the method's answer looks as JSON. Reads google.api.http and
// (unmcp.v1.rest) from the linked descriptors, so that a new annotated RPC is
// reachable without a change here. Does no I/O.
//
// Of google.api.http it understands get, put, post, delete, patch, body ("*"
// or a field that is a message), additional_bindings, and the templates of
// PathMatcher. A method that answers with a stream shares its route with a unary
// one, and is meant when a parameter says so: ?watch=true (rest.stream_when).
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

  // Of a stream: the parameter that asks for it.
  std::string stream_when;
  // Of a unary method: the streams that share its HTTP method and path.
  std::vector<RestRoute> streams;
};

// Example:
//
//   UNMCP_ASSIGN_OR_RETURN(auto routes, LoadRestRoutes("unmcp.v1"));
//   UNMCP_ASSIGN_OR_RETURN(const RestRoute* route, SelectMethod(routes[i], "limit=5"));
//   UNMCP_ASSIGN_OR_RETURN(auto message, MakeRestRequest(*route, {"everything"}, "limit=5", ""));
//
// Reads the annotated methods of every service in a proto package that is
// linked into this program, in a stable order: one route for each HTTP method
// and path. INVALID_ARGUMENT for an annotation that cannot be served (a field
// that is not there, a stream without a unary method beside it).
absl::StatusOr<std::vector<RestRoute>> LoadRestRoutes(absl::string_view proto_package);

// Which method a request to `route` is for: the route itself, or one of its
// streams. INVALID_ARGUMENT when a parameter that decides is no boolean.
absl::StatusOr<const RestRoute*> SelectMethod(const RestRoute& route, absl::string_view query);

// The request's message. `path_values` belong to route.variables and are
// decoded; `query` is not. INVALID_ARGUMENT names the parameter or field that
// is wrong, a field of the body by its path in the body. Parameters keep their
// FieldRules. A method without a body takes {}, too.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> MakeRestRequest(const RestRoute& route,
                                                                           absl::Span<const std::string> path_values,
                                                                           absl::string_view query,
                                                                           absl::string_view body);

// An empty message for the answer.
std::unique_ptr<google::protobuf::Message> NewRestResponse(const RestRoute& route);

// A message of an answer as JSON: zeroes are written out.
nlohmann::json RestJson(const google::protobuf::Message& message);

// The answer to a call that succeeded.
HttpResponse MakeRestResponse(const RestRoute& route, const google::protobuf::Message& message);

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_TRANSCODER_H_
