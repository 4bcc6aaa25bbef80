#include "gateway/rest_exchange.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/http_status.h"
#include "google/protobuf/wrappers.pb.h"

namespace unmcp::gateway {
namespace {

// REST calls read and write the cluster's state; what takes longer than this
// is not going to happen. Waking a server is no unary call.
constexpr absl::Duration kCallDeadline = absl::Seconds(30);

// Below the second or so that probes commonly wait.
constexpr absl::Duration kHealthDeadline = absl::Milliseconds(800);

// grpc.health.v1.HealthCheckResponse.ServingStatus
constexpr int kHealthServing = 1;

}  // namespace

RestExchange::RestExchange(UnaryCaller* caller, HttpResponder* responder, const RestRoute* route,
                           std::vector<std::string> path_values, std::string query)
    : caller_(caller),
      responder_(responder),
      route_(route),
      path_values_(std::move(path_values)),
      query_(std::move(query)) {}

RestExchange::~RestExchange() { caller_->Cancel(call_); }

void RestExchange::OnRequest(std::string body) {
  auto request = MakeRestRequest(*route_, path_values_, query_, body);
  if (!request.ok()) return responder_->Respond(ErrorResponse(400, request.status().message()));
  call_ = caller_->Call(route_->grpc_method, *std::move(request), NewRestResponse(*route_), kCallDeadline,
                        [this](const grpc::Status& status, const google::protobuf::Message& response) {
                          call_ = 0;
                          responder_->Respond(status.ok() ? MakeRestResponse(*route_, response)
                                                          : ErrorResponse(status));
                        });
}

ReadyExchange::ReadyExchange(UnaryCaller* caller, HttpResponder* responder, bool serving, bool link_connected)
    : caller_(caller), responder_(responder) {
  Check("serving", serving, "starting, or shutting down");
  Check("link", link_connected, "not connected to the apiserver");
}

ReadyExchange::~ReadyExchange() { caller_->Cancel(call_); }

void ReadyExchange::Check(const char* name, bool ok, const std::string& otherwise) {
  checks_[name] = ok ? "ok" : otherwise;
  ready_ &= ok;
}

void ReadyExchange::OnRequest(std::string) {
  // grpc.health.v1's messages by messages of the same form: a string and a
  // number as field 1. gRPC's own C++ package does not ship the generated ones.
  call_ = caller_->Call("/grpc.health.v1.Health/Check", std::make_unique<google::protobuf::StringValue>(),
                        std::make_unique<google::protobuf::Int32Value>(), kHealthDeadline,
                        [this](const grpc::Status& status, const google::protobuf::Message& response) {
                          call_ = 0;
                          const int health = static_cast<const google::protobuf::Int32Value&>(response).value();
                          Check("apiserver", status.ok() && health == kHealthServing,
                                status.ok() ? "does not serve at present"
                                            : absl::StrCat("does not answer: ", status.error_message()));
                          responder_->Respond(JsonResponse(
                              ready_ ? 200 : 503, {{"status", ready_ ? "ready" : "not ready"}, {"checks", checks_}}));
                        });
}

}  // namespace unmcp::gateway
