// The seam between unmcp and whatever runs its servers: a Kubernetes API
// server, or the embedded cluster on one machine. Everything above this file
// is the same for both; kube/cluster_conformance.h is the suite both pass.
//
// Calls are asynchronous: no thread waits on one. A callback runs exactly
// once, on a thread of the cluster's own, and must not block it; callers Post
// back to their own Scheduler.
//
// Errors follow the API server's Status reasons (kube/errors.h):
//   NOT_FOUND           no such object, or (Attach) no such running container
//   ALREADY_EXISTS      Create of a name that is taken
//   ABORTED             a precondition failed: resourceVersion or uid (409 Conflict)
//   INVALID_ARGUMENT    the object breaks its schema; the message names the field
//   OUT_OF_RANGE        a watch or continue token is too old (410 Gone): list again
//   UNAVAILABLE         the API server cannot be reached now
#ifndef UNMCP_KUBE_CLUSTER_H_
#define UNMCP_KUBE_CLUSTER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "kube/object.h"

namespace unmcp {
class EventLoop;
}

namespace unmcp::kube {

template <class T>
using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;
using DoneCallback = absl::AnyInvocable<void(absl::Status)>;

struct ListOptions {
  // Kubernetes label selector: "a=b,c!=d,e in (f,g),h,!i". Empty selects all.
  std::string label_selector = {};
  // Page size; 0 for everything at once.
  int limit = 0;
  // From the previous page.
  std::string continue_token = {};
  // "" reads the newest (a quorum read), "0" whatever a cache has.
  std::string resource_version = {};
};

struct ObjectList {
  std::vector<Object> items;
  // Where a watch continues from.
  std::string resource_version;
  // Not empty: there is another page.
  std::string continue_token;
};

struct PatchOptions {
  // "" or "status".
  std::string subresource = {};
};

enum class Propagation { kBackground, kForeground, kOrphan };

struct DeleteOptions {
  // Empty: no precondition.
  std::string uid = {};
  std::string resource_version = {};
  Propagation propagation = Propagation::kBackground;
  // Pods: how long a container may take to end after SIGTERM; default the
  // pod's own terminationGracePeriodSeconds.
  std::optional<int> grace_period_seconds = {};
};

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark };

struct WatchEvent {
  WatchEventType type;
  // For kDeleted the last state; for kBookmark only metadata.resourceVersion.
  Object object;
};

struct WatchOptions {
  std::string label_selector = {};
  // Events after this version. Required.
  std::string resource_version = {};
};

// A running watch. Destroying it ends the watch; a callback already running on
// another thread may still finish, none starts afterwards.
class Watch {
 public:
  virtual ~Watch() = default;
};

struct WatchCallbacks {
  absl::AnyInvocable<void(WatchEvent)> on_event;
  // Called once at the most, last: the watch has ended by itself (OK: the
  // server closed it, as it does every few minutes; OUT_OF_RANGE: list again).
  absl::AnyInvocable<void(absl::Status)> on_end;
};

// What an attachment tells its user, on the loop given to Start.
class AttachHandler {
 public:
  virtual ~AttachHandler() = default;
  // Bytes from the container's stdout, in whatever pieces they came.
  virtual void OnOutput(absl::string_view bytes) = 0;
  // What was written has been taken over by the container below the low mark:
  // pending() is 0 again.
  virtual void OnWritable() = 0;
  // The container ended, or the connection to it. Nothing follows.
  virtual void OnClosed(absl::Status why) = 0;
};

// stdin and stdout of one running container. After Start it belongs to one
// loop: every method, and its destruction, on that loop. Destroying it detaches
// and leaves the container running.
class Attachment {
 public:
  virtual ~Attachment() = default;
  // Begins to deliver. `handler` outlives the attachment. May be called on any
  // thread, once; the first callback comes from the loop.
  virtual void Start(EventLoop* loop, AttachHandler* handler) = 0;
  // Queues bytes for stdin. The caller bounds the queue by watching pending().
  virtual void Write(std::string bytes) = 0;
  // Bytes queued and not yet taken by the container.
  virtual size_t pending() const = 0;
  // Flow control: while paused, OnOutput is not called and the container's
  // pipe fills.
  virtual void PauseOutput() = 0;
  virtual void ResumeOutput() = 0;
};

struct AttachOptions {
  std::string container = {};
  // The life of the container that is meant (containerStatuses[].containerID);
  // NOT_FOUND when it is another by now.
  std::string container_id = {};
};

struct LogOptions {
  std::string container = {};
  // The last so many lines; 0 for all that are kept.
  int tail_lines = 0;
};

struct LogCallbacks {
  // Some whole lines.
  absl::AnyInvocable<void(std::string)> on_text;
  // Called once at the most, last.
  absl::AnyInvocable<void(absl::Status)> on_end;
};

// Thread safety: thread safe.
class Cluster {
 public:
  virtual ~Cluster() = default;

  virtual void Get(const ObjectRef& ref, Callback<Object> done) = 0;
  virtual void List(const Kind& kind, const std::string& ns, ListOptions options, Callback<ObjectList> done) = 0;
  // `object` names its kind, namespace and name (or generateName).
  virtual void Create(const Kind& kind, Object object, Callback<Object> done) = 0;
  // JSON merge patch (RFC 7386). With metadata.resourceVersion in the patch
  // the write is conditional. The main resource ignores changes to /status and
  // the other way round.
  virtual void Patch(const ObjectRef& ref, Json merge_patch, PatchOptions options, Callback<Object> done) = 0;
  virtual void Delete(const ObjectRef& ref, DeleteOptions options, DoneCallback done) = 0;

  // Events of one kind in one namespace, in order, without gaps. The callbacks
  // of one watch never run at the same time.
  virtual std::unique_ptr<Watch> StartWatch(const Kind& kind, const std::string& ns, WatchOptions options,
                                            WatchCallbacks callbacks) = 0;

  // `pod` has to be running. One attachment at a time per container: a new one
  // closes the one before it (its handler hears OnClosed with ABORTED).
  virtual void Attach(const ObjectRef& pod, AttachOptions options,
                      Callback<std::unique_ptr<Attachment>> done) = 0;

  // The kept tail of a container's log (stderr; stdout too unless it is the
  // protocol's).
  virtual void Logs(const ObjectRef& pod, LogOptions options, Callback<std::string> done) = 0;

  // The same, then what is written from then on, through every restart of the
  // container, until the Pod is gone or its container has ended for good (OK).
  // Errors come through on_end too. The callbacks of one stream never run at
  // the same time. Destroying the Watch ends it, as with StartWatch. A reader
  // that falls behind loses the oldest lines, and finds the line
  // "… N lines dropped" in their place.
  virtual std::unique_ptr<Watch> FollowLogs(const ObjectRef& pod, LogOptions options, LogCallbacks callbacks) = 0;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_CLUSTER_H_
