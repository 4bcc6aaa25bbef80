#include "kube/embedded/watch_hub.h"

#include <utility>

#include "absl/status/status.h"

namespace unmcp::kube {
namespace {

// To somebody who sees a selection, an object that leaves it is deleted, and
// one that enters it is added.
void DeliverTo(WatchState& watch, const Change& change) {
  if (change.key.resource != watch.resource || (!watch.ns.empty() && change.key.ns != watch.ns)) return;
  const bool was = change.before != nullptr && watch.selector.Matches(*change.before);
  const bool is = change.type != WatchEventType::kDeleted && watch.selector.Matches(*change.object);
  if ((!was && !is) || watch.cancelled) return;
  if (is) {
    watch.callbacks.on_event({was ? WatchEventType::kModified : WatchEventType::kAdded, *change.object});
    return;
  }
  // The last state that was selected, with the version that ended it.
  Object last = *change.before;
  last.json()["metadata"]["resourceVersion"] = change.object->resource_version();
  watch.callbacks.on_event({WatchEventType::kDeleted, std::move(last)});
}

}  // namespace

void WatchHub::Start(std::shared_ptr<WatchState> watch, uint64_t version, const Store& store) {
  Sweep();
  const absl::Status replayed = store.ChangesSince(version, [&](const Change& change) { DeliverTo(*watch, change); });
  if (replayed.ok()) {
    watches_.push_back(std::move(watch));
  } else if (!watch->cancelled) {
    watch->callbacks.on_end(replayed);
  }
}

void WatchHub::Deliver(const Change& change) {
  Sweep();
  for (const std::shared_ptr<WatchState>& watch : watches_) DeliverTo(*watch, change);
}

void WatchHub::Sweep() {
  watches_.remove_if([](const std::shared_ptr<WatchState>& watch) { return watch->cancelled.load(); });
}

}  // namespace unmcp::kube
