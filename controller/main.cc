// unmcp-controller: runs the fleet of one machine. It holds the cluster and
// the servers' processes; apiservers reach it over sockets.

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "bridge/supervisor.h"
#include "common/socket_channel.h"
#include "common/status_macros.h"
#include "serve/controller_part.h"
#include "serve/flags.h"
#include "serve/logging.h"
#include "serve/process.h"

namespace unmcp {
namespace {

struct Options {
  ControllerPart::Options part{.identity = "unmcp-controller"};
  std::vector<std::string> apiservers;
  LogOptions log;
};

class ControllerProgram final : public Program {
 public:
  static absl::StatusOr<std::unique_ptr<Program>> Create(const Options& options, Fatal fatal) {
    UNMCP_ASSIGN_OR_RETURN(auto supervisor, bridge::Supervisor::Launch());  // before any thread
    auto program = std::make_unique<ControllerProgram>(options);
    UNMCP_ASSIGN_OR_RETURN(program->part_,
                           ControllerPart::Create(options.part, std::move(supervisor), std::move(fatal)));
    return program;
  }
  explicit ControllerProgram(const Options& options) : options_(options) {}

  absl::Status Start() override {
    std::vector<std::shared_ptr<grpc::Channel>> channels;
    for (const std::string& socket : options_.apiservers) channels.push_back(SocketChannel(socket));
    UNMCP_RETURN_IF_ERROR(part_->Start(std::move(channels)));
    std::cout << "ready unix:" << options_.part.cluster_socket << std::endl;
    return absl::OkStatus();
  }
  void Stop() override { part_->Stop(); }

 private:
  const Options options_;
  std::unique_ptr<ControllerPart> part_;
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Runs the MCP servers of this machine: the controller, its cluster, and the servers' processes.\n",
               "unmcp-controller");
  AddStandardFlags(&app);
  AddDataDirFlag(&app, ProcessEnvironment, &options.part.data_dir);
  AddNamespaceFlag(&app, &options.part.ns);
  AddSocketFlag(&app, "--cluster-socket", &options.part.cluster_socket,
                "Where to listen for apiservers [DATA-DIR/run/cluster.sock]");
  AddSocketsFlag(&app, "--apiserver", &options.apiservers,
                 "Socket of an apiserver; may be repeated [DATA-DIR/run/apiserver.sock]");
  AddLogFlags(&app, &options.log);
  app.footer(R"(Examples:
  unmcp-controller & unmcp-apiserver & unmcp-gateway    find each other in the data directory
  unmcp-controller --data-dir ./data --apiserver unix:/run/a.sock --apiserver unix:/run/b.sock
)");
  if (const auto exit_code = ParseProgramFlags(&app, argc, argv)) return *exit_code;
  if (options.part.cluster_socket.empty()) options.part.cluster_socket = ClusterSocketIn(options.part.data_dir);
  if (options.apiservers.empty()) options.apiservers = {ApiserverSocketIn(options.part.data_dir)};
  InitLogging(argv[0], options.log);
  return RunProgram("unmcp-controller", [&](Fatal fatal) { return ControllerProgram::Create(options, fatal); });
}

}  // namespace
}  // namespace unmcp

int main(int argc, char** argv) { return unmcp::Main(argc, argv); }
