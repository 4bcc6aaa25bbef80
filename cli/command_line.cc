#include "cli/command_line.h"

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "common/status_macros.h"

namespace unmcp {
namespace {

constexpr char kAbout[] = "unmcp runs MCP servers: it starts one when a client connects, puts it to sleep when it is\n"
                          "idle, and gives every client one stable endpoint per server.\n";

constexpr char kExamples[] =
    R"(Examples:
  unmcp up -f examples/                 runs the servers declared in a directory
  unmcp get servers                     shows them
  unmcp call time get_current_time --arg timezone=Europe/Berlin
  unmcp config cursor                   how an MCP client connects to them

Each command has a --help with examples.
)";

// In the list of commands each has one line; its own --help has the rest.
class OneLineEach final : public CLI::Formatter {
 public:
  std::string make_subcommand(const CLI::App* command) const override {
    std::ostringstream out;
    const std::string about = command->get_description();
    CLI::detail::format_help(out, command->get_name(), about.substr(0, about.find('\n')), kCommandWidth);
    return out.str();
  }

 private:
  static constexpr size_t kCommandWidth = 14;
};

}  // namespace

absl::StatusOr<Command> ParseCommandLine(const std::vector<std::string>& args, Environment environment) {
  CLI::App app(kAbout, "unmcp");
  AddStandardFlags(&app);
  app.formatter(std::make_shared<OneLineEach>());
  app.require_subcommand(0, 1);
  app.footer(kExamples);
  UpOptions up;
  const CLI::App* const up_command = AddUpCommand(&app, environment, &up);
  FleetOptions fleet_operator, fleet_server;
  const CLI::App* const operator_command = AddOperatorCommand(&app, &fleet_operator);
  const CLI::App* const server_command = AddServerCommand(&app, &fleet_server);
  ClientCommand client;
  AddClientCommands(&app, &client);
  UNMCP_ASSIGN_OR_RETURN(std::optional<std::string> text, ParseFlags(&app, args));
  if (text) return PrintAndExit{*std::move(text)};
  if (up_command->parsed()) return up;
  if (operator_command->parsed()) return fleet_operator;
  if (server_command->parsed()) return fleet_server;
  if (client.run) return client;
  return PrintAndExit{app.help()};
}

}  // namespace unmcp
