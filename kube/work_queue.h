// Which keys need work, in which order, and when: the queue in front of a
// reconciler. A key is work to be looked at, never a description of the work:
// adding it ten times means looking once.
#ifndef UNMCP_KUBE_WORK_QUEUE_H_
#define UNMCP_KUBE_WORK_QUEUE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/scheduler.h"

namespace unmcp::kube {

// Example:
//
//   WorkQueue queue({.scheduler = loop, .process = [&](const std::string& key) { Reconcile(key); }});
//   queue.Add("server/everything", WorkQueue::kHigh);
//   … and when Reconcile has ended, however long after:
//   queue.Forget(key);                       // or queue.Retry(key) if it failed
//   queue.AddAfter(key, absl::Seconds(60));  // to look again
//   queue.Done(key);
//
// A key that is added while it is processed is processed once more after its
// Done: there are never two workers on one key. `process` is called from the
// scheduler, never from inside Add.
//
// Thread safety: none; everything on the scheduler.
class WorkQueue {
 public:
  // Higher goes first; within one priority, who came first. A key's priority
  // is the highest it was added with since it was last processed.
  enum Priority : int {
    kLow = -100,   // what a start or a relist brings: everything at once, none of it urgent
    kNormal = 0,   // changes
    kHigh = 100,   // somebody waits
  };

  // Failures of one key: 5 ms, so that a lost race for a resourceVersion costs
  // nothing, doubling to 30 s: whatever broke, the informers find it mended
  // within 30 s too, so that to wait longer would only delay the recovery.
  static constexpr absl::Duration kFirstRetry = absl::Milliseconds(5);
  static constexpr absl::Duration kMaxRetry = absl::Seconds(30);

  struct Options {
    Scheduler* scheduler = nullptr;
    // Begins to work on a key. Done has to follow, now or later.
    absl::AnyInvocable<void(const std::string& key)> process;
    // Keys in work at once. Work waits on the API server, not on the CPU, so
    // that one would be slow; 64 requests in flight do not trouble any.
    int max_concurrent = 64;
    // Optional, for metrics: a key was added that had not been waiting; and one
    // begins to be worked on after it has waited so long. Called from inside Add
    // and before `process`: they only look.
    std::function<void()> on_added = nullptr;
    std::function<void(absl::Duration waited)> on_begun = nullptr;
  };
  explicit WorkQueue(Options options);

  void Add(const std::string& key, Priority priority = kNormal);
  // Adds the key `delay` from now. A key has one such appointment: the latest
  // call decides, and processing the key for another reason cancels it.
  void AddAfter(const std::string& key, absl::Duration delay, Priority priority = kNormal);
  // Adds the key after its back-off, which grows until Forget.
  void Retry(const std::string& key, Priority priority = kNormal);
  void Forget(const std::string& key);
  // The key's work has ended.
  void Done(const std::string& key);

  // No key is processed any more. Those in work still have to be Done.
  void Shutdown();

  // Keys that wait for a worker.
  size_t depth() const { return ready_.size(); }

 private:
  struct Entry {
    bool queued = false;
    bool processing = false;
    // Added while processing, or in ready_: with which priority and turn.
    Priority priority = kLow;
    uint64_t turn = 0;
    absl::Time queued_at = absl::InfinitePast();
    int failures = 0;
    absl::Time due = absl::InfiniteFuture();
    Priority due_priority = kNormal;
  };
  using Turn = std::tuple<int, uint64_t, std::string>;

  Turn TurnOf(const std::string& key, const Entry& entry) const {
    return {-entry.priority, entry.turn, key};
  }
  void CancelAppointment(const std::string& key, Entry* entry);
  void SetTimer();
  void OnTimer();
  void SchedulePump();
  void Pump();
  // Entries that remember nothing cost nothing.
  void Sweep(const std::string& key);

  Options options_;
  absl::flat_hash_map<std::string, Entry> entries_;
  std::set<Turn> ready_;
  std::set<std::pair<absl::Time, std::string>> appointments_;
  Timer timer_;
  bool pump_posted_ = false;
  uint64_t last_turn_ = 0;
  int in_work_ = 0;
  bool shut_down_ = false;
  // Posted tasks that outlive the queue find this gone.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_WORK_QUEUE_H_
