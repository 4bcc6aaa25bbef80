// The processes of this machine, as /proc shows them.
//
// Thread safety: functions only.
#ifndef UNMCP_BRIDGE_PROCESS_TABLE_H_
#define UNMCP_BRIDGE_PROCESS_TABLE_H_

#include <dirent.h>
#include <sys/types.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace unmcp::bridge {

// Calls `visit` with the pid of each.
template <class Visit>
void ForEachProcess(Visit visit) {
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return;
  while (const dirent* entry = readdir(proc)) {
    if (const pid_t pid = std::atoi(entry->d_name); pid > 0) visit(pid);
  }
  closedir(proc);
}

// Kills every process of this user that was started with `marker` ("NAME=value")
// in its environment, and what these fork meanwhile, but for those in `spare`.
// How many there were.
int KillMarked(const std::string& marker, const std::vector<pid_t>& spare = {});

}  // namespace unmcp::bridge

#endif  // UNMCP_BRIDGE_PROCESS_TABLE_H_
