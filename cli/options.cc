#include "cli/options.h"

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"

namespace unmcp {
namespace {

constexpr char kUpExamples[] =
    R"(Examples:
  unmcp up -f examples/                      the servers declared in a directory
  unmcp up -f servers.yaml --port 0          on a free port; the first line of output says which
  unmcp up --data-dir ./data                 what was declared before is still there

Clients connect to http://HOST:PORT/api/v1/servers/NAME/sse.
)";

constexpr char kUpAbout[] = "Runs everything in one process on this machine: controller, API and the servers themselves.\n"
                            "Prints \"ready http://HOST:PORT\" when clients can connect. Ctrl-C stops all of it.\n";

constexpr char kOperatorAbout[] =
    "Runs unmcp over a Kubernetes cluster: the controller and the API.\n"
    "The cluster is that of --kubeconfig, of KUBECONFIG, the one that this runs in, or that of ~/.kube/config.\n"
    "To run servers on this machine, without a cluster: unmcp up\n";

constexpr char kOperatorExamples[] =
    R"(Examples:
  unmcp operator --namespace default           the servers of one namespace
  unmcp operator --disable-api                 only the controller
  unmcp operator --kubeconfig ./kubeconfig     on the cluster that a file names
)";

constexpr char kServerAbout[] =
    "Runs only the API: gRPC, and HTTP for MCP clients and REST.\n"
    "A controller runs elsewhere: in a Kubernetes cluster, or on this machine (unmcp-controller, see --data-dir).\n"
    "To run servers on this machine with all that it takes: unmcp up\n";

constexpr char kServerExamples[] =
    R"(Examples:
  unmcp server --host 0.0.0.0 --port 3000      to be reached from other machines
  unmcp server --data-dir ./data               beside `unmcp-controller --data-dir ./data`
)";

constexpr char kHttpPort[] = "Port for clients and the REST API; 0 picks a free one";
constexpr char kGrpcPort[] = "Port for the gRPC API; 0 picks a free one";

void CheckPorts(int port, int grpc_port) {
  if (port != 0 && port == grpc_port) FlagError("--grpc-port", "must differ from --port");
}

// The table of options that both commands have.
CLI::App* AddFleetCommand(CLI::App* app, const char* name, const char* about, const char* examples,
                          FleetOptions* options) {
  CLI::App* command = app->add_subcommand(name, about);
  command->footer(examples);
  AddNamespaceFlag(command, &options->ns);
  AddHostFlag(command, &options->host);
  AddPortFlag(command, "--port", &options->port, kHttpPort);
  AddPortFlag(command, "--grpc-port", &options->grpc_port, kGrpcPort);
  command->add_flag("--disable-operator", options->disable_operator, "Do not run the controller");
  command->add_flag("--disable-api", options->disable_api, "Do not serve the API");
  command->add_option("--kubeconfig", options->kubeconfig, "How to reach the cluster [looked for as kubectl does]")
      ->type_name("FILE");
  AddAccessFlags(command, &options->allowed_hosts, &options->allowed_origins);
  AddPodTemplateFlag(command, &options->allow_pod_template);
  AddLogFlags(command, &options->log);
  return command;
}

}  // namespace

CLI::App* AddUpCommand(CLI::App* app, Environment environment, UpOptions* options) {
  CLI::App* up = app->add_subcommand("up", kUpAbout);
  up->footer(kUpExamples);
  AddHostFlag(up, &options->host);
  AddPortFlag(up, "--port", &options->port, kHttpPort);
  AddPortFlag(up, "--grpc-port", &options->grpc_port, kGrpcPort);
  AddDataDirFlag(up, environment, &options->data_dir);
  AddNamespaceFlag(up, &options->ns);
  up->add_option("-f,--filename", options->manifests,
                 "Apply what this file or directory declares: manifests, or the configuration of an MCP client; may be "
                 "repeated")
      ->type_name("FILE|DIR|-")
      ->allow_extra_args(false)
      ->check([](const std::string& text) { return text.empty() ? "must not be empty" : ""; });
  up->add_option("--input", options->inputs, "The value of an input that a file asks for; may be repeated")
      ->type_name("ID=VALUE")
      ->allow_extra_args(false);
  AddAccessFlags(up, &options->allowed_hosts, &options->allowed_origins);
  AddLogFlags(up, &options->log);
  up->parse_complete_callback([options] { CheckPorts(options->port, options->grpc_port); });
  return up;
}

CLI::App* AddOperatorCommand(CLI::App* app, FleetOptions* options) {
  CLI::App* command = AddFleetCommand(app, "operator", kOperatorAbout, kOperatorExamples, options);
  command->parse_complete_callback([options] {
    CheckPorts(options->port, options->grpc_port);
    if (options->disable_operator && options->disable_api) {
      FlagError("--disable-api", "with --disable-operator there is nothing left to run; leave one of them out");
    }
  });
  return command;
}

CLI::App* AddServerCommand(CLI::App* app, FleetOptions* options) {
  CLI::App* command = AddFleetCommand(app, "server", kServerAbout, kServerExamples, options);
  AddSocketFlag(command, "--cluster", &options->cluster_socket, "Socket of an unmcp-controller's cluster");
  command->add_option("--data-dir", options->data_dir, "Data directory of an unmcp-controller of this machine")
      ->type_name("DIR");
  command->parse_complete_callback([options] {
    CheckPorts(options->port, options->grpc_port);
    if (options->disable_api) {
      FlagError("--disable-api", "there is nothing left to run; leave it out, or take unmcp operator");
    }
    options->disable_operator = true;
  });
  return command;
}

}  // namespace unmcp
