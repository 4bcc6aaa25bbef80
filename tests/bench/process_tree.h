// What a process and all that it started have used: read from /proc.
//
//   const ProcessTree before = ReadProcessTree(pid, "echo_server");
//   …
//   const ProcessTree after = ReadProcessTree(pid, "echo_server");
//   double cpu_seconds = after.cpu_seconds() - before.cpu_seconds();
//
// Thread safety: free functions without state.
#ifndef UNMCP_TESTS_BENCH_PROCESS_TREE_H_
#define UNMCP_TESTS_BENCH_PROCESS_TREE_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

namespace unmcp::bench {

// Seconds of one thread. The kernel counts in ticks of 10 ms: measure seconds.
struct ThreadUse {
  double user_seconds = 0;
  double system_seconds = 0;
  int64_t context_switches = 0;
};

struct ProcessTree {
  // By "process/thread", the names as `ps -L` has them; threads of one name
  // are added up.
  std::map<std::string, ThreadUse> threads;
  // Resident memory, as `ps` has it: pages that two processes share count in both.
  int64_t rss_bytes = 0;
  // The same with each shared page divided among those that map it.
  int64_t pss_bytes = 0;
  int processes = 0;

  ThreadUse total() const;
  double cpu_seconds() const { return total().user_seconds + total().system_seconds; }
};

// `root` and its descendants, except those whose name is `exclude`, and theirs.
// A process that ends meanwhile counts for nothing.
ProcessTree ReadProcessTree(pid_t root, const std::string& exclude);

}  // namespace unmcp::bench

#endif  // UNMCP_TESTS_BENCH_PROCESS_TREE_H_
