#include "kube/informer.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"

namespace unmcp::kube {

int CompareVersions(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

Informer::Informer(Options options) : options_(std::move(options)), retry_(options_.scheduler) {}

template <class T>
absl::AnyInvocable<void(T)> Informer::OnScheduler(void (Informer::*method)(T)) {
  return [this, method, scheduler = options_.scheduler, round = std::weak_ptr<bool>(round_)](T value) {
    scheduler->Post([this, method, round, value = std::move(value)]() mutable {
      if (!round.expired()) (this->*method)(std::move(value));
    });
  };
}

void Informer::Start(Handlers handlers) {
  handlers_ = std::move(handlers);
  for (const auto& [name, function] : options_.indexes) indexes_[name];
  List("", kPageSize);
}

Informer::ObjectPtr Informer::Get(const std::string& name) const {
  auto it = objects_.find(name);
  return it == objects_.end() ? nullptr : it->second;
}

std::vector<Informer::ObjectPtr> Informer::ByIndex(const std::string& index, const std::string& value) const {
  std::vector<ObjectPtr> found;
  auto values = indexes_.find(index);
  CHECK(values != indexes_.end()) << "no index " << index;
  auto names = values->second.find(value);
  if (names == values->second.end()) return found;
  found.reserve(names->second.size());
  for (const std::string& name : names->second) found.push_back(objects_.at(name));
  return found;
}

void Informer::List(std::string continue_token, int page_size) {
  if (continue_token.empty()) listed_.clear();
  round_ = std::make_shared<bool>(true);
  ListOptions options{.label_selector = options_.label_selector, .limit = page_size,
                      .continue_token = std::move(continue_token), .resource_version = ""};
  options_.cluster->List(options_.kind, options_.ns, std::move(options),
                         [this, page_size, scheduler = options_.scheduler,
                          round = std::weak_ptr<bool>(round_)](absl::StatusOr<ObjectList> page) {
                           scheduler->Post([this, page_size, round, page = std::move(page)]() mutable {
                             if (!round.expired()) OnPage(std::move(page), page_size);
                           });
                         });
}

void Informer::OnPage(absl::StatusOr<ObjectList> page, int page_size) {
  if (!page.ok()) {
    // An expired continue token: the list took longer than the server keeps
    // its history. Everything at once cannot expire.
    if (absl::IsOutOfRange(page.status()) && page_size != 0) return List("", 0);
    LOG(WARNING) << "listing " << options_.kind.plural << ": " << page.status() << "; trying again";
    return BackOff([this] { List("", kPageSize); });
  }
  std::move(page->items.begin(), page->items.end(), std::back_inserter(listed_));
  // The version of a paged list is the first page's: the watch goes on from
  // there and repeats what later pages may already show.
  list_version_ = page->resource_version;
  if (!page->continue_token.empty()) return List(std::move(page->continue_token), page_size);
  Replace();
  StartWatch();
}

void Informer::Replace() {
  absl::flat_hash_set<std::string> names;
  for (const Object& object : listed_) names.insert(object.name());
  std::vector<std::string> gone;
  for (const auto& [name, object] : objects_) {
    // What we wrote after the list was made is not in it, and not gone.
    if (!names.contains(name) && CompareVersions(object->resource_version(), list_version_) <= 0) {
      gone.push_back(name);
    }
  }
  for (const std::string& name : gone) Remove(name);
  for (Object& object : listed_) Store(std::move(object));
  listed_.clear();
  Advance(list_version_);
  if (!synced_) {
    synced_ = true;
    if (handlers_.on_synced) handlers_.on_synced();
  }
}

void Informer::StartWatch() {
  round_ = std::make_shared<bool>(true);
  watch_started_ = options_.scheduler->Now();
  watch_brought_something_ = false;
  watch_.reset();
  watch_ = options_.cluster->StartWatch(
      options_.kind, options_.ns, {.label_selector = options_.label_selector, .resource_version = version_},
      {.on_event = OnScheduler(&Informer::OnEvent), .on_end = OnScheduler(&Informer::OnWatchEnd)});
}

void Informer::OnEvent(WatchEvent event) {
  watch_brought_something_ = true;
  const std::string version = event.object.resource_version();
  switch (event.type) {
    case WatchEventType::kAdded:
    case WatchEventType::kModified:
      Store(std::move(event.object));
      break;
    case WatchEventType::kDeleted: {
      const ObjectPtr cached = Get(event.object.name());
      // A cached object of another uid is the successor of the deleted one.
      if (cached != nullptr && cached->uid() == event.object.uid()) Remove(cached->name());
      break;
    }
    case WatchEventType::kBookmark:
      break;
  }
  Advance(version);
}

void Informer::OnWatchEnd(absl::Status why) {
  const absl::Duration lasted = options_.scheduler->Now() - watch_started_;
  if (lasted >= kHealthy) backoff_ = kFirstBackoff;
  if (absl::IsOutOfRange(why)) {
    // Usual after a long silence: list at once. Told the same again straight
    // after that list, something is wrong with the server: back off.
    if (lasted >= kShortWatch || watch_brought_something_ || backoff_ == kFirstBackoff) {
      backoff_ = std::max(backoff_, kFirstBackoff * 2);
      return List("", kPageSize);
    }
    return BackOff([this] { List("", kPageSize); });
  }
  if (!why.ok()) LOG(WARNING) << "watching " << options_.kind.plural << ": " << why << "; resuming";
  // Resumed, not listed anew: what happened meanwhile is in the history.
  if (!why.ok() || (lasted < kShortWatch && !watch_brought_something_)) {
    return BackOff([this] { StartWatch(); });
  }
  StartWatch();
}

void Informer::BackOff(absl::AnyInvocable<void()> again) {
  const absl::Duration delay = backoff_ * (1 + options_.random->Uniform());
  backoff_ = std::min(kMaxBackoff, backoff_ * 2);
  retry_.Set(delay, std::move(again));
}

void Informer::Upsert(Object object) {
  if (CompareVersions(object.resource_version(), version_) > 0) Store(std::move(object));
}

void Informer::Store(Object object) {
  const std::string name = object.name();
  const ObjectPtr before = Get(name);
  if (before != nullptr && CompareVersions(object.resource_version(), before->resource_version()) <= 0) return;
  if (before != nullptr && before->uid() != object.uid()) {
    Remove(name);
    return Store(std::move(object));
  }
  auto now = std::make_shared<const Object>(std::move(object));
  if (before != nullptr) Index(before, false);
  objects_[name] = now;
  Index(now, true);
  if (before == nullptr) {
    if (handlers_.on_added) handlers_.on_added(now);
  } else if (handlers_.on_updated) {
    handlers_.on_updated(before, now);
  }
}

void Informer::Remove(const std::string& name) {
  auto it = objects_.find(name);
  const ObjectPtr object = it->second;
  objects_.erase(it);
  Index(object, false);
  if (handlers_.on_deleted) handlers_.on_deleted(object);
}

void Informer::Index(const ObjectPtr& object, bool add) {
  for (const auto& [index, function] : options_.indexes) {
    const std::string value = function(*object);
    if (value.empty()) continue;
    auto& values = indexes_[index];
    if (add) {
      values[value].insert(object->name());
    } else if (auto it = values.find(value); it != values.end()) {
      it->second.erase(object->name());
      if (it->second.empty()) values.erase(it);
    }
  }
}

void Informer::Advance(const std::string& version) {
  if (CompareVersions(version, version_) > 0) version_ = version;
}

}  // namespace unmcp::kube
