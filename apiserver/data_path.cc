#include "apiserver/data_path.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apiserver/errors.h"
#include "common/timestamps.h"
#include "glog/logging.h"
#include "nlohmann/json.hpp"

namespace unmcp::apiserver {
namespace {

// How often servers' activity is told to the controller: idle timeouts count in
// seconds.
constexpr absl::Duration kActivityInterval = absl::Seconds(1);

// And how soon when it has not been told for longer: what a client does is seen
// in the API at once, and what belongs together is told together.
constexpr absl::Duration kActivityDelay = absl::Milliseconds(10);

// Exchanges that wait for their servers to be published, and for how long. The
// controller needs milliseconds; a gateway's clients, who have just declared a
// server, are few.
constexpr size_t kMaxHeldExchanges = 1000;
constexpr absl::Duration kHoldTime = absl::Seconds(10);

// Answers an exchange that reaches no server.
void Refuse(std::unique_ptr<session::Exchange> exchange, int code, const absl::Status& status, int retry_after) {
  session::Headers headers = {{"content-type", "application/json"}};
  if (retry_after > 0) headers.emplace_back("retry-after", absl::StrCat(retry_after));
  exchange->SendHead(code, std::move(headers));
  exchange->Send(nlohmann::json{{"error",
                                 {{"code", code},
                                  {"status", absl::StatusCodeToString(status.code())},
                                  {"message", std::string(status.message())}}}}
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  exchange->Close();
}

}  // namespace

DataPath::DataPath(Options options) : options_(std::move(options)), held_timer_(options_.loop), activity_timer_(options_.loop) {}

DataPath::~DataPath() = default;

void DataPath::Accept(session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange) {
  options_.metrics->exchanges->Increment();
  const Servers::Entry entry = options_.directory->servers().Find(request.server);
  if (!entry) {
    if (!options_.directory->synced()) return Refuse(std::move(exchange), 503, NotSynced(), 1);
    return Refuse(std::move(exchange), 404, ServerNotFound(request.server), 0);
  }
  auto it = runtimes_.find(entry->server().uid());
  if (it == runtimes_.end()) return Hold(entry->server().uid(), std::move(request), std::move(exchange));
  it->second->Handle(std::move(request), std::move(exchange));
}

void DataPath::Hold(std::string uid, session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange) {
  if (held_.size() >= kMaxHeldExchanges) {
    return Refuse(std::move(exchange), 503, NotPublished(request.server), 1);
  }
  held_.push_back({std::move(uid), options_.loop->Now() + kHoldTime, std::move(request), std::move(exchange)});
  if (!held_timer_.pending()) held_timer_.Set(kHoldTime, [this] { ReleaseHeld(); });
}

void DataPath::ReleaseHeld() {
  const absl::Time now = options_.loop->Now();
  for (Held& held : std::exchange(held_, {})) {
    if (runtimes_.contains(held.uid) || !options_.directory->servers().Find(held.uid)) {
      Accept(std::move(held.request), std::move(held.exchange));
    } else if (held.until <= now) {
      Refuse(std::move(held.exchange), 503, NotPublished(held.request.server), 1);
    } else {
      held_.push_back(std::move(held));
    }
  }
  if (held_.empty()) return held_timer_.Cancel();
  held_timer_.Set(held_.front().until - now, [this] { ReleaseHeld(); });
}

session::HubActivity DataPath::ActivityOf(const std::string& uid) const {
  MutexLock lock(&activity_mutex_);
  auto it = activity_.find(uid);
  return it == activity_.end() ? session::HubActivity{} : it->second;
}

void DataPath::CloseAll(absl::string_view why) {
  for (auto& [uid, runtime] : runtimes_) runtime->CloseAll(why);
  SendActivity();  // the last of it: the process may be about to end
}

// ---- from the controller ----------------------------------------------------------

void DataPath::OnControllerUp(const v1::Hello& hello) {
  options_.directory->set_controller(
      {.connected = true, .epoch = hello.epoch(), .identity = hello.identity(), .ns = hello.namespace_()});
  const std::vector<std::string> pools = options_.directory->pools().Published();
  unseen_pools_ = {pools.begin(), pools.end()};
  unseen_.clear();
  for (auto& [uid, runtime] : runtimes_) {
    unseen_.insert(uid);
    dirty_.insert(uid);
    runtime->OnControllerChange();
  }
  SendActivity();
}

void DataPath::OnControllerDown() {
  options_.directory->set_controller_connected(false);
  for (auto& [uid, runtime] : runtimes_) runtime->OnControllerChange();
}

void DataPath::OnHeartbeat(v1::Heartbeat heartbeat) {
  options_.directory->set_controller_metrics(std::move(*heartbeat.mutable_metrics()));
}

void DataPath::OnChange(v1::Change change) {
  switch (change.change_case()) {
    case v1::Change::kServer:
      return OnServer(std::move(*change.mutable_server()));
    case v1::Change::kServerDeleted:
      return Remove(change.server_deleted());
    case v1::Change::kPool:
      unseen_pools_.erase(change.pool().uid());
      return options_.directory->pools().Put(std::make_shared<const v1::MCPPool>(std::move(*change.mutable_pool())));
    case v1::Change::kPoolDeleted:
      return options_.directory->pools().Remove(change.pool_deleted());
    case v1::Change::CHANGE_NOT_SET:  // what a newer controller may add
      break;
  }
}

void DataPath::OnServer(v1::PublishedServer published) {
  auto entry = std::make_shared<const v1::PublishedServer>(std::move(published));
  const std::string& uid = entry->server().uid();
  unseen_.erase(uid);
  options_.directory->servers().Put(entry);
  auto [it, added] = runtimes_.try_emplace(uid);
  if (!added) return it->second->Publish(std::move(entry));
  it->second = std::make_unique<ServerRuntime>(ServerRuntime::Options{.loop = options_.loop,
                                                                      .cluster = options_.cluster,
                                                                      .http = options_.http,
                                                                      .random = options_.random,
                                                                      .uplink = this,
                                                                      .version = options_.version},
                                               std::move(entry));
  if (!held_.empty()) ReleaseHeld();
}

void DataPath::OnSnapshotEnd() {
  for (const std::string& uid : std::exchange(unseen_, {})) Remove(uid);
  for (const std::string& uid : std::exchange(unseen_pools_, {})) options_.directory->pools().Remove(uid);
  // Drains that an earlier controller asked for and never followed up.
  for (auto& [uid, runtime] : runtimes_) {
    if (runtime->server().status().phase() != "Stopping") runtime->CancelDrain();
  }
  if (options_.directory->synced()) return;
  options_.directory->set_synced();
  if (options_.on_synced) options_.on_synced();
}

void DataPath::OnDrain(const v1::Drain& drain) {
  auto it = runtimes_.find(drain.server_uid());
  if (drain.withdraw()) {
    if (it != runtimes_.end()) it->second->CancelDrain();
    return;
  }
  v1::SyncResponse response;
  v1::DrainAnswer& answer = *response.mutable_drain_answer();
  answer.set_server_uid(drain.server_uid());
  answer.set_incarnation(drain.incarnation());
  answer.set_drained(it == runtimes_.end() || it->second->TryDrain(drain.incarnation()));
  if (!answer.drained()) answer.set_reason("a call is in flight, or somebody waits for the server");
  state_->Send(std::move(response));
}

void DataPath::Remove(const std::string& uid) {
  options_.directory->servers().Remove(uid);
  auto it = runtimes_.find(uid);
  if (it == runtimes_.end()) return;
  std::shared_ptr<ServerRuntime> runtime = std::move(it->second);
  runtimes_.erase(it);
  runtime->CloseAll("the server has been deleted");
  dirty_.erase(uid);
  // It may be below us on the stack.
  options_.loop->Post([runtime = std::move(runtime)] {});
  MutexLock lock(&activity_mutex_);
  activity_.erase(uid);
}

// ---- to the controller --------------------------------------------------------------

void DataPath::Demand(const std::string& uid) {
  options_.metrics->wakes->Increment();
  v1::SyncResponse response;
  response.mutable_demand()->set_server_uid(uid);
  state_->Send(std::move(response));
}

void DataPath::Discovered(v1::Discovery discovery) {
  v1::SyncResponse response;
  *response.mutable_discovery() = std::move(discovery);
  state_->Send(std::move(response));
}

void DataPath::ActivityChanged(ServerRuntime* runtime) {
  if (!runtimes_.contains(runtime->server().uid())) return;  // being removed
  dirty_.insert(runtime->server().uid());
  if (activity_timer_.pending()) return;
  const absl::Duration due = activity_sent_ + kActivityInterval - options_.loop->Now();
  activity_timer_.Set(std::clamp(due, kActivityDelay, kActivityInterval), [this] { SendActivity(); });
}

void DataPath::SendActivity() {
  activity_sent_ = options_.loop->Now();
  for (const std::string& uid : std::exchange(dirty_, {})) {
    auto it = runtimes_.find(uid);
    if (it == runtimes_.end()) continue;
    const session::HubActivity activity = it->second->activity();
    {
      MutexLock lock(&activity_mutex_);
      session::HubActivity& before = activity_[uid];
      options_.metrics->requests->Increment(static_cast<double>(activity.requests - before.requests));
      before = activity;
    }
    v1::SyncResponse response;
    v1::Activity& told = *response.mutable_activity();
    told.set_server_uid(uid);
    told.set_requests(activity.requests);
    told.set_open_sessions(activity.open_sessions);
    told.set_calls_in_flight(activity.calls_in_flight);
    told.set_subscriptions(activity.subscriptions);
    if (activity.last_request > absl::InfinitePast()) *told.mutable_last_request_at() = ToTimestamp(activity.last_request);
    state_->Send(std::move(response));
  }
}

}  // namespace unmcp::apiserver
