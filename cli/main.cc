// The `unmcp` command.

#include <iostream>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "cli/command_line.h"
#include "cli/remote_cluster.h"
#include "cli/server.h"
#include "cli/up.h"
#include "serve/flags.h"
#include "serve/logging.h"
#include "serve/process.h"

namespace unmcp {
namespace {

// `unmcp operator` and `unmcp server`.
int RunFleet(const FleetOptions& options) {
  if (!options.cluster_socket.empty() || !options.data_dir.empty()) {
    return RunProgram("unmcp", [&](Fatal) { return CreateServer(options, std::cout); });
  }
  const absl::Status none =
      NoRemoteCluster(options.disable_operator ? "server" : "operator", options.kubeconfig, ProcessEnvironment);
  std::cerr << "unmcp: " << none.message() << "\n";
  return 1;
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
  if (const auto* up = std::get_if<UpOptions>(&*command)) {
    InitLogging(argv[0], up->log);
    return RunProgram("unmcp", [&](Fatal fatal) { return CreateUp(*up, std::move(fatal), std::cout); });
  }
  const auto& fleet = std::get<FleetOptions>(*command);
  InitLogging(argv[0], fleet.log);
  return RunFleet(fleet);
}

}  // namespace
}  // namespace unmcp

int main(int argc, char** argv) { return unmcp::Main(argc, argv); }
