// The figures that every Prometheus client library gives of its process, which
// the C++ one does not: process_cpu_seconds_total, process_resident_memory_bytes,
// process_open_fds and process_start_time_seconds.
#ifndef UNMCP_GATEWAY_PROCESS_METRICS_H_
#define UNMCP_GATEWAY_PROCESS_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace unmcp::gateway {

// Thread safety: none; the registry may be collected from any thread.
class ProcessMetrics {
 public:
  // `registry` outlives this object.
  explicit ProcessMetrics(prometheus::Registry* registry);

  // Reads the figures anew (from /proc). What cannot be read stays as it was.
  void Update();

 private:
  prometheus::Counter& cpu_;
  prometheus::Gauge& memory_;
  prometheus::Gauge& descriptors_;
  prometheus::Gauge& start_;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_PROCESS_METRICS_H_
