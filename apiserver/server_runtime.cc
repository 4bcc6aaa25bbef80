#include "apiserver/server_runtime.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apiserver/upstream_access.h"
#include "apiserver/upstream_http.h"
#include "apiserver/upstream_sse.h"
#include "apiserver/upstream_stdio.h"
#include "apiserver/upstream_streamable.h"
#include "glog/logging.h"

namespace unmcp::apiserver {
namespace {

// Above the time a server is given to start: Kubernetes has to schedule a pod
// and fetch its image first. Whoever waits longer is told.
constexpr absl::Duration kWakeGrace = absl::Seconds(180);

// How long a wake waits for a controller to come back when there is none: a
// failover takes a lease's 15 s.
constexpr absl::Duration kNoControllerGrace = absl::Seconds(20);

// How often a server that cannot start now is asked for anew while clients are
// refused: far below the time after which a demand is forgotten.
constexpr absl::Duration kRefusedDemandInterval = absl::Seconds(1);

// How long after the end of its output news of a process's own end may take: a
// kubelet looks every second, and tells the API server then.
constexpr absl::Duration kEndNews = absl::Seconds(5);

// An HTTP server that is started is tried again until shortly before its
// startup timeout: what is wrong with the connection says more than the
// timeout.
constexpr absl::Duration kBeforeTimeout = absl::Milliseconds(500);

// A server that is to be left is looked at this often, and left after kLeave
// even if calls are in flight: what is declared has changed.
constexpr absl::Duration kLeaveCheck = absl::Milliseconds(100);
constexpr absl::Duration kLeave = absl::Seconds(30);

// As the schemas have them.
constexpr int kDefaultStartupTimeoutSeconds = 120;
constexpr int kDefaultIdleTimeoutSeconds = 60;

// What clients of a server that cannot be reached are told to wait.
constexpr int kConnectRetrySeconds = 5;

// Whether it is known what the server is, as it is declared now.
bool IsDiscovered(const v1::MCPServerStatus& status) {
  for (const v1::Condition& condition : status.conditions()) {
    if (condition.type() == "Discovered") return condition.status() == "True";
  }
  return false;
}

bool SameLife(const v1::Route& a, const v1::Route& b) {
  return a.incarnation() == b.incarnation() && a.container_id() == b.container_id();
}

}  // namespace

ServerRuntime::ServerRuntime(Options options, std::shared_ptr<const v1::PublishedServer> published)
    : options_(std::move(options)),
      published_(std::move(published)),
      hub_(session::SharedHub::Create({.scheduler = options_.loop,
                                       .random = options_.random,
                                       .host = this,
                                       .client_version = options_.version})),
      wake_timer_(options_.loop),
      news_timer_(options_.loop),
      leave_timer_(options_.loop),
      idle_timer_(options_.loop) {
  Publish(published_);
}

ServerRuntime::~ServerRuntime() { *alive_ = false; }

void ServerRuntime::Publish(std::shared_ptr<const v1::PublishedServer> published) {
  published_ = std::move(published);
  if (published_->has_unavailable()) {
    const v1::Unavailable& u = published_->unavailable();
    session::Unavailable why{u.reason(), u.message(), u.retry_after_seconds()};
    hub_->SetUnavailable(why);
    if (waiting_ && !published_->has_route()) FailWake(std::move(why));
  } else {
    hub_->SetUnavailable(std::nullopt);
  }
  const bool routed = Routed();
  if (routed && route_.has_value() && SameLife(published_->route(), *route_)) {
    leave_timer_.Cancel();
    WatchIdleness();
  } else if (routed && route_.has_value() && open_ && elsewhere()) {
    LeaveWhenQuiet();  // it has been declared anew
  } else if (routed) {
    if (route_.has_value()) Leave(absl::UnavailableError("the server was replaced by a newer life"));
    route_ = published_->route();
    if (!elsewhere() || waiting_ || !IsDiscovered(server().status())) Connect();
  } else if (route_.has_value() && !open_) {
    Leave(absl::UnavailableError("the server stopped while it was being started"));
  } else if (route_.has_value() && !over_stdio_) {
    LeaveWhenQuiet();  // its end would not be seen
  }
}

const v1::MCPServerSpec& ServerRuntime::spec() const {
  return published_->has_effective_spec() ? published_->effective_spec() : server().spec();
}

absl::Duration ServerRuntime::StartupTimeout() const {
  return absl::Seconds(spec().has_startup_timeout() ? spec().startup_timeout() : kDefaultStartupTimeoutSeconds);
}

bool ServerRuntime::stdio() const {
  const std::string& type = spec().transport().type();
  return !elsewhere() && (type.empty() || type == "stdio");
}

bool ServerRuntime::Routed() const {
  if (!published_->has_route()) return false;
  if (elsewhere()) return true;
  const v1::Route& route = published_->route();
  return !route.container_id().empty() && (stdio() || !route.address().empty());
}

void ServerRuntime::Handle(session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange) {
  hub_->Handle(std::move(request), std::move(exchange));
}

bool ServerRuntime::TryDrain(int64_t incarnation) {
  if (route_.has_value() && route_->incarnation() != incarnation) return true;  // another life's question
  if (waiting_) return false;
  draining_ = hub_->TryDrain();
  return draining_;
}

void ServerRuntime::CancelDrain() {
  if (std::exchange(draining_, false)) hub_->CancelDrain();
}

void ServerRuntime::OnControllerChange() {
  const bool controller = options_.uplink->has_controller();
  if (controller && discovery_.has_value()) options_.uplink->Discovered(*discovery_);
  if (!waiting_) return;
  if (controller) options_.uplink->Demand(server().uid());
  SetWaiting(true);  // another bound holds now
}

void ServerRuntime::CloseAll(absl::string_view why) {
  hub_->CloseAll(why);
  ended_.clear();
  if (route_.has_value() && !over_stdio_) Leave(absl::UnavailableError(why));  // so that the server hears of it
}

// ---- what the hub asks for ----------------------------------------------------

void ServerRuntime::Wake() {
  SetWaiting(true);
  demanded_at_ = options_.loop->Now();
  if (!elsewhere() || !route_.has_value()) options_.uplink->Demand(server().uid());
  // A life that goes on, and whose connection has ended.
  if (route_.has_value() && !spent_ && upstream_ == nullptr && !connecting_) Connect();
}

void ServerRuntime::OnRefused() {
  if (options_.loop->Now() < demanded_at_ + kRefusedDemandInterval) return;
  demanded_at_ = options_.loop->Now();
  options_.uplink->Demand(server().uid());
}

void ServerRuntime::SetWaiting(bool waiting) {
  waiting_ = waiting;
  if (!waiting) return wake_timer_.Cancel();
  const bool controller = options_.uplink->has_controller();
  wake_timer_.Set(controller ? StartupTimeout() + kWakeGrace : kNoControllerGrace, [this, controller] {
    FailWake(controller ? session::Unavailable{"StartTimeout", "the server did not start in time; see its events", 5}
                        : session::Unavailable{"NoController",
                                               "no controller is connected, so nothing can start the server; "
                                               "see /ready and the controller's log",
                                               5});
  });
}

void ServerRuntime::FailWake(session::Unavailable why) {
  SetWaiting(false);
  hub_->WakeFailed(std::move(why));
}

void ServerRuntime::SendUpstream(std::string message) {
  if (open_) upstream_->Send(std::move(message));  // else it closed within this batch of events
}

size_t ServerRuntime::upstream_pending() const { return upstream_ ? upstream_->pending() : 0; }

void ServerRuntime::OnDiscovered(const session::Discovered& discovered) {
  handshaken_ = true;
  if (!counting_tools_) return;
  v1::Discovery discovery;
  discovery.set_server_uid(server().uid());
  discovery.set_incarnation(route_->incarnation());
  discovery.mutable_server_info()->set_name(discovered.name);
  discovery.mutable_server_info()->set_version(discovered.version);
  discovery.mutable_server_info()->set_protocol_version(discovered.protocol_version);
  discovery.set_tool_count(discovered.tool_count);
  discovery_ = discovery;
  options_.uplink->Discovered(std::move(discovery));
}

void ServerRuntime::OnHandshakeFailed(absl::Status why) {
  ReportFailure(why.message());
  // From within the hub, which is not to lose its server under its feet.
  options_.loop->Post([this, alive = alive_, attempt = attempt_, why] {
    if (!*alive || attempt != attempt_ || !open_) return;
    upstream_ = nullptr;
    Ended(why);
  });
}

void ServerRuntime::ReportFailure(absl::string_view why) {
  const std::string clean = WithoutValues(why, access_);
  LOG(WARNING) << "server " << server().name() << ": " << clean;
  v1::Discovery discovery;
  discovery.set_server_uid(server().uid());
  discovery.set_incarnation(route_->incarnation());
  discovery.set_error(clean);
  discovery_ = discovery;
  options_.uplink->Discovered(std::move(discovery));
}

void ServerRuntime::OnActivity() {
  used_at_ = options_.loop->Now();
  options_.uplink->ActivityChanged(this);
}

// ---- the server -----------------------------------------------------------------

void ServerRuntime::Connect() {
  ++attempt_;
  discovery_.reset();
  over_stdio_ = stdio();
  if (over_stdio_) {
    upstream_ = std::make_unique<StdioUpstream>(
        StdioUpstream::Options{.loop = options_.loop,
                               .cluster = options_.cluster,
                               .pod = {kube::PodKind(), server().namespace_(), route_->pod()},
                               .attach = {.container = route_->container(), .container_id = route_->container_id()}},
        this);
    return;
  }
  connecting_ = true;
  ResolveAccess(options_.cluster, options_.loop, server().namespace_(), spec(),
                [this, alive = alive_, attempt = attempt_](absl::StatusOr<ResolvedAccess> access) {
                  if (*alive && attempt == attempt_) ConnectHttp(std::move(access));
                });
}

void ServerRuntime::ConnectHttp(absl::StatusOr<ResolvedAccess> access) {
  connecting_ = false;
  if (!access.ok()) return Ended(access.status());
  access_ = *std::move(access);
  absl::StatusOr<std::string> url = Url();
  if (!url.ok()) return Ended(url.status());
  HttpEndpoint endpoint{.loop = options_.loop,
                        .client = options_.http,
                        .url = *std::move(url),
                        .headers = access_.headers,
                        .direct = !elsewhere(),
                        // One that runs elsewhere is there or not.
                        .patience = elsewhere() ? absl::ZeroDuration() : StartupTimeout() - kBeforeTimeout,
                        .startup_timeout = StartupTimeout()};
  if (spec().transport().type() == "sse") {
    upstream_ = std::make_unique<SseUpstream>(std::move(endpoint), this);
  } else {
    upstream_ = std::make_unique<StreamableUpstream>(std::move(endpoint), this);
  }
}

absl::StatusOr<std::string> ServerRuntime::Url() const {
  if (elsewhere()) return access_.url;
  const v1::Transport& transport = spec().transport();
  if (!transport.has_port()) {
    return absl::FailedPreconditionError(
        absl::StrCat("spec.transport.port: needed with transport.type ", transport.type()));
  }
  const std::string& host = route_->address();
  const std::string path = !transport.path().empty() ? transport.path() : transport.type() == "sse" ? "/sse" : "/mcp";
  return absl::StrCat("http://", absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host, ":",
                      transport.port(), path);
}

void ServerRuntime::OnOpen() {
  open_ = true;
  handshaken_ = draining_ = false;
  SetWaiting(false);
  const bool discovered = IsDiscovered(server().status());
  counting_tools_ = !discovered || (elsewhere() && server().status().phase() != "Ready");
  used_at_ = options_.loop->Now();
  WatchIdleness();
  if (!discovered) hub_->ServerChanged();
  hub_->UpstreamUp(counting_tools_, StartupTimeout());
}

void ServerRuntime::OnClosed(absl::Status why) {
  // The upstream calls from within its own reading: it is destroyed later.
  ended_.push_back(std::move(upstream_));
  options_.loop->Post([this, alive = alive_] {
    if (*alive) ended_.clear();
  });
  Ended(std::move(why));
}

void ServerRuntime::Ended(absl::Status why) {
  why = absl::Status(why.code(), WithoutValues(why.message(), access_));
  ++attempt_;
  idle_timer_.Cancel();
  spent_ = over_stdio_ || draining_;
  draining_ = false;
  const bool was_open = std::exchange(open_, false);
  const bool reported = discovery_.has_value() && !discovery_->error().empty();
  if (over_stdio_) {
    hub_->UpstreamDown(absl::UnavailableError(absl::StrCat("the process of server \"", server().name(), "\" has ended",
                                                           why.ok() ? "" : ": ", why.message())));
    // Another life or none is published next. If neither is, the process goes on
    // without its output, and is of no use to anybody.
    if (reported) return;
    news_timer_.Set(kEndNews, [this] {
      ReportFailure("the server has closed its output (stdout), while its process goes on: it cannot be spoken to");
    });
    return;
  }
  if ((!was_open || !handshaken_) && !reported && !spent_) ReportFailure(why.message());
  if (was_open) {
    hub_->UpstreamDown(absl::UnavailableError(
        absl::StrCat("the connection to server \"", server().name(), "\" has ended: ", why.message())));
  } else if (waiting_) {
    FailWake({"CannotConnect", std::string(why.message()), kConnectRetrySeconds});
  }
}

void ServerRuntime::Disconnect(absl::Status why) {
  ++attempt_;
  connecting_ = draining_ = false;
  news_timer_.Cancel();
  leave_timer_.Cancel();
  idle_timer_.Cancel();
  upstream_ = nullptr;
  if (std::exchange(open_, false)) hub_->UpstreamDown(std::move(why));
}

void ServerRuntime::Leave(absl::Status why) {
  route_.reset();
  discovery_.reset();
  spent_ = false;
  Disconnect(std::move(why));
}

void ServerRuntime::LeaveWhenQuiet() {
  if (leave_timer_.pending()) return;
  leave_timer_.Set(absl::ZeroDuration(), [this, until = options_.loop->Now() + kLeave] { LeaveBy(until); });
}

void ServerRuntime::LeaveBy(absl::Time until) {
  if (!hub_->TryDrain() && options_.loop->Now() < until) {
    return leave_timer_.Set(kLeaveCheck, [this, until] { LeaveBy(until); });
  }
  Leave(absl::UnavailableError("the server was stopped, or declared anew"));
  Publish(published_);
}

void ServerRuntime::WatchIdleness() {
  if (!open_ || !elsewhere()) return;
  const int seconds = spec().idle_timeout() != 0 ? spec().idle_timeout() : kDefaultIdleTimeoutSeconds;
  if (seconds < 0) return idle_timer_.Cancel();
  const absl::Duration left = used_at_ + absl::Seconds(seconds) - options_.loop->Now();
  idle_timer_.Set(std::max(left, absl::ZeroDuration()), [this, seconds] {
    const bool quiet = options_.loop->Now() >= used_at_ + absl::Seconds(seconds);
    if (quiet && hub_->TryDrain()) return Disconnect(absl::OkStatus());
    if (quiet) used_at_ = options_.loop->Now();  // a call is in flight
    WatchIdleness();
  });
}

}  // namespace unmcp::apiserver
