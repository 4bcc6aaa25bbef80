// What the controller counts, for Prometheus.
#ifndef UNMCP_CONTROLLER_METRICS_H_
#define UNMCP_CONTROLLER_METRICS_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace unmcp::controller {

// Example:
//
//   Metrics metrics(registry);
//   metrics.Started("Clients");    // unmcp_controller_starts_total{reason="Clients"} 1
//   metrics.Text();                // all of the registry, as Prometheus reads it
//
// The names of queue and reconciler are those that every Kubernetes controller
// has (controller-runtime, client-go), so that existing dashboards fit. Reasons
// are words of conditions: at most kMaxReasons of them in a family have a series
// of their own, should a cluster invent more.
//
// Thread safety: one thread counts; Text may be called from any, as the
// registry may be collected from any.
class Metrics {
 public:
  static constexpr size_t kMaxReasons = 40;

  // nullptr: a registry of its own. Else it outlives this object.
  explicit Metrics(prometheus::Registry* registry);

  // workqueue_adds_total, workqueue_depth
  void KeyAdded(size_t depth);
  // workqueue_queue_duration_seconds, workqueue_depth
  void KeyBegun(size_t depth, absl::Duration waited);
  // controller_runtime_reconcile_total{controller,result} with the results
  // success, requeue (somebody else had written meanwhile) and error;
  // controller_runtime_reconcile_time_seconds{controller}. `controller` is a
  // word of our code.
  void Reconciled(const std::string& controller, const absl::Status& status, absl::Duration took);
  // unmcp_controller_writes_total{verb,kind,code}
  void Wrote(const std::string& verb, const std::string& kind, const absl::Status& status);
  // unmcp_controller_starts_total{reason}: lives begun, by what for.
  void Started(const std::string& reason) { starts_.Count(reason); }
  // unmcp_controller_stops_total{reason}: lives ended by the controller.
  void Stopped(const std::string& reason) { stops_.Count(reason); }
  // unmcp_controller_start_failures_total{reason}
  void StartFailed(const std::string& reason) { start_failures_.Count(reason); }
  // unmcp_controller_wake_seconds: from a demand to a server that is ready.
  void Woke(absl::Duration took);

  std::string Text() const;

 private:
  class ByReason {
   public:
    ByReason(prometheus::Registry* registry, const char* name, const char* help);
    void Count(const std::string& reason);

   private:
    prometheus::Family<prometheus::Counter>& family_;
    absl::flat_hash_set<std::string> reasons_;
  };

  const std::unique_ptr<prometheus::Registry> own_;
  prometheus::Registry* const registry_;
  prometheus::Counter& adds_;
  prometheus::Gauge& depth_;
  prometheus::Histogram& queued_;
  prometheus::Family<prometheus::Counter>& reconciled_;
  prometheus::Family<prometheus::Histogram>& reconcile_time_;
  prometheus::Family<prometheus::Counter>& writes_;
  prometheus::Histogram& wake_;
  ByReason starts_;
  ByReason stops_;
  ByReason start_failures_;
};

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_METRICS_H_
