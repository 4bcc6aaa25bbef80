#include "gateway/gateway_metrics.h"

#include <string>

#include "prometheus/text_serializer.h"

namespace unmcp::gateway {
namespace {

absl::string_view KnownMethod(absl::string_view method) {
  for (absl::string_view known : {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}) {
    if (method == known) return known;
  }
  return "other";
}

}  // namespace

GatewayMetrics::GatewayMetrics(prometheus::Registry* registry)
    : registry_(registry),
      process_(registry),
      requests_(prometheus::BuildCounter()
                    .Name("unmcp_gateway_http_requests_total")
                    .Help("HTTP requests answered, by route template, method and status code.")
                    .Register(*registry)),
      rejected_(prometheus::BuildCounter()
                    .Name("unmcp_gateway_rejected_total")
                    .Help("Requests refused or cut off before any work was done for them, by reason.")
                    .Register(*registry)),
      connections_(prometheus::BuildGauge()
                       .Name("unmcp_gateway_connections")
                       .Help("Open HTTP connections.")
                       .Register(*registry)
                       .Add({})),
      sse_streams_(prometheus::BuildGauge()
                       .Name("unmcp_gateway_sse_streams")
                       .Help("Open streams of server-sent events.")
                       .Register(*registry)
                       .Add({})),
      apiserver_up_(prometheus::BuildGauge()
                        .Name("unmcp_gateway_apiserver_up")
                        .Help("1 when the apiserver answered this scrape; its figures are missing otherwise.")
                        .Register(*registry)
                        .Add({})) {}

std::string GatewayMetrics::Text(bool apiserver_up) {
  apiserver_up_.Set(apiserver_up ? 1 : 0);
  process_.Update();
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

void GatewayMetrics::CountRequest(absl::string_view route, absl::string_view method, int code) {
  method = KnownMethod(method);
  const auto key = std::make_tuple(route, method, code);
  prometheus::Counter*& counter = request_counters_[key];
  if (counter == nullptr) {
    counter = &requests_.Add(
        {{"route", std::string(route)}, {"method", std::string(method)}, {"code", std::to_string(code)}});
  }
  counter->Increment();
}

void GatewayMetrics::CountRejected(absl::string_view reason) {
  rejected_.Add({{"reason", std::string(reason)}}).Increment();
}

}  // namespace unmcp::gateway
