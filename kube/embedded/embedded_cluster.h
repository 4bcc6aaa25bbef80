// Kubernetes' API for one machine, in process: the semantics that controllers
// rely on, durable in SQLite. kube/cluster_conformance.h holds it to them.
#ifndef UNMCP_KUBE_EMBEDDED_EMBEDDED_CLUSTER_H_
#define UNMCP_KUBE_EMBEDDED_EMBEDDED_CLUSTER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/random.h"
#include "kube/cluster.h"
#include "kube/embedded/api.h"
#include "kube/embedded/data_dir.h"
#include "kube/embedded/database.h"
#include "kube/embedded/garbage_collector.h"
#include "kube/embedded/log_follow.h"
#include "kube/embedded/node_runtime.h"
#include "kube/embedded/registry.h"
#include "kube/embedded/store.h"
#include "kube/embedded/watch_hub.h"

namespace unmcp::kube {

// Events are for people who ask what happened; Kubernetes keeps them as long.
inline constexpr absl::Duration kEventLifetime = absl::Hours(1);

// It has one thread: SQLite, and every callback, watches' included, are there.
// Calls that wait together are written in one transaction. Callbacks may call
// the cluster, and must not block.
//
// Beyond the errors in kube/cluster.h a write may fail with RESOURCE_EXHAUSTED
// (no room on disk; nothing has changed, and later writes may succeed) or
// UNAVAILABLE (the disk fails).
//
// Example:
//
//   UNMCP_ASSIGN_OR_RETURN(auto cluster, EmbeddedCluster::Create({.data_dir = dir, .crds = crds}));
//   cluster->SetNode(&node);
//   cluster->Create(MCPServerKind(), object, [](absl::StatusOr<Object> created) { … });
//
// Thread safety: thread safe. The destructor finishes the calls that were made
// before it; it must not run on the cluster's own thread. Watches may outlive
// the cluster.
class EmbeddedCluster final : public Cluster {
 public:
  struct Options {
    // Made when missing. One process at a time.
    std::string data_dir;
    // CustomResourceDefinition documents; kinds beside kube/object.h's built-in ones.
    std::vector<Json> crds = {};
    // Wall-clock time for timestamps and for the end of old Events. Called on
    // the cluster's thread, and in Create.
    std::function<absl::Time()> now = absl::Now;
    // Outlives the cluster.
    Random* random = Random::System();
    int64_t max_database_bytes = kMaxDatabaseBytes;
  };

  // Errors say what to do: a CRD that is wrong (INVALID_ARGUMENT), see also
  // DataDir::Open and Database::Open.
  static absl::StatusOr<std::unique_ptr<EmbeddedCluster>> Create(Options options);
  ~EmbeddedCluster() override;

  // Who runs the Pods; from here on a Pod that a node has taken is deleted in
  // two steps, as with a kubelet. Null: nobody any more. When it returns, the
  // node before is not called again. Not on a thread that the cluster waits for.
  void SetNode(NodeRuntime* node);

  void Get(const ObjectRef& ref, Callback<Object> done) override;
  void List(const Kind& kind, const std::string& ns, ListOptions options, Callback<ObjectList> done) override;
  void Create(const Kind& kind, Object object, Callback<Object> done) override;
  void Patch(const ObjectRef& ref, Json merge_patch, PatchOptions options, Callback<Object> done) override;
  void Delete(const ObjectRef& ref, DeleteOptions options, DoneCallback done) override;
  std::unique_ptr<Watch> StartWatch(const Kind& kind, const std::string& ns, WatchOptions options,
                                    WatchCallbacks callbacks) override;
  void Attach(const ObjectRef& pod, AttachOptions options, Callback<std::unique_ptr<Attachment>> done) override;
  void Logs(const ObjectRef& pod, LogOptions options, Callback<std::string> done) override;
  std::unique_ptr<Watch> FollowLogs(const ObjectRef& pod, LogOptions options, LogCallbacks callbacks) override;

 private:
  // `attempt` runs against the state in memory and keeps its outcome; it runs
  // again if the transaction it was part of could not be written. `finish`
  // answers: with that outcome, or with the error of the transaction.
  struct Call {
    absl::AnyInvocable<void()> attempt;
    absl::AnyInvocable<void(absl::Status)> finish;
  };

  EmbeddedCluster(Options options, std::unique_ptr<const Registry> registry, std::unique_ptr<DataDir> dir,
                  std::unique_ptr<Database> database);
  absl::Status Load();

  void Enqueue(Call call);
  // Enqueues a call whose outcome is `attempt`'s answer.
  template <class T>
  void Submit(std::function<absl::StatusOr<T>()> attempt, Callback<T> done);
  // Enqueues a call about a pod's container, for the node.
  template <class T>
  void SubmitToNode(const ObjectRef& pod, Callback<T> done,
                    absl::AnyInvocable<void(NodeRuntime*, const std::string&, Callback<T>)> call);

  // The rest, and all members but the constant ones, belong to the loop.
  void ProcessBatch();
  // Writes what the attempts have changed, and tells watches of it.
  absl::Status Commit();
  void CollectGarbage();
  void ExpireEvents();

  const std::function<absl::Time()> now_;
  const std::unique_ptr<const Registry> registry_;
  const std::unique_ptr<DataDir> dir_;
  const std::unique_ptr<Database> database_;
  Store store_;
  Api api_;
  GarbageCollector garbage_;
  bool garbage_scheduled_ = false;
  WatchHub watches_;
  NodeRuntime* node_ = nullptr;
  // The node may go on appending to them after this has ended.
  std::vector<std::weak_ptr<LogFollow>> follows_;

  std::vector<Call> queue_;
  bool batch_scheduled_ = false;

  EventLoop loop_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_EMBEDDED_CLUSTER_H_
