// Garbage collection by owner references, as kube-controller-manager does it:
// an object whose owners are all gone is deleted; "foregroundDeletion" and
// "orphan" finalizers are carried out.
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/
#ifndef UNMCP_KUBE_EMBEDDED_GARBAGE_COLLECTOR_H_
#define UNMCP_KUBE_EMBEDDED_GARBAGE_COLLECTOR_H_

#include <cstddef>
#include <set>
#include <string>

#include "kube/embedded/api.h"
#include "kube/embedded/registry.h"
#include "kube/embedded/store.h"

namespace unmcp::kube {

// Learns of every committed change, and notes which objects to look at; works
// on them in transactions of their own.
//
// Thread compatible. What it is given outlives it.
class GarbageCollector {
 public:
  // One transaction's worth: short enough that other writers do not notice.
  static constexpr size_t kMaxPerTurn = 256;

  GarbageCollector(Store* store, Api* api, const Registry* registry) : store_(store), api_(api), registry_(registry) {}

  // Notes every object that may need something, after the store was opened: a
  // crash may have come between an owner's end and its dependents'.
  void ObserveAll();
  void Observe(const Change& change);

  bool has_work() const { return !pending_.empty(); }
  // Writes what a turn of noted objects need. Repeats exactly until Committed.
  void Collect();
  void Committed();

 private:
  // How an owner reference looks from its dependent.
  enum class Owner { kSolid, kWaiting, kGone };

  Owner StateOf(const Json& reference, const std::string& ns) const;
  void ObserveObject(const Key& key, const Object& object);
  void ObserveOwners(const Object& object);
  void Examine(const Key& key);
  // Carries out the finalizers of an object that is being deleted.
  void Orphan(const Key& key, const Object& object);
  void WaitForDependents(const Key& key, const Object& object);
  // Deletes a dependent without owners, or removes the references that have become void.
  void ExamineOwners(const Key& key, const Object& object);
  void RemoveFinalizer(const Key& key, const char* name);
  void Write(const Key& key, Object object);

  Store* const store_;
  Api* const api_;
  const Registry* const registry_;
  std::set<Key> pending_;
  std::set<Key> turn_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_GARBAGE_COLLECTOR_H_
