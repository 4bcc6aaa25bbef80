// Runs one Pod of the embedded node.
#ifndef UNMCP_KUBE_EMBEDDED_POD_WORKER_H_
#define UNMCP_KUBE_EMBEDDED_POD_WORKER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bridge/supervisor.h"
#include "common/event_loop.h"
#include "common/random.h"
#include "kube/cluster.h"
#include "kube/embedded/cgroups.h"
#include "kube/embedded/limits.h"
#include "kube/embedded/log_buffer.h"
#include "kube/embedded/log_reader.h"
#include "kube/embedded/node_runtime.h"
#include "kube/embedded/pipe_attachment.h"
#include "kube/embedded/pod_status.h"
#include "kube/embedded/process_spec.h"
#include "kube/embedded/readiness_probe.h"
#include "kube/embedded/restart_backoff.h"

namespace unmcp::kube {

// What all workers of a node share. Outlives them.
struct PodWorkerContext {
  EventLoop* loop;
  Cluster* cluster;
  bridge::Supervisor* supervisor;
  Random* random;
  std::vector<std::string> environment;
  size_t log_bytes;
  // Null where there are none, and why.
  Cgroups* cgroups;
  std::string why_no_cgroups;
};

// From the moment that the Pod is seen until it is gone and no process of it is
// left. Lives on the context's loop.
class PodWorker {
 public:
  using PodPtr = std::shared_ptr<const Object>;

  // Begins at once. `idle` is called, from the loop, when no process is left
  // after Remove or Shutdown; it may destroy this. A Pod that says it is
  // running has lost its process with the unmcp before this one.
  PodWorker(const PodWorkerContext* context, PodPtr pod, absl::AnyInvocable<void()> idle);
  ~PodWorker();

  // The Pod has changed: what matters is that it is to be deleted.
  void Update(PodPtr pod);
  // The Pod is gone from the cluster: its process has nobody left to run for.
  void Remove();
  // unmcp ends. The Pod stays as the cluster has it, for the next start.
  void Shutdown();

  // As Cluster::Attach and Cluster::Logs.
  absl::StatusOr<std::unique_ptr<Attachment>> Attach(const AttachOptions& options);
  absl::StatusOr<std::string> Logs(const LogOptions& options) const;
  // As NodeRuntime::FollowLogs. RESOURCE_EXHAUSTED beyond kMaxFollowers.
  void FollowLogs(const LogOptions& options, std::shared_ptr<LogSink> sink);

  // Followers of one container at a time: more than have eyes for it.
  static constexpr size_t kMaxFollowers = 64;

 private:
  enum class State { kWaiting, kStarting, kRunning, kFinished };

  void TakeUp();
  // Reads the Secrets and ConfigMaps that it needs, then launches.
  void Start();
  void ReadConfig();
  void OnConfig(absl::StatusOr<Object> object);
  void Launch();
  // Whether the container can be started now; otherwise it waits for that.
  bool Prepare(bridge::ProcessSpec* spec);
  bool PortsAreFree(const Json& container);
  void PutLimits(const ContainerLimits& limits, bridge::ProcessSpec* spec);
  void OnStarted(absl::StatusOr<bridge::Process> process);
  void OnExited(bridge::ExitStatus exit);
  // Ends the process, with SIGKILL after `grace`, or does at once what follows.
  void Stop(absl::Duration grace);
  void Stopped();
  void Delete();
  void OnDeleted(absl::Status status);
  // Is not tried again.
  void WaitForever(const std::string& reason, const std::string& message);
  void OnLogText(absl::string_view bytes);
  void EndFollowers(const absl::Status& why);
  void OnProbed(bool ready, const std::string& why);
  void SetCondition(const std::string& type, bool status, const std::string& reason, const std::string& message);
  void RestartAfter(absl::Duration delay, const std::string& reason, const std::string& message);
  // Writes the status, unless a write is under way: that is followed by another.
  void Publish();
  void OnPublished(absl::StatusOr<Object> written);
  bool stopping() const { return deleting_ || removed_ || shutdown_; }
  absl::Status CheckContainer(const std::string& name) const;
  // Wraps a callback so that it runs on the loop, if this still exists then.
  template <class T>
  absl::AnyInvocable<void(T)> OnLoop(void (PodWorker::*method)(T));

  const PodWorkerContext& context_;
  PodPtr pod_;
  absl::AnyInvocable<void()> idle_;
  State state_ = State::kWaiting;
  bool deleting_ = false, removed_ = false, shutdown_ = false;
  absl::Duration grace_;  // given to Stop

  ContainerView view_;
  bool has_lived_ = false;
  Json published_;   // the status as last written
  Json publishing_;  // null: no write is under way
  RestartBackoff backoff_;
  Timer timer_;  // until the next start, SIGKILL, or attempt to delete
  Timer publish_again_;

  // For the next start.
  std::vector<ObjectRef> config_to_read_;
  ConfigObjects config_;

  // The present life.
  uint64_t process_id_ = 0;
  absl::Time started_at_;
  std::shared_ptr<ContainerPipes> pipes_;  // nullptr: stdout goes to the log
  LogBuffer log_;                          // of all lives
  size_t log_mark_ = 0;                    // where this one's begins
  std::vector<std::unique_ptr<LogReader>> log_readers_;
  std::vector<std::shared_ptr<LogSink>> followers_;
  std::string cgroup_;  // "": none
  std::unique_ptr<ReadinessProbe> probe_;

  // Tells callbacks that are still to come that this is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_POD_WORKER_H_
