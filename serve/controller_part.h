// The controller, with the embedded cluster and its node.
#ifndef UNMCP_SERVE_CONTROLLER_PART_H_
#define UNMCP_SERVE_CONTROLLER_PART_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bridge/supervisor.h"
#include "common/event_loop.h"
#include "controller/controller.h"
#include "grpcpp/channel.h"
#include "kube/embedded/embedded_cluster.h"
#include "kube/embedded/node.h"
#include "kube/socket/cluster_server.h"
#include "serve/process.h"

namespace unmcp {

// Whoever holds the data directory. Example:
//
//   UNMCP_ASSIGN_OR_RETURN(auto supervisor, bridge::Supervisor::Launch());   // before any thread
//   UNMCP_ASSIGN_OR_RETURN(auto part, ControllerPart::Create({.data_dir = dir, .identity = "unmcp-up"},
//                                                            std::move(supervisor), fatal));
//   … apply manifests to part->cluster() …
//   UNMCP_RETURN_IF_ERROR(part->Start({channel}));
//   …
//   part->Stop();
//
// Thread safety: methods from the main thread.
class ControllerPart {
 public:
  struct Options {
    std::string data_dir;
    std::string ns = "default";
    // Where other processes reach the cluster; "" for nowhere.
    std::string cluster_socket;
    std::string identity;
  };

  // Takes the data directory, ends what an earlier run has left in it, and runs
  // Pods from here on. `fatal` is called when the supervisor is lost.
  static absl::StatusOr<std::unique_ptr<ControllerPart>> Create(Options options,
                                                                std::unique_ptr<bridge::Supervisor> supervisor,
                                                                Fatal fatal);
  ~ControllerPart();

  // While this lives.
  kube::Cluster* cluster() { return cluster_.get(); }
  EventLoop* loop() { return &control_loop_; }

  // Begins to reconcile, for the apiservers behind these channels. Once.
  absl::Status Start(std::vector<std::shared_ptr<grpc::Channel>> apiservers);
  // Stops reconciling, then every process. The cluster still answers in this
  // process. Idempotent.
  void Stop();

 private:
  ControllerPart(Options options, std::unique_ptr<bridge::Supervisor> supervisor);
  absl::Status Init(Fatal fatal);
  absl::Status EvictPods();
  absl::StatusOr<uint64_t> NextEpoch();

  const Options options_;
  bool started_ = false;
  // Loops outlive what lives on them; the cluster outlives its users but calls
  // back into loops, so it is between.
  EventLoop node_loop_{"node"};
  EventLoop control_loop_{"controller"};
  const std::unique_ptr<bridge::Supervisor> supervisor_;
  std::unique_ptr<kube::EmbeddedCluster> cluster_;
  std::unique_ptr<kube::EmbeddedNode> node_;
  std::unique_ptr<kube::ClusterServer> cluster_server_;
  std::unique_ptr<controller::Controller> controller_;
};

}  // namespace unmcp

#endif  // UNMCP_SERVE_CONTROLLER_PART_H_
