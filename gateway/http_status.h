// How outcomes look over HTTP: the one place that turns a gRPC status into an
// HTTP answer, and the one shape of every error:
//
//   {"error":{"code":404,"status":"NOT_FOUND","message":"…","details":[…]}}
#ifndef UNMCP_GATEWAY_HTTP_STATUS_H_
#define UNMCP_GATEWAY_HTTP_STATUS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "gateway/http_message.h"
#include "grpcpp/support/status.h"
#include "nlohmann/json.hpp"

namespace unmcp::gateway {

// "Not Found"; "Unknown" for a code without a name.
absl::string_view ReasonPhrase(int http_status);

// The HTTP code that belongs to a gRPC code (as google/rpc/code.proto says).
int HttpStatusOf(grpc::StatusCode code);

// An answer with a JSON body.
HttpResponse JsonResponse(int http_status, const nlohmann::json& body);

// An error of HTTP's own making. `message` says what to do about it. 503 gets
// Retry-After.
HttpResponse ErrorResponse(int http_status, absl::string_view message);

// A call's error, with the details it carries (google.rpc.Status in
// error_details(); of a RetryInfo also Retry-After is made).
HttpResponse ErrorResponse(const grpc::Status& status);

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_HTTP_STATUS_H_
