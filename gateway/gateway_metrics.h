// What the gateway counts, for Prometheus.
#ifndef UNMCP_GATEWAY_GATEWAY_METRICS_H_
#define UNMCP_GATEWAY_GATEWAY_METRICS_H_

#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "gateway/process_metrics.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace unmcp::gateway {

// Labels are bounded: routes are templates, unknown methods are "other",
// reasons are words in our code.
//
// Thread safety: one thread writes; the registry may be collected from any.
class GatewayMetrics {
 public:
  // `registry` outlives this object.
  explicit GatewayMetrics(prometheus::Registry* registry);

  // unmcp_gateway_http_requests_total{route,method,code}. `route` outlives
  // this object.
  void CountRequest(absl::string_view route, absl::string_view method, int code);
  // unmcp_gateway_rejected_total{reason}: requests refused before any work.
  void CountRejected(absl::string_view reason);
  // unmcp_gateway_connections
  prometheus::Gauge& connections() { return connections_; }
  // unmcp_gateway_sse_streams
  prometheus::Gauge& sse_streams() { return sse_streams_; }

  // The registry's figures now, in Prometheus text format, with the process's
  // and unmcp_gateway_apiserver_up.
  std::string Text(bool apiserver_up);

 private:
  prometheus::Registry* const registry_;
  ProcessMetrics process_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& rejected_;
  prometheus::Gauge& connections_;
  prometheus::Gauge& sse_streams_;
  prometheus::Gauge& apiserver_up_;
  // A family finds its counters under a mutex, by hashing labels: not per request.
  absl::flat_hash_map<std::tuple<absl::string_view, absl::string_view, int>, prometheus::Counter*> request_counters_;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_GATEWAY_METRICS_H_
