// When to start a container again that has ended.
#ifndef UNMCP_KUBE_EMBEDDED_RESTART_BACKOFF_H_
#define UNMCP_KUBE_EMBEDDED_RESTART_BACKOFF_H_

#include "absl/time/time.h"

namespace unmcp::kube {

// Example:
//
//   RestartBackoff backoff;
//   absl::Duration delay = backoff.Next(now - started);   // each time it ends
//
// Thread compatible. A kubelet waits 10 s to 300 s, which suits a cluster; here
// somebody sits at the machine and edits what is failing.
class RestartBackoff {
 public:
  // The first restart is at once: a server that crashes now and then costs its
  // clients only its own start. After that 1 s doubling.
  static constexpr absl::Duration kFirst = absl::Seconds(1);
  // One start a minute is no load, and no longer to wait than people do.
  static constexpr absl::Duration kMax = absl::Minutes(1);
  // What ran as long as the longest delay was not in a crash loop.
  static constexpr absl::Duration kReset = kMax;

  // How long to wait after a life that lasted `ran` (0: it could not start).
  absl::Duration Next(absl::Duration ran) {
    if (ran >= kReset) next_ = absl::ZeroDuration();
    const absl::Duration delay = next_;
    next_ = delay == absl::ZeroDuration() ? kFirst : delay * 2 < kMax ? delay * 2 : kMax;
    return delay;
  }

 private:
  absl::Duration next_ = absl::ZeroDuration();
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_RESTART_BACKOFF_H_
