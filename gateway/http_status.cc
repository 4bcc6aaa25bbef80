#include "gateway/http_status.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace unmcp::gateway {
namespace {

using nlohmann::json;

// When nobody says better: long enough not to be hammered, short enough that
// a restart of what is behind goes unnoticed.
constexpr int kDefaultRetryAfterSeconds = 1;

struct HttpCode {
  int code;
  const char* phrase;
  const char* status;  // the gRPC name that comes closest, for errors
};
constexpr HttpCode kHttpCodes[] = {
    {200, "OK", "OK"},
    {201, "Created", "OK"},
    {202, "Accepted", "OK"},
    {204, "No Content", "OK"},
    {400, "Bad Request", "INVALID_ARGUMENT"},
    {401, "Unauthorized", "UNAUTHENTICATED"},
    {403, "Forbidden", "PERMISSION_DENIED"},
    {404, "Not Found", "NOT_FOUND"},
    {405, "Method Not Allowed", "UNIMPLEMENTED"},
    {406, "Not Acceptable", "INVALID_ARGUMENT"},
    {408, "Request Timeout", "DEADLINE_EXCEEDED"},
    {409, "Conflict", "ABORTED"},
    {413, "Content Too Large", "RESOURCE_EXHAUSTED"},
    {414, "URI Too Long", "INVALID_ARGUMENT"},
    {415, "Unsupported Media Type", "INVALID_ARGUMENT"},
    {417, "Expectation Failed", "UNIMPLEMENTED"},
    {429, "Too Many Requests", "RESOURCE_EXHAUSTED"},
    {431, "Request Header Fields Too Large", "RESOURCE_EXHAUSTED"},
    {499, "Client Closed Request", "CANCELLED"},
    {500, "Internal Server Error", "INTERNAL"},
    {501, "Not Implemented", "UNIMPLEMENTED"},
    {502, "Bad Gateway", "UNAVAILABLE"},
    {503, "Service Unavailable", "UNAVAILABLE"},
    {504, "Gateway Timeout", "DEADLINE_EXCEEDED"},
    {505, "HTTP Version Not Supported", "UNIMPLEMENTED"},
    {507, "Insufficient Storage", "RESOURCE_EXHAUSTED"},
};

const HttpCode* Find(int code) {
  for (const HttpCode& entry : kHttpCodes) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

struct GrpcCode {
  const char* name;
  int http;
};
// By the number of the code. What the API runs out of is room on the disk: the
// client has done nothing wrong, and 429 would say that it asks too often.
constexpr GrpcCode kGrpcCodes[] = {
    {"OK", 200},                  {"CANCELLED", 499},          {"UNKNOWN", 500},   {"INVALID_ARGUMENT", 400},
    {"DEADLINE_EXCEEDED", 504},   {"NOT_FOUND", 404},          {"ALREADY_EXISTS", 409}, {"PERMISSION_DENIED", 403},
    {"RESOURCE_EXHAUSTED", 507},  {"FAILED_PRECONDITION", 400}, {"ABORTED", 409},  {"OUT_OF_RANGE", 400},
    {"UNIMPLEMENTED", 501},       {"INTERNAL", 500},           {"UNAVAILABLE", 503}, {"DATA_LOSS", 500},
    {"UNAUTHENTICATED", 401},
};

const GrpcCode& Find(grpc::StatusCode code) {
  const auto index = static_cast<size_t>(code);  // a negative one becomes too large
  return index < std::size(kGrpcCodes) ? kGrpcCodes[index] : kGrpcCodes[grpc::StatusCode::UNKNOWN];
}

HttpResponse MakeError(int code, absl::string_view status, absl::string_view message, json details,
                       int retry_after_seconds) {
  json error = {{"code", code}, {"status", std::string(status)}, {"message", std::string(message)}};
  if (!details.empty()) error["details"] = std::move(details);
  HttpResponse response = JsonResponse(code, {{"error", std::move(error)}});
  if (retry_after_seconds > 0) response.headers.emplace_back("Retry-After", std::to_string(retry_after_seconds));
  return response;
}

// What is packed in `any`, or null when its type is not linked in.
std::unique_ptr<google::protobuf::Message> Unpack(const google::protobuf::Any& any) {
  const std::string& url = any.type_url();
  const auto* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(url.substr(url.rfind('/') + 1));
  if (type == nullptr) return nullptr;
  const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  if (prototype == nullptr) return nullptr;
  std::unique_ptr<google::protobuf::Message> message(prototype->New());
  if (!message->ParseFromString(any.value())) return nullptr;
  return message;
}

}  // namespace

absl::string_view ReasonPhrase(int http_status) {
  const HttpCode* entry = Find(http_status);
  return entry == nullptr ? "Unknown" : entry->phrase;
}

int HttpStatusOf(grpc::StatusCode code) { return Find(code).http; }

HttpResponse JsonResponse(int http_status, const json& body) {
  // A string that is not UTF-8 is shown with replacement characters.
  return {http_status,
          {{"Content-Type", "application/json"}},
          body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

HttpResponse ErrorResponse(int http_status, absl::string_view message) {
  const HttpCode* entry = Find(http_status);
  return MakeError(http_status, entry == nullptr ? "UNKNOWN" : entry->status, message, json::array(),
                   http_status == 503 ? kDefaultRetryAfterSeconds : 0);
}

HttpResponse ErrorResponse(const grpc::Status& status) {
  const GrpcCode& code = Find(status.error_code());
  int retry_after = code.http == 503 ? kDefaultRetryAfterSeconds : 0;
  json details = json::array();
  google::rpc::Status rich;
  if (rich.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& any : rich.details()) {
      google::rpc::RetryInfo retry;
      if (any.UnpackTo(&retry)) {
        // Rounded up: asking again too early is an error more.
        const auto& delay = retry.retry_delay();
        retry_after = static_cast<int>(std::clamp<int64_t>(delay.seconds() + (delay.nanos() > 0 ? 1 : 0), 1, 3600));
      }
      json detail = json::object();
      if (auto message = Unpack(any)) detail = ToJson(*message);
      if (!detail.is_object()) detail = {{"value", std::move(detail)}};
      detail["@type"] = any.type_url();
      details.push_back(std::move(detail));
    }
  }
  return MakeError(code.http, code.name, status.error_message(), std::move(details), retry_after);
}

}  // namespace unmcp::gateway
