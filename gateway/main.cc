// unmcp-gateway: HTTP for MCP clients and REST, in front of an unmcp-apiserver.

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "common/event_loop.h"
#include "common/status_macros.h"
#include "glog/logging.h"
#include "serve/flags.h"
#include "serve/gateway_part.h"
#include "serve/logging.h"
#include "serve/process.h"

namespace unmcp {
namespace {

struct Options {
  GatewayPart::Options part{.host = "127.0.0.1", .port = 8080};
  std::string data_dir;
  LogOptions log;
};

class GatewayProgram final : public Program {
 public:
  static absl::StatusOr<std::unique_ptr<Program>> Create(Options& options) {
    auto program = std::make_unique<GatewayProgram>();
    options.part.loop = &program->loop_;
    options.part.on_ready = [program = program.get(), host = options.part.host] {
      std::cout << "ready " << HttpUrl(host, program->part_->port()) << std::endl;
    };
    LOG(INFO) << "waiting for unmcp-apiserver on " << options.part.apiserver_socket;
    UNMCP_ASSIGN_OR_RETURN(program->part_, GatewayPart::Create(std::move(options.part)));
    return program;
  }
  ~GatewayProgram() override { loop_.Stop(); }

  absl::Status Start() override {
    loop_.Start();
    return absl::OkStatus();
  }
  void Stop() override {
    part_->BeginStop();
    part_->Stop();
  }

 private:
  EventLoop loop_{"data"};
  std::unique_ptr<GatewayPart> part_;
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Serves HTTP for MCP clients and REST, in front of an unmcp-apiserver on this machine.\n",
               "unmcp-gateway");
  AddStandardFlags(&app);
  AddDataDirFlag(&app, ProcessEnvironment, &options.data_dir);
  AddSocketFlag(&app, "--apiserver", &options.part.apiserver_socket,
                "Socket of the apiserver [DATA-DIR/run/apiserver.sock]");
  AddHostFlag(&app, &options.part.host);
  AddPortFlag(&app, "--port", &options.part.port, "Port for clients and the REST API; 0 picks a free one");
  AddAccessFlags(&app, &options.part.allowed_hosts, &options.part.allowed_origins);
  AddLogFlags(&app, &options.log);
  app.footer(R"(Examples:
  unmcp-gateway                          beside an unmcp-apiserver with the same data directory
  unmcp-gateway --data-dir ./data --host 0.0.0.0 --allow-host unmcp.example.com
)");
  if (const auto exit_code = ParseProgramFlags(&app, argc, argv)) return *exit_code;
  if (options.part.apiserver_socket.empty()) options.part.apiserver_socket = ApiserverSocketIn(options.data_dir);
  InitLogging(argv[0], options.log);
  return RunProgram("unmcp-gateway", [&](Fatal) { return GatewayProgram::Create(options); });
}

}  // namespace
}  // namespace unmcp

int main(int argc, char** argv) { return unmcp::Main(argc, argv); }
