#include "gateway/process_metrics.h"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <system_error>
#include <unistd.h>

namespace unmcp::gateway {
namespace {

prometheus::Gauge& AddGauge(prometheus::Registry* registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(*registry).Add({});
}

double CpuSeconds() {
  timespec time{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Unix time, or 0: when the machine started (proc(5), /proc/stat, btime) and
// how many ticks later this process did (/proc/self/stat, field 22).
double StartTime() {
  double boot = 0;
  std::ifstream machine("/proc/stat");
  for (std::string word; boot == 0 && machine >> word;) {
    if (word == "btime") machine >> boot;
  }
  std::ifstream process("/proc/self/stat");
  process.ignore(std::numeric_limits<std::streamsize>::max(), ')');  // the name may hold blanks
  std::string skipped;
  for (int field = 3; field < 22; ++field) process >> skipped;
  double ticks = 0;
  if (!(process >> ticks) || boot == 0) return 0;
  return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessMetrics::ProcessMetrics(prometheus::Registry* registry)
    : cpu_(prometheus::BuildCounter()
               .Name("process_cpu_seconds_total")
               .Help("CPU time that this process has used, in seconds.")
               .Register(*registry)
               .Add({})),
      memory_(AddGauge(registry, "process_resident_memory_bytes", "Resident memory of this process, in bytes.")),
      descriptors_(AddGauge(registry, "process_open_fds", "Open file descriptors of this process.")),
      start_(AddGauge(registry, "process_start_time_seconds", "When this process started, in seconds since 1970.")) {
  start_.Set(StartTime());
}

void ProcessMetrics::Update() {
  if (const double more = CpuSeconds() - cpu_.Value(); more > 0) cpu_.Increment(more);
  double pages = 0;
  std::ifstream memory("/proc/self/statm");  // total, then resident
  if (memory >> pages >> pages) memory_.Set(pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end; it.increment(error)) {
    ++count;
  }
  if (!error) descriptors_.Set(count - 1);  // without the one that reads the directory
}

}  // namespace unmcp::gateway
