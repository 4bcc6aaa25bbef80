// The apiserver over another process's cluster.
#ifndef UNMCP_SERVE_APISERVER_PART_H_
#define UNMCP_SERVE_APISERVER_PART_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "apiserver/apiserver.h"
#include "common/event_loop.h"
#include "kube/socket/socket_cluster.h"
#include "prometheus/registry.h"

namespace unmcp {

// Example:
//
//   UNMCP_ASSIGN_OR_RETURN(auto part, ApiserverPart::Create({.cluster_socket = …, .apiserver_socket = …, …}));
//   part->Start();
//   …
//   part->CloseSessions();
//   part->Stop();
//
// Thread safety: methods from the main thread.
class ApiserverPart {
 public:
  struct Options {
    // Where the cluster is.
    std::string cluster_socket;
    // Where controllers and gateways come: see ApiSocketBeside.
    std::string apiserver_socket;
    // For gRPC clients.
    std::string host;
    int grpc_port = 0;
    // Whether spec.podTemplate may be written through the API: with it, whoever
    // reaches the API may become whoever the controller can be.
    bool allow_pod_template = false;
    // Once, on some thread: a controller is there, and what it knows.
    absl::AnyInvocable<void()> on_ready;
  };

  // Listens from here on. Errors: those of ApiServer::Create.
  static absl::StatusOr<std::unique_ptr<ApiserverPart>> Create(Options options);
  ~ApiserverPart();

  int grpc_port() const { return apiserver_->port(); }

  void Start();
  // Tells the clients of every session that it is over.
  void CloseSessions();
  void Stop();

 private:
  explicit ApiserverPart(const std::string& cluster_socket) : cluster_(cluster_socket) {}

  EventLoop loop_{"data"};
  prometheus::Registry registry_;
  kube::SocketCluster cluster_;
  std::unique_ptr<apiserver::ApiServer> apiserver_;
};

}  // namespace unmcp

#endif  // UNMCP_SERVE_APISERVER_PART_H_
