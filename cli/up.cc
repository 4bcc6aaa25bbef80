#include "cli/up.h"

#include <unistd.h>

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apiserver/apiserver.h"
#include "bridge/supervisor.h"
#include "cli/declared.h"
#include "cli/endpoints.h"
#include "cli/server_table.h"
#include "common/event_loop.h"
#include "common/grpc_status.h"
#include "common/mutex.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "glog/logging.h"
#include "kube/informer.h"
#include "prometheus/registry.h"
#include "serve/controller_part.h"
#include "serve/flags.h"
#include "serve/gateway_part.h"
#include "serve/process.h"
#include "unmcp/v1/manifest_service.grpc.pb.h"

namespace unmcp {
namespace {

constexpr absl::Duration kRpcGrace = absl::Milliseconds(500);

class Up final : public Program {
 public:
  Up(UpOptions options, std::ostream& out) : options_(std::move(options)), out_(out) {}

  ~Up() override {
    Stop();
    data_loop_.Stop();
  }

  absl::Status Init(Fatal fatal) {
    if (!options_.manifests.empty()) {
      UNMCP_ASSIGN_OR_RETURN(manifests_, LoadDeclared(options_.manifests, options_.inputs, options_.ns, std::cin,
                                                      [](const std::string& note) { LOG(INFO) << note; }));
    }
    UNMCP_ASSIGN_OR_RETURN(auto supervisor, bridge::Supervisor::Launch());  // before any thread
    UNMCP_ASSIGN_OR_RETURN(
        controller_,
        ControllerPart::Create({.data_dir = options_.data_dir, .ns = options_.ns, .identity = "unmcp-up"},
                               std::move(supervisor), std::move(fatal)));
    UNMCP_ASSIGN_OR_RETURN(apiserver_, apiserver::ApiServer::Create({.loop = &data_loop_,
                                                                     .cluster = controller_->cluster(),
                                                                     .random = Random::System(),
                                                                     .registry = &apiserver_registry_,
                                                                     .version = kVersion,
                                                                     .ns = options_.ns,
                                                                     .host = options_.host,
                                                                     .port = options_.grpc_port}));
    UNMCP_ASSIGN_OR_RETURN(gateway_, GatewayPart::Create({.loop = &data_loop_,
                                                          .api = apiserver_->ApiChannel(),
                                                          .internal = apiserver_->InternalChannel(),
                                                          .completions = apiserver_->completions(),
                                                          .host = options_.host,
                                                          .port = options_.port,
                                                          .allowed_hosts = options_.allowed_hosts,
                                                          .allowed_origins = options_.allowed_origins,
                                                          .on_ready = [this] { ready_.Notify(); }}));
    return absl::OkStatus();
  }

  absl::Status Start() override {
    data_loop_.Start();
    // Before there is a controller: what ran before a restart is not to be
    // started as it was declared then.
    UNMCP_RETURN_IF_ERROR(ApplyManifests());
    UNMCP_RETURN_IF_ERROR(controller_->Start({apiserver_->InternalChannel()}));
    started_ = true;
    ready_.Wait();
    UNMCP_RETURN_IF_ERROR(
        WriteEndpoints(options_.data_dir, {.grpc = ClientAddress(options_.host, apiserver_->port()),
                                           .http = "http://" + ClientAddress(options_.host, gateway_->port()),
                                           .pid = getpid()}));
    const std::string url = HttpUrl(options_.host, gateway_->port());
    out_ << "ready " << url << std::endl;
    LOG(INFO) << "gRPC on " << HostPort(options_.host, apiserver_->port()) << ", data in " << options_.data_dir;
    controller_->loop()->Post([this, url] { PrintServers(url); });
    return absl::OkStatus();
  }

  void Stop() override {
    if (!std::exchange(started_, false)) return;
    RemoveEndpoints(options_.data_dir);
    gateway_->BeginStop();
    apiserver_->CloseSessions("unmcp is stopping");
    gateway_->Stop();
    RunOn(controller_->loop(), [this](absl::AnyInvocable<void()> done) {
      table_informer_.reset();
      done();
    });
    controller_->Stop();
    apiserver_->Shutdown(kRpcGrace);
  }

 private:
  absl::Status ApplyManifests() {
    const auto manifests = v1::ManifestService::NewStub(apiserver_->ApiChannel());
    for (const kube::Object& object : std::exchange(manifests_, {})) {
      grpc::ClientContext context;
      v1::ApplyResponse applied;
      const absl::Status status = FromGrpc(manifests->Apply(&context, ToApplyRequest(object), &applied));
      if (!status.ok()) {
        return absl::Status(status.code(),
                            absl::StrCat(object.kind(), " \"", object.name(), "\": ", status.message()));
      }
      if (applied.change() != "unchanged") LOG(INFO) << object.kind() << " " << object.name() << " " << applied.change();
    }
    return absl::OkStatus();
  }

  void PrintServers(const std::string& url) {
    table_informer_ = std::make_unique<kube::Informer>(kube::Informer::Options{.scheduler = controller_->loop(),
                                                                               .cluster = controller_->cluster(),
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
  Notification ready_;
  bool started_ = false;

  // The loop outlives what lives on it, and what calls back into it.
  EventLoop data_loop_{"data"};
  std::unique_ptr<ControllerPart> controller_;
  std::unique_ptr<apiserver::ApiServer> apiserver_;
  std::unique_ptr<GatewayPart> gateway_;
  std::unique_ptr<ServerTable> table_;
  std::unique_ptr<kube::Informer> table_informer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Program>> CreateUp(UpOptions options, Fatal fatal, std::ostream& out) {
  auto up = std::make_unique<Up>(std::move(options), out);
  UNMCP_RETURN_IF_ERROR(up->Init(std::move(fatal)));
  return up;
}

}  // namespace unmcp
