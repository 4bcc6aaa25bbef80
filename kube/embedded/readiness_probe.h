// Asks a container that listens whether it is ready, as its Pod says.
#ifndef UNMCP_KUBE_EMBEDDED_READINESS_PROBE_H_
#define UNMCP_KUBE_EMBEDDED_READINESS_PROBE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "kube/object.h"

namespace unmcp::kube {

// A readinessProbe, with Kubernetes' defaults.
// Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe
struct ProbeSpec {
  int port = 0;
  // httpGet: ready with a status from 200 to 399. Otherwise tcpSocket: ready
  // when it accepts a connection.
  bool http = false;
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers;
  absl::Duration initial_delay;
  absl::Duration period = absl::Seconds(10);
  absl::Duration timeout = absl::Seconds(1);
  int success_threshold = 1;
  int failure_threshold = 3;
};

// Nothing when the container has no readinessProbe, or one of another sort
// (FieldsWithoutEffect names it). INVALID_ARGUMENT names what is wrong.
absl::StatusOr<std::optional<ProbeSpec>> ReadinessProbeOf(const Json& container);

// Probes 127.0.0.1 from its construction until it is destroyed. A container is
// not ready at first; somebody waits for it, so that the first probes come more
// often than its period says.
//
//   ReadinessProbe probe(loop, spec, [&](bool ready, const std::string& why) { … });
//
// Lives on `loop`.
class ReadinessProbe {
 public:
  // As often as a human does not notice, and so long as most servers take.
  static constexpr absl::Duration kEagerPeriod = absl::Milliseconds(250);
  static constexpr absl::Duration kEager = absl::Seconds(30);

  // `changed` hears of each change; `why` is what the last probe found. It must
  // not destroy this.
  ReadinessProbe(EventLoop* loop, ProbeSpec spec, absl::AnyInvocable<void(bool ready, const std::string& why)> changed);
  ~ReadinessProbe();

 private:
  struct Attempt;
  void Schedule();
  void Probe();
  // `problem` is empty after a success.
  void OnResult(const std::string& problem);

  EventLoop* const loop_;
  const ProbeSpec spec_;
  absl::AnyInvocable<void(bool, const std::string&)> changed_;
  const absl::Time started_;
  bool ready_ = false;
  int streak_ = 0;  // results in a row that say the contrary of ready_
  Timer timer_;     // until the next probe, or the end of this one
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_READINESS_PROBE_H_
