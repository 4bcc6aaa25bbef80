#include "gateway/probe_exchange.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/http_status.h"
#include "google/protobuf/wrappers.pb.h"
#include "unmcp/v1/metrics_service.pb.h"

namespace unmcp::gateway {
namespace {

using google::protobuf::Message;

// Below the second or so that probes commonly wait.
constexpr absl::Duration kReadyDeadline = absl::Milliseconds(800);
// Half of Prometheus' default scrape_timeout.
constexpr absl::Duration kMetricsDeadline = absl::Seconds(5);

// grpc.health.v1.HealthCheckResponse.ServingStatus
constexpr int kHealthServing = 1;

}  // namespace

ReadyExchange::ReadyExchange(ApiCaller* caller, HttpResponder* responder, bool serving, bool link_connected)
    : caller_(caller), responder_(responder) {
  Check("serving", serving, "starting, or shutting down");
  Check("link", link_connected, "not connected to the apiserver");
}

ReadyExchange::~ReadyExchange() {
  caller_->Cancel(health_);
  caller_->Cancel(metrics_);
}

void ReadyExchange::Check(const char* name, bool ok, const std::string& otherwise) {
  checks_[name] = ok ? "ok" : otherwise;
  ready_ &= ok;
}

void ReadyExchange::OnRequest(std::string) {
  // grpc.health.v1's messages by messages of the same form: a string and a
  // number as field 1. gRPC's own C++ package does not ship the generated ones.
  health_ = caller_->Call("/grpc.health.v1.Health/Check", std::make_unique<google::protobuf::StringValue>(),
                          std::make_unique<google::protobuf::Int32Value>(), kReadyDeadline,
                          [this](const grpc::Status& status, const Message& response) {
                            health_ = 0;
                            const int health = static_cast<const google::protobuf::Int32Value&>(response).value();
                            Check("apiserver", status.ok() && health == kHealthServing,
                                  status.ok() ? "does not serve at present"
                                              : absl::StrCat("does not answer: ", status.error_message()));
                            OnAnswer();
                          });
  metrics_ = caller_->Call("/unmcp.v1.MetricsService/GetMetrics", std::make_unique<v1::GetMetricsRequest>(),
                           std::make_unique<v1::OperatorMetrics>(), kReadyDeadline,
                           [this](const grpc::Status& status, const Message& response) {
                             metrics_ = 0;
                             const auto& controller = static_cast<const v1::OperatorMetrics&>(response).controller();
                             checks_["controller"] =
                                 !status.ok()             ? absl::StrCat("not known: code ", static_cast<int>(status.error_code()), " ", status.error_message())
                                 : controller.connected() ? "ok"
                                                          : "not connected; nothing is started, stopped or changed";
                             OnAnswer();
                           });
}

void ReadyExchange::OnAnswer() {
  if (health_ != 0 || metrics_ != 0) return;
  responder_->Respond(
      JsonResponse(ready_ ? 200 : 503, {{"status", ready_ ? "ready" : "not ready"}, {"checks", checks_}}));
}

MetricsExchange::MetricsExchange(ApiCaller* caller, HttpResponder* responder, GatewayMetrics* metrics)
    : caller_(caller), responder_(responder), metrics_(metrics) {}

MetricsExchange::~MetricsExchange() { caller_->Cancel(call_); }

void MetricsExchange::OnRequest(std::string) {
  call_ = caller_->Call("/unmcp.v1.MetricsService/GetPrometheusMetrics",
                        std::make_unique<v1::GetPrometheusMetricsRequest>(), std::make_unique<v1::PrometheusMetrics>(),
                        kMetricsDeadline, [this](const grpc::Status& status, const Message& response) {
                          call_ = 0;
                          responder_->Respond({200,
                                               {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
                                               metrics_->Text(status.ok()) +
                                                   static_cast<const v1::PrometheusMetrics&>(response).text()});
                        });
}

}  // namespace unmcp::gateway
