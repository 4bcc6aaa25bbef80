#include "apiserver/directory.h"

#include <utility>

namespace unmcp::apiserver {

void Directory::Put(Entry entry) {
  MutexLock lock(&mutex_);
  const std::string& uid = entry->server().uid();
  // A server that was deleted and made again holds the name from now on.
  uid_of_name_[entry->server().name()] = uid;
  by_uid_[uid] = std::move(entry);
}

void Directory::Remove(const std::string& uid) {
  MutexLock lock(&mutex_);
  auto it = by_uid_.find(uid);
  if (it == by_uid_.end()) return;
  auto name = uid_of_name_.find(it->second->server().name());
  if (name != uid_of_name_.end() && name->second == uid) uid_of_name_.erase(name);
  by_uid_.erase(it);
}

Directory::Entry Directory::Find(absl::string_view uid_or_name) const {
  MutexLock lock(&mutex_);
  auto it = by_uid_.find(uid_or_name);
  if (it == by_uid_.end()) {
    auto name = uid_of_name_.find(std::string(uid_or_name));
    if (name == uid_of_name_.end()) return nullptr;
    it = by_uid_.find(name->second);
  }
  return it == by_uid_.end() ? nullptr : it->second;
}

std::vector<Directory::Entry> Directory::List() const {
  MutexLock lock(&mutex_);
  std::vector<Entry> entries;
  entries.reserve(uid_of_name_.size());
  for (const auto& [name, uid] : uid_of_name_) entries.push_back(by_uid_.at(uid));
  return entries;
}

bool Directory::synced() const {
  MutexLock lock(&mutex_);
  return synced_;
}

void Directory::set_synced() {
  MutexLock lock(&mutex_);
  synced_ = true;
}

}  // namespace unmcp::apiserver
