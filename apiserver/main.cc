// unmcp-apiserver: the gRPC API and the MCP sessions, over the cluster of an
// unmcp-controller.

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "common/status_macros.h"
#include "glog/logging.h"
#include "serve/apiserver_part.h"
#include "serve/flags.h"
#include "serve/logging.h"
#include "serve/process.h"

namespace unmcp {
namespace {

struct Options {
  ApiserverPart::Options part{.host = "127.0.0.1", .grpc_port = 9090};
  std::string data_dir;
  LogOptions log;
};

class ApiserverProgram final : public Program {
 public:
  static absl::StatusOr<std::unique_ptr<Program>> Create(Options& options) {
    auto program = std::make_unique<ApiserverProgram>();
    options.part.on_ready = [program = program.get(), host = options.part.host] {
      std::cout << "ready " << HostPort(host, program->part_->grpc_port()) << std::endl;
    };
    LOG(INFO) << "waiting for unmcp-controller: its cluster on " << options.part.cluster_socket << ", and itself on "
              << options.part.apiserver_socket;
    UNMCP_ASSIGN_OR_RETURN(program->part_, ApiserverPart::Create(std::move(options.part)));
    return program;
  }

  absl::Status Start() override {
    part_->Start();
    return absl::OkStatus();
  }
  void Stop() override {
    part_->CloseSessions();
    part_->Stop();
  }

 private:
  std::unique_ptr<ApiserverPart> part_;
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Serves the gRPC API and MCP sessions, over the cluster of an unmcp-controller on this machine.\n",
               "unmcp-apiserver");
  AddStandardFlags(&app);
  AddDataDirFlag(&app, ProcessEnvironment, &options.data_dir);
  AddSocketFlag(&app, "--cluster", &options.part.cluster_socket,
                "Socket of the controller's cluster [DATA-DIR/run/cluster.sock]");
  AddSocketFlag(&app, "--internal-socket", &options.part.apiserver_socket,
                "Where to listen for the controller and for gateways [DATA-DIR/run/apiserver.sock]");
  AddHostFlag(&app, &options.part.host);
  AddPortFlag(&app, "--grpc-port", &options.part.grpc_port, "Port for the gRPC API; 0 picks a free one");
  AddPodTemplateFlag(&app, &options.part.allow_pod_template);
  AddLogFlags(&app, &options.log);
  app.footer(R"(Examples:
  unmcp-apiserver                        beside an unmcp-controller with the same data directory
  unmcp-apiserver --data-dir ./data --grpc-port 0
)");
  if (const auto exit_code = ParseProgramFlags(&app, argc, argv)) return *exit_code;
  if (options.part.cluster_socket.empty()) options.part.cluster_socket = ClusterSocketIn(options.data_dir);
  if (options.part.apiserver_socket.empty()) options.part.apiserver_socket = ApiserverSocketIn(options.data_dir);
  InitLogging(argv[0], options.log);
  return RunProgram("unmcp-apiserver", [&](Fatal) { return ApiserverProgram::Create(options); });
}

}  // namespace
}  // namespace unmcp

int main(int argc, char** argv) { return unmcp::Main(argc, argv); }
