#include "tests/bench/process_tree.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace unmcp::bench {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// Names of the numeric entries of a directory: pids or tids.
std::vector<std::string> Ids(const fs::path& directory) {
  std::vector<std::string> ids;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos) ids.push_back(std::move(name));
  }
  return ids;
}

// proc_pid_stat(5).
struct Stat {
  std::string name;
  pid_t parent = 0;
  double user_seconds = 0, system_seconds = 0;
  int64_t rss_bytes = 0;
};

bool ReadStat(const fs::path& path, Stat& stat) {
  const std::string text = ReadFile(path);
  const size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return false;
  stat.name = text.substr(open + 1, close - open - 1);
  std::istringstream rest(text.substr(close + 2));
  std::vector<std::string> fields;  // [0] is field 3 of the manual page
  for (std::string field; rest >> field;) fields.push_back(field);
  if (fields.size() < 22) return false;
  static const double kTick = 1.0 / sysconf(_SC_CLK_TCK);
  stat.parent = atoi(fields[1].c_str());
  stat.user_seconds = atoll(fields[11].c_str()) * kTick;
  stat.system_seconds = atoll(fields[12].c_str()) * kTick;
  stat.rss_bytes = atoll(fields[21].c_str()) * sysconf(_SC_PAGESIZE);
  return true;
}

// The sum of the values after `key` in a file of "key: value" lines.
int64_t SumOf(const fs::path& path, const std::string& key) {
  std::ifstream in(path);
  int64_t sum = 0;
  for (std::string line; std::getline(in, line);) {
    const size_t at = line.find(key);
    if (at != std::string::npos) sum += atoll(line.c_str() + at + key.size());
  }
  return sum;
}

void Add(const std::string& pid, const Stat& stat, ProcessTree& tree) {
  const fs::path directory = fs::path("/proc") / pid;
  ++tree.processes;
  tree.rss_bytes += stat.rss_bytes;
  tree.pss_bytes += SumOf(directory / "smaps_rollup", "Pss:") * 1024;
  for (const std::string& tid : Ids(directory / "task")) {
    Stat thread;
    if (!ReadStat(directory / "task" / tid / "stat", thread)) continue;
    ThreadUse& use = tree.threads[stat.name + "/" + thread.name];
    use.user_seconds += thread.user_seconds;
    use.system_seconds += thread.system_seconds;
    // Matches nonvoluntary_… too.
    use.context_switches += SumOf(directory / "task" / tid / "status", "voluntary_ctxt_switches:");
  }
}

}  // namespace

ThreadUse ProcessTree::total() const {
  ThreadUse total;
  for (const auto& [name, use] : threads) {
    total.user_seconds += use.user_seconds;
    total.system_seconds += use.system_seconds;
    total.context_switches += use.context_switches;
  }
  return total;
}

ProcessTree ReadProcessTree(pid_t root, const std::string& exclude) {
  std::map<std::string, Stat> all;
  std::multimap<pid_t, std::string> children;
  for (const std::string& pid : Ids("/proc")) {
    Stat stat;
    if (!ReadStat(fs::path("/proc") / pid / "stat", stat)) continue;
    children.emplace(stat.parent, pid);
    all.emplace(pid, stat);
  }
  ProcessTree tree;
  std::vector<std::string> next = {std::to_string(root)};
  while (!next.empty()) {
    const std::string pid = next.back();
    next.pop_back();
    auto stat = all.find(pid);
    if (stat == all.end() || stat->second.name == exclude) continue;
    Add(pid, stat->second, tree);
    auto [begin, end] = children.equal_range(atoi(pid.c_str()));
    for (; begin != end; ++begin) next.push_back(begin->second);
  }
  return tree;
}

}  // namespace unmcp::bench
