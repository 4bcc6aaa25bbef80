#include "bridge/process_table.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "bridge/fd.h"

namespace unmcp::bridge {
namespace {

// Each round needs a fork to escape it, and a process that does nothing but
// fork is not waited for.
constexpr int kMaxRounds = 20;

// How much of an environment is searched: the kernel's limit on arguments and
// environment together is 2 MB by default.
constexpr size_t kMaxEnvironmentBytes = 2 * 1024 * 1024;

bool HasMarker(pid_t pid, const std::string& marker) {
  const std::string path = "/proc/" + std::to_string(pid) + "/environ";
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  std::string environment(1, '\0');  // so that each string stands between NULs
  char buffer[16 * 1024];
  ssize_t n;
  while (environment.size() < kMaxEnvironmentBytes && (n = read(file.get(), buffer, sizeof(buffer))) > 0) {
    environment.append(buffer, static_cast<size_t>(n));
  }
  const std::string string = '\0' + marker + '\0';
  return environment.find(string) != std::string::npos;
}

}  // namespace

int KillMarked(const std::string& marker, const std::vector<pid_t>& spare) {
  std::set<pid_t> killed;
  for (int round = 0; round < kMaxRounds; ++round) {
    bool found = false;
    ForEachProcess([&](pid_t pid) {
      if (std::find(spare.begin(), spare.end(), pid) != spare.end() || !HasMarker(pid, marker)) return;
      found = true;
      killed.insert(pid);
      kill(pid, SIGKILL);
    });
    if (!found) break;
  }
  return static_cast<int>(killed.size());
}

}  // namespace unmcp::bridge
