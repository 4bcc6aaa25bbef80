// What the controller hears, from the cluster and from apiservers. Nothing is
// decided here: it is noted, and whom it concerns gets a turn.

#include <algorithm>
#include <utility>
#include <vector>

#include "controller/controller.h"
#include "controller/controller_state.h"
#include "controller/observed.h"
#include "controller/status.h"
#include "controller/want.h"
#include "glog/logging.h"

namespace unmcp::controller {

using kube::Informer;
using kube::WorkQueue;

std::string LabelOf(const kube::Object& object, const char* label) {
  const auto labels = object.labels();
  auto it = labels.find(label);
  return it == labels.end() ? "" : it->second;
}

// ---- Objects ----

void Controller::OnServer(const ObjectPtr& object) {
  absl::StatusOr<v1::MCPServer> resource = ReadServer(*object);
  std::unique_ptr<Server>& slot = servers_[object->name()];
  const bool added = slot == nullptr;
  if (added) {
    slot = std::make_unique<Server>();
    names_by_uid_[object->uid()] = object->name();
    if (synced_ && !publishing_) ++unpublished_;
  }
  Server* const server = slot.get();
  const std::string pool_before = added ? "" : server->resource.spec().pool();
  const bool spec_changed = added || server->object->uid() != object->uid() ||
                            server->object->generation() != object->generation() ||
                            server->read_status != resource.status();
  server->object = object;
  if (resource.ok()) {
    server->resource = *std::move(resource);
    server->read_status = absl::OkStatus();
  } else {
    // Stored past every validation: say so, with what could be read before.
    server->resource.set_uid(object->uid());
    server->resource.set_name(object->name());
    server->resource.set_namespace_(object->ns());
    server->resource.set_resource_version(object->resource_version());
    server->resource.set_generation(object->generation());
    server->read_status = resource.status();
  }
  server->owner_pool_uid.clear();
  server->other_owners = kube::Json::array();
  for (const kube::OwnerReference& owner : object->owners()) {
    if (owner.kind == kube::MCPPoolKind().kind && owner.api_version == kube::MCPPoolKind().ApiVersion()) {
      server->owner_pool_uid = owner.uid;
    } else {
      server->other_owners.push_back({{"apiVersion", owner.api_version}, {"kind", owner.kind}, {"name", owner.name},
                                      {"uid", owner.uid}});
    }
  }
  const std::string& pool = server->resource.spec().pool();
  if (pool != pool_before) {
    if (!added) {
      pools_[pool_before].members.erase(object->name());
      EnqueuePool(pool_before, WorkQueue::kNormal);
    }
    pools_[pool].members.insert(object->name());
    server->ForgetPoolPlan();
    server->member = PoolMember();
  }
  if (spec_changed) Redeclare(server);
  if (added && !synced_) TakeOverDemand(server);
  TellPool(server, WorkQueue::kNormal);
  EnqueueServer(object->name(), WorkQueue::kNormal);
}

// Who has waited since an earlier controller keeps its turn: before the first
// apiserver says that somebody waits, the pool has decided.
void Controller::TakeOverDemand(Server* server) {
  const v1::MCPServerStatus& status = server->resource.status();
  const v1::Condition* requested = FindCondition(status.conditions(), kRequested);
  const bool waits = (status.phase() == "Waiting" || status.phase() == "Requested") && requested != nullptr &&
                     requested->reason() == kForClients;
  const absl::Time since = FromTimestamp(status.requested_at());
  const absl::Time now = options_.scheduler->Now();
  if (!waits || since + kMaxTakenOverWait < now) return;
  server->memory.demanded = true;
  server->memory.demanded_since = since;
  server->memory.demanded_at = now;
}

void Controller::OnServerDeleted(const ObjectPtr& object) {
  auto it = servers_.find(object->name());
  Server& server = *it->second;
  const std::string pool = server.resource.spec().pool();
  pools_[pool].members.erase(object->name());
  EnqueuePool(pool, WorkQueue::kNormal);
  apiservers_->Remove(object->uid());
  if (!server.published && unpublished_ > 0) --unpublished_;
  names_by_uid_.erase(object->uid());
  servers_.erase(it);
  StartPublishing();
}

void Controller::OnPool(const ObjectPtr& object) {
  Pool& pool = pools_[object->name()];
  const bool appeared = pool.object == nullptr || pool.object->uid() != object->uid();
  const bool changed = appeared || pool.object->generation() != object->generation();
  if (appeared && pool.object != nullptr) apiservers_->RemovePool(pool.object->uid());
  pool.object = object;
  absl::StatusOr<v1::MCPPool> resource = ReadPool(*object);
  if (resource.ok()) {
    pool.resource = *std::move(resource);
  } else {
    pool.resource.set_uid(object->uid());
    pool.resource.set_name(object->name());
    pool.resource.set_namespace_(object->ns());
    pool.resource.set_resource_version(object->resource_version());
    LOG(WARNING) << "MCPPool " << object->name() << " cannot be read, and is taken as it was before: "
                 << resource.status();
  }
  if (changed) {
    for (const std::string& member : pool.members) {
      if (Server* server = FindServer(member)) {
        Redeclare(server);
        TellPool(server, WorkQueue::kNormal);
      }
      EnqueueServer(member, WorkQueue::kNormal);
    }
  }
  apiservers_->PublishPool(pool.resource);
  if (changed || object->resource_version() != pool.own_version) EnqueuePool(object->name(), WorkQueue::kNormal);
}

void Controller::OnPoolDeleted(const ObjectPtr& object) {
  Pool& pool = pools_[object->name()];
  apiservers_->RemovePool(object->uid());
  pool.object = nullptr;
  pool.resource = v1::MCPPool();
  for (const std::string& member : pool.members) {
    if (Server* server = FindServer(member)) {
      server->ForgetPoolPlan();
      Redeclare(server);
    }
    EnqueueServer(member, WorkQueue::kNormal);
  }
  if (pool.members.empty()) pools_.erase(object->name());
}

void Controller::OnPart(const ObjectPtr& object, WorkQueue::Priority priority) {
  const std::string name = LabelOf(*object, kServerLabel);
  if (Server* server = FindServer(name)) {
    TellPool(server, priority);
    EnqueueServer(name, priority);
  }
}

void Controller::OnPodDeleted(const ObjectPtr& object) {
  OnPart(object, WorkQueue::kHigh);
  if (FindServerByUid(object->controller_uid()) != nullptr) return;
  EnqueueHolders(object->controller_uid());
}

kube::Informer* Controller::InformerOf(const kube::Object& object) {
  const std::string kind = object.kind();
  if (kind == kube::MCPServerKind().kind) return &servers_informer_;
  if (kind == kube::MCPPoolKind().kind) return &pools_informer_;
  if (kind == kube::PodKind().kind) return &pods_informer_;
  return kind == kube::ServiceKind().kind ? &services_informer_ : nullptr;
}

void Controller::OnObject(kube::Object object) {
  // The pool key that wrote it, or failed to, sees to what follows.
  if (object.kind() == kube::MCPPoolKind().kind) pools_[object.name()].own_version = object.resource_version();
  if (Informer* informer = InformerOf(object)) informer->Upsert(std::move(object));
}

// ---- Apiservers ----

void Controller::OnApiservers(const ApiserverSet& apiservers) {
  apiserver_set_ = apiservers;
  for (auto& [name, server] : servers_) {
    // Who waits for an apiserver: to be discovered, or to be drained.
    const bool discovered = Discovered(server->resource.status(), *server->declared);
    if (discovered && server->memory.drain == ServerMemory::Drain::kNone) continue;
    TellPool(server.get(), WorkQueue::kNormal);
    EnqueueServer(name, WorkQueue::kNormal);
  }
}

void Controller::OnActivity(const std::string& process, const v1::Activity& activity) {
  Server* const server = FindServerByUid(activity.server_uid());
  if (server == nullptr) return;
  std::vector<ProcessActivity>& all = server->memory.activity;
  auto it = std::find_if(all.begin(), all.end(), [&](const ProcessActivity& a) { return a.process == process; });
  if (it == all.end()) it = all.insert(all.end(), {.process = process});
  const bool was_busy = it->calls_in_flight > 0 || it->subscriptions > 0;
  it->requests = std::max(it->requests, activity.requests());
  it->open_sessions = activity.open_sessions();
  it->calls_in_flight = activity.calls_in_flight();
  it->subscriptions = activity.subscriptions();
  it->last_request = std::max(it->last_request, FromTimestamp(activity.last_request_at()));
  const bool is_busy = it->calls_in_flight > 0 || it->subscriptions > 0;
  server->member.last_used = std::max(server->member.last_used, it->last_request);
  // What it refused to end for is over.
  if (was_busy && !is_busy) server->memory.drain_retry_at = absl::InfinitePast();
  // From now on it may become idle, or it must not be stopped any more; else
  // the appointment that the last decision made finds out by itself.
  const bool draining = server->memory.drain != ServerMemory::Drain::kNone;
  if (was_busy != is_busy || draining) {
    EnqueueServer(server->resource.name(), WorkQueue::kNormal);
  } else {
    LookAgain(server, std::max(server->memory.activity_written_at + kActivityInterval, options_.scheduler->Now()));
  }
}

void Controller::OnDemand(const std::string& uid) {
  Server* const server = FindServerByUid(uid);
  if (server == nullptr) return;  // deleted; the apiserver hears of it in a moment
  const absl::Time now = options_.scheduler->Now();
  if (!server->memory.demanded) server->memory.demanded_since = now;
  server->memory.demanded = true;
  server->memory.demanded_at = now;
  // The pool first: with its grant the server is decided on once, and goes
  // straight to its start.
  if (!TellPool(server, WorkQueue::kHigh)) EnqueueServer(server->resource.name(), WorkQueue::kHigh);
}

void Controller::OnDiscovery(const v1::Discovery& discovery) {
  Server* const server = FindServerByUid(discovery.server_uid());
  if (server == nullptr || discovery.incarnation() < server->memory.discovery_incarnation) return;
  ServerMemory& memory = server->memory;
  memory.discovery_incarnation = discovery.incarnation();
  memory.discovery_error = discovery.error();
  memory.server_info = discovery.server_info();
  memory.tool_count = discovery.tool_count();
  EnqueueServer(server->resource.name(), WorkQueue::kHigh);
}

void Controller::OnDrain(const std::string& uid, int64_t incarnation, bool drained, const std::string& why) {
  Server* const server = FindServerByUid(uid);
  if (server == nullptr) return;
  ServerMemory& memory = server->memory;
  if (memory.drain != ServerMemory::Drain::kAsked || memory.drain_incarnation != incarnation) return;
  VLOG(1) << server->resource.name() << ": drain of incarnation " << incarnation
          << (drained ? " granted" : " refused: " + why);
  memory.drain = drained ? ServerMemory::Drain::kDrained : ServerMemory::Drain::kRefused;
  if (!drained) memory.drain_retry_at = options_.scheduler->Now() + kDrainRetry;
  EnqueueServer(server->resource.name(), WorkQueue::kHigh);
}

}  // namespace unmcp::controller
