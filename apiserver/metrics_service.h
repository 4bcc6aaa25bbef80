// MetricsService: figures, for programs and for Prometheus
// (proto/unmcp/v1/metrics_service.proto).
#ifndef UNMCP_APISERVER_METRICS_SERVICE_H_
#define UNMCP_APISERVER_METRICS_SERVICE_H_

#include <string>

#include "apiserver/api_context.h"
#include "prometheus/registry.h"
#include "unmcp/v1/metrics_service.grpc.pb.h"

namespace unmcp::apiserver {

// Series that bear a pool's or a server's name. A Prometheus server suffers
// from labels without a bound; beyond these, GetPoolMetrics and
// GetServerMetrics tell of one, and unmcp_series_left_out says how many are
// not told of.
inline constexpr size_t kMaxPoolSeries = 1000;
inline constexpr size_t kMaxServerSeries = 1000;

// All figures are made when they are asked for, of the directory and of what
// clients do now.
//
// Thread safety: thread safe.
class MetricsService final : public v1::MetricsService::CallbackService {
 public:
  struct Options {
    const ApiContext* context = nullptr;
    prometheus::Registry* registry = nullptr;  // this apiserver's own counters
    std::string version;
    absl::Time started_at;
  };
  explicit MetricsService(Options options) : options_(std::move(options)), context_(*options_.context) {}

  // Prometheus text: the registry's, the fleet's, then the controller's.
  std::string PrometheusText() const;

 private:
  grpc::ServerUnaryReactor* GetMetrics(grpc::CallbackServerContext* call, const v1::GetMetricsRequest* request,
                                       v1::OperatorMetrics* response) override;
  grpc::ServerUnaryReactor* GetPoolMetrics(grpc::CallbackServerContext* call, const v1::GetPoolMetricsRequest* request,
                                           v1::PoolMetrics* response) override;
  grpc::ServerUnaryReactor* GetServerMetrics(grpc::CallbackServerContext* call,
                                             const v1::GetServerMetricsRequest* request,
                                             v1::ServerMetrics* response) override;
  grpc::ServerUnaryReactor* GetPrometheusMetrics(grpc::CallbackServerContext* call,
                                                 const v1::GetPrometheusMetricsRequest* request,
                                                 v1::PrometheusMetrics* response) override;

  const Options options_;
  const ApiContext& context_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_METRICS_SERVICE_H_
