// Carries committed changes to the watches that are interested.
#ifndef UNMCP_KUBE_EMBEDDED_WATCH_HUB_H_
#define UNMCP_KUBE_EMBEDDED_WATCH_HUB_H_

#include <atomic>
#include <list>
#include <memory>
#include <string>

#include "kube/cluster.h"
#include "kube/embedded/store.h"
#include "kube/selector.h"

namespace unmcp::kube {

// One watch, shared by its holder and the hub.
struct WatchState {
  std::string resource;
  std::string ns;  // "" is all
  LabelSelector selector;
  WatchCallbacks callbacks;
  // Set by the holder on any thread: no callback starts afterwards.
  std::atomic<bool> cancelled{false};
};

// Thread compatible: all calls, and the callbacks they make, on one thread.
class WatchHub {
 public:
  // Delivers what `store` remembers after `version`, and from then on what
  // Deliver brings; or ends the watch, when it remembers too little.
  void Start(std::shared_ptr<WatchState> watch, uint64_t version, const Store& store);
  void Deliver(const Change& change);

 private:
  // Lets go of what cancelled watches hold.
  void Sweep();

  std::list<std::shared_ptr<WatchState>> watches_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_WATCH_HUB_H_
