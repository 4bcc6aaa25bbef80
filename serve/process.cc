#include "serve/process.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

// Whoever stops services kills after 10 s; what is stuck by then stays stuck.
constexpr unsigned kStopSeconds = 9;

// Each client stream and each server's pipes are file descriptors.
void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// A signal handler. A supervisor ends every process when this one is gone.
void StopTookTooLong(int) {
  constexpr char kText[] = "unmcp: could not stop in good order in time; everything is ended now\n";
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, kText, sizeof(kText) - 1);
  _exit(1);
}

// Why the program ends, when not by a signal.
class FatalError {
 public:
  void Set(absl::Status why) {
    MutexLock lock(&mutex_);
    why_.Update(why);
    kill(getpid(), SIGTERM);
  }
  absl::Status Get() {
    MutexLock lock(&mutex_);
    return why_;
  }

 private:
  Mutex mutex_;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
};

absl::Status Run(absl::FunctionRef<absl::StatusOr<std::unique_ptr<Program>>(Fatal)> create) {
  // Signals are taken by the main thread below; others inherit the mask.
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  auto fatal = std::make_shared<FatalError>();
  UNMCP_ASSIGN_OR_RETURN(const std::unique_ptr<Program> program,
                         create([fatal](absl::Status why) { fatal->Set(std::move(why)); }));
  UNMCP_RETURN_IF_ERROR(program->Start());
  int received = 0;
  sigwait(&signals, &received);
  // A second one does not wait for good order: the supervisor ends what is left.
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  signal(SIGALRM, StopTookTooLong);
  alarm(kStopSeconds);
  program->Stop();
  return fatal->Get();
}

}  // namespace

int RunProgram(const char* name, absl::FunctionRef<absl::StatusOr<std::unique_ptr<Program>>(Fatal)> create) {
  RaiseFileLimit();
  const absl::Status status = Run(create);
  if (status.ok()) return 0;
  std::cerr << name << ": " << status.message() << "\n";
  return 1;
}

void RunOn(EventLoop* loop, absl::AnyInvocable<void(absl::AnyInvocable<void()> done)> step) {
  Notification finished;
  loop->Post([&] { step([&] { finished.Notify(); }); });
  finished.Wait();
}

std::string HostPort(const std::string& host, int port) {
  return absl::StrCat(absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host, ":", port);
}

std::string HttpUrl(const std::string& host, int port) { return absl::StrCat("http://", HostPort(host, port)); }

std::string ClusterSocketIn(const std::string& data_dir) { return data_dir + "/run/cluster.sock"; }
std::string ApiserverSocketIn(const std::string& data_dir) { return data_dir + "/run/apiserver.sock"; }
std::string ApiSocketBeside(const std::string& apiserver_socket) { return apiserver_socket + ".api"; }

}  // namespace unmcp
