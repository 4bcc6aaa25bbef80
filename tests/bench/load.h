// Closed-loop load on a bridge, and the measurements around it.
//
// Each session has one call in flight: it sends the next when the answer to
// the last has come on the stream and its POST has been answered. A call's
// time runs from its POST's write to its answer's arrival.
//
// Thread safety: none; each function runs to its end on the calling thread.
#ifndef UNMCP_TESTS_BENCH_LOAD_H_
#define UNMCP_TESTS_BENCH_LOAD_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "tests/bench/sse_session.h"

namespace unmcp::bench {

struct LoadOptions {
  Target target;
  int sessions = 1;
  // 0: only open the sessions, and initialize each.
  absl::Duration measure = absl::ZeroDuration();
  absl::Duration warm_up = absl::ZeroDuration();
  size_t payload = 64;  // bytes of text in a call, and in its answer
  pid_t bridge = 0;     // whose process tree is measured; 0: none
  std::string exclude;  // name of the processes in it that do not count
  // Gives up when for so long nothing came back.
  absl::Duration patience = absl::Seconds(30);
};

// Opens the sessions, measures, and returns: calls, calls_per_second, p50_us,
// p99_us, max_us, wrong (answers whose text is another call's), connect_us (of
// the slowest session, GET to the answer to initialize), load_cpu_us_per_call
// (of the generator itself); with a bridge: cpu_us_per_call,
// user_us_per_call, system_us_per_call, switches_per_call, threads (the same
// by process and thread), and memory before, and with, the sessions open
// (rss_before, rss_open, pss_before, pss_open: bytes).
absl::StatusOr<nlohmann::json> RunLoad(const LoadOptions& options);

// Starts a stdio server `times` times and returns spawn_us, the median
// microseconds from spawn to the answer to initialize; with `calls`, also
// calls_per_second over the pipes of the last, with one call in flight.
absl::StatusOr<nlohmann::json> RunDirect(const std::vector<std::string>& command, int times, int calls);

}  // namespace unmcp::bench

#endif  // UNMCP_TESTS_BENCH_LOAD_H_
