// Serves a Cluster to the other processes of unmcp on this machine
// (proto/unmcp/cluster/v1/cluster.proto), over a Unix socket.
#ifndef UNMCP_KUBE_SOCKET_CLUSTER_SERVER_H_
#define UNMCP_KUBE_SOCKET_CLUSTER_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/event_loop.h"
#include "common/private_socket.h"
#include "kube/cluster.h"

namespace grpc {
class Server;
}

namespace unmcp::kube {

class ClusterService;

// Whoever may open the socket may do everything that the cluster can: see
// PrivateSocket for who that is.
//
// A watch whose reader falls behind by more than kMaxQueuedBytes ends with
// OUT_OF_RANGE, as an API server ends it: the reader lists again.
//
//   UNMCP_ASSIGN_OR_RETURN(auto server, ClusterServer::Create(cluster.get(), "/run/unmcp/cluster.sock"));
//
// Thread safety: made and destroyed on one thread, which is none of the
// cluster's. The cluster outlives it, and still answers when it is destroyed.
class ClusterServer {
 public:
  // Some thousand objects: a burst of a large fleet.
  static constexpr size_t kMaxQueuedBytes = 64 << 20;

  // Listens from here on. Errors: those of PrivateSocket.
  static absl::StatusOr<std::unique_ptr<ClusterServer>> Create(Cluster* cluster, const std::string& socket);
  // Ends what is under way: clients see UNAVAILABLE.
  ~ClusterServer();

 private:
  explicit ClusterServer(std::unique_ptr<PrivateSocket> socket);

  const std::unique_ptr<PrivateSocket> socket_;
  EventLoop loop_;  // of the attachments
  std::unique_ptr<ClusterService> service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_SOCKET_CLUSTER_SERVER_H_
