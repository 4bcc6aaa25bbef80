#include "apiserver/server_runtime.h"

#include <utility>

#include "absl/strings/str_cat.h"
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

// Between attempts to attach to a life that is published but does not answer.
constexpr absl::Duration kAttachRetry = absl::Milliseconds(100);

// How long after the end of its output news of a process's own end may take: a
// kubelet looks every second, and tells the API server then.
constexpr absl::Duration kEndNews = absl::Seconds(5);

constexpr int kDefaultStartupTimeoutSeconds = 120;  // as the CRD's default

absl::Duration StartupTimeout(const v1::MCPServer& server) {
  return absl::Seconds(server.spec().has_startup_timeout() ? server.spec().startup_timeout()
                                                           : kDefaultStartupTimeoutSeconds);
}

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
      retry_timer_(options_.loop) {
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
  const bool routed = published_->has_route() && !published_->route().container_id().empty();
  if (routed && !SameLife(published_->route(), route_)) {
    if (!route_.container_id().empty()) Detach(absl::UnavailableError("the server was replaced by a newer life"));
    route_ = published_->route();
    Attach();
  } else if (!routed && !route_.container_id().empty() && attachment_ == nullptr) {
    // The life ended before it could be attached to, or after it had closed.
    Detach(absl::UnavailableError("the server stopped while it was being started"));
  }
}

void ServerRuntime::Handle(session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange) {
  hub_->Handle(std::move(request), std::move(exchange));
}

bool ServerRuntime::TryDrain(int64_t incarnation) {
  if (!route_.container_id().empty() && route_.incarnation() != incarnation) return true;  // another life's question
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

void ServerRuntime::CloseAll(absl::string_view why) { hub_->CloseAll(why); }

// ---- what the hub asks for ----------------------------------------------------

void ServerRuntime::Wake() {
  SetWaiting(true);
  demanded_at_ = options_.loop->Now();
  options_.uplink->Demand(server().uid());
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
  wake_timer_.Set(controller ? StartupTimeout(server()) + kWakeGrace : kNoControllerGrace, [this, controller] {
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
  if (!attachment_) return;  // it closed within this batch of events; the hub hears of it next
  message.push_back('\n');
  attachment_->Write(std::move(message));
}

size_t ServerRuntime::upstream_pending() const { return attachment_ ? attachment_->pending() : 0; }

void ServerRuntime::OnDiscovered(const session::Discovered& discovered) {
  if (!counting_tools_) return;
  v1::Discovery discovery;
  discovery.set_server_uid(server().uid());
  discovery.set_incarnation(route_.incarnation());
  discovery.mutable_server_info()->set_name(discovered.name);
  discovery.mutable_server_info()->set_version(discovered.version);
  discovery.mutable_server_info()->set_protocol_version(discovered.protocol_version);
  discovery.set_tool_count(discovered.tool_count);
  discovery_ = discovery;
  options_.uplink->Discovered(std::move(discovery));
}

void ServerRuntime::OnHandshakeFailed(absl::Status why) {
  ReportFailure(why.message());
  // From within the hub, which is not to lose its process under its feet.
  options_.loop->Post([this, alive = alive_, attempt = attempt_, why] {
    if (*alive && attempt == attempt_ && attachment_) OnClosed(why);
  });
}

void ServerRuntime::ReportFailure(absl::string_view why) {
  LOG(WARNING) << "server " << server().name() << ": " << why;
  v1::Discovery discovery;
  discovery.set_server_uid(server().uid());
  discovery.set_incarnation(route_.incarnation());
  discovery.set_error(std::string(why));
  discovery_ = discovery;
  options_.uplink->Discovered(std::move(discovery));
}

void ServerRuntime::OnActivity() { options_.uplink->ActivityChanged(this); }

// ---- the process ----------------------------------------------------------------

void ServerRuntime::Attach() {
  retry_timer_.Cancel();
  const kube::ObjectRef pod{kube::PodKind(), server().namespace_(), route_.pod()};
  options_.cluster->Attach(
      pod, {.container = route_.container(), .container_id = route_.container_id()},
      [this, alive = alive_, loop = options_.loop,
       attempt = ++attempt_](absl::StatusOr<std::unique_ptr<kube::Attachment>> attachment) mutable {
        loop->Post([this, alive = std::move(alive), attempt, attachment = std::move(attachment)]() mutable {
          if (*alive && attempt == attempt_) OnAttached(std::move(attachment));
        });
      });
}

void ServerRuntime::OnAttached(absl::StatusOr<std::unique_ptr<kube::Attachment>> attachment) {
  if (!attachment.ok()) {
    LOG(WARNING) << "server " << server().name() << ": cannot attach to " << route_.pod() << ": "
                 << attachment.status();
    // A life that has ended is followed by news of it; anything else passes.
    if (!absl::IsNotFound(attachment.status())) retry_timer_.Set(kAttachRetry, [this] { Attach(); });
    return;
  }
  attachment_ = *std::move(attachment);
  discovery_.reset();
  framer_ = std::make_unique<bridge::LineFramer>();
  draining_ = false;
  SetWaiting(false);
  counting_tools_ = !IsDiscovered(server().status());
  hub_->UpstreamUp(counting_tools_, StartupTimeout(server()));
  attachment_->Start(options_.loop, this);
}

void ServerRuntime::OnOutput(absl::string_view bytes) {
  framer_->Feed(
      bytes, [this](absl::string_view line) { hub_->OnUpstreamMessage(line); },
      [this](const bridge::OversizedLine& line) { hub_->OnUpstreamOversized(line.head, line.tail, line.length); });
}

void ServerRuntime::OnClosed(absl::Status why) {
  // The attachment calls from within its own reading: it is destroyed later.
  options_.loop->Post([attachment = std::shared_ptr<kube::Attachment>(std::move(attachment_))] {});
  draining_ = false;
  hub_->UpstreamDown(absl::UnavailableError(
      absl::StrCat("the process of server \"", server().name(), "\" has ended", why.ok() ? "" : ": ", why.message())));
  // Another life or none is published next. If neither is, the process goes on
  // without its output, and is of no use to anybody.
  if (discovery_.has_value() && !discovery_->error().empty()) return;
  retry_timer_.Set(kEndNews, [this] {
    ReportFailure("the server has closed its output (stdout), while its process goes on: it cannot be spoken to");
  });
}

void ServerRuntime::Detach(absl::Status why) {
  route_.Clear();
  discovery_.reset();
  ++attempt_;
  retry_timer_.Cancel();
  draining_ = false;
  if (!attachment_) return;
  attachment_.reset();
  hub_->UpstreamDown(std::move(why));
}

}  // namespace unmcp::apiserver
