#include "controller/metrics.h"

#include "prometheus/text_serializer.h"

namespace unmcp::controller {
namespace {

using prometheus::Registry;

// client-go's buckets for queues: from 10 µs, times ten.
const prometheus::Histogram::BucketBoundaries& QueueBuckets() {
  static const auto* const buckets =
      new prometheus::Histogram::BucketBoundaries{1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10};
  return *buckets;
}

// A decision is made in microseconds; its writes take a millisecond here, and
// seconds where an API server is busy.
const prometheus::Histogram::BucketBoundaries& ReconcileBuckets() {
  static const auto* const buckets =
      new prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30};
  return *buckets;
}

// From a process that is there at once to a package that has to be fetched, up
// to the default startupTimeout.
const prometheus::Histogram::BucketBoundaries& WakeBuckets() {
  static const auto* const buckets =
      new prometheus::Histogram::BucketBoundaries{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};
  return *buckets;
}

// All series of the work queue have this name, as client-go labels them.
const prometheus::Labels& QueueLabels() {
  static const auto* const labels = new prometheus::Labels{{"name", "unmcp"}};
  return *labels;
}

prometheus::Family<prometheus::Counter>& Counters(Registry* registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry);
}

const char* ResultOf(const absl::Status& status) {
  if (status.ok()) return "success";
  return absl::IsAborted(status) || absl::IsCancelled(status) ? "requeue" : "error";
}

}  // namespace

Metrics::ByReason::ByReason(Registry* registry, const char* name, const char* help)
    : family_(Counters(registry, name, help)) {}

void Metrics::ByReason::Count(const std::string& reason) {
  const bool room = reasons_.contains(reason) || (reasons_.size() < kMaxReasons && reasons_.insert(reason).second);
  family_.Add({{"reason", room ? reason : "other"}}).Increment();
}

Metrics::Metrics(Registry* registry)
    : own_(registry == nullptr ? std::make_unique<Registry>() : nullptr),
      registry_(registry == nullptr ? own_.get() : registry),
      adds_(Counters(registry_, "workqueue_adds_total", "Keys added to the work queue.").Add(QueueLabels())),
      depth_(prometheus::BuildGauge()
                 .Name("workqueue_depth")
                 .Help("Keys that wait in the work queue.")
                 .Register(*registry_)
                 .Add(QueueLabels())),
      queued_(prometheus::BuildHistogram()
                  .Name("workqueue_queue_duration_seconds")
                  .Help("How long keys waited in the work queue.")
                  .Register(*registry_)
                  .Add(QueueLabels(), QueueBuckets())),
      reconciled_(Counters(registry_, "controller_runtime_reconcile_total",
                           "Decisions carried out, by resource and result.")),
      reconcile_time_(prometheus::BuildHistogram()
                          .Name("controller_runtime_reconcile_time_seconds")
                          .Help("How long a decision took, with its writes.")
                          .Register(*registry_)),
      writes_(Counters(registry_, "unmcp_controller_writes_total",
                       "Writes to the cluster, by verb, kind and status code. Events are not counted.")),
      wake_(prometheus::BuildHistogram()
                .Name("unmcp_controller_wake_seconds")
                .Help("From a client's demand to a server that is ready.")
                .Register(*registry_)
                .Add({}, WakeBuckets())),
      starts_(registry_, "unmcp_controller_starts_total", "Servers' lives begun, by what for."),
      stops_(registry_, "unmcp_controller_stops_total", "Servers' lives ended by the controller, by why."),
      start_failures_(registry_, "unmcp_controller_start_failures_total", "Starts that failed, by why.") {}

void Metrics::KeyAdded(size_t depth) {
  adds_.Increment();
  depth_.Set(static_cast<double>(depth));
}

void Metrics::KeyBegun(size_t depth, absl::Duration waited) {
  depth_.Set(static_cast<double>(depth));
  queued_.Observe(absl::ToDoubleSeconds(waited));
}

void Metrics::Reconciled(const std::string& controller, const absl::Status& status, absl::Duration took) {
  reconciled_.Add({{"controller", controller}, {"result", ResultOf(status)}}).Increment();
  reconcile_time_.Add({{"controller", controller}}, ReconcileBuckets()).Observe(absl::ToDoubleSeconds(took));
}

void Metrics::Wrote(const std::string& verb, const std::string& kind, const absl::Status& status) {
  writes_.Add({{"verb", verb}, {"kind", kind}, {"code", absl::StatusCodeToString(status.code())}}).Increment();
}

void Metrics::Woke(absl::Duration took) { wake_.Observe(absl::ToDoubleSeconds(took)); }

std::string Metrics::Text() const { return prometheus::TextSerializer().Serialize(registry_->Collect()); }

}  // namespace unmcp::controller
