#include "cli/up.h"

#include <unistd.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apiserver/apiserver.h"
#include "cli/apply.h"
#include "cli/endpoints.h"
#include "cli/manifest_loader.h"
#include "cli/server_table.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "controller/controller.h"
#include "gateway/gateway.h"
#include "glog/logging.h"
#include "kube/embedded/embedded_cluster.h"
#include "kube/embedded/node.h"
#include "kube/informer.h"
#include "link/caller.h"
#include "prometheus/registry.h"
#include "proto/schema/crd.h"

namespace unmcp {
namespace {

// One process leads for as long as it lives; a successor is another process
// with another apiserver.
constexpr uint64_t kEpoch = 1;

// The parts of a shutdown, 8 s in all (a supervisor of services allows 10):
// answers under way, then processes (SIGTERM, 5 s, SIGKILL: see EmbeddedNode).
constexpr absl::Duration kStreamGrace = absl::Seconds(2);
constexpr absl::Duration kRpcGrace = absl::Milliseconds(500);
constexpr absl::Duration kFlushTime = absl::Milliseconds(50);

std::string Url(const std::string& host, int port) {
  return absl::StrCat("http://", absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host, ":", port);
}

class UpImpl final : public Up {
 public:
  UpImpl(UpOptions options, std::unique_ptr<bridge::Supervisor> supervisor, std::ostream& out)
      : options_(std::move(options)), out_(out), supervisor_(std::move(supervisor)) {}

  ~UpImpl() override {
    Stop();
    data_loop_.Stop();
    control_loop_.Stop();
    node_loop_.Stop();
    if (cluster_) cluster_->SetNode(nullptr);
  }

  absl::Status Init() {
    if (!options_.manifests.empty()) {
      UNMCP_ASSIGN_OR_RETURN(manifests_, LoadManifests(options_.manifests, {.ns = options_.ns}));
    }
    UNMCP_ASSIGN_OR_RETURN(cluster_,
                           kube::EmbeddedCluster::Create({.data_dir = options_.data_dir, .crds = AllCrds()}));
    UNMCP_RETURN_IF_ERROR(EvictPods());
    supervisor_->Start(&node_loop_);
    UNMCP_ASSIGN_OR_RETURN(
        node_, kube::EmbeddedNode::Create({.loop = &node_loop_,
                                           .cluster = cluster_.get(),
                                           .supervisor = supervisor_.get(),
                                           .ns = options_.ns,
                                           .data_dir = options_.data_dir}));
    cluster_->SetNode(node_.get());
    UNMCP_ASSIGN_OR_RETURN(apiserver_, apiserver::ApiServer::Create({.loop = &data_loop_,
                                                                     .cluster = cluster_.get(),
                                                                     .random = Random::System(),
                                                                     .registry = &apiserver_registry_,
                                                                     .version = kVersion,
                                                                     .host = options_.host,
                                                                     .port = options_.grpc_port,
                                                                     .on_ready = [this] { synced_.Notify(); }}));
    caller_ = link::Caller::Create({&data_loop_, apiserver_->InternalChannel(), apiserver_->completions(),
                                    [this](bool connected) {
                                      if (connected && !std::exchange(was_linked_, true)) linked_.Notify();
                                    }});
    UNMCP_ASSIGN_OR_RETURN(
        gateway_, gateway::Gateway::Create({.loop = &data_loop_,
                                            .host = options_.host,
                                            .port = options_.port,
                                            .channel = apiserver_->ApiChannel(),
                                            .caller = caller_.get(),
                                            .registry = &gateway_registry_,
                                            .allowed_hosts = options_.allowed_hosts,
                                            .allowed_origins = options_.allowed_origins,
                                            .version = kVersion}));
    UNMCP_ASSIGN_OR_RETURN(controller_,
                           controller::Controller::Create({.scheduler = &control_loop_,
                                                           .cluster = cluster_.get(),
                                                           .ns = options_.ns,
                                                           .apiservers = {apiserver_->InternalChannel()},
                                                           .epoch = kEpoch,
                                                           .identity = "unmcp-up",
                                                           .random = Random::System()}));
    return absl::OkStatus();
  }

  absl::Status Start() override {
    node_loop_.Start();
    data_loop_.Start();
    control_loop_.Start();
    started_ = true;
    UNMCP_RETURN_IF_ERROR(ApplyManifests());
    control_loop_.Post([this] { controller_->Start(); });
    linked_.Wait();
    synced_.Wait();
    data_loop_.Post([this] { gateway_->SetServing(true); });
    const std::string url = Url(options_.host, gateway_->port());
    UNMCP_RETURN_IF_ERROR(
        WriteEndpoints(options_.data_dir, {.grpc = ClientAddress(options_.host, apiserver_->port()),
                                           .http = "http://" + ClientAddress(options_.host, gateway_->port()),
                                           .pid = getpid()}));
    out_ << "ready " << url << std::endl;
    LOG(INFO) << "gRPC on " << options_.host << ":" << apiserver_->port() << ", data in " << options_.data_dir;
    control_loop_.Post([this, url] { PrintServers(url); });
    return absl::OkStatus();
  }

  void OnFatal(absl::AnyInvocable<void(absl::Status)> fatal) override {
    supervisor_->OnHelperLost([fatal = std::move(fatal)]() mutable {
      fatal(absl::InternalError(
          "the process supervisor has ended, and with it every server's process; start unmcp again"));
    });
  }

  void Stop() override {
    if (!std::exchange(started_, false)) return;
    RemoveEndpoints(options_.data_dir);
    data_loop_.Post([this] { gateway_->SetServing(false); });
    apiserver_->CloseSessions("unmcp is stopping");
    // What that told the clients reaches the gateway within the loop's next turns.
    Wait(&data_loop_, [this](absl::AnyInvocable<void()> done) { data_loop_.After(kFlushTime, std::move(done)); });
    Wait(&data_loop_, [this](absl::AnyInvocable<void()> done) { gateway_->Shutdown(kStreamGrace, std::move(done)); });
    Wait(&control_loop_, [this](absl::AnyInvocable<void()> done) {
      table_informer_.reset();
      controller_->Shutdown(std::move(done));
    });
    Wait(&node_loop_, [this](absl::AnyInvocable<void()> done) { node_->Shutdown(std::move(done)); });
    Wait(&data_loop_, [this](absl::AnyInvocable<void()> done) {
      caller_->Shutdown();
      done();
    });
    apiserver_->Shutdown(kRpcGrace);
  }

 private:
  // Runs `step` on `loop` and waits for the done that it is given.
  static void Wait(EventLoop* loop, absl::AnyInvocable<void(absl::AnyInvocable<void()> done)> step) {
    Notification finished;
    loop->Post([&] { step([&] { finished.Notify(); }); });
    finished.Wait();
  }

  // What ran when unmcp last ended has ended with it: its Pods are over, as on a
  // node that is lost. Left alone they would be run again as they were declared
  // then, whether anybody wants them or not.
  absl::Status EvictPods() {
    std::promise<absl::StatusOr<kube::ObjectList>> listed;
    cluster_->List(kube::PodKind(), options_.ns, {},
                   [&](absl::StatusOr<kube::ObjectList> pods) { listed.set_value(std::move(pods)); });
    UNMCP_ASSIGN_OR_RETURN(const kube::ObjectList pods, listed.get_future().get());
    for (const kube::Object& pod : pods.items) {
      std::promise<absl::Status> deleted;
      cluster_->Delete({kube::PodKind(), options_.ns, pod.name()}, {.uid = pod.uid(), .grace_period_seconds = 0},
                       [&](absl::Status status) { deleted.set_value(std::move(status)); });
      const absl::Status status = deleted.get_future().get();
      if (!status.ok() && !absl::IsNotFound(status)) return status;
    }
    return absl::OkStatus();
  }

  absl::Status ApplyManifests() {
    std::promise<absl::Status> result;
    ApplyAll(cluster_.get(), std::move(manifests_), [&](absl::StatusOr<std::vector<Applied>> applied) {
      if (applied.ok()) {
        for (const Applied& a : *applied) {
          if (a.change == Change::kUnchanged) continue;
          LOG(INFO) << a.ref.kind.kind << " " << a.ref.name
                    << (a.change == Change::kCreated ? " created" : " configured");
        }
      }
      result.set_value(applied.status());
    });
    return result.get_future().get();
  }

  void PrintServers(const std::string& url) {
    table_informer_ = std::make_unique<kube::Informer>(kube::Informer::Options{.scheduler = &control_loop_,
                                                                               .cluster = cluster_.get(),
                                                                               .kind = kube::MCPServerKind(),
                                                                               .ns = options_.ns,
                                                                               .random = Random::System()});
    auto print = [this](const kube::Informer::ObjectPtr& server) {
      if (auto line = table_->Observe(*server)) out_ << *line << std::endl;
    };
    auto first = std::make_shared<std::vector<kube::Informer::ObjectPtr>>();
    table_informer_->Start({.on_added =
                                [this, print, first](const auto& server) {
                                  // How wide the columns have to be is known when the first list is.
                                  if (table_) {
                                    print(server);
                                  } else {
                                    first->push_back(server);
                                  }
                                },
                            .on_updated = [print](const auto&, const auto& now) { print(now); },
                            .on_synced =
                                [this, url, print, first] {
                                  std::vector<std::string> names;
                                  for (const auto& server : *first) names.push_back(server->name());
                                  table_ = std::make_unique<ServerTable>(url, names);
                                  for (const auto& server : *first) print(server);
                                  first->clear();
                                }});
  }

  const UpOptions options_;
  std::ostream& out_;
  std::vector<kube::Object> manifests_;
  // One each, as if they were two processes: the gateway shows both.
  prometheus::Registry apiserver_registry_, gateway_registry_;
  Notification linked_, synced_;
  bool was_linked_ = false;
  bool started_ = false;

  // Loops outlive what lives on them; the cluster outlives its users but
  // calls back into loops, so it is between.
  EventLoop node_loop_{"node"};
  EventLoop control_loop_{"controller"};
  EventLoop data_loop_{"data"};
  const std::unique_ptr<bridge::Supervisor> supervisor_;
  std::unique_ptr<kube::EmbeddedCluster> cluster_;
  std::unique_ptr<kube::EmbeddedNode> node_;
  std::unique_ptr<apiserver::ApiServer> apiserver_;
  std::unique_ptr<link::Caller> caller_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<controller::Controller> controller_;
  std::unique_ptr<ServerTable> table_;
  std::unique_ptr<kube::Informer> table_informer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Up>> Up::Create(UpOptions options, std::unique_ptr<bridge::Supervisor> supervisor,
                                               std::ostream& out) {
  auto up = std::make_unique<UpImpl>(std::move(options), std::move(supervisor), out);
  UNMCP_RETURN_IF_ERROR(up->Init());
  return up;
}

}  // namespace unmcp
