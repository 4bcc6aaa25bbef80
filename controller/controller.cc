#include "controller/controller.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/annotations.h"
#include "controller/controller_state.h"
#include "controller/observed.h"
#include "controller/state_publisher.h"
#include "controller/ledger.h"
#include "controller/status.h"
#include "controller/want.h"
#include "glog/logging.h"

namespace unmcp::controller {
namespace {

using kube::Informer;
using kube::WorkQueue;

constexpr char kServerKey[] = "server/";
constexpr char kPoolKey[] = "pool/";

// A cluster that takes no write cannot be worked with anyway; once a second
// somebody will see the error in the log, and it is no load.
constexpr absl::Duration kBeginRetry = absl::Seconds(1);

// Somebody has to make room, or the cluster has to come back: often enough that
// a client is served soon after that.
constexpr int kCannotWriteRetrySeconds = 10;

const char* VerbName(Write::Verb verb) {
  switch (verb) {
    case Write::Verb::kCreate:
      return "create";
    case Write::Verb::kPatch:
      return "patch";
    case Write::Verb::kPatchStatus:
      return "patch_status";
    case Write::Verb::kConfirmAbsent:
      return "get";
    case Write::Verb::kDelete:
      return "delete";
  }
  return "";
}

v1::Unavailable CannotWrite(const absl::Status& why) {
  v1::Unavailable unavailable;
  const bool full = absl::IsResourceExhausted(why);
  unavailable.set_reason(full ? "StorageFull" : "ClusterUnavailable");
  unavailable.set_message(absl::StrCat(
      full ? "there is no room to write down that the server starts: make room where unmcp keeps its data"
           : "the cluster cannot be reached: see whether its API server runs",
      " (", why.message(), ")"));
  unavailable.set_retry_after_seconds(kCannotWriteRetrySeconds);
  return unavailable;
}

Informer::Options InformerOptions(Scheduler* scheduler, kube::Cluster* cluster, const std::string& ns, Random* random,
                                  const kube::Kind& kind, const char* selector) {
  return {.scheduler = scheduler,
          .cluster = cluster,
          .kind = kind,
          .ns = ns,
          .label_selector = selector,
          .random = random,
          .indexes = {{kByController, [](const kube::Object& object) { return object.controller_uid(); }},
                      {kByServerName, [](const kube::Object& object) { return LabelOf(object, kServerLabel); }}}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Controller>> Controller::Create(Options options) {
  if (options.scheduler == nullptr) return absl::InvalidArgumentError("Controller: scheduler is not set");
  if (options.cluster == nullptr) return absl::InvalidArgumentError("Controller: cluster is not set");
  if (options.random == nullptr) return absl::InvalidArgumentError("Controller: random is not set");
  if (options.ns.empty()) return absl::InvalidArgumentError("Controller: ns is empty: name the namespace to serve");
  return std::unique_ptr<Controller>(new Controller(std::move(options)));
}

Controller::Controller(Options options)
    : options_(std::move(options)),
      metrics_(options_.registry),
      servers_informer_(InformerOptions(options_.scheduler, options_.cluster, options_.ns, options_.random,
                                        kube::MCPServerKind(), "")),
      pools_informer_(InformerOptions(options_.scheduler, options_.cluster, options_.ns, options_.random,
                                      kube::MCPPoolKind(), "")),
      pods_informer_(InformerOptions(options_.scheduler, options_.cluster, options_.ns, options_.random,
                                     kube::PodKind(), kServerLabel)),
      services_informer_(InformerOptions(options_.scheduler, options_.cluster, options_.ns, options_.random,
                                         kube::ServiceKind(), kServerLabel)),
      queue_({.scheduler = options_.scheduler,
              .process = [this](const std::string& key) { Process(key); },
              .on_added = [this] { metrics_.KeyAdded(queue_.depth()); },
              .on_begun = [this](absl::Duration waited) { metrics_.KeyBegun(queue_.depth(), waited); }}),
      executor_({.scheduler = options_.scheduler,
                 .cluster = options_.cluster,
                 .on_object = [this](kube::Object object) { OnObject(std::move(object)); },
                 .on_write = [this](const Write& write, const absl::Status& status) {
                   metrics_.Wrote(VerbName(write.verb), write.ref.kind.kind, status);
                 }}),
      events_({.scheduler = options_.scheduler,
               .cluster = options_.cluster,
               .random = options_.random,
               .component = "unmcp-controller"}),
      apiservers_(std::move(options_.fake_apiservers)),
      begin_(options_.scheduler) {
  if (apiservers_ == nullptr) {
    apiservers_ = std::make_unique<StatePublisher>(StatePublisher::Options{.scheduler = options_.scheduler,
                                                                           .random = options_.random,
                                                                           .channels = options_.apiservers,
                                                                           .epoch = options_.epoch,
                                                                           .identity = options_.identity,
                                                                           .ns = options_.ns,
                                                                           .metrics = [this] {
                                                                             return metrics_.Text();
                                                                           }});
  }
}

Controller::~Controller() = default;

void Controller::Start() {
  const auto synced = [this] { OnSynced(); };
  servers_informer_.Start({.on_added = [this](const ObjectPtr& object) { OnServer(object); },
                           .on_updated = [this](const ObjectPtr&, const ObjectPtr& object) { OnServer(object); },
                           .on_deleted = [this](const ObjectPtr& object) { OnServerDeleted(object); },
                           .on_synced = synced});
  pools_informer_.Start({.on_added = [this](const ObjectPtr& object) { OnPool(object); },
                         .on_updated = [this](const ObjectPtr&, const ObjectPtr& object) { OnPool(object); },
                         .on_deleted = [this](const ObjectPtr& object) { OnPoolDeleted(object); },
                         .on_synced = synced});
  // A Pod's next state is what somebody may be waiting for.
  const auto on_pod = [this](const ObjectPtr& object) { OnPart(object, WorkQueue::kHigh); };
  pods_informer_.Start({.on_added = on_pod,
                        .on_updated = [on_pod](const ObjectPtr&, const ObjectPtr& object) { on_pod(object); },
                        .on_deleted = [this](const ObjectPtr& object) { OnPodDeleted(object); },
                        .on_synced = synced});
  const auto on_service = [this](const ObjectPtr& object) { OnPart(object, WorkQueue::kNormal); };
  services_informer_.Start({.on_added = on_service,
                            .on_updated = [on_service](const ObjectPtr&,
                                                       const ObjectPtr& object) { on_service(object); },
                            .on_deleted = on_service,
                            .on_synced = synced});
}

// Nothing is decided before everything has been seen once: a Pod that has not
// been listed yet looks like one that does not exist.
void Controller::OnSynced() {
  if (!servers_informer_.synced() || !pools_informer_.synced() || !pods_informer_.synced() ||
      !services_informer_.synced()) {
    return;
  }
  LOG(INFO) << "namespace " << options_.ns << ": " << servers_.size() << " servers, " << pools_informer_.size()
            << " pools, " << pods_informer_.size() << " Pods";
  CreateDefaultPool();
}

// Before anything else, or every server of a new installation would begin with
// the complaint that its pool does not exist.
void Controller::CreateDefaultPool() {
  if (stopping_) return;
  if (pools_informer_.Get(kDefaultPool) != nullptr) return Begin();
  kube::Object pool(kube::MCPPoolKind(), options_.ns, kDefaultPool);
  pool.json()["spec"] = kube::Json::object();
  Write write{.verb = Write::Verb::kCreate,
              .ref = {kube::MCPPoolKind(), options_.ns, kDefaultPool},
              .body = std::move(pool.json())};
  executor_.Run({std::move(write)}, [this](Executor::Outcome outcome) {
    FinishShutdown();
    if (outcome.status.ok()) return Begin();
    LOG(ERROR) << "the pool \"default\" cannot be made: " << outcome.status << "; trying again";
    begin_.Set(kBeginRetry, [this] { CreateDefaultPool(); });
  });
}

void Controller::Begin() {
  synced_ = true;
  unpublished_ = servers_.size();
  for (auto& [name, server] : servers_) TellPool(server.get(), WorkQueue::kLow);
  for (const auto& [name, pool] : pools_) EnqueuePool(name, WorkQueue::kLow);
  for (const auto& [name, server] : servers_) EnqueueServer(name, WorkQueue::kLow);
  StartPublishing();
}

void Controller::StartPublishing() {
  if (publishing_ || !synced_ || unpublished_ > 0) return;
  publishing_ = true;
  apiservers_->Start(
      {.on_apiservers = [this](const ApiserverSet& set) { OnApiservers(set); },
       .on_activity = [this](const std::string& process,
                             const v1::Activity& activity) { OnActivity(process, activity); },
       .on_demand = [this](const std::string& uid) { OnDemand(uid); },
       .on_discovery = [this](const v1::Discovery& discovery) { OnDiscovery(discovery); },
       .on_drain = [this](const std::string& uid, int64_t incarnation, bool drained,
                          const std::string& why) { OnDrain(uid, incarnation, drained, why); }});
}

// ---- Work ----

void Controller::Process(const std::string& key) {
  in_work_[key] = options_.scheduler->Now();
  if (absl::StartsWith(key, kPoolKey)) return ProcessPool(key, key.substr(sizeof(kPoolKey) - 1));
  return ProcessServer(key, key.substr(sizeof(kServerKey) - 1));
}

void Controller::End(const std::string& key, const absl::Status& status) {
  if (auto began = in_work_.extract(key)) {
    metrics_.Reconciled(absl::StartsWith(key, kPoolKey) ? "mcppool" : "mcpserver", status,
                        options_.scheduler->Now() - began.mapped());
  }
  if (status.ok()) {
    queue_.Forget(key);
  } else {
    VLOG(1) << key << ": " << status << "; deciding anew";
    queue_.Retry(key);
  }
  queue_.Done(key);
  FinishShutdown();
}

void Controller::ProcessPool(const std::string& key, const std::string& name) {
  auto it = pools_.find(name);
  if (it == pools_.end() || it->second.object == nullptr) {
    if (it != pools_.end() && it->second.members.empty()) pools_.erase(it);
    return End(key, absl::OkStatus());
  }
  Pool& pool = it->second;
  PoolSnapshot seen{.pool = pool.resource, .members = {}, .held = {}, .now = options_.scheduler->Now()};
  seen.members.reserve(pool.members.size());
  for (const std::string& member : pool.members) seen.members.push_back(servers_.at(member)->member);
  for (const v1::Grant& grant : pool.resource.status().grants()) {
    const std::string& uid = grant.server_uid();
    const Server* server = FindServerByUid(uid);
    if (server != nullptr && server->resource.spec().pool() == name) continue;
    // Of a server that is gone, or is another pool's now, which has not taken
    // it over yet.
    const bool held = server == nullptr ? !pods_informer_.ByIndex(kByController, uid).empty()
                                        : server->member.alive && !server->granted;
    if (held) seen.held.insert(uid);
  }
  pool.held = seen.held;
  PoolPlan plan = DecidePool(seen);
  if (plan.look_again != absl::InfiniteFuture()) queue_.AddAfter(key, plan.look_again - seen.now);
  if (plan.patch.empty()) {
    ApplyPoolPlan(name, seen.members, plan);
    return End(key, absl::OkStatus());
  }
  // What is to be released counts as released from here on: a start must not
  // slip in between.
  for (const std::string& member : pool.members) {
    Server& server = *servers_.at(member);
    server.granted = server.granted && plan.granted.contains(server.resource.uid());
  }
  Write write{.verb = Write::Verb::kPatchStatus,
              .ref = {kube::MCPPoolKind(), options_.ns, name},
              .body = {{"status", plan.patch}},
              .resource_version = pool.resource.resource_version()};
  executor_.Run({std::move(write)}, [this, key, name, members = std::move(seen.members),
                                     plan = std::move(plan)](Executor::Outcome outcome) {
    if (outcome.status.ok()) ApplyPoolPlan(name, members, plan);
    // Those who wait for a grant that cannot be written wait for that write.
    for (const PoolMember& member : members) {
      Server* const server = FindServerByUid(member.uid);
      if (server != nullptr && member.want >= Want::kDemand && !member.alive) OnWritten(server, outcome.status);
    }
    End(key, outcome.status);
  });
}

void Controller::ApplyPoolPlan(const std::string& name, const std::vector<PoolMember>& members, const PoolPlan& plan) {
  auto it = pools_.find(name);
  if (it == pools_.end() || it->second.object == nullptr) return;
  for (const PoolMember& member : members) {
    Server* const server = FindServerByUid(member.uid);
    if (server == nullptr || server->resource.spec().pool() != name) continue;  // left meanwhile
    const bool granted = plan.granted.contains(member.uid);
    const bool ignored = plan.ignored.contains(member.uid);
    const bool waiting = plan.waiting.contains(member.uid);
    const bool next = plan.next.contains(member.uid);
    const bool warm = plan.warm.contains(member.uid);
    const auto yielding = plan.yielding.find(member.uid);
    const Yield yield = yielding == plan.yielding.end() ? Yield::kNone : yielding->second;
    const bool same = server->decided && server->granted == granted && server->ignored == ignored &&
                      server->waiting == waiting && server->next == next && server->warm == warm &&
                      server->yield == yield;
    server->decided = true;
    server->granted = granted;
    server->ignored = ignored;
    server->waiting = waiting;
    server->next = next;
    server->warm = warm;
    server->yield = yield;
    if (same) continue;
    EnqueueHolders(member.uid);
    EnqueueServer(member.name, server->member.want >= Want::kDemand ? WorkQueue::kHigh : WorkQueue::kNormal);
  }
}

void Controller::ProcessServer(const std::string& key, const std::string& name) {
  Server* const server = FindServer(name);
  if (server == nullptr) return End(key, absl::OkStatus());
  // Its pool decides first, and lets it know.
  if (pools_.at(server->resource.spec().pool()).object != nullptr && !server->decided) {
    return End(key, absl::OkStatus());
  }
  const ServerSnapshot seen = Observe(*server);
  ServerPlan plan = DecideServer(seen);
  const std::string uid = server->resource.uid();
  Transition transition = CountDecision(seen, plan);
  server->memory = std::move(plan.memory);
  server->starting = plan.starts;
  server->look_again = plan.look_again;
  if (!seen.deleting) {
    const bool wanted = server->memory.demanded || WantOf(seen) >= Want::kDemand;
    if (!server->write_failure.ok() && wanted && !plan.published.has_route() && !plan.published.has_unavailable()) {
      *plan.published.mutable_unavailable() = CannotWrite(server->write_failure);
    }
    apiservers_->Publish(uid, std::move(plan.published));
    if (!std::exchange(server->published, true) && unpublished_ > 0) {
      --unpublished_;
      StartPublishing();
    }
  }
  if (plan.drain_end != ServerPlan::DrainEnd::kNone) {
    apiservers_->EndDrain(uid, plan.drain_end == ServerPlan::DrainEnd::kWithdrawn);
  }
  if (plan.drain != 0) apiservers_->Drain(uid, plan.drain);
  TellPool(server, WorkQueue::kNormal);
  const bool writes = !plan.writes.empty();
  executor_.Run(std::move(plan.writes),
                [this, key, uid, writes, events = std::move(plan.events),
                 transition = std::move(transition)](Executor::Outcome outcome) {
                  Server* const written = writes ? FindServerByUid(uid) : nullptr;
                  if (written != nullptr) OnWritten(written, outcome.status);
                  OnServerPlanDone(key, uid, events, transition, outcome);
                });
}

Controller::Transition Controller::CountDecision(const ServerSnapshot& seen, const ServerPlan& plan) {
  const v1::MCPServerStatus& before = seen.server.status();
  const v1::MCPServerStatus& after = plan.published.server().status();
  if (plan.memory.failed_incarnation != seen.memory.failed_incarnation) {
    metrics_.StartFailed(plan.memory.failure_reason);
  }
  if (seen.memory.demanded && !plan.memory.demanded && after.phase() == "Ready") {
    metrics_.Woke(seen.now - seen.memory.demanded_since);
  }
  const auto reason = [&](const char* type) {
    const v1::Condition* condition = FindCondition(after.conditions(), type);
    return condition == nullptr ? std::string() : condition->reason();
  };
  Transition transition;
  if (after.incarnation() > before.incarnation()) transition.started = reason(kRequested);
  if (after.phase() == "Stopping" && before.phase() != "Stopping") transition.stopped = reason(kReady);
  return transition;
}

void Controller::OnServerPlanDone(const std::string& key, const std::string& uid,
                                  const std::vector<EventNote>& events, const Transition& transition,
                                  const Executor::Outcome& outcome) {
  Server* const server = FindServerByUid(uid);
  if (outcome.status.ok() && !transition.started.empty()) metrics_.Started(transition.started);
  if (outcome.status.ok() && !transition.stopped.empty()) metrics_.Stopped(transition.stopped);
  if (server != nullptr) {
    server->starting = false;
    if (outcome.pod_name_taken) server->memory.name_taken = server->resource.status().incarnation();
    TellPool(server, WorkQueue::kNormal);
    if (outcome.status.ok()) {
      for (const EventNote& event : events) {
        LOG(INFO) << server->resource.name() << ": " << event.reason << ": " << event.message;
        events_.Record(*server->object, event.warning ? kube::EventType::kWarning : kube::EventType::kNormal,
                       event.reason, event.message);
      }
      if (server->look_again != absl::InfiniteFuture()) {
        queue_.AddAfter(key, server->look_again - options_.scheduler->Now());
      }
    } else if (!absl::IsAborted(outcome.status) && !absl::IsCancelled(outcome.status)) {
      LOG(WARNING) << server->resource.name() << ": " << outcome.status;
    }
  }
  End(key, outcome.status);
}

void Controller::OnWritten(Server* server, const absl::Status& status) {
  const bool cannot = absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
  // Anything else that fails is between this write and the object.
  if (!cannot && !status.ok()) return;
  if (server->write_failure.ok() == status.ok()) return;
  server->write_failure = status;
  EnqueueServer(server->resource.name(), WorkQueue::kHigh);
}

ServerSnapshot Controller::Observe(const Server& server) const {
  ServerSnapshot seen;
  seen.server = server.resource;
  seen.declared = server.declared;
  seen.owner_pool_uid = server.owner_pool_uid;
  seen.other_owners = server.other_owners;
  seen.deleting = server.object->deleting();
  seen.hand_started_at = ReadTimeAnnotation(*server.object, kStartedAtAnnotation);
  seen.hand_stopped_at = ReadTimeAnnotation(*server.object, kStoppedAtAnnotation);
  seen.hand_started_by = server.object->annotation(kStartedByAnnotation);
  seen.hand_stopped_by = server.object->annotation(kStoppedByAnnotation);
  seen.memory = server.memory;
  seen.apiservers = apiserver_set_;
  seen.runs_images = options_.runs_images;
  seen.now = options_.scheduler->Now();
  const std::string& name = server.resource.name();
  for (const ObjectPtr& object : pods_informer_.ByIndex(kByController, server.resource.uid())) {
    seen.pods.push_back(ReadPod(*object));
  }
  for (const ObjectPtr& object : pods_informer_.ByIndex(kByServerName, name)) {
    seen.highest_incarnation = std::max(seen.highest_incarnation, ReadPod(*object).incarnation);
  }
  if (const ObjectPtr service = services_informer_.Get(name)) {
    seen.service = ReadService(*service, server.resource.uid());
  }
  auto it = pools_.find(server.resource.spec().pool());
  if (it != pools_.end() && it->second.object != nullptr) {
    seen.pool.exists = true;
    seen.pool.uid = it->second.object->uid();
    const v1::MCPPoolSpec& spec = it->second.resource.spec();
    if (spec.has_max_servers_limit()) seen.pool.max_limit = spec.max_servers_limit();
  }
  seen.pool.decided = server.decided;
  seen.pool.granted = server.granted;
  seen.pool.ignored = server.ignored;
  seen.pool.waiting = server.waiting;
  seen.pool.next = server.next;
  seen.pool.yield = server.yield;
  seen.pool.warm = server.warm;
  return seen;
}

void Controller::Redeclare(Server* server) {
  auto it = pools_.find(server->resource.spec().pool());
  const bool has_pool = it != pools_.end() && it->second.object != nullptr;
  auto declared = std::make_shared<Declaration>(Declare(
      server->resource.spec(), has_pool ? &it->second.resource.spec() : nullptr, options_.runs_images));
  if (!server->read_status.ok()) {
    declared->status = server->read_status;
    declared->hash.clear();
  }
  server->declared = std::move(declared);
}

bool Controller::TellPool(Server* server, WorkQueue::Priority priority) {
  if (!synced_) return false;
  ServerSnapshot seen = Observe(*server);
  // Whether it would want to run, could it: that it is over the limit, and
  // whether it is kept running, are the pool's own decisions.
  seen.pool.ignored = false;
  seen.pool.warm = false;
  const ServerMemory& memory = server->memory;
  const std::string& phase = server->resource.status().phase();
  PoolMember now{.uid = server->resource.uid(),
                 .name = server->resource.name(),
                 .created = FromTimestamp(server->resource.created_at()),
                 .want = WantOf(seen),
                 .wanted_since = memory.demanded       ? memory.demanded_since
                                 : StartPending(seen) ? seen.hand_started_at
                                                      : absl::InfiniteFuture(),
                 .alive = server->starting || !seen.pods.empty() || Started(seen),
                 .stopping = phase == "Stopping",
                 .ready = phase == "Ready",
                 .busy = Busy(seen, memory) || IdleTimeout(seen) < 0,
                 .yielding = server->yield != Yield::kNone,
                 .last_used = LastUsed(seen, memory),
                 .refused_until = memory.drain_retry_at,
                 .may_run = !seen.deleting && !Blocked(seen) && !Stopped(seen) && !RunsElsewhere(seen.declared->spec),
                 .backing_off = BackingOff(seen)};
  PoolMember& told = server->member;
  // A life that has ended gives its place back: who has it next, the pool says.
  if (told.alive && !now.alive) server->granted = false;
  const auto what_counts = [](const PoolMember& m) {
    return std::tie(m.uid, m.want, m.alive, m.stopping, m.ready, m.busy, m.refused_until, m.may_run, m.backing_off);
  };
  const bool same = what_counts(told) == what_counts(now);
  told = std::move(now);
  if (same) return false;
  EnqueuePool(server->resource.spec().pool(), priority);
  EnqueueHolders(server->resource.uid());
  return true;
}

// ---- Small things ----

void Controller::Enqueue(const std::string& key, WorkQueue::Priority priority) {
  if (synced_) queue_.Add(key, priority);
}

void Controller::EnqueueServer(const std::string& name, WorkQueue::Priority priority) {
  Enqueue(absl::StrCat(kServerKey, name), priority);
}

void Controller::EnqueuePool(const std::string& name, WorkQueue::Priority priority) {
  Enqueue(absl::StrCat(kPoolKey, name), priority);
}

// Pools that hold the grant of a server which is not theirs any more.
void Controller::EnqueueHolders(const std::string& uid) {
  for (const auto& [name, pool] : pools_) {
    if (pool.held.contains(uid)) EnqueuePool(name, WorkQueue::kNormal);
  }
}

void Controller::LookAgain(Server* server, absl::Time when) {
  if (when >= server->look_again) return;
  server->look_again = when;
  queue_.AddAfter(absl::StrCat(kServerKey, server->resource.name()), when - options_.scheduler->Now());
}

Controller::Server* Controller::FindServer(const std::string& name) {
  auto it = servers_.find(name);
  return it == servers_.end() ? nullptr : it->second.get();
}

Controller::Server* Controller::FindServerByUid(const std::string& uid) {
  auto it = names_by_uid_.find(uid);
  return it == names_by_uid_.end() ? nullptr : FindServer(it->second);
}

void Controller::Shutdown(absl::AnyInvocable<void()> done) {
  stopping_ = true;
  shutdown_done_ = std::move(done);
  queue_.Shutdown();
  WriteActivity([this] {
    executor_.Stop();
    apiservers_->Shutdown([this] {
      apiservers_ended_ = true;
      FinishShutdown();
    });
  });
}

void Controller::WriteActivity(absl::AnyInvocable<void()> done) {
  auto pending = std::make_shared<size_t>(1);
  auto finish = [pending, done = std::make_shared<absl::AnyInvocable<void()>>(std::move(done))] {
    if (--*pending == 0) (*done)();
  };
  for (const auto& [name, server] : servers_) {
    const v1::MCPServerStatus& status = server->resource.status();
    v1::MCPServerStatus next = status;
    FoldActivity(status, server->memory.activity, apiserver_set_, &next);
    kube::Json patch = MergePatch(status, next);
    if (patch.empty()) continue;
    ++*pending;
    std::vector<Write> writes;
    writes.push_back({.verb = Write::Verb::kPatchStatus,
                      .ref = {kube::MCPServerKind(), options_.ns, name},
                      .body = {{"status", std::move(patch)}},
                      .resource_version = server->resource.resource_version()});
    executor_.Run(std::move(writes), [finish](const Executor::Outcome&) { finish(); });
  }
  finish();
}

void Controller::FinishShutdown() {
  if (!stopping_ || !apiservers_ended_ || executor_.running() > 0) return;
  if (shutdown_done_) std::exchange(shutdown_done_, nullptr)();
}

}  // namespace unmcp::controller
