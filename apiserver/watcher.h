// Watches of servers and pools.
#ifndef UNMCP_APISERVER_WATCHER_H_
#define UNMCP_APISERVER_WATCHER_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "apiserver/directory.h"
#include "apiserver/errors.h"
#include "apiserver/response_stream.h"
#include "common/proto_json.h"

namespace unmcp::apiserver {

// Resources whose change a watcher has not taken yet. It is not the number of
// changes: however often a resource changes, it waits once, and is sent as it
// is then. Whoever is so far behind does not read.
inline constexpr size_t kMaxPendingChanges = 20'000;

// Sends what a catalog has as ADDED, then BOOKMARK, then what changes.
// INVALID_ARGUMENT when `request` breaks a rule of its fields; UNAVAILABLE before
// the first snapshot; RESOURCE_EXHAUSTED when the client is kMaxPendingChanges
// behind.
//
// Thread safety: thread safe.
template <class T, class Change>
class Watcher final : public ResponseStream<Change>, public Catalog<T>::Observer {
 public:
  using Entry = typename Catalog<T>::Entry;
  using Resource = typename Catalog<T>::Resource;
  struct Options {
    // Both outlive this.
    const Directory* directory = nullptr;
    Catalog<T>* catalog = nullptr;
    // Which entries the client wants.
    std::function<bool(const T&)> selects;
    // An entry as the client sees it.
    std::function<Resource(const T&)> view;
    size_t max_pending = kMaxPendingChanges;
  };

  // Begins to watch; what the service gives to gRPC.
  static grpc::ServerWriteReactor<Change>* Begin(const google::protobuf::Message& request, Options options,
                                                 StreamSet* streams) {
    const absl::Status status = options.directory->synced() ? ValidateRules(request) : NotSynced();
    Catalog<T>* const catalog = options.catalog;
    auto watcher = std::make_shared<Watcher>(std::move(options));
    if (status.ok()) {
      // First the news, then the list: nothing falls between.
      catalog->Observe(watcher);
      watcher->Fill();
    } else {
      watcher->End(status);
    }
    return watcher->ResponseStream<Change>::Begin(streams);
  }

  explicit Watcher(Options options) : options_(std::move(options)) {}

  void OnChanged(const std::string& uid) override {
    {
      MutexLock lock(&this->mutex());
      if (this->finished() || !queued_.insert(uid).second) return;
      pending_.push_back(uid);
      if (pending_.size() > options_.max_pending && filled_) this->FinishLocked(DoesNotRead());
    }
    this->Wake();
  }

 private:
  struct Sent {
    Entry entry;
    size_t fingerprint = 0;
  };

  void Fill() {
    MutexLock lock(&this->mutex());
    // What has changed since Observe is among them, too.
    pending_.clear();
    queued_.clear();
    for (const Entry& entry : options_.catalog->List()) {
      pending_.push_back(ResourceOf(*entry).uid());
      queued_.insert(ResourceOf(*entry).uid());
    }
    before_bookmark_ = pending_.size();
    options_.max_pending += pending_.size();
    filled_ = true;
  }

  bool Next(Change* change) override {
    while (filled_) {
      if (before_bookmark_ == 0 && !bookmarked_) {
        bookmarked_ = true;
        change->set_type("BOOKMARK");
        return true;
      }
      if (pending_.empty()) return false;
      if (before_bookmark_ > 0) --before_bookmark_;
      const std::string uid = std::move(pending_.front());
      pending_.pop_front();
      queued_.erase(uid);
      if (Tell(uid, change)) return true;
    }
    return false;
  }

  // False: the client has nothing to learn of it.
  bool Tell(const std::string& uid, Change* change) {
    const Entry entry = options_.catalog->Find(uid);
    auto known = sent_.find(uid);
    if (entry && options_.selects(*entry)) {
      const size_t fingerprint = Fingerprint(*entry);
      if (known != sent_.end() && known->second.fingerprint == fingerprint) return false;
      change->set_type(known == sent_.end() ? "ADDED" : "MODIFIED");
      *change->mutable_object() = options_.view(*entry);
      sent_[uid] = {entry, fingerprint};
      return true;
    }
    if (known == sent_.end()) return false;
    change->set_type("DELETED");
    *change->mutable_object() = options_.view(entry ? *entry : *known->second.entry);
    sent_.erase(known);
    return true;
  }

  // Of what the client sees: an entry may change in other respects.
  static size_t Fingerprint(const T& entry) {
    return absl::HashOf(ResourceOf(entry).SerializeAsString(), IsRouted(entry));
  }
  static bool IsRouted(const v1::PublishedServer& entry) { return entry.has_route(); }
  static bool IsRouted(const v1::MCPPool&) { return false; }

  // All of it under mutex().
  Options options_;
  std::deque<std::string> pending_;          // uids
  absl::flat_hash_set<std::string> queued_;  // the same
  bool filled_ = false;
  size_t before_bookmark_ = 0;
  bool bookmarked_ = false;
  absl::flat_hash_map<std::string, Sent> sent_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_WATCHER_H_
