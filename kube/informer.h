// A cache of all objects of one kind in one namespace that follows the
// cluster: list, then watch, then resume; list again when the watch's history
// is gone. Objects are immutable and shared.
#ifndef UNMCP_KUBE_INFORMER_H_
#define UNMCP_KUBE_INFORMER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "common/random.h"
#include "common/scheduler.h"
#include "kube/cluster.h"

namespace unmcp::kube {

// Orders two resourceVersions: <0, 0, >0. They are decimal numbers of any
// length (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
int CompareVersions(absl::string_view a, absl::string_view b);

// Example:
//
//   Informer pods({.scheduler = loop, .cluster = cluster, .kind = PodKind(), .ns = "default",
//                  .random = Random::System(), .indexes = {{"owner", OwnerIndex}}});
//   pods.Start({.on_deleted = [&](const Informer::ObjectPtr& pod) { … }});
//   pods.ByIndex("owner", uid);
//
// The cache never falls behind its own process: hand the answer of each write
// to Upsert, and older watch events will not undo it (read your own writes).
//
// Every list is a quorum read: a list from a cache that lags may show a past
// in which a Pod of ours does not exist yet.
//
// Thread safety: none; everything on the scheduler, handlers too. The
// scheduler outlives the informer and every call it has made to the cluster.
class Informer {
 public:
  using ObjectPtr = std::shared_ptr<const Object>;
  // The values under which an object is found; an empty one is left out.
  using IndexFunction = std::function<std::string(const Object&)>;

  // Backing off from a cluster that does not answer, as client-go and kube-rs
  // do: up to twice the delay by jitter, so that replicas spread out; forgotten
  // after a watch has held for kHealthy.
  static constexpr absl::Duration kFirstBackoff = absl::Milliseconds(800);
  static constexpr absl::Duration kMaxBackoff = absl::Seconds(30);
  static constexpr absl::Duration kHealthy = absl::Minutes(2);
  // A watch that ends this soon and brought nothing counts as failed: a server
  // that closes at once must not be asked in a tight loop.
  static constexpr absl::Duration kShortWatch = absl::Seconds(1);
  // client-go's page: large enough for few round trips, small enough for the
  // server's memory.
  static constexpr int kPageSize = 500;

  struct Options {
    Scheduler* scheduler = nullptr;
    Cluster* cluster = nullptr;
    Kind kind;
    std::string ns;
    std::string label_selector;
    Random* random = nullptr;
    std::map<std::string, IndexFunction> indexes;
  };
  // Any may be empty. An object replaced by another of the same name is
  // deleted, then added. Handlers may not destroy the informer.
  struct Handlers {
    std::function<void(const ObjectPtr&)> on_added;
    std::function<void(const ObjectPtr& before, const ObjectPtr& now)> on_updated;
    std::function<void(const ObjectPtr&)> on_deleted;
    // The first list is in the cache, and its on_added have run.
    std::function<void()> on_synced;
  };

  explicit Informer(Options options);

  // Once.
  void Start(Handlers handlers);

  bool synced() const { return synced_; }
  size_t size() const { return objects_.size(); }
  // nullptr: there is none.
  ObjectPtr Get(const std::string& name) const;
  // In no order.
  std::vector<ObjectPtr> ByIndex(const std::string& index, const std::string& value) const;

  // Takes over an object that the cluster just answered with. Ignored when the
  // watch has been past it already. It has to match the label selector.
  void Upsert(Object object);

 private:
  void List(std::string continue_token, int page_size);
  void OnPage(absl::StatusOr<ObjectList> page, int page_size);
  void Replace();
  void StartWatch();
  void OnEvent(WatchEvent event);
  void OnWatchEnd(absl::Status why);
  // Runs `again` after the back-off.
  void BackOff(absl::AnyInvocable<void()> again);

  void Store(Object object);
  void Remove(const std::string& name);
  void Index(const ObjectPtr& object, bool add);
  void Advance(const std::string& version);
  // Wraps a callback of the cluster so that it runs on the scheduler, unless
  // the informer or the round it belongs to is over.
  template <class T>
  absl::AnyInvocable<void(T)> OnScheduler(void (Informer::*method)(T));

  Options options_;
  Handlers handlers_;
  bool synced_ = false;
  absl::flat_hash_map<std::string, ObjectPtr> objects_;
  // index name → value → names
  std::map<std::string, absl::flat_hash_map<std::string, absl::flat_hash_set<std::string>>> indexes_;

  // The list in progress.
  std::vector<Object> listed_;
  std::string list_version_;
  // Up to where the cluster's history has been taken in.
  std::string version_ = "0";

  std::unique_ptr<Watch> watch_;
  absl::Time watch_started_;
  bool watch_brought_something_ = false;
  absl::Duration backoff_ = kFirstBackoff;
  Timer retry_;
  // Replaced whenever a list or a watch begins: what an earlier one still
  // delivers finds its round gone.
  std::shared_ptr<bool> round_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_INFORMER_H_
