// The embedded cluster's one node: it runs Pods as processes of this machine.
#ifndef UNMCP_KUBE_EMBEDDED_NODE_H_
#define UNMCP_KUBE_EMBEDDED_NODE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "bridge/supervisor.h"
#include "common/event_loop.h"
#include "common/random.h"
#include "kube/cluster.h"
#include "kube/embedded/cgroups.h"
#include "kube/embedded/node_runtime.h"
#include "kube/embedded/pod_worker.h"
#include "kube/informer.h"

namespace unmcp::kube {

// What unmcp was started with, "NAME=value".
std::vector<std::string> OwnEnvironment();

// Takes every Pod of its namespace and does for it what a kubelet would:
//
// - Its one container's command and args run as a process group, in the host's
//   network, with Options::environment and the container's env over it. npx,
//   uvx and whatever they start need PATH, HOME and much more of what the
//   person at this machine has set up. So servers see all variables of unmcp:
//   start it without those that they must not see.
// - A container with `stdin: true` (it speaks MCP over stdio) has its stdin and
//   stdout kept for Attach, see ContainerPipes, and its stderr for Logs. Of any
//   other, stdin is closed, and stdout goes to the log too.
// - status says what is: phase, conditions, containerStatuses with a containerID
//   of its own for each life ("process://…"), restartCount, and how the life
//   before ended, with the last lines of its log as the message.
// - A container that ends is started again as restartPolicy says, with
//   RestartBackoff. So is one that was running when unmcp last ended.
// - What is deleted gets its stdin closed and SIGTERM, SIGKILL after its grace
//   period, and is gone from the cluster when its process group is.
// - env may come from Secrets, ConfigMaps and fields of the Pod.
// - resources.limits hold by cgroup where there are some, otherwise memory's by
//   rlimit; unmcp.dev/LimitsEnforced says which.
// - A readinessProbe (tcpSocket, httpGet) decides whether it is Ready.
// - What cannot be run here waits: ImageNotRunnable, CreateContainerConfigError
//   (until a Secret or ConfigMap that is missing is there); PortInUse and
//   CreateContainerError are tried again. The message says what to do.
// - Fields without effect here are named in unmcp.dev/PodHonored, when there
//   are any.
//
// Example:
//
//   UNMCP_ASSIGN_OR_RETURN(auto node, EmbeddedNode::Create({.loop = &loop, .cluster = cluster.get(), …}));
//   cluster->SetNode(node.get());
//   …
//   loop.Post([&] { node->Shutdown([&] { stopped.Notify(); }); });
//   stopped.Wait();
//   cluster->SetNode(nullptr);
//
// Lives on its loop, which is also the supervisor's: Shutdown there; destroyed
// there, or after the loop has stopped. Attach, Logs and FollowLogs from any
// thread.
class EmbeddedNode final : public NodeRuntime {
 public:
  // A container's log in memory, all its lives together: some thousand lines,
  // and 100 busy containers are 25 MB.
  static constexpr size_t kLogBytes = 256 * 1024;

  struct Options {
    // These outlive the node, and `loop` the cluster's calls.
    EventLoop* loop = nullptr;
    Cluster* cluster = nullptr;
    bridge::Supervisor* supervisor = nullptr;  // started on `loop`
    Random* random = Random::System();
    std::string ns;
    std::vector<std::string> environment = OwnEnvironment();
    size_t log_bytes = kLogBytes;
    // The cluster's, which only one unmcp has at a time: processes that another
    // had started over it, and that have survived it, are killed first. They
    // are known by UNMCP_NODE in their environment. "" for no such thing.
    std::string data_dir = {};
    // For resources.limits. Where these are not to be had, the processes' own
    // limits have to do; the Pod's condition unmcp.dev/LimitsEnforced says so.
    Cgroups::Options cgroups = {};
  };

  // INVALID_ARGUMENT when an option is missing. Any thread. Waits a moment for
  // processes that an unmcp that was killed together with its supervisor has
  // left, see Cgroups::Create.
  static absl::StatusOr<std::unique_ptr<EmbeddedNode>> Create(Options options);

  void Attach(const std::string& pod_uid, AttachOptions options, Callback<std::unique_ptr<Attachment>> done) override;
  void Logs(const std::string& pod_uid, LogOptions options, Callback<std::string> done) override;
  void FollowLogs(const std::string& pod_uid, LogOptions options, std::shared_ptr<LogSink> sink) override;

  // Ends every process, with SIGTERM and 5 s later with SIGKILL, and calls
  // `done` when none is left. The Pods stay in the cluster as they are: the
  // next start runs them again. Once.
  void Shutdown(absl::AnyInvocable<void()> done);

 private:
  EmbeddedNode(Options options, absl::StatusOr<std::unique_ptr<Cgroups>> cgroups);
  void Start();
  void Add(const Informer::ObjectPtr& pod);
  void OnIdle(const std::string& uid);
  // Runs `call` on the loop with the worker of the Pod, and `done` with what it
  // answers.
  template <class T, class Call>
  void WithWorker(const std::string& pod_uid, Callback<T> done, Call call);

  const Options options_;
  const absl::StatusOr<std::unique_ptr<Cgroups>> cgroups_;
  const PodWorkerContext context_;
  Informer informer_;
  absl::flat_hash_map<std::string, std::unique_ptr<PodWorker>> workers_;  // by uid
  absl::AnyInvocable<void()> shut_down_;                                  // not empty: ending
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_NODE_H_
