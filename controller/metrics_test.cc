#include "controller/metrics.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace unmcp::controller {
namespace {

TEST(Metrics, CountsUnderTheNamesThatControllersHave) {
  prometheus::Registry registry;
  Metrics metrics(&registry);
  metrics.KeyAdded(3);
  metrics.KeyBegun(2, absl::Milliseconds(5));
  metrics.Reconciled("mcpserver", absl::OkStatus(), absl::Milliseconds(2));
  metrics.Reconciled("mcpserver", absl::AbortedError("conflict"), absl::Milliseconds(2));
  metrics.Reconciled("mcppool", absl::InternalError("x"), absl::Milliseconds(2));
  metrics.Wrote("create", "Pod", absl::ResourceExhaustedError("full"));
  metrics.Started("Clients");
  metrics.Stopped("Idle");
  metrics.StartFailed("StartTimeout");
  metrics.Woke(absl::Milliseconds(30));
  const std::string text = metrics.Text();
  for (const char* line : {
           "workqueue_adds_total{name=\"unmcp\"} 1",
           "workqueue_depth{name=\"unmcp\"} 2",
           "workqueue_queue_duration_seconds_bucket{name=\"unmcp\",le=\"0.01\"} 1",
           "controller_runtime_reconcile_total{controller=\"mcpserver\",result=\"success\"} 1",
           "controller_runtime_reconcile_total{controller=\"mcpserver\",result=\"requeue\"} 1",
           "controller_runtime_reconcile_total{controller=\"mcppool\",result=\"error\"} 1",
           "controller_runtime_reconcile_time_seconds_count{controller=\"mcpserver\"} 2",
           "unmcp_controller_writes_total{code=\"RESOURCE_EXHAUSTED\",kind=\"Pod\",verb=\"create\"} 1",
           "unmcp_controller_starts_total{reason=\"Clients\"} 1",
           "unmcp_controller_stops_total{reason=\"Idle\"} 1",
           "unmcp_controller_start_failures_total{reason=\"StartTimeout\"} 1",
           "unmcp_controller_wake_seconds_count 1",
       }) {
    EXPECT_TRUE(absl::StrContains(text, line)) << line << "\nis not in\n" << text;
  }
}

TEST(Metrics, ReasonsBeyondTheBoundAreOne) {
  Metrics metrics(nullptr);
  for (size_t i = 0; i < Metrics::kMaxReasons + 2; ++i) metrics.StartFailed(absl::StrCat("Reason", i));
  metrics.StartFailed("Reason0");
  const std::string text = metrics.Text();
  EXPECT_TRUE(absl::StrContains(text, "unmcp_controller_start_failures_total{reason=\"other\"} 2")) << text;
  EXPECT_TRUE(absl::StrContains(text, "unmcp_controller_start_failures_total{reason=\"Reason0\"} 2")) << text;
}

}  // namespace
}  // namespace unmcp::controller
