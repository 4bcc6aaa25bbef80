// The command line of `unmcp`.
//
//   const auto command = ParseCommandLine({argv + 1, argv + argc}, ProcessEnvironment);
//   if (!command.ok()) { std::cerr << "unmcp: " << command.status().message() << "\n"; return kUsageExitCode; }
//
// Thread safety: thread safe.
#ifndef UNMCP_CLI_COMMAND_LINE_H_
#define UNMCP_CLI_COMMAND_LINE_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client_commands.h"
#include "cli/options.h"

namespace unmcp {

// --help or --version: print on stdout and exit with 0.
struct PrintAndExit {
  std::string text;
};

using Command = std::variant<UpOptions, FleetOptions, ClientCommand, PrintAndExit>;

// `args` is without the program's name. INVALID_ARGUMENT, with a message that
// names the flag and where its help is.
absl::StatusOr<Command> ParseCommandLine(const std::vector<std::string>& args, Environment environment);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMAND_LINE_H_
