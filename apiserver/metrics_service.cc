#include "apiserver/metrics_service.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/timestamps.h"
#include "prometheus/text_serializer.h"

namespace unmcp::apiserver {
namespace {

using Counts = v1::ServerCounts;

struct PhaseCount {
  const char* phase;
  int32_t (Counts::*get)() const;
  void (Counts::*set)(int32_t);
};
constexpr PhaseCount kPhases[] = {
    {"Asleep", &Counts::asleep, &Counts::set_asleep},
    {"Waiting", &Counts::waiting, &Counts::set_waiting},
    {"Requested", &Counts::requested, &Counts::set_requested},
    {"Starting", &Counts::starting, &Counts::set_starting},
    {"Ready", &Counts::ready, &Counts::set_ready},
    {"Stopping", &Counts::stopping, &Counts::set_stopping},
    {"Degraded", &Counts::degraded, &Counts::set_degraded},
    {"Ignored", &Counts::ignored, &Counts::set_ignored},
};

// A server with what its clients do now.
struct Observed {
  v1::MCPServer server;
  session::HubActivity live;
};

Observed Observe(const ApiContext& context, const v1::PublishedServer& entry) {
  return {View(context, entry), context.activity(entry.server().uid())};
}

void Count(const Observed& seen, Counts* counts) {
  const v1::MCPServerStatus& status = seen.server.status();
  counts->set_total(counts->total() + 1);
  if (status.is_running()) {
    counts->set_running(counts->running() + 1);
    if (status.is_idle()) counts->set_idle(counts->idle() + 1);
  }
  for (const PhaseCount& phase : kPhases) {
    if (status.phase() == phase.phase) (counts->*phase.set)((counts->*phase.get)() + 1);
  }
}

void Add(const Observed& seen, v1::Traffic* traffic) {
  const v1::MCPServerStatus& status = seen.server.status();
  traffic->set_total_requests(traffic->total_requests() + status.total_requests());
  traffic->set_current_connections(traffic->current_connections() + status.current_connections());
  traffic->set_calls_in_flight(traffic->calls_in_flight() + seen.live.calls_in_flight);
  if (status.has_last_request_at() && (!traffic->has_last_request_at() ||
                                       FromTimestamp(traffic->last_request_at()) <
                                           FromTimestamp(status.last_request_at()))) {
    *traffic->mutable_last_request_at() = status.last_request_at();
  }
}

// The families of the text format, one after the other.
class Text {
 public:
  void Family(const char* name, const char* type, const char* help) {
    name_ = name;
    absl::StrAppend(&text_, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
  }
  // `labels` as they are written: a="b",c="d". Their values are names of
  // resources and words of ours, in which nothing has to be escaped.
  void Sample(absl::string_view labels, int64_t value) {
    absl::StrAppend(&text_, name_, labels.empty() ? "" : absl::StrCat("{", labels, "}"), " ", value, "\n");
  }
  void Single(const char* name, const char* type, const char* help, int64_t value) {
    Family(name, type, help);
    Sample("", value);
  }
  std::string Take() { return std::move(text_); }

 private:
  const char* name_ = "";
  std::string text_;
};

void WriteServers(const std::vector<Observed>& servers, Text* text) {
  const size_t told = std::min(servers.size(), kMaxServerSeries);
  const auto each = [&](const char* name, const char* type, const char* help, auto value) {
    text->Family(name, type, help);
    for (size_t i = 0; i < told; ++i) {
      const v1::MCPServer& server = servers[i].server;
      text->Sample(absl::StrCat("server=\"", server.name(), "\",pool=\"", server.pool(), "\""), value(servers[i]));
    }
  };
  each("unmcp_server_requests_total", "counter", "Messages from clients since the server was created.",
       [](const Observed& seen) { return seen.server.status().total_requests(); });
  each("unmcp_server_open_sessions", "gauge", "Client sessions open now.",
       [](const Observed& seen) { return static_cast<int64_t>(seen.live.open_sessions); });
}

void WritePools(const std::vector<Pools::Entry>& pools, Text* text) {
  text->Family("unmcp_pool_servers", "gauge", "Servers of a pool: active and pending ones, and by maxServersLimit.");
  for (size_t i = 0; i < std::min(pools.size(), kMaxPoolSeries); ++i) {
    const v1::MCPPoolStatus& status = pools[i]->status();
    for (const auto& [state, count] : {std::pair("active", status.active_servers_count()),
                                       std::pair("pending", status.pending_servers_count()),
                                       std::pair("managed", status.managed_servers_count()),
                                       std::pair("unmanaged", status.unmanaged_servers_count())}) {
      text->Sample(absl::StrCat("pool=\"", pools[i]->name(), "\",state=\"", state, "\""), count);
    }
  }
}

}  // namespace

std::string MetricsService::PrometheusText() const {
  std::vector<Observed> servers;
  Counts counts;
  v1::Traffic traffic;
  for (const Servers::Entry& entry : context_.directory->servers().List()) {
    servers.push_back(Observe(context_, *entry));
    Count(servers.back(), &counts);
    Add(servers.back(), &traffic);
  }
  const std::vector<Pools::Entry> pools = context_.directory->pools().List();
  const ControllerInfo controller = context_.directory->controller();

  Text text;
  text.Family("unmcp_servers", "gauge", "MCP servers by phase.");
  for (const PhaseCount& phase : kPhases) {
    text.Sample(absl::StrCat("phase=\"", phase.phase, "\""), (counts.*phase.get)());
  }
  text.Single("unmcp_pools", "gauge", "Pools.", static_cast<int64_t>(pools.size()));
  WritePools(pools, &text);
  text.Single("unmcp_open_sessions", "gauge", "Client sessions open now.", traffic.current_connections());
  text.Single("unmcp_calls_in_flight", "gauge", "Calls sent to servers, or held for them, and not answered yet.",
              traffic.calls_in_flight());
  WriteServers(servers, &text);
  text.Family("unmcp_series_left_out", "gauge", "Pools and servers beyond those that have series of their own.");
  text.Sample("of=\"pools\"", static_cast<int64_t>(pools.size() - std::min(pools.size(), kMaxPoolSeries)));
  text.Sample("of=\"servers\"", static_cast<int64_t>(servers.size() - std::min(servers.size(), kMaxServerSeries)));
  text.Single("unmcp_controller_connected", "gauge", "Whether a controller speaks to this apiserver.",
              controller.connected ? 1 : 0);
  return absl::StrCat(prometheus::TextSerializer().Serialize(options_.registry->Collect()), text.Take(),
                      controller.metrics);
}

grpc::ServerUnaryReactor* MetricsService::GetMetrics(grpc::CallbackServerContext* call, const v1::GetMetricsRequest*,
                                                     v1::OperatorMetrics* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  response->set_version(options_.version);
  *response->mutable_started_at() = ToTimestamp(options_.started_at);
  response->mutable_servers();
  response->mutable_traffic();
  for (const Servers::Entry& entry : context_.directory->servers().List()) {
    const Observed seen = Observe(context_, *entry);
    Count(seen, response->mutable_servers());
    Add(seen, response->mutable_traffic());
  }
  response->set_pools(static_cast<int32_t>(context_.directory->pools().List().size()));
  const ControllerInfo controller = context_.directory->controller();
  response->mutable_controller()->set_connected(controller.connected);
  response->mutable_controller()->set_identity(controller.identity);
  response->mutable_controller()->set_epoch(controller.epoch);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* MetricsService::GetPoolMetrics(grpc::CallbackServerContext* call,
                                                         const v1::GetPoolMetricsRequest* request,
                                                         v1::PoolMetrics* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  if (!IsReady(context_, reactor)) return reactor;
  FindPool(context_, request->name(), [this, response, reactor](absl::StatusOr<Pools::Entry> found) {
    if (!found.ok()) return reactor->Finish(ToGrpc(found.status()));
    const v1::MCPPool& pool = **found;
    response->set_name(pool.name());
    response->set_uid(pool.uid());
    response->set_max_servers_limit(pool.spec().max_servers_limit());
    response->set_max_servers_active(pool.spec().max_servers_active());
    response->set_active_servers(pool.status().active_servers_count());
    response->set_pending_servers(pool.status().pending_servers_count());
    response->mutable_servers();
    response->mutable_traffic();
    for (const Servers::Entry& entry : context_.directory->servers().List()) {
      if (entry->server().spec().pool() != pool.name()) continue;
      const Observed seen = Observe(context_, *entry);
      Count(seen, response->mutable_servers());
      Add(seen, response->mutable_traffic());
    }
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* MetricsService::GetServerMetrics(grpc::CallbackServerContext* call,
                                                           const v1::GetServerMetricsRequest* request,
                                                           v1::ServerMetrics* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  if (!IsReady(context_, reactor)) return reactor;
  FindServer(context_, request->name(), [this, response, reactor](absl::StatusOr<Servers::Entry> found) {
    if (!found.ok()) return reactor->Finish(ToGrpc(found.status()));
    const Observed seen = Observe(context_, **found);
    const v1::MCPServer& server = seen.server;
    const v1::MCPServerStatus& status = server.status();
    response->set_name(server.name());
    response->set_uid(server.uid());
    response->set_pool(server.pool());
    response->set_phase(status.phase());
    response->set_is_running(status.is_running());
    response->set_is_idle(status.is_idle());
    Add(seen, response->mutable_traffic());
    response->set_subscriptions(seen.live.subscriptions);
    response->set_starts(status.incarnation());
    if (status.has_started_at()) *response->mutable_started_at() = status.started_at();
    if (status.has_stopped_at()) *response->mutable_stopped_at() = status.stopped_at();
    if (status.has_tool_count()) response->set_tool_count(status.tool_count());
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* MetricsService::GetPrometheusMetrics(grpc::CallbackServerContext* call,
                                                               const v1::GetPrometheusMetricsRequest*,
                                                               v1::PrometheusMetrics* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  response->set_text(PrometheusText());
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace unmcp::apiserver
