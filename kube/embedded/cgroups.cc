#include "kube/embedded/cgroups.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bridge/fd.h"
#include "glog/logging.h"

namespace unmcp::kube {
namespace {

using bridge::Fd;

// The kernel's default for cpu.max: how often the time is counted, in microseconds.
constexpr int64_t kCpuPeriod = 100'000;
// The kernel refuses less.
constexpr int64_t kMinCpuQuota = 1'000;

// How long the end of what was killed is waited for, when unmcp ends and when
// it starts after it was killed.
constexpr int kRemoveAttempts = 50;
constexpr useconds_t kRemovePauseMicros = 10'000;

constexpr char kPrefix[] = "unmcp.";
// Where we go ourselves when our cgroup has to be without processes.
constexpr char kSelf[] = "self";

std::string Read(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  ssize_t n;
  while (file && (n = read(file.get(), buffer, sizeof(buffer))) > 0) text.append(buffer, static_cast<size_t>(n));
  return text;
}

// The kernel makes all files with their cgroup; a test's plain directory has none.
bool Write(const std::string& path, const std::string& text) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool Lists(const std::string& path, absl::string_view word) {
  for (absl::string_view each : absl::StrSplit(Read(path), absl::ByAnyChar(" \n"))) {
    if (each == word) return true;
  }
  return false;
}

std::vector<pid_t> Processes(const std::string& cgroup) {
  std::vector<pid_t> pids;
  for (absl::string_view line : absl::StrSplit(Read(cgroup + "/cgroup.procs"), '\n', absl::SkipEmpty())) {
    if (int pid = 0; absl::SimpleAtoi(line, &pid) && pid > 0) pids.push_back(pid);
  }
  return pids;
}

std::vector<std::string> Children(const std::string& cgroup) {
  std::vector<std::string> children;
  std::error_code error;
  for (std::filesystem::directory_iterator it(cgroup, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) children.push_back(it->path());
  }
  return children;
}

// Kernels before 5.14 have no cgroup.kill.
void Kill(const std::string& cgroup) {
  if (access((cgroup + "/cgroup.kill").c_str(), W_OK) == 0 && Write(cgroup + "/cgroup.kill", "1")) return;
  for (pid_t pid : Processes(cgroup)) kill(pid, SIGKILL);
}

using Remove = std::function<bool(const std::string&)>;

// Whatever is there below and in `cgroup`. Waits a moment for processes to end.
void KillTree(const std::string& cgroup, const Remove& remove) {
  std::vector<std::string> all = Children(cgroup);
  all.push_back(cgroup);
  for (const std::string& each : all) Kill(each);
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    std::erase_if(all, remove);
    if (all.empty()) return;
    usleep(kRemovePauseMicros);
  }
  LOG(WARNING) << "cgroup " << cgroup << " cannot be removed: " << strerror(errno) << "; the next start tries again";
}

// An unmcp that was killed has left its directory.
void RemoveLeftovers(const std::string& parent, const Remove& remove) {
  for (const std::string& child : Children(parent)) {
    absl::string_view name = absl::string_view(child).substr(child.rfind('/') + 1);
    int pid = 0;
    if (!absl::ConsumePrefix(&name, kPrefix) || !absl::SimpleAtoi(name, &pid) || pid <= 0) continue;
    if (kill(pid, 0) != 0 && errno == ESRCH) KillTree(child, remove);
  }
}

// Lets children of `cgroup` have the controller.
bool Enable(const std::string& cgroup, absl::string_view controller) {
  const std::string file = cgroup + "/cgroup.subtree_control";
  return Lists(file, controller) ||
         (Lists(cgroup + "/cgroup.controllers", controller) && Write(file, absl::StrCat("+", controller)));
}

bool AreAllOurs(const std::vector<pid_t>& pids, const std::vector<pid_t>& ours) {
  return std::all_of(pids.begin(), pids.end(),
                     [&](pid_t pid) { return std::find(ours.begin(), ours.end(), pid) != ours.end(); });
}

// Makes `parent`/unmcp.PID, with memory and, if it can be had, cpu to give on.
// Whether it has cpu, or why there is nothing.
absl::StatusOr<bool> Prepare(const std::string& parent, const std::string& path, const std::vector<pid_t>& ours) {
  if (!Lists(parent + "/cgroup.controllers", "memory")) {
    return absl::FailedPreconditionError(absl::StrCat(parent, " has no memory controller"));
  }
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(absl::StrCat(parent, " may not be written: ", strerror(errno)));
  }
  if (!Lists(parent + "/cgroup.subtree_control", "memory")) {
    // With processes in it, it hands nothing down. We can make room if they are ours.
    const std::vector<pid_t> inside = Processes(parent);
    if (!AreAllOurs(inside, ours)) {
      return absl::FailedPreconditionError(absl::StrCat(parent, " has other processes in it"));
    }
    const std::string self = absl::StrCat(path, "/", kSelf);
    if (!inside.empty() && mkdir(self.c_str(), 0755) != 0 && errno != EEXIST) {
      return absl::FailedPreconditionError(absl::StrCat(self, ": ", strerror(errno)));
    }
    for (pid_t pid : inside) {
      if (!Write(self + "/cgroup.procs", absl::StrCat(pid))) {
        return absl::FailedPreconditionError(absl::StrCat(self, ": ", strerror(errno)));
      }
    }
  }
  const bool cpu = Enable(parent, "cpu");
  if (!Enable(parent, "memory") || !Enable(path, "memory")) {
    return absl::FailedPreconditionError(absl::StrCat(parent, " gives no memory controller on: ", strerror(errno)));
  }
  return cpu && Enable(path, "cpu");
}

}  // namespace

bool Cgroups::RemoveDirectory(const std::string& path) { return rmdir(path.c_str()) == 0 || errno == ENOENT; }

absl::StatusOr<std::unique_ptr<Cgroups>> Cgroups::Create(const Options& options) {
  std::string own = options.own_cgroup;
  if (own.empty()) {
    for (absl::string_view line : absl::StrSplit(Read("/proc/self/cgroup"), '\n')) {
      if (absl::ConsumePrefix(&line, "0::")) own = std::string(line);
    }
  }
  if (own.empty() || own.find("..") != std::string::npos) {
    return absl::FailedPreconditionError("there is no cgroup of version 2 for this process");
  }
  while (own.size() > 1 && own.back() == '/') own.pop_back();
  std::vector<std::string> parents = {own == "/" ? options.root : options.root + own};
  if (own != "/") parents.push_back(parents[0].substr(0, parents[0].rfind('/')));
  absl::Status why;
  for (const std::string& parent : parents) {
    RemoveLeftovers(parent, options.remove);
    const std::string path = absl::StrCat(parent, "/", kPrefix, getpid());
    const absl::StatusOr<bool> cpu = Prepare(parent, path, options.own_processes);
    if (cpu.ok()) return std::unique_ptr<Cgroups>(new Cgroups(path, *cpu, options));
    options.remove(path);
    if (why.ok()) why = cpu.status();
  }
  return why;
}

Cgroups::~Cgroups() {
  for (const std::string& child : Children(path_)) {
    if (!absl::EndsWith(child, absl::StrCat("/", kSelf))) KillTree(child, remove_);
  }
  remove_(path_);  // not while we are in there: then the next start does it
}

absl::StatusOr<std::string> Cgroups::Make(const std::string& name, const ContainerLimits& limits) {
  RemoveEmpty();
  const std::string path = absl::StrCat(path_, "/", name);
  const auto failed = [&](absl::string_view file) {
    const int error = errno;
    remove_(path);
    return absl::UnavailableError(absl::StrCat("cgroup ", path, file, ": ", strerror(error)));
  };
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return failed("");
  if (limits.memory_bytes > 0) {
    if (!Write(path + "/memory.max", absl::StrCat(limits.memory_bytes))) return failed("/memory.max");
    // As in Kubernetes: the limit holds for swap too, and what goes beyond it
    // goes as a whole. Kernels without these do without.
    Write(path + "/memory.swap.max", "0");
    Write(path + "/memory.oom.group", "1");
  }
  if (limits.cpu_millis > 0 && has_cpu_) {
    const int64_t quota = std::max(kMinCpuQuota, limits.cpu_millis * (kCpuPeriod / 1000));
    if (!Write(path + "/cpu.max", absl::StrCat(quota, " ", kCpuPeriod))) return failed("/cpu.max");
  }
  return path;
}

bool Cgroups::OutOfMemory(const std::string& path) {
  for (absl::string_view line : absl::StrSplit(Read(path + "/memory.events"), '\n')) {
    int64_t kills = 0;
    if (absl::ConsumePrefix(&line, "oom_kill ") && absl::SimpleAtoi(line, &kills) && kills > 0) return true;
  }
  return false;
}

void Cgroups::Remove(const std::string& path) {
  Kill(path);
  leaving_.insert(path);
  RemoveEmpty();
}

void Cgroups::RemoveEmpty() { std::erase_if(leaving_, remove_); }

}  // namespace unmcp::kube
