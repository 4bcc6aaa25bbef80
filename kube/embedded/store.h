// The embedded cluster's objects in memory: versions, transactions, the recent
// history, and the indexes that garbage collection needs. It knows nothing of
// what a write means (api.h) nor of disks (database.h).
#ifndef UNMCP_KUBE_EMBEDDED_STORE_H_
#define UNMCP_KUBE_EMBEDDED_STORE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kube/cluster.h"
#include "kube/object.h"
#include "kube/selector.h"

namespace unmcp::kube {

// Watches and list pages read from the history. As many changes as a fleet of
// thousands makes in some minutes, and less memory than a browser tab; who is
// further behind lists again.
inline constexpr size_t kMaxHistoryEvents = 4096;
inline constexpr size_t kMaxHistoryBytes = 32 << 20;
// What etcd takes in one request by default.
inline constexpr size_t kMaxObjectBytes = 1536 << 10;

struct Key {
  std::string resource;  // GroupResource
  std::string ns;
  std::string name;

  friend bool operator==(const Key& a, const Key& b) {
    return std::tie(a.resource, a.ns, a.name) == std::tie(b.resource, b.ns, b.name);
  }
  friend bool operator<(const Key& a, const Key& b) {
    return std::tie(a.resource, a.ns, a.name) < std::tie(b.resource, b.ns, b.name);
  }
};
Key KeyOf(const ObjectRef& ref);

// Objects are shared between the store, the history and watches, and never change.
using ObjectPtr = std::shared_ptr<const Object>;

// One write.
struct Change {
  WatchEventType type;  // kAdded, kModified or kDeleted
  Key key;
  uint64_t version;
  ObjectPtr before;  // null for kAdded
  ObjectPtr object;  // for kDeleted the last state, with the version of its deletion
  std::string text;  // the object as it is stored; empty for kDeleted, and in the history
  size_t bytes;      // about what the object costs
};

// Thread compatible.
class Store {
 public:
  // Fills the store with what was written before, when it is opened.
  void Restore(const Key& key, Object object);
  // The version of the last write before; what is older is Gone.
  void RestoreVersion(uint64_t version);

  // Null when there is none.
  ObjectPtr Find(const Key& key) const;
  // Null when no object has this uid.
  const Key* FindUid(const std::string& uid) const;
  // Objects with an owner reference to `uid`.
  std::set<Key> Dependents(const std::string& uid) const;
  void ForEach(absl::FunctionRef<void(const Key&, const Object&)> visit) const;

  // `ns` "" is all namespaces. OUT_OF_RANGE: the token's version has left the
  // history, or a version is asked for that does not exist yet.
  absl::StatusOr<ObjectList> List(const std::string& resource, const std::string& ns, const ListOptions& options) const;

  // Writes, each with a version of its own, that Commit makes final and
  // Rollback takes back. Put sets metadata.resourceVersion and gives the
  // object as it is now. INVALID_ARGUMENT when it is too large or not UTF-8.
  absl::StatusOr<ObjectPtr> Put(const Key& key, Object object);
  void Remove(const Key& key);
  const std::vector<Change>& uncommitted() const { return uncommitted_; }
  // Of the last write, uncommitted ones included.
  uint64_t version() const { return version_; }
  std::vector<Change> Commit();
  void Rollback();

  // Runs `visit` over the committed changes after `version`, oldest first.
  // OUT_OF_RANGE, before any visit, as for List.
  absl::Status ChangesSince(uint64_t version, absl::FunctionRef<void(const Change&)> visit) const;

 private:
  // The one place where objects_ and its indexes change; null removes.
  void Set(const Key& key, ObjectPtr object);
  absl::Status CheckVersion(uint64_t version) const;

  std::map<Key, ObjectPtr> objects_;
  absl::flat_hash_map<std::string, Key> by_uid_;
  absl::flat_hash_map<std::string, std::set<Key>> dependents_;  // by the owner's uid

  uint64_t version_ = 0;
  uint64_t committed_version_ = 0;
  std::vector<Change> uncommitted_;

  std::deque<Change> history_;
  size_t history_bytes_ = 0;
  // The history holds every change after this version.
  uint64_t history_start_ = 0;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_STORE_H_
