#include "kube/embedded/garbage_collector.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "glog/logging.h"
#include "kube/embedded/metadata.h"

namespace unmcp::kube {
namespace {

std::string Text(const Json& json, const char* key) {
  auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

bool IsTrue(const Json& json, const char* key) {
  auto it = json.find(key);
  return it != json.end() && *it == true;
}

bool HasFinalizer(const Object& object, const char* name) {
  const std::vector<std::string> finalizers = Finalizers(object.json()["metadata"]);
  return std::find(finalizers.begin(), finalizers.end(), name) != finalizers.end();
}

bool WaitsForDependents(const Object& object) {
  return object.deleting() && HasFinalizer(object, kForegroundFinalizer);
}

std::vector<Json> References(const Object& object) {
  const Json& metadata = object.json()["metadata"];
  auto references = metadata.find("ownerReferences");
  return references == metadata.end() ? std::vector<Json>() : references->get<std::vector<Json>>();
}

Object WithReferences(Object object, const std::vector<Json>& references) {
  Json& metadata = object.json()["metadata"];
  if (references.empty()) {
    metadata.erase("ownerReferences");
  } else {
    metadata["ownerReferences"] = references;
  }
  return object;
}

template <class Predicate>
std::vector<Json> Without(std::vector<Json> references, Predicate unwanted) {
  references.erase(std::remove_if(references.begin(), references.end(), unwanted), references.end());
  return references;
}

}  // namespace

void GarbageCollector::ObserveAll() {
  store_->ForEach([this](const Key& key, const Object& object) { ObserveObject(key, object); });
}

void GarbageCollector::Observe(const Change& change) {
  if (change.type == WatchEventType::kDeleted) {
    pending_.merge(store_->Dependents(change.object->uid()));
  } else {
    ObserveObject(change.key, *change.object);
  }
  ObserveOwners(*change.object);
  if (change.before != nullptr) ObserveOwners(*change.before);
}

void GarbageCollector::ObserveObject(const Key& key, const Object& object) {
  if (object.deleting() && (HasFinalizer(object, kForegroundFinalizer) || HasFinalizer(object, kOrphanFinalizer))) {
    pending_.insert(key);
  }
  for (const Json& reference : References(object)) {
    if (StateOf(reference, key.ns) != Owner::kSolid) pending_.insert(key);
  }
}

// An owner that waits may have nothing left to wait for.
void GarbageCollector::ObserveOwners(const Object& object) {
  for (const OwnerReference& owner : object.owners()) {
    const Key* key = store_->FindUid(owner.uid);
    if (key != nullptr && WaitsForDependents(*store_->Find(*key))) pending_.insert(*key);
  }
}

void GarbageCollector::Collect() {
  while (turn_.size() < kMaxPerTurn && !pending_.empty()) turn_.insert(pending_.extract(pending_.begin()));
  for (const Key& key : turn_) Examine(key);
}

void GarbageCollector::Committed() { turn_.clear(); }

void GarbageCollector::Examine(const Key& key) {
  const ObjectPtr object = store_->Find(key);
  if (object == nullptr) return;
  if (object->deleting() && HasFinalizer(*object, kOrphanFinalizer)) {
    Orphan(key, *object);
  } else if (WaitsForDependents(*object)) {
    WaitForDependents(key, *object);
  } else {
    ExamineOwners(key, *object);
  }
}

void GarbageCollector::Orphan(const Key& key, const Object& object) {
  const std::string uid = object.uid();
  for (const Key& dependent : store_->Dependents(uid)) {
    const ObjectPtr present = store_->Find(dependent);
    Write(dependent, WithReferences(*present, Without(References(*present), [&](const Json& reference) {
            return Text(reference, "uid") == uid;
          })));
  }
  RemoveFinalizer(key, kOrphanFinalizer);
}

void GarbageCollector::WaitForDependents(const Key& key, const Object& object) {
  const std::string uid = object.uid();
  bool blocked = false;
  for (const Key& dependent : store_->Dependents(uid)) {
    const ObjectPtr present = store_->Find(dependent);
    if (present == nullptr || dependent.ns != key.ns) continue;
    for (const Json& reference : References(*present)) {
      if (Text(reference, "uid") != uid || !IsTrue(reference, "blockOwnerDeletion")) continue;
      ExamineOwners(dependent, *present);
      const ObjectPtr left = store_->Find(dependent);
      blocked |= left != nullptr && store_->Dependents(uid).count(dependent) > 0;
      break;
    }
  }
  if (!blocked) RemoveFinalizer(key, kForegroundFinalizer);
}

void GarbageCollector::ExamineOwners(const Key& key, const Object& object) {
  bool solid = false, waiting = false;
  const std::vector<Json> references = References(object);
  std::vector<Json> kept;
  for (const Json& reference : references) {
    const Owner state = StateOf(reference, key.ns);
    solid |= state == Owner::kSolid;
    waiting |= state == Owner::kWaiting;
    if (state == Owner::kSolid) kept.push_back(reference);
  }
  if (kept.size() == references.size()) return;
  if (solid) {
    Write(key, WithReferences(object, kept));
    return;
  }
  if (object.deleting()) return;
  DeleteOptions options;
  options.uid = object.uid();
  if (HasFinalizer(object, kOrphanFinalizer)) {
    options.propagation = Propagation::kOrphan;
  } else if (HasFinalizer(object, kForegroundFinalizer) || (waiting && !store_->Dependents(object.uid()).empty())) {
    options.propagation = Propagation::kForeground;
  }
  const KindInfo* info = registry_->Find(object.api_version(), object.kind());
  if (info == nullptr) return;  // its CRD is gone: nobody can see it
  const absl::Status deleted = api_->Delete({info->kind, key.ns, key.name}, options);
  LOG_IF(ERROR, !deleted.ok()) << "cannot delete " << key.resource << " " << key.ns << "/" << key.name
                               << ", whose owner is gone: " << deleted;
}

GarbageCollector::Owner GarbageCollector::StateOf(const Json& reference, const std::string& ns) const {
  const KindInfo* info = registry_->Find(Text(reference, "apiVersion"), Text(reference, "kind"));
  // Nobody here can say whether an object of an unknown kind exists.
  if (info == nullptr) return Owner::kSolid;
  const Key* key = store_->FindUid(Text(reference, "uid"));
  if (key == nullptr || !(*key == Key{GroupResource(info->kind), ns, Text(reference, "name")})) return Owner::kGone;
  return WaitsForDependents(*store_->Find(*key)) ? Owner::kWaiting : Owner::kSolid;
}

void GarbageCollector::RemoveFinalizer(const Key& key, const char* name) {
  Object object = *store_->Find(key);
  Json& metadata = object.json()["metadata"];
  std::vector<std::string> finalizers = Finalizers(metadata);
  finalizers.erase(std::remove(finalizers.begin(), finalizers.end(), name), finalizers.end());
  SetFinalizers(finalizers, metadata);
  Write(key, std::move(object));
}

void GarbageCollector::Write(const Key& key, Object object) {
  const absl::Status written = api_->Write(key, std::move(object)).status();
  LOG_IF(ERROR, !written.ok()) << "garbage collector: " << written;
}

}  // namespace unmcp::kube
