// Cgroups (version 2) for the node's containers, where the kernel lets us have
// some: as root, or below a cgroup that has been handed to this user, as
// systemd does for user services and `systemd-run --user --scope -p Delegate=yes`.
// Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
#ifndef UNMCP_KUBE_EMBEDDED_CGROUPS_H_
#define UNMCP_KUBE_EMBEDDED_CGROUPS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "kube/embedded/limits.h"

namespace unmcp::kube {

// One directory, unmcp.PID, with a cgroup for each life of a container. It is
// made below the cgroup that this process is in, if there is nobody but us in
// there (a cgroup with processes hands no controllers down), or else beside it.
//
//   auto cgroups = Cgroups::Create({.own_processes = {getpid(), supervisor->helper_pid()}});
//   if (cgroups.ok()) path = (*cgroups)->Make("pod-uid", limits);
//   …  // a process moves itself into `path`, runs and ends
//   const bool oom = (*cgroups)->OutOfMemory(path);
//   (*cgroups)->Remove(path);
//
// Thread compatible.
class Cgroups {
 public:
  struct Options {
    // Where cgroup2 is mounted: for a test, any directory.
    std::string root = "/sys/fs/cgroup";
    // Of this process, "/" first, or "" for what /proc/self/cgroup says.
    std::string own_cgroup = "";
    // Ours: this process and what it has started already.
    std::vector<pid_t> own_processes;
    // rmdir(2), which fails while a process is in there. A test's directory has
    // files in it, which the kernel's do not count as.
    std::function<bool(const std::string& path)> remove = RemoveDirectory;
  };
  static bool RemoveDirectory(const std::string& path);

  // Also ends and removes what an unmcp that was killed has left there.
  // FAILED_PRECONDITION says why there are no cgroups to be had.
  static absl::StatusOr<std::unique_ptr<Cgroups>> Create(const Options& options);
  // Kills what is still in its cgroups, and removes them.
  ~Cgroups();

  bool has_cpu() const { return has_cpu_; }

  // A new cgroup with these limits. Its path, or the error of the kernel.
  absl::StatusOr<std::string> Make(const std::string& name, const ContainerLimits& limits);
  // Whether the kernel has killed in this cgroup, because of its limit.
  static bool OutOfMemory(const std::string& path);
  // Kills what is in there and removes it, at the latest when this is called or
  // destroyed the next time: the kernel needs a moment to let go.
  void Remove(const std::string& path);

 private:
  Cgroups(std::string path, bool has_cpu, Options options)
      : path_(std::move(path)), has_cpu_(has_cpu), remove_(std::move(options.remove)) {}
  void RemoveEmpty();

  const std::string path_;
  const bool has_cpu_;
  const std::function<bool(const std::string&)> remove_;
  std::set<std::string> leaving_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_CGROUPS_H_
