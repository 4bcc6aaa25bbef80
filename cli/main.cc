// The `unmcp` command.

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <iostream>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "bridge/supervisor.h"
#include "cli/command_line.h"
#include "cli/remote_cluster.h"
#include "cli/up.h"
#include "common/status_macros.h"
#include "serve/logging.h"

namespace unmcp {
namespace {

// Each client stream and each server's pipes are file descriptors.
void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Whoever stops services kills after 10 s; what is stuck by then stays stuck.
constexpr unsigned kStopSeconds = 9;

// A signal handler. The supervisor ends every process when this one is gone.
void StopTookTooLong(int) {
  constexpr char kText[] = "unmcp: could not stop in good order in time; everything is ended now\n";
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, kText, sizeof(kText) - 1);
  _exit(1);
}

absl::Status RunUp(const UpOptions& options) {
  // Signals are taken by the main thread below; others inherit the mask.
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  RaiseFileLimit();

  UNMCP_ASSIGN_OR_RETURN(auto supervisor, bridge::Supervisor::Launch());  // before any thread
  UNMCP_ASSIGN_OR_RETURN(auto up, Up::Create(options, std::move(supervisor), std::cout));
  absl::Status fatal;
  up->OnFatal([&fatal](absl::Status why) {
    fatal = std::move(why);
    kill(getpid(), SIGTERM);
  });
  UNMCP_RETURN_IF_ERROR(up->Start());
  int received = 0;
  sigwait(&signals, &received);
  // A second one does not wait for good order: the supervisor ends what is left.
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  signal(SIGALRM, StopTookTooLong);
  alarm(kStopSeconds);
  up->Stop();
  return fatal;
}

int Main(int argc, char** argv) {
  const auto command = ParseCommandLine({argv + 1, argv + argc}, ProcessEnvironment);
  if (!command.ok()) {
    std::cerr << "unmcp: " << command.status().message() << "\n";
    return kUsageExitCode;
  }
  if (const auto* print = std::get_if<PrintAndExit>(&*command)) {
    std::cout << print->text;
    return 0;
  }
  if (const auto* client = std::get_if<ClientCommand>(&*command)) return RunClientCommand(*client, ProcessEnvironment);
  absl::Status status;
  if (const auto* up = std::get_if<UpOptions>(&*command)) {
    InitLogging(argv[0], up->log);
    status = RunUp(*up);
  } else {
    const auto& fleet = std::get<FleetOptions>(*command);
    status = NoRemoteCluster(fleet.disable_operator ? "server" : "operator", fleet.kubeconfig, ProcessEnvironment);
  }
  if (!status.ok()) {
    std::cerr << "unmcp: " << status.message() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace unmcp

int main(int argc, char** argv) { return unmcp::Main(argc, argv); }
