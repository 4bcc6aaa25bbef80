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
#include "kube/embedded/log_buffer.h"
#include "kube/embedded/log_reader.h"
#include "kube/embedded/pipe_attachment.h"
#include "kube/embedded/pod_status.h"
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

  // The Pod has changed: what matters is that it is to be deleted.
  void Update(PodPtr pod);
  // The Pod is gone from the cluster: its process has nobody left to run for.
  void Remove();
  // unmcp ends. The Pod stays as the cluster has it, for the next start.
  void Shutdown();

  // As Cluster::Attach and Cluster::Logs.
  absl::StatusOr<std::unique_ptr<Attachment>> Attach(const AttachOptions& options);
  absl::StatusOr<std::string> Logs(const LogOptions& options) const;

 private:
  enum class State { kWaiting, kStarting, kRunning, kFinished };

  void TakeUp();
  void Start();
  void OnStarted(absl::StatusOr<bridge::Process> process);
  void OnExited(bridge::ExitStatus exit);
  // Ends the process, with SIGKILL after `grace`, or does at once what follows.
  void Stop(absl::Duration grace);
  void Stopped();
  void Delete();
  void OnDeleted(absl::Status status);
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

  // The present life.
  uint64_t process_id_ = 0;
  absl::Time started_at_;
  std::shared_ptr<ContainerPipes> pipes_;  // nullptr: stdout goes to the log
  LogBuffer log_;                          // of all lives
  size_t log_mark_ = 0;                    // where this one's begins
  std::vector<std::unique_ptr<LogReader>> log_readers_;

  // Tells callbacks that are still to come that this is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_POD_WORKER_H_
