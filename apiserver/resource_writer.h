// Writes of servers and pools to the cluster: the one way by which the API
// does it, so that what is checked, how conflicts end and what becomes of
// secret values is the same for all of its methods.
#ifndef UNMCP_APISERVER_RESOURCE_WRITER_H_
#define UNMCP_APISERVER_RESOURCE_WRITER_H_

#include <functional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apiserver/secret_values.h"
#include "common/random.h"
#include "kube/cluster.h"
#include "kube/object.h"

namespace unmcp::apiserver {

// Attempts against other writers before a write without a resourceVersion is
// given up. Each loss means that somebody else's write succeeded meanwhile, so
// this many who write one resource at the same time all get their turn.
inline constexpr int kMaxWriteAttempts = 64;

// Secrets of values that no server refers to (the process ended between two
// writes) are deleted by the next write of the server when they are older.
// Longer than any write takes, so that no other writer's is hit.
inline constexpr absl::Duration kStraySecretAge = absl::Hours(1);

// The bound of Kubernetes (core/v1 MaxSecretSize).
inline constexpr size_t kMaxSecretBytes = 1024 * 1024;

// The type of the Secrets that values are moved into, and the labels that name
// whose they are. Nothing else of a user's is touched.
inline constexpr char kValuesSecretType[] = "unmcp.dev/values";
inline constexpr char kSecretServerLabel[] = "unmcp.dev/server";
inline constexpr char kSecretPoolLabel[] = "unmcp.dev/pool";

enum class Change { kCreated, kConfigured, kUnchanged };

// Example:
//
//   writer.Update({kube::MCPServerKind(), "default", "time"}, {.resource_version = "17"}, spec,
//                 [](absl::StatusOr<kube::Object> written) { … });
//
// Values that look secret (secret_values.h) go into a Secret of the cluster
// first, named after the server, then the server is written with references to
// it, then the Secret is given the server as its owner. A value that a Secret
// of the server holds already keeps its reference; a Secret that is not
// referred to any more is deleted. No error and no log line has a value.
//
// Errors of all: INVALID_ARGUMENT, PERMISSION_DENIED (podTemplate, see Options;
// or the cluster takes no Secrets), and those of kube::Cluster.
//
// Thread safety: thread safe. A callback runs once, on a thread of the
// cluster, which outlives what is under way.
class ResourceWriter {
 public:
  struct Options {
    kube::Cluster* cluster = nullptr;
    Random* random = nullptr;
    std::function<absl::Time()> now = absl::Now;
    // Whether spec.podTemplate may be written: in a cluster it is as good as
    // the right to create any Pod.
    bool allow_pod_template = true;
  };
  explicit ResourceWriter(Options options) : options_(std::move(options)) {}

  // What has to be so of the object there is. Empty: nothing.
  struct Precondition {
    std::string uid = {};               // else NOT_FOUND: the one that was meant has gone
    std::string resource_version = {};  // else ABORTED
  };
  struct Applied {
    Change change = Change::kUnchanged;
    kube::Object object;
  };

  // ALREADY_EXISTS when the name is taken.
  void Create(const std::string& ns, const std::string& name, Spec spec, kube::Callback<kube::Object> done);
  // The object gets this spec. Not written when it has it. NOT_FOUND.
  void Update(const kube::ObjectRef& ref, Precondition precondition, Spec spec, kube::Callback<kube::Object> done);
  // With everything that it owns.
  void Delete(const kube::ObjectRef& ref, Precondition precondition, kube::DoneCallback done);
  // Makes the cluster have the object of a manifest, as `kubectl apply` does:
  // an MCPServer, MCPPool, Secret or ConfigMap of namespace `ns`. What the
  // manifest's spec (a Secret's data) does not have is removed or takes its
  // default; labels and annotations are added to those that are there.
  void Apply(const std::string& ns, const kube::Json& manifest, kube::Callback<Applied> done);
  // Asks the controller to start or stop a server (common/annotations.h).
  // `by`: who asks, for people.
  void Start(const kube::ObjectRef& server, Precondition precondition, const std::string& by,
             kube::Callback<kube::Object> done);
  void Stop(const kube::ObjectRef& server, Precondition precondition, const std::string& by, bool suspend,
            kube::Callback<kube::Object> done);

 private:
  class Write;

  const Options options_;
};

// The merge patch (RFC 7386) that turns `live` into `wanted`: what `live` has
// and `wanted` has not is nulled. An empty object when they are the same.
kube::Json Difference(const kube::Json& live, const kube::Json& wanted);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_RESOURCE_WRITER_H_
