// The apiserver: the gRPC API, the published state, and the data path.
#ifndef UNMCP_APISERVER_APISERVER_H_
#define UNMCP_APISERVER_APISERVER_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/random.h"
#include "kube/cluster.h"

namespace grpc {
class Channel;
}
namespace prometheus {
class Registry;
}

namespace unmcp::link {
class CompletionDriver;
}

namespace unmcp::apiserver {

// Example (order matters; see each method):
//
//   auto apiserver = ApiServer::Create({.loop = &loop, .cluster = cluster, …});
//   controller options.apiservers = {apiserver->InternalChannel()};
//   loop.Start();
//   …
//   apiserver->Shutdown(absl::Seconds(5));   // the loop still turns
//   loop.Stop();
//
// Thread safety: methods from the main thread.
class ApiServer {
 public:
  struct Options {
    EventLoop* loop = nullptr;         // of the data path; not started yet
    kube::Cluster* cluster = nullptr;  // outlives this
    Random* random = nullptr;
    prometheus::Registry* registry = nullptr;
    std::string version;
    // The namespace that is served; "" until a controller has said it.
    std::string ns;
    std::string host;  // to bind for gRPC clients
    int port = 0;      // 0 picks a free one
    // For controllers and gateways in other processes, which only this user may
    // have: paths of Unix sockets for the internal services, and for the API.
    // Both or neither; "" is for those of this process alone.
    std::string internal_socket, api_socket;
    // Whether spec.podTemplate may be written through the API.
    bool allow_pod_template = true;
    // Called once, on the loop: the first snapshot of the state is complete,
    // and the health service says SERVING.
    absl::AnyInvocable<void()> on_ready = [] {};
  };

  // UNAVAILABLE when the port is taken, saying what to do; errors of
  // PrivateSocket.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Create(Options options);
  // After the loop has stopped.
  virtual ~ApiServer() = default;

  // The port that gRPC clients reach.
  virtual int port() const = 0;
  // To the services that clients reach too: the API, and health.
  virtual std::shared_ptr<grpc::Channel> ApiChannel() = 0;
  // To the services between unmcp's own parts: the state stream and the Link.
  // They are on no port: whoever could publish state could capture every
  // server. File modes keep others from Options.internal_socket.
  virtual std::shared_ptr<grpc::Channel> InternalChannel() = 0;
  // For a link::Caller of the same process, on the same loop. Not with
  // Options.internal_socket.
  virtual link::CompletionDriver* completions() = 0;
  // Ends every session in good order: their streams are told that they are
  // over. The health service says NOT_SERVING from then on.
  virtual void CloseSessions(absl::string_view why) = 0;
  // Refuses new calls and ends those under way after `grace` at the most.
  // While the loop still turns.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_APISERVER_H_
