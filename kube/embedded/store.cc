#include "kube/embedded/store.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "kube/errors.h"

namespace unmcp::kube {
namespace {

struct ContinueToken {
  uint64_t version;
  Key after;
};

// Opaque to callers: version, namespace and name of the last object given.
std::string EncodeToken(uint64_t version, const Key& after) {
  return absl::WebSafeBase64Escape(absl::StrCat(version, "/", after.ns, "/", after.name));
}

absl::StatusOr<ContinueToken> DecodeToken(const std::string& resource, const std::string& text) {
  ContinueToken token;
  std::string plain;
  std::vector<std::string> parts;
  if (absl::WebSafeBase64Unescape(text, &plain)) parts = absl::StrSplit(plain, '/');
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &token.version)) {
    return BadRequest("continue key is not valid: list again without it");
  }
  token.after = {resource, parts[1], parts[2]};
  return token;
}

}  // namespace

Key KeyOf(const ObjectRef& ref) { return {GroupResource(ref.kind), ref.ns, ref.name}; }

void Store::Restore(const Key& key, Object object) { Set(key, std::make_shared<const Object>(std::move(object))); }

void Store::RestoreVersion(uint64_t version) { version_ = committed_version_ = history_start_ = version; }

ObjectPtr Store::Find(const Key& key) const {
  auto it = objects_.find(key);
  return it == objects_.end() ? nullptr : it->second;
}

const Key* Store::FindUid(const std::string& uid) const {
  auto it = by_uid_.find(uid);
  return it == by_uid_.end() ? nullptr : &it->second;
}

std::set<Key> Store::Dependents(const std::string& uid) const {
  auto it = dependents_.find(uid);
  return it == dependents_.end() ? std::set<Key>() : it->second;
}

void Store::ForEach(absl::FunctionRef<void(const Key&, const Object&)> visit) const {
  for (const auto& [key, object] : objects_) visit(key, *object);
}

absl::StatusOr<ObjectList> Store::List(const std::string& resource, const std::string& ns,
                                       const ListOptions& options) const {
  UNMCP_ASSIGN_OR_RETURN(const LabelSelector selector, LabelSelector::Parse(options.label_selector));
  if (options.limit < 0) return BadRequest("limit must not be negative");
  uint64_t version = version_;
  Key start{resource, ns, ""};
  // Objects as they were at the token's version, where that differs from now.
  std::map<Key, ObjectPtr> past;
  if (!options.continue_token.empty()) {
    UNMCP_ASSIGN_OR_RETURN(const ContinueToken token, DecodeToken(resource, options.continue_token));
    UNMCP_RETURN_IF_ERROR(CheckVersion(token.version));
    version = token.version;
    start = token.after;
    start.name += '\0';  // the next possible name
    const auto rewind = [&](const Change& change) {
      if (change.version > version && change.key.resource == resource) past[change.key] = change.before;
    };
    for (auto it = uncommitted_.rbegin(); it != uncommitted_.rend(); ++it) rewind(*it);
    for (auto it = history_.rbegin(); it != history_.rend() && it->version > version; ++it) rewind(*it);
  } else if (!options.resource_version.empty()) {
    uint64_t at_least;
    if (!absl::SimpleAtoi(options.resource_version, &at_least)) {
      return BadRequest(absl::StrCat("resourceVersion: \"", options.resource_version, "\" is not a number"));
    }
    if (at_least > version_) return CheckVersion(at_least);
  }

  ObjectList list;
  list.resource_version = absl::StrCat(version);
  auto now = objects_.lower_bound(start);
  auto then = past.lower_bound(start);
  const auto in_range = [&](const Key& key) { return key.resource == resource && (ns.empty() || key.ns == ns); };
  while (true) {
    const bool have_now = now != objects_.end() && in_range(now->first);
    const bool have_then = then != past.end() && in_range(then->first);
    if (!have_now && !have_then) break;
    ObjectPtr object;
    if (have_then && (!have_now || !(now->first < then->first))) {
      if (have_now && now->first == then->first) ++now;
      object = (then++)->second;
    } else {
      object = (now++)->second;
    }
    if (object == nullptr || !selector.Matches(*object)) continue;
    if (options.limit > 0 && list.items.size() == static_cast<size_t>(options.limit)) {
      const Object& last = list.items.back();
      list.continue_token = EncodeToken(version, {resource, last.ns(), last.name()});
      break;
    }
    list.items.push_back(*object);
  }
  return list;
}

absl::StatusOr<ObjectPtr> Store::Put(const Key& key, Object object) {
  object.json()["metadata"]["resourceVersion"] = absl::StrCat(version_ + 1);
  std::string text;
  try {
    text = object.json().dump();
  } catch (const Json::exception&) {
    return BadRequest(absl::StrCat(key.resource, " \"", key.name, "\": a string in the object is not valid UTF-8"));
  }
  if (text.size() > kMaxObjectBytes) {
    return BadRequest(absl::StrCat(key.resource, " \"", key.name, "\": the object has ", text.size(),
                                   " bytes and may have ", kMaxObjectBytes));
  }
  ObjectPtr before = Find(key);
  auto now = std::make_shared<const Object>(std::move(object));
  Set(key, now);
  const WatchEventType type = before == nullptr ? WatchEventType::kAdded : WatchEventType::kModified;
  const size_t bytes = text.size();
  uncommitted_.push_back({type, key, ++version_, std::move(before), now, std::move(text), bytes});
  return now;
}

void Store::Remove(const Key& key) {
  ObjectPtr before = Find(key);
  if (before == nullptr) return;
  Object last = *before;
  last.json()["metadata"]["resourceVersion"] = absl::StrCat(version_ + 1);
  const size_t bytes = last.json().dump().size();
  Set(key, nullptr);
  uncommitted_.push_back({WatchEventType::kDeleted, key, ++version_, std::move(before),
                          std::make_shared<const Object>(std::move(last)), "", bytes});
}

std::vector<Change> Store::Commit() {
  committed_version_ = version_;
  std::vector<Change> changes = std::move(uncommitted_);
  uncommitted_.clear();
  for (const Change& change : changes) {
    history_.push_back({change.type, change.key, change.version, change.before, change.object, "", change.bytes});
    history_bytes_ += change.bytes;
  }
  while (history_.size() > kMaxHistoryEvents || history_bytes_ > kMaxHistoryBytes) {
    history_start_ = history_.front().version;
    history_bytes_ -= history_.front().bytes;
    history_.pop_front();
  }
  return changes;
}

void Store::Rollback() {
  for (auto it = uncommitted_.rbegin(); it != uncommitted_.rend(); ++it) Set(it->key, it->before);
  uncommitted_.clear();
  version_ = committed_version_;
}

absl::Status Store::ChangesSince(uint64_t version, absl::FunctionRef<void(const Change&)> visit) const {
  UNMCP_RETURN_IF_ERROR(CheckVersion(version));
  for (const Change& change : history_) {
    if (change.version > version) visit(change);
  }
  return absl::OkStatus();
}

void Store::Set(const Key& key, ObjectPtr object) {
  auto it = objects_.find(key);
  if (it != objects_.end()) {
    by_uid_.erase(it->second->uid());
    for (const OwnerReference& owner : it->second->owners()) {
      auto dependents = dependents_.find(owner.uid);
      if (dependents == dependents_.end()) continue;
      dependents->second.erase(key);
      if (dependents->second.empty()) dependents_.erase(dependents);
    }
  }
  if (object == nullptr) {
    if (it != objects_.end()) objects_.erase(it);
    return;
  }
  by_uid_[object->uid()] = key;
  for (const OwnerReference& owner : object->owners()) dependents_[owner.uid].insert(key);
  objects_[key] = std::move(object);
}

absl::Status Store::CheckVersion(uint64_t version) const {
  if (version < history_start_) {
    return Gone(absl::StrCat("too old resource version: ", version, " (", history_start_, "): list again"));
  }
  if (version > version_) {
    return Gone(absl::StrCat("Too large resource version: ", version, ", current: ", version_, ": list again"));
  }
  return absl::OkStatus();
}

}  // namespace unmcp::kube
