// For tests: the Cluster's asynchronous calls as blocking ones, and a recorder
// of watch events. A test waits for what has to happen, never for a time; the
// timeout only turns a hang into a failure.
#ifndef UNMCP_KUBE_AWAIT_H_
#define UNMCP_KUBE_AWAIT_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kube/cluster.h"

namespace unmcp::kube {

// Longer than any machine that is merely slow.
inline constexpr std::chrono::seconds kAwaitTimeout{30};

// A value that several threads change and one waits for. The value is reached
// through functions that run under its lock, and in no other way.
//
//   Monitor<int> answered(0);
//   …  answered.Update([](int& n) { ++n; });  …
//   ASSERT_TRUE(answered.WaitFor([](const int& n) { return n == 5; }));
//
// Thread safety: thread safe.
template <class T>
class Monitor {
 public:
  explicit Monitor(T value = T()) : value_(std::move(value)) {}

  template <class Function>
  void Update(Function function) {
    std::lock_guard<std::mutex> lock(mutex_);
    function(value_);
    changed_.notify_all();
  }
  template <class Function>
  auto Read(Function function) const {
    std::lock_guard<std::mutex> lock(mutex_);
    return function(value_);
  }
  T Copy() const {
    return Read([](const T& value) { return value; });
  }
  // False when `predicate` did not become true within kAwaitTimeout.
  template <class Predicate>
  bool WaitFor(Predicate predicate) const {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kAwaitTimeout, [&] { return predicate(value_); });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  T value_;
};

// Runs `call`, and blocks until the callback it was given has run.
//
//   absl::StatusOr<Object> pod = Await<Object>([&](Callback<Object> done) { cluster.Get(ref, std::move(done)); });
//
// DEADLINE_EXCEEDED after kAwaitTimeout; a callback that comes later does no harm.
template <class T>
absl::StatusOr<T> Await(const std::function<void(Callback<T>)>& call) {
  using Result = std::optional<absl::StatusOr<T>>;
  auto result = std::make_shared<Monitor<Result>>();
  call([result](absl::StatusOr<T> answer) { result->Update([&](Result& value) { value = std::move(answer); }); });
  if (!result->WaitFor([](const Result& value) { return value.has_value(); })) {
    return absl::DeadlineExceededError("the callback did not run");
  }
  absl::StatusOr<T> answer;
  result->Update([&](Result& value) { answer = *std::move(value); });
  return answer;
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
      : heard_(std::make_shared<Monitor<Heard>>()) {
    WatchCallbacks callbacks;
    callbacks.on_event = [heard = heard_](WatchEvent event) {
      if (event.type == WatchEventType::kBookmark) return;
      heard->Update([&](Heard& value) { value.events.push_back(std::move(event)); });
    };
    callbacks.on_end = [heard = heard_](absl::Status status) {
      heard->Update([&](Heard& value) { value.end = std::move(status); });
    };
    watch_ = cluster.StartWatch(kind, ns, std::move(options), std::move(callbacks));
  }

  // False when `predicate` did not become true, or the watch ended before.
  bool WaitFor(const Predicate& predicate) const {
    heard_->WaitFor([&](const Heard& value) { return predicate(value.events) || value.end; });
    return heard_->Read([&](const Heard& value) { return predicate(value.events); });
  }
  bool WaitForCount(size_t count) const {
    return WaitFor([count](const std::vector<WatchEvent>& events) { return events.size() >= count; });
  }

  std::vector<WatchEvent> events() const { return heard_->Copy().events; }

  // How the watch ended; DEADLINE_EXCEEDED when it did not.
  absl::Status WaitForEnd() const {
    heard_->WaitFor([](const Heard& value) { return value.end.has_value(); });
    return heard_->Copy().end.value_or(absl::DeadlineExceededError("the watch did not end"));
  }

  // Ends the watch; what it has heard stays.
  void Stop() { watch_.reset(); }

 private:
  struct Heard {
    std::vector<WatchEvent> events;
    std::optional<absl::Status> end;
  };
  const std::shared_ptr<Monitor<Heard>> heard_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_AWAIT_H_
