// For tests: the Cluster's asynchronous calls as blocking ones, and a recorder
// of watch events. A test waits for what has to happen, never for a time; the
// timeout only turns a hang into a failure.
#ifndef UNMCP_KUBE_AWAIT_H_
#define UNMCP_KUBE_AWAIT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "kube/cluster.h"

namespace unmcp::kube {

// Longer than any machine that is merely slow.
inline constexpr absl::Duration kAwaitTimeout = absl::Seconds(30);

// Runs `call`, and blocks until the callback it was given has run.
//
//   absl::StatusOr<Object> pod = Await<Object>([&](Callback<Object> done) { cluster.Get(ref, std::move(done)); });
//
// DEADLINE_EXCEEDED after kAwaitTimeout; a callback that comes later does no harm.
template <class T>
absl::StatusOr<T> Await(const std::function<void(Callback<T>)>& call) {
  struct State {
    absl::Mutex mutex;
    bool done ABSL_GUARDED_BY(mutex) = false;
    absl::StatusOr<T> result ABSL_GUARDED_BY(mutex);
  };
  auto state = std::make_shared<State>();
  call([state](absl::StatusOr<T> result) {
    absl::MutexLock lock(&state->mutex);
    state->result = std::move(result);
    state->done = true;
  });
  absl::MutexLock lock(&state->mutex);
  if (!state->mutex.AwaitWithTimeout(absl::Condition(&state->done), kAwaitTimeout)) {
    return absl::DeadlineExceededError("the callback did not run");
  }
  return std::move(state->result);
}

inline absl::StatusOr<Object> AwaitGet(Cluster& cluster, const ObjectRef& ref) {
  return Await<Object>([&](Callback<Object> done) { cluster.Get(ref, std::move(done)); });
}

inline absl::StatusOr<ObjectList> AwaitList(Cluster& cluster, const Kind& kind, const std::string& ns,
                                            ListOptions options = {}) {
  return Await<ObjectList>([&](Callback<ObjectList> done) { cluster.List(kind, ns, options, std::move(done)); });
}

inline absl::StatusOr<Object> AwaitCreate(Cluster& cluster, const Kind& kind, const Object& object) {
  return Await<Object>([&](Callback<Object> done) { cluster.Create(kind, object, std::move(done)); });
}

inline absl::StatusOr<Object> AwaitPatch(Cluster& cluster, const ObjectRef& ref, const Json& patch,
                                         PatchOptions options = {}) {
  return Await<Object>([&](Callback<Object> done) { cluster.Patch(ref, patch, options, std::move(done)); });
}

inline absl::Status AwaitDelete(Cluster& cluster, const ObjectRef& ref, DeleteOptions options = {}) {
  return Await<bool>([&](Callback<bool> done) {
           cluster.Delete(ref, options, [done = std::move(done)](absl::Status deleted) mutable {
             if (deleted.ok()) {
               done(true);
             } else {
               done(std::move(deleted));
             }
           });
         })
      .status();
}

// Watches from its construction on, and keeps what it hears.
//
//   WatchRecorder watch(cluster, PodKind(), ns, {.resource_version = list.resource_version});
//   ASSERT_TRUE(watch.WaitFor([](const std::vector<WatchEvent>& events) { return events.size() == 2; }));
//
// Thread safety: thread safe.
class WatchRecorder {
 public:
  using Predicate = std::function<bool(const std::vector<WatchEvent>&)>;

  WatchRecorder(Cluster& cluster, const Kind& kind, const std::string& ns, WatchOptions options)
      : state_(std::make_shared<State>()) {
    WatchCallbacks callbacks;
    callbacks.on_event = [state = state_](WatchEvent event) {
      if (event.type == WatchEventType::kBookmark) return;
      absl::MutexLock lock(&state->mutex);
      state->events.push_back(std::move(event));
    };
    callbacks.on_end = [state = state_](absl::Status status) {
      absl::MutexLock lock(&state->mutex);
      state->ended = true;
      state->end = std::move(status);
    };
    watch_ = cluster.StartWatch(kind, ns, std::move(options), std::move(callbacks));
  }

  // False when `predicate` did not become true, or the watch ended before.
  bool WaitFor(const Predicate& predicate) const {
    absl::MutexLock lock(&state_->mutex);
    auto met = [&]()
                   ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex) { return predicate(state_->events) || state_->ended; };
    state_->mutex.AwaitWithTimeout(absl::Condition(&met), kAwaitTimeout);
    return predicate(state_->events);
  }
  bool WaitForCount(size_t count) const {
    return WaitFor([count](const std::vector<WatchEvent>& events) { return events.size() >= count; });
  }

  std::vector<WatchEvent> events() const {
    absl::MutexLock lock(&state_->mutex);
    return state_->events;
  }

  // How the watch ended; DEADLINE_EXCEEDED when it did not.
  absl::Status WaitForEnd() const {
    absl::MutexLock lock(&state_->mutex);
    if (!state_->mutex.AwaitWithTimeout(absl::Condition(&state_->ended), kAwaitTimeout)) {
      return absl::DeadlineExceededError("the watch did not end");
    }
    return state_->end;
  }

  // Ends the watch; what it has heard stays.
  void Stop() { watch_.reset(); }

 private:
  struct State {
    absl::Mutex mutex;
    std::vector<WatchEvent> events ABSL_GUARDED_BY(mutex);
    bool ended ABSL_GUARDED_BY(mutex) = false;
    absl::Status end ABSL_GUARDED_BY(mutex);
  };
  const std::shared_ptr<State> state_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_AWAIT_H_
