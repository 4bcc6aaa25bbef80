// The commands of `unmcp` that run servers: `up`, `operator` and `server`.
// Each is a function that adds a sub-command to an application and fills the
// options that it is given when that is parsed.
//
//   CLI::App app("…", "unmcp");
//   UpOptions up;
//   CLI::App* const up_command = AddUpCommand(&app, ProcessEnvironment, &up);
//   UNMCP_ASSIGN_OR_RETURN(auto text, ParseFlags(&app, args));
//   if (up_command->parsed()) return RunUp(up);
//
// Options and environment outlive the parsing.
//
// Thread safety: everything here is thread safe.
#ifndef UNMCP_CLI_OPTIONS_H_
#define UNMCP_CLI_OPTIONS_H_

#include <string>
#include <vector>

#include "serve/flags.h"
#include "serve/logging.h"

namespace unmcp {

// `unmcp up`: everything in one process on this machine.
struct UpOptions {
  std::string host = "127.0.0.1";
  // 0 picks a free port.
  int port = 8080;
  int grpc_port = 9090;
  std::string data_dir;
  std::string ns = "default";
  // For LoadDeclared: files and directories, and inputs (ID=VALUE).
  std::vector<std::string> manifests;
  std::vector<std::string> inputs;
  // Beside localhost and `host`: see gateway::AccessPolicy.
  std::vector<std::string> allowed_hosts, allowed_origins;
  LogOptions log;
};

CLI::App* AddUpCommand(CLI::App* app, Environment environment, UpOptions* options);

// `unmcp operator` and `unmcp server`: parts of unmcp over a cluster that is
// there already.
struct FleetOptions {
  // What is not to run; not both. Of `server`, the operator never is.
  bool disable_operator = false;
  bool disable_api = false;
  std::string ns = "default";
  std::string host = "127.0.0.1";
  int port = 8080;
  int grpc_port = 9090;
  // "": looked for, see FindRemoteCluster.
  std::string kubeconfig;
  // `server` over an unmcp-controller of this machine: its cluster's socket, or
  // the data directory that has it. "" when neither was given.
  std::string cluster_socket;
  std::string data_dir;
  std::vector<std::string> allowed_hosts, allowed_origins;
  bool allow_pod_template = false;
  LogOptions log;
};

CLI::App* AddOperatorCommand(CLI::App* app, FleetOptions* options);
CLI::App* AddServerCommand(CLI::App* app, FleetOptions* options);

}  // namespace unmcp

#endif  // UNMCP_CLI_OPTIONS_H_
