#include "controller/world.h"

#include <atomic>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/observed.h"
#include "controller/status.h"
#include "glog/logging.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"
#include "proto/schema/crd.h"

namespace unmcp::controller {

using kube::Json;
using kube::Object;

std::string PredictableRandom::Id128() {
  const uint64_t id = ++next_;
  return absl::StrFormat("%016x%016x", id, id);
}

// The cluster as one controller sees it, until it dies.
class World::Cut final : public kube::Cluster {
 public:
  explicit Cut(World* world) : world_(world), cluster_(world->cluster_.get()) {}

  bool dead() const { return dead_; }

  void Get(const kube::ObjectRef& ref, kube::Callback<Object> done) override {
    if (!dead_) cluster_->Get(ref, Alive(std::move(done)));
  }
  void List(const kube::Kind& kind, const std::string& ns, kube::ListOptions options,
            kube::Callback<kube::ObjectList> done) override {
    if (!dead_) cluster_->List(kind, ns, std::move(options), Alive(std::move(done)));
  }
  void Create(const kube::Kind& kind, Object object, kube::Callback<Object> done) override {
    if (!Count(kind)) return;
    if (Fails(kind)) return done(world_->write_failure);
    cluster_->Create(kind, std::move(object), Alive(std::move(done)));
  }
  void Patch(const kube::ObjectRef& ref, Json patch, kube::PatchOptions options,
             kube::Callback<Object> done) override {
    if (!Count(ref.kind)) return;
    if (Fails(ref.kind)) return done(world_->write_failure);
    cluster_->Patch(ref, std::move(patch), std::move(options), Alive(std::move(done)));
  }
  void Delete(const kube::ObjectRef& ref, kube::DeleteOptions options, kube::DoneCallback done) override {
    if (!Count(ref.kind)) return;
    if (Fails(ref.kind)) return done(world_->write_failure);
    cluster_->Delete(ref, std::move(options), Alive(std::move(done)));
  }
  std::unique_ptr<kube::Watch> StartWatch(const kube::Kind& kind, const std::string& ns, kube::WatchOptions options,
                                          kube::WatchCallbacks callbacks) override {
    return cluster_->StartWatch(kind, ns, std::move(options), std::move(callbacks));
  }
  void Attach(const kube::ObjectRef&, kube::AttachOptions,
              kube::Callback<std::unique_ptr<kube::Attachment>>) override {}
  void Logs(const kube::ObjectRef&, kube::LogOptions, kube::Callback<std::string>) override {}
  std::unique_ptr<kube::Watch> FollowLogs(const kube::ObjectRef&, kube::LogOptions, kube::LogCallbacks) override {
    return nullptr;
  }

 private:
  // Whether the write is to be made.
  bool Count(const kube::Kind& kind) {
    if (dead_) return false;
    if (kind == kube::EventKind()) return true;
    ++world_->writes_;
    if (world_->cut_after_ > 0 && --world_->cut_after_ == 0) dead_ = true;
    return true;
  }
  bool Fails(const kube::Kind& kind) const { return !world_->write_failure.ok() && kind != kube::EventKind(); }
  template <class Callback>
  Callback Alive(Callback done) {
    return [this, done = std::move(done)](auto result) mutable {
      if (!dead_) done(std::move(result));
    };
  }

  World* const world_;
  kube::EmbeddedCluster* const cluster_;
  std::atomic<bool> dead_{false};
};

// Makes the cluster delete Pods in two steps, as where a kubelet ends them.
class World::Node final : public kube::NodeRuntime {
 public:
  void Attach(const std::string&, kube::AttachOptions,
              kube::Callback<std::unique_ptr<kube::Attachment>> done) override {
    done(absl::UnimplementedError("no containers here"));
  }
  void Logs(const std::string&, kube::LogOptions, kube::Callback<std::string> done) override {
    done(absl::UnimplementedError("no containers here"));
  }
  void FollowLogs(const std::string&, kube::LogOptions, std::shared_ptr<kube::LogSink> sink) override {
    sink->End(absl::UnimplementedError("no containers here"));
  }
};

// One apiserver, or none.
class World::Link final : public Apiservers {
 public:
  explicit Link(World* world) : world_(world) {}
  ~Link() override {
    if (world_->link_ == this) world_->link_ = nullptr;
  }

  void Start(Handlers handlers) override {
    handlers_ = std::move(handlers);
    world_->published_ = snapshot_;
    world_->published_pools_ = pools_snapshot_;
    Later([this] { Connect(); });
  }
  void Connect() {
    if (!handlers_.on_apiservers) return;  // not started
    ApiserverSet set;
    if (world_->apiservers_there) set.connected.insert(world_->process);
    set.complete = world_->apiservers_there;
    handlers_.on_apiservers(set);
    if (!world_->apiservers_there) return;
    for (const auto& [uid, activity] : world_->activity_) Tell(uid);
    for (const std::string& uid : world_->demands_) handlers_.on_demand(uid);
    for (const auto& [uid, state] : world_->published_) Discover(state);
  }
  void Publish(const std::string& uid, v1::PublishedServer state) override {
    if (!handlers_.on_apiservers) {
      snapshot_[uid] = std::move(state);
      return;
    }
    v1::PublishedServer& before = world_->published_[uid];
    if (google::protobuf::util::MessageDifferencer::Equals(before, state)) return;
    before = state;
    if (state.has_route()) world_->demands_.erase(uid);
    if (world_->apiservers_there) Discover(state);
  }
  void Remove(const std::string& uid) override {
    snapshot_.erase(uid);
    world_->published_.erase(uid);
    world_->demands_.erase(uid);
  }
  void PublishPool(const v1::MCPPool& pool) override { Pools()[pool.uid()] = pool; }
  void RemovePool(const std::string& uid) override { Pools().erase(uid); }
  void Drain(const std::string& uid, int64_t incarnation) override {
    ++world_->drains_asked_;
    Later([this, uid, incarnation] {
      const auto state = world_->published_.find(uid);
      const bool secretly = state != world_->published_.end() &&
                            world_->secretly_busy.contains(state->second.server().name());
      const bool busy = world_->apiservers_busy || secretly || world_->activity_[uid].calls > 0 || !world_->apiservers_there;
      handlers_.on_drain(uid, incarnation, !busy, busy ? "a call is in flight" : "");
    });
  }
  void EndDrain(const std::string&, bool) override {}
  void Shutdown(absl::AnyInvocable<void()> done) override { done(); }

  // Not connected yet: Connect tells.
  void Demand(const std::string& uid) {
    if (handlers_.on_demand) handlers_.on_demand(uid);
  }
  void Tell(const std::string& uid) {
    if (!handlers_.on_activity) return;
    const World::Activity& activity = world_->activity_[uid];
    v1::Activity message;
    message.set_server_uid(uid);
    message.set_requests(activity.requests);
    message.set_open_sessions(activity.requests > 0 ? 1 : 0);
    message.set_calls_in_flight(activity.calls);
    *message.mutable_last_request_at() = ToTimestamp(activity.last);
    handlers_.on_activity(world_->process, message);
  }

 private:
  // A real one speaks when it has initialized a life with a new spec.
  void Discover(const v1::PublishedServer& state) {
    const v1::MCPServer& server = state.server();
    if (world_->silent.contains(server.name())) return;
    if (!state.has_route() || IsTrue(server.status().conditions(), "Discovered")) return;
    v1::Discovery discovery;
    discovery.set_server_uid(server.uid());
    discovery.set_incarnation(state.route().incarnation());
    if (world_->rude.contains(server.name())) {
      discovery.set_error("it said \"no\"");
    } else {
      discovery.mutable_server_info()->set_name(server.name());
      discovery.mutable_server_info()->set_version("1.2");
      discovery.mutable_server_info()->set_protocol_version("2025-06-18");
      discovery.set_tool_count(13);
    }
    Later([this, discovery] { handlers_.on_discovery(discovery); });
  }
  std::map<std::string, v1::MCPPool>& Pools() {
    return handlers_.on_apiservers ? world_->published_pools_ : pools_snapshot_;
  }
  void Later(std::function<void()> task) {
    world_->scheduler_.Post([task = std::move(task), alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) task();
    });
  }

  World* const world_;
  Handlers handlers_;
  std::map<std::string, v1::PublishedServer> snapshot_;
  std::map<std::string, v1::MCPPool> pools_snapshot_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

World::World() {
  std::string pattern = testing::TempDir() + "/world-XXXXXX";
  CHECK(mkdtemp(pattern.data()) != nullptr);
  dir_ = pattern;
  node_ = std::make_unique<Node>();
  auto cluster = kube::EmbeddedCluster::Create(
      {.data_dir = dir_, .crds = AllCrds(), .now = [this] { return scheduler_.Now(); }, .random = &random_});
  CHECK(cluster.ok()) << cluster.status();
  cluster_ = *std::move(cluster);
  cluster_->SetNode(node_.get());
  pods_seen_ = std::make_unique<kube::WatchRecorder>(
      *cluster_, kube::PodKind(), "default",
      kube::WatchOptions{.label_selector = "",
                         .resource_version = kube::AwaitList(*cluster_, kube::PodKind(), "default")->resource_version});
  StartController();
}

World::~World() {
  StopController();
  pods_seen_->Stop();
  cluster_->SetNode(nullptr);
  cluster_.reset();
  scheduler_.RunUntilIdle();
  std::filesystem::remove_all(dir_);
}

void World::StartController() {
  ++controllers_;
  cut_ = std::make_unique<Cut>(this);
  auto link = std::make_unique<Link>(this);
  link_ = link.get();
  auto controller = Controller::Create({.scheduler = &scheduler_, .cluster = cut_.get(), .ns = "default",
                                        .random = &random_, .registry = &registry_,
                                        .fake_apiservers = std::move(link)});
  CHECK(controller.ok()) << controller.status();
  controller_ = *std::move(controller);
  controller_->Start();
}

void World::StopController() {
  controller_.reset();
  dead_.push_back(std::move(cut_));
}

void World::RestartController() {
  StopController();
  StartController();
}

void World::RestartApiserver(const std::string& new_process) {
  process = new_process;
  activity_.clear();
  link_->Connect();
}

void World::CutAfterWrites(int count) { cut_after_ = count; }

int World::writes() const { return writes_; }

bool World::StepKubelet() {
  if (!kubelet_works) return false;
  bool did = false;
  for (const Object& pod : Pods()) {
    const kube::ObjectRef ref{kube::PodKind(), "default", pod.name()};
    const bool crashes = crashing.contains(pod.labels()[kServerLabel]);
    if (pod.deleting()) {
      EXPECT_TRUE(kube::AwaitDelete(*cluster_, ref, {.uid = pod.uid(), .grace_period_seconds = 0}).ok());
      did = true;
    } else if (!pod.status().contains("startTime") || pod.status().value("crashed", false) != crashes) {
      const std::string now = absl::FormatTime(absl::RFC3339_sec, scheduler_.Now(), absl::UTCTimeZone());
      Json container = {{"name", kContainer}, {"containerID", absl::StrCat("test://", random_.Id128())},
                        {"restartCount", pod.status().contains("startTime") ? 1 : 0}};
      if (crashes) {
        container["state"] = {{"waiting", {{"reason", "CrashLoopBackOff"}}}};
        container["lastState"] = {{"terminated", {{"exitCode", 3}, {"reason", "Error"}, {"message", "no such file"}}}};
      } else {
        container["state"] = {{"running", {{"startedAt", now}}}};
      }
      Json conditions = pod_conditions;
      conditions.push_back({{"type", "Ready"}, {"status", crashes ? "False" : "True"}});
      Json status = {{"startTime", now},
                     {"podIP", "127.0.0.1"},
                     {"phase", "Running"},
                     {"crashed", crashes},
                     {"conditions", std::move(conditions)},
                     {"containerStatuses", {container}}};
      auto patched = kube::AwaitPatch(*cluster_, ref, {{"status", status}}, {.subresource = "status"});
      EXPECT_TRUE(patched.ok()) << patched.status();
      did = true;
    }
  }
  return did;
}

void World::CountPods() {
  const auto events = pods_seen_->events();
  for (; pod_events_counted_ < events.size(); ++pod_events_counted_) {
    const kube::WatchEvent& event = events[pod_events_counted_];
    if (event.type == kube::WatchEventType::kDeleted) {
      living_pods_.erase(event.object.uid());
    } else {
      living_pods_[event.object.uid()] = event.object.labels()[kServerLabel];
    }
    std::map<std::string, size_t> counts;
    for (const auto& [uid, server] : living_pods_) {
      most_pods_of_one_ = std::max(most_pods_of_one_, ++counts[server]);
    }
    most_pods_ = std::max(most_pods_, living_pods_.size());
  }
}

void World::Settle() {
  // A round is quiet when it wrote nothing. What one round reads, the next may
  // act on: several in a row have to be.
  constexpr int kQuietRounds = 4;
  for (int quiet = 0, rounds = 0; quiet < kQuietRounds; ++rounds) {
    ASSERT_LT(rounds, 2000) << "it does not come to rest";
    const std::string before = kube::AwaitList(*cluster_, kube::LeaseKind(), "default")->resource_version;
    scheduler_.RunUntilIdle();
    if (cut_->dead()) {
      RestartController();
      quiet = 0;
      continue;
    }
    const bool kubelet_did = StepKubelet();
    // The cluster has one thread: what was asked of it before is done now.
    const std::string after = kube::AwaitList(*cluster_, kube::LeaseKind(), "default")->resource_version;
    quiet = before == after && !kubelet_did ? quiet + 1 : 0;
  }
  CountPods();
}

void World::RunUntil(const std::function<bool()>& met, const char* what) {
  for (int seconds = 0; seconds < 3600; ++seconds) {
    Settle();
    if (testing::Test::HasFatalFailure()) return;
    if (met()) return;
    scheduler_.Advance(absl::Seconds(1));
  }
  FAIL() << "an hour was not enough until " << what;
}

void World::RunFor(absl::Duration time) {
  const absl::Time end = scheduler_.Now() + time;
  while (scheduler_.Now() < end) {
    Settle();
    scheduler_.Advance(absl::Seconds(1));
  }
  Settle();
}

void World::CreateServer(const std::string& name, Json spec) {
  if (spec.is_null()) spec = Json::object();
  if (!spec.contains("command") && !spec.contains("image") && !spec.contains("url")) spec["command"] = {"mcp-server"};
  Object object(kube::MCPServerKind(), "default", name);
  object.json()["spec"] = std::move(spec);
  const auto created = kube::AwaitCreate(*cluster_, kube::MCPServerKind(), object);
  ASSERT_TRUE(created.ok()) << created.status();
}

void World::CreatePool(const std::string& name, Json spec) {
  Object object(kube::MCPPoolKind(), "default", name);
  object.json()["spec"] = std::move(spec);
  const auto created = kube::AwaitCreate(*cluster_, kube::MCPPoolKind(), object);
  ASSERT_TRUE(created.ok()) << created.status();
}

void World::PatchServer(const std::string& name, Json spec) {
  const auto patched =
      kube::AwaitPatch(*cluster_, {kube::MCPServerKind(), "default", name}, {{"spec", std::move(spec)}});
  ASSERT_TRUE(patched.ok()) << patched.status();
}

void World::PatchPool(const std::string& name, Json spec) {
  const auto patched =
      kube::AwaitPatch(*cluster_, {kube::MCPPoolKind(), "default", name}, {{"spec", std::move(spec)}});
  ASSERT_TRUE(patched.ok()) << patched.status();
}

void World::Annotate(const std::string& name, const std::string& annotation, const std::string& value) {
  const auto patched = kube::AwaitPatch(*cluster_, {kube::MCPServerKind(), "default", name},
                                        {{"metadata", {{"annotations", {{annotation, value}}}}}});
  ASSERT_TRUE(patched.ok()) << patched.status();
}

void World::Delete(const kube::Kind& kind, const std::string& name) {
  const absl::Status deleted = kube::AwaitDelete(*cluster_, {kind, "default", name});
  ASSERT_TRUE(deleted.ok()) << deleted;
}

void World::Demand(const std::string& name) {
  const std::string uid = Server(name).uid();
  demands_.insert(uid);
  link_->Demand(uid);
}

void World::Use(const std::string& name, int calls_in_flight) {
  const std::string uid = Server(name).uid();
  Activity& activity = activity_[uid];
  ++activity.requests;
  activity.calls = calls_in_flight;
  activity.last = scheduler_.Now();
  link_->Tell(uid);
}

v1::MCPServer World::Server(const std::string& name) {
  const auto object = kube::AwaitGet(*cluster_, {kube::MCPServerKind(), "default", name});
  if (!object.ok()) return v1::MCPServer();
  return *ReadServer(*object);
}

v1::MCPPool World::Pool(const std::string& name) {
  const auto object = kube::AwaitGet(*cluster_, {kube::MCPPoolKind(), "default", name});
  if (!object.ok()) return v1::MCPPool();
  return *ReadPool(*object);
}

bool World::Exists(const kube::Kind& kind, const std::string& name) {
  return kube::AwaitGet(*cluster_, {kind, "default", name}).ok();
}

const v1::Condition* World::Condition(const std::string& name, const std::string& type) {
  server_ = Server(name);
  return FindCondition(server_.status().conditions(), type);
}

std::vector<Object> World::Pods() { return kube::AwaitList(*cluster_, kube::PodKind(), "default")->items; }

std::string World::Metrics() { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

v1::MCPPool World::PublishedPool(const std::string& name) {
  for (const auto& [uid, pool] : published_pools_) {
    if (pool.name() == name) return pool;
  }
  return v1::MCPPool();
}

v1::PublishedServer World::Published(const std::string& name) { return published_[Server(name).uid()]; }

}  // namespace unmcp::controller
