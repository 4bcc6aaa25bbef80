#include "apiserver/directory.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"

namespace unmcp::apiserver {
namespace {

// Whether `version` tells all that `than` does. Versions that are not numbers
// have no order: then whatever comes is taken for it.
bool AtLeast(const std::string& version, const std::string& than) {
  uint64_t a = 0;
  uint64_t b = 0;
  if (!absl::SimpleAtoi(version, &a) || !absl::SimpleAtoi(than, &b)) return true;
  return a >= b;
}

// `base` with the resource that was written in place of its own.
template <class T, class Resource>
std::shared_ptr<const T> WithResource(const T* base, const Resource& resource) {
  auto entry = base != nullptr ? std::make_shared<T>(*base) : std::make_shared<T>();
  *MutableResource(entry.get()) = resource;
  return entry;
}

}  // namespace

template <class T>
typename Catalog<T>::Entry Catalog<T>::Visible(const Row& row, absl::Time now) const {
  if (row.expires <= now) return row.published;
  if (row.deleted) return nullptr;
  return row.written ? row.written : row.published;
}

template <class T>
typename Catalog<T>::Row& Catalog<T>::RowFor(const std::string& uid, const std::string& name) {
  auto [it, added] = rows_.try_emplace(uid);
  if (added) {
    uids_of_name_[name].push_back(uid);
    name_of_uid_[uid] = name;
  }
  return it->second;
}

template <class T>
void Catalog<T>::Erase(const std::string& uid) {
  auto name = name_of_uid_.find(uid);
  if (name == name_of_uid_.end()) return;
  auto uids = uids_of_name_.find(name->second);
  uids->second.erase(std::find(uids->second.begin(), uids->second.end(), uid));
  if (uids->second.empty()) uids_of_name_.erase(uids);
  name_of_uid_.erase(name);
  rows_.erase(uid);
}

template <class T>
void Catalog<T>::DropOverlay(const std::string& uid) {
  auto it = rows_.find(uid);
  if (it == rows_.end()) return;
  it->second.written = nullptr;
  it->second.deleted = false;
  it->second.expires = absl::InfinitePast();
  if (!it->second.published) Erase(uid);
}

template <class T>
void Catalog<T>::Overlay(Row& row, const std::string& uid, std::vector<std::string>* changed) {
  row.expires = now_() + kOverlayLifetime;
  overlays_.emplace_back(row.expires, uid);
  changed->push_back(uid);
  if (overlays_.size() <= kMaxOverlays) return;
  const auto [expires, oldest] = std::move(overlays_.front());
  overlays_.pop_front();
  if (auto it = rows_.find(oldest); it == rows_.end() || it->second.expires != expires) return;
  changed->push_back(oldest);
  DropOverlay(oldest);
}

template <class T>
void Catalog<T>::Expire(std::vector<std::string>* changed) {
  const absl::Time now = now_();
  while (!overlays_.empty() && overlays_.front().first <= now) {
    const auto [expires, uid] = std::move(overlays_.front());
    overlays_.pop_front();
    // It has been published, or written again, meanwhile.
    if (auto it = rows_.find(uid); it == rows_.end() || it->second.expires != expires) continue;
    changed->push_back(uid);
    DropOverlay(uid);
  }
}

template <class T>
void Catalog<T>::Put(Entry entry) {
  const std::string uid = ResourceOf(*entry).uid();
  std::vector<std::string> changed{uid};
  {
    MutexLock lock(&mutex_);
    Expire(&changed);
    Row& row = RowFor(uid, ResourceOf(*entry).name());
    if (row.written) {
      const Resource& written = ResourceOf(*row.written);
      const bool caught_up = AtLeast(ResourceOf(*entry).resource_version(), written.resource_version());
      row.written = caught_up ? nullptr : WithResource<T>(entry.get(), written);
      if (caught_up && !row.deleted) row.expires = absl::InfinitePast();
    }
    row.published = std::move(entry);
  }
  Tell(changed);
}

template <class T>
void Catalog<T>::Remove(const std::string& uid) {
  std::vector<std::string> changed{uid};
  {
    MutexLock lock(&mutex_);
    Expire(&changed);
    Erase(uid);
  }
  Tell(changed);
}

template <class T>
void Catalog<T>::Written(const Resource& resource) {
  std::vector<std::string> changed;
  {
    MutexLock lock(&mutex_);
    Expire(&changed);
    Row& row = RowFor(resource.uid(), resource.name());
    const Entry known = row.written ? row.written : row.published;
    const bool news =
        !row.deleted && (!known || !AtLeast(ResourceOf(*known).resource_version(), resource.resource_version()));
    if (news) {
      row.written = WithResource<T>(row.published.get(), resource);
      Overlay(row, resource.uid(), &changed);
    }
  }
  Tell(changed);
}

template <class T>
void Catalog<T>::Deleted(const std::string& uid) {
  std::vector<std::string> changed;
  {
    MutexLock lock(&mutex_);
    Expire(&changed);
    auto it = rows_.find(uid);
    if (it != rows_.end()) {
      it->second.deleted = true;
      Overlay(it->second, uid, &changed);
    }
  }
  Tell(changed);
}

template <class T>
std::vector<std::string> Catalog<T>::Published() const {
  MutexLock lock(&mutex_);
  std::vector<std::string> uids;
  for (const auto& [uid, row] : rows_) {
    if (row.published) uids.push_back(uid);
  }
  return uids;
}

template <class T>
typename Catalog<T>::Entry Catalog<T>::Find(absl::string_view uid_or_name) const {
  MutexLock lock(&mutex_);
  const absl::Time now = now_();
  if (auto it = rows_.find(uid_or_name); it != rows_.end()) {
    if (Entry entry = Visible(it->second, now)) return entry;
  }
  auto uids = uids_of_name_.find(std::string(uid_or_name));
  if (uids == uids_of_name_.end()) return nullptr;
  for (auto uid = uids->second.rbegin(); uid != uids->second.rend(); ++uid) {
    if (Entry entry = Visible(rows_.at(*uid), now)) return entry;
  }
  return nullptr;
}

template <class T>
std::vector<typename Catalog<T>::Entry> Catalog<T>::List() const {
  MutexLock lock(&mutex_);
  const absl::Time now = now_();
  std::vector<Entry> entries;
  entries.reserve(uids_of_name_.size());
  for (const auto& [name, uids] : uids_of_name_) {
    for (auto uid = uids.rbegin(); uid != uids.rend(); ++uid) {
      Entry entry = Visible(rows_.at(*uid), now);
      if (!entry) continue;
      entries.push_back(std::move(entry));
      break;
    }
  }
  return entries;
}

template <class T>
void Catalog<T>::Observe(std::weak_ptr<Observer> observer) {
  MutexLock lock(&observers_mutex_);
  observers_.erase(std::remove_if(observers_.begin(), observers_.end(),
                                  [](const std::weak_ptr<Observer>& each) { return each.expired(); }),
                   observers_.end());
  observers_.push_back(std::move(observer));
}

template <class T>
void Catalog<T>::Tell(const std::vector<std::string>& changed) {
  if (changed.empty()) return;
  std::vector<std::shared_ptr<Observer>> observers;
  {
    MutexLock lock(&observers_mutex_);
    for (const auto& observer : observers_) {
      if (auto alive = observer.lock()) observers.push_back(std::move(alive));
    }
  }
  for (const auto& observer : observers) {
    for (const std::string& uid : changed) observer->OnChanged(uid);
  }
}

template class Catalog<v1::PublishedServer>;
template class Catalog<v1::MCPPool>;

bool Directory::synced() const {
  MutexLock lock(&mutex_);
  return synced_;
}

void Directory::set_synced() {
  MutexLock lock(&mutex_);
  synced_ = true;
}

ControllerInfo Directory::controller() const {
  MutexLock lock(&mutex_);
  return controller_;
}

void Directory::set_controller(ControllerInfo controller) {
  MutexLock lock(&mutex_);
  controller_ = std::move(controller);
}

void Directory::set_controller_connected(bool connected) {
  MutexLock lock(&mutex_);
  controller_.connected = connected;
}

void Directory::set_controller_metrics(std::string metrics) {
  MutexLock lock(&mutex_);
  controller_.metrics = std::move(metrics);
}

std::string Directory::ns() const {
  MutexLock lock(&mutex_);
  return controller_.ns;
}

}  // namespace unmcp::apiserver
