// Writes core/v1 Events: what `kubectl describe` shows under an object.
#ifndef UNMCP_KUBE_EVENT_RECORDER_H_
#define UNMCP_KUBE_EVENT_RECORDER_H_

#include <deque>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "common/scheduler.h"
#include "kube/cluster.h"

namespace unmcp::kube {

enum class EventType { kNormal, kWarning };

// Example:
//
//   EventRecorder events({.scheduler = loop, .cluster = cluster, .random = random, .component = "unmcp-controller"});
//   events.Record(*server, EventType::kNormal, "Started", "created Pod everything-4: a client asked for it");
//
// The same event again raises the count of the first; the tenth similar one
// (same object, type and reason, another message) within ten minutes begins to
// be counted in one combined event. What exceeds an object's budget, or finds
// the queue full, is dropped: events are told in good faith, never waited for.
// The bounds are client-go's (tools/record/events_cache.go).
//
// Thread safety: none; everything on the scheduler, which outlives the
// recorder and every call it has made to the cluster.
class EventRecorder {
 public:
  static constexpr int kSimilarBeforeCombined = 10;
  static constexpr absl::Duration kSimilarWithin = absl::Minutes(10);
  // A burst of 25 per object, and one more every five minutes.
  static constexpr double kBurst = 25;
  static constexpr absl::Duration kRefillEvery = absl::Minutes(5);
  // Waiting to be written, while the cluster is slow: some 500 KB.
  static constexpr size_t kMaxQueued = 1000;
  // Objects whose history is remembered.
  static constexpr size_t kMaxObjects = 4096;

  struct Options {
    Scheduler* scheduler = nullptr;
    Cluster* cluster = nullptr;
    Random* random = nullptr;
    std::string component;
  };
  explicit EventRecorder(Options options) : options_(std::move(options)) {}

  // Returns at once.
  void Record(const Object& about, EventType type, const std::string& reason, const std::string& message);

  // Events given up since the start, for a metric.
  int64_t dropped() const { return dropped_; }

 private:
  // One Event object that exists, or is about to.
  struct Written {
    std::string name;
    int count = 0;
    absl::Time last;
  };
  struct Similar {
    int messages = 0;
    absl::Time last;
  };
  struct History {
    double tokens = kBurst;
    absl::Time refilled;
    absl::flat_hash_map<std::string, Written> written;
    absl::flat_hash_map<std::string, Similar> similar;
    std::list<std::string>::iterator used;
  };
  struct Write {
    bool create = false;
    std::string ns;
    std::string name;
    Json body;
  };

  History& HistoryOf(const std::string& uid);
  void Enqueue(Write write);
  void WriteNext();

  Options options_;
  absl::flat_hash_map<std::string, std::unique_ptr<History>> histories_;
  std::list<std::string> recently_used_;  // newest first
  std::deque<Write> queue_;
  bool writing_ = false;
  int64_t dropped_ = 0;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EVENT_RECORDER_H_
