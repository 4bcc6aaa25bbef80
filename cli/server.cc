#include "cli/server.h"

#include <filesystem>
#include <string>
#include <utility>

#include "common/event_loop.h"
#include "common/status_macros.h"
#include "glog/logging.h"
#include "serve/apiserver_part.h"
#include "serve/gateway_part.h"

namespace unmcp {
namespace {

class Server final : public Program {
 public:
  explicit Server(std::ostream& out) : out_(out) {}
  ~Server() override { gateway_loop_.Stop(); }

  absl::Status Init(const FleetOptions& options) {
    const std::string cluster =
        options.cluster_socket.empty() ? ClusterSocketIn(options.data_dir) : options.cluster_socket;
    // The controller looks for apiservers in its data directory, which is that
    // of its socket too.
    const std::string apiserver =
        options.data_dir.empty() ? std::filesystem::path(cluster).replace_filename("apiserver.sock").string()
                                 : ApiserverSocketIn(options.data_dir);
    LOG(INFO) << "waiting for unmcp-controller: its cluster on " << cluster << ", and itself on " << apiserver;
    UNMCP_ASSIGN_OR_RETURN(apiserver_, ApiserverPart::Create({.cluster_socket = cluster,
                                                              .apiserver_socket = apiserver,
                                                              .host = options.host,
                                                              .grpc_port = options.grpc_port,
                                                              .allow_pod_template = options.allow_pod_template,
                                                              .on_ready = [] {}}));
    UNMCP_ASSIGN_OR_RETURN(
        gateway_, GatewayPart::Create({.loop = &gateway_loop_,
                                       .apiserver_socket = apiserver,
                                       .host = options.host,
                                       .port = options.port,
                                       .allowed_hosts = options.allowed_hosts,
                                       .allowed_origins = options.allowed_origins,
                                       .on_ready = [this, host = options.host] {
                                         out_ << "ready " << HttpUrl(host, gateway_->port()) << std::endl;
                                       }}));
    return absl::OkStatus();
  }

  absl::Status Start() override {
    apiserver_->Start();
    gateway_loop_.Start();
    return absl::OkStatus();
  }

  void Stop() override {
    gateway_->BeginStop();
    apiserver_->CloseSessions();
    gateway_->Stop();
    apiserver_->Stop();
  }

 private:
  std::ostream& out_;
  EventLoop gateway_loop_{"gateway"};
  std::unique_ptr<ApiserverPart> apiserver_;
  std::unique_ptr<GatewayPart> gateway_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Program>> CreateServer(const FleetOptions& options, std::ostream& out) {
  auto server = std::make_unique<Server>(out);
  UNMCP_RETURN_IF_ERROR(server->Init(options));
  return server;
}

}  // namespace unmcp
