// What this apiserver knows of servers and pools: what the controller has
// published, and over it what has been written here and not been published
// yet. So whoever has written something reads it.
#ifndef UNMCP_APISERVER_DIRECTORY_H_
#define UNMCP_APISERVER_DIRECTORY_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "unmcp/v1/state.pb.h"

namespace unmcp::apiserver {

// How long a write that the controller does not publish stands in for it. It
// publishes within milliseconds; after a failover within seconds.
inline constexpr absl::Duration kOverlayLifetime = absl::Seconds(30);

// Writes that wait to be published at the same time; beyond it the oldest is
// forgotten. Far above what a cluster takes in kOverlayLifetime.
inline constexpr size_t kMaxOverlays = 10'000;

// The resource in an entry.
inline const v1::MCPServer& ResourceOf(const v1::PublishedServer& entry) { return entry.server(); }
inline v1::MCPServer* MutableResource(v1::PublishedServer* entry) { return entry->mutable_server(); }
inline const v1::MCPPool& ResourceOf(const v1::MCPPool& entry) { return entry; }
inline v1::MCPPool* MutableResource(v1::MCPPool* entry) { return entry; }

// The servers, or the pools.
//
// Thread safety: thread safe. Entries are immutable: a change replaces one.
template <class T>
class Catalog {
 public:
  using Entry = std::shared_ptr<const T>;
  using Resource = std::decay_t<decltype(ResourceOf(std::declval<T>()))>;
  using Clock = std::function<absl::Time()>;

  // Hears of changes, on the thread that makes them.
  class Observer {
   public:
    virtual ~Observer() = default;
    // What Find answers for this uid may have changed.
    virtual void OnChanged(const std::string& uid) = 0;
  };

  explicit Catalog(Clock now = absl::Now) : now_(std::move(now)) {}

  // From the state stream. A write that is newer still stands over it.
  void Put(Entry entry);
  // It is gone; nobody gets its uid again.
  void Remove(const std::string& uid);
  // The uids that the stream has put and not removed.
  std::vector<std::string> Published() const;

  // As a write or a read of the cluster has answered it; stands until the
  // stream brings this version or a newer one, and kOverlayLifetime at the most.
  void Written(const Resource& resource);
  // As a write has deleted it.
  void Deleted(const std::string& uid);

  // By uid or by name; null when there is none. A uid wins over a name, and
  // the younger of two that bear one name.
  Entry Find(absl::string_view uid_or_name) const;
  // All, by name.
  std::vector<Entry> List() const;

  // From now on, until the observer is gone.
  void Observe(std::weak_ptr<Observer> observer);

 private:
  struct Row {
    Entry published;
    Entry written;         // over `published`
    bool deleted = false;  // over both
    absl::Time expires = absl::InfinitePast();  // of the two
  };
  Entry Visible(const Row& row, absl::Time now) const;
  Row& RowFor(const std::string& uid, const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Overlay(Row& row, const std::string& uid, std::vector<std::string>* changed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropOverlay(const std::string& uid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(const std::string& uid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Expire(std::vector<std::string>* changed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Not under the mutex: observers read.
  void Tell(const std::vector<std::string>& changed);

  const Clock now_;
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, Row> rows_ ABSL_GUARDED_BY(mutex_);  // by uid
  // Whoever bears the name, the younger behind. A server that was deleted and
  // made again is there twice until the news of its deletion arrives.
  std::map<std::string, std::vector<std::string>> uids_of_name_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::string> name_of_uid_ ABSL_GUARDED_BY(mutex_);
  // Overlays in the order in which they expire; some have gone already.
  std::deque<std::pair<absl::Time, std::string>> overlays_ ABSL_GUARDED_BY(mutex_);

  Mutex observers_mutex_;
  std::vector<std::weak_ptr<Observer>> observers_ ABSL_GUARDED_BY(observers_mutex_);
};

extern template class Catalog<v1::PublishedServer>;
extern template class Catalog<v1::MCPPool>;

using Servers = Catalog<v1::PublishedServer>;
using Pools = Catalog<v1::MCPPool>;

// What is known of the controller that is followed, or was last.
struct ControllerInfo {
  bool connected = false;
  uint64_t epoch = 0;
  std::string identity;
  std::string ns;
  std::string metrics;  // its own figures, Prometheus text
};

// Thread safety: thread safe.
class Directory {
 public:
  explicit Directory(std::function<absl::Time()> now = absl::Now) : servers_(now), pools_(now) {}

  Servers& servers() { return servers_; }
  const Servers& servers() const { return servers_; }
  Pools& pools() { return pools_; }
  const Pools& pools() const { return pools_; }

  // Whether a whole snapshot has been received once.
  bool synced() const;
  void set_synced();

  ControllerInfo controller() const;
  void set_controller(ControllerInfo controller);
  void set_controller_connected(bool connected);
  void set_controller_metrics(std::string metrics);
  // The installation's namespace; "" before a controller has said it.
  std::string ns() const;

 private:
  Servers servers_;
  Pools pools_;
  mutable Mutex mutex_;
  bool synced_ ABSL_GUARDED_BY(mutex_) = false;
  ControllerInfo controller_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_DIRECTORY_H_
