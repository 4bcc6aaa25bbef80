// What the controller has published, for readers on any thread.
#ifndef UNMCP_APISERVER_DIRECTORY_H_
#define UNMCP_APISERVER_DIRECTORY_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "unmcp/v1/state.pb.h"

namespace unmcp::apiserver {

// Thread safety: thread safe. Entries are immutable: a change replaces one.
class Directory {
 public:
  using Entry = std::shared_ptr<const v1::PublishedServer>;

  void Put(Entry entry);
  void Remove(const std::string& uid);

  // By uid or by name; null when there is none. A uid wins over a name.
  Entry Find(absl::string_view uid_or_name) const;
  // All, by name.
  std::vector<Entry> List() const;

  // Whether a whole snapshot has been received once.
  bool synced() const;
  void set_synced();

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> by_uid_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> uid_of_name_ ABSL_GUARDED_BY(mutex_);
  bool synced_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_DIRECTORY_H_
