// The commands of `unmcp` that speak to one that runs: get, describe, delete,
// logs, start, stop, call, connect, config.
//
//   ClientCommand client;
//   AddClientCommands(&app, &client);
//   … parse …
//   if (client.run) return RunClientCommand(client, ProcessEnvironment);
#ifndef UNMCP_CLI_CLIENT_COMMANDS_H_
#define UNMCP_CLI_CLIENT_COMMANDS_H_

#include <functional>

#include "absl/status/status.h"
#include "cli/connection.h"
#include "cli/context.h"

namespace unmcp {

// The command that was chosen.
struct ClientCommand {
  ConnectionOptions connection;
  std::function<absl::Status(Context& context)> run;  // null: another was chosen
};

// Adds them as sub-commands to an application. `command` is filled when the
// command line is parsed, and outlives that.
void AddClientCommands(CLI::App* app, ClientCommand* command);

// Finds unmcp, runs the command on this process's streams, prints its error.
// Returns the exit code.
int RunClientCommand(const ClientCommand& command, Environment environment);

}  // namespace unmcp

#endif  // UNMCP_CLI_CLIENT_COMMANDS_H_
