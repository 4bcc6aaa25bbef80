#include "cli/client_commands.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "cli/commands/apply.h"
#include "cli/commands/call.h"
#include "cli/commands/config.h"
#include "cli/commands/connect.h"
#include "cli/commands/describe.h"
#include "cli/commands/get.h"
#include "cli/commands/lifecycle.h"
#include "cli/commands/logs.h"
#include "cli/commands/resource.h"

namespace unmcp {
namespace {

constexpr char kGroup[] = "Client commands";

constexpr char kGetExamples[] = R"(Examples:
  unmcp get servers                     a table of all servers
  unmcp get servers -w                  and each change as it happens
  unmcp get server time -o yaml         one of them, as it can be applied again
  unmcp get mcp,mcpp -o wide            servers and pools, with more columns
)";

constexpr char kDescribeExamples[] = R"(Examples:
  unmcp describe server time            what it is, what runs, what happened to it
  unmcp describe pool default           its bounds, and the servers in it
)";

constexpr char kApplyExamples[] = R"(Examples:
  unmcp apply -f servers.yaml                          as `kubectl apply` would
  unmcp apply -f ~/.cursor/mcp.json                    the servers of an MCP client's configuration
  unmcp apply -f .vscode/mcp.json --input token=abc    with a value that it asks for
  cat servers.yaml | unmcp apply -f - --dry-run        what would be applied
)";

constexpr char kDeleteExamples[] = R"(Examples:
  unmcp delete server time              stops its process, too
  unmcp delete pool team                and all its servers
  unmcp delete -f servers.yaml          what a file declares
)";

constexpr char kLogsExamples[] = R"(Examples:
  unmcp logs time                       what its process has written to stderr
  unmcp logs time -f --tail 10          the last lines, and what follows
)";

constexpr char kStartExamples[] = R"(Examples:
  unmcp start time                      before the first client needs it
  unmcp start time weather --no-wait    without waiting until they are ready
)";

constexpr char kStopExamples[] = R"(Examples:
  unmcp stop time                       until the next client wakes it
  unmcp stop time --suspend             until `unmcp start time`
)";

constexpr char kCallExamples[] = R"(Examples:
  unmcp call time                                        the tools it has
  unmcp call time convert_time --arg time=16:30 --arg source_timezone=Asia/Tokyo --arg target_timezone=Europe/Rome
  unmcp call memory create_entities --json '{"entities":[{"name":"a","entityType":"b","observations":[]}]}'
  unmcp call everything get-sum --arg a=2 --arg b=3 -o json
)";

constexpr char kConnectExamples[] = R"(Examples:
  unmcp connect time                    in the place of the command of an MCP server

In a configuration file of an MCP client (see unmcp config):
  {"mcpServers": {"time": {"command": "unmcp", "args": ["connect", "time"]}}}
)";

constexpr char kConfigExamples[] = R"(Examples:
  unmcp config claude                   all servers, for Claude Desktop
  unmcp config cursor time weather      two of them, for Cursor
  unmcp config vscode > .vscode/mcp.json
  unmcp config claude-code | sh         adds them to Claude Code
)";

constexpr int kMaxTail = 1'000'000;  // as the API has it

// Adds a sub-command whose options live as long as the application, and which
// `run` runs when it was chosen.
template <typename Options>
CLI::App* AddCommand(CLI::App* app, ClientCommand* command, const char* name, const char* about, const char* examples,
                     std::shared_ptr<Options> options, absl::Status (*run)(const Options&, Context&)) {
  CLI::App* added = app->add_subcommand(name, about)->group(kGroup);
  added->footer(examples);
  added->add_option("--server", command->connection.server,
                    "Where unmcp is [$UNMCP_SERVER, else where `unmcp up` says, else 127.0.0.1:9090]")
      ->type_name("HOST:PORT|unix:PATH")
      ->check(CheckServerAddress);
  added->add_option("--data-dir", command->connection.data_dir, "Data directory of the `unmcp up` to speak to")
      ->type_name("DIR")
      ->check([](const std::string& text) { return text.empty() ? "must not be empty" : ""; });
  added->parse_complete_callback([command, options, run] {
    command->run = [options, run](Context& context) { return run(*options, context); };
  });
  return added;
}

// What a parser made of an argument, or its error as a usage error.
template <typename T>
T ValueOrFlagError(absl::StatusOr<T> value, const char* name) {
  if (!value.ok()) FlagError(name, std::string(value.status().message()));
  return *std::move(value);
}

// kubectl takes -o=json as well as -o json and -ojson.
std::string WithoutEquals(std::string word) { return std::string(absl::StripPrefix(word, "=")); }

void AddOutputOption(CLI::App* app, std::map<std::string, Format> formats, Format* format) {
  std::vector<std::string> words;
  for (const auto& [word, ignored] : formats) words.push_back(word);
  const std::string one_of = absl::StrCat("must be one of ", CLI::detail::join(words, ", "));
  app->add_option_function<std::string>(
         "-o,--output", [format, formats](const std::string& word) { *format = formats.at(word); },
         absl::StrCat("Another form: ", CLI::detail::join(words, ", ")))
      ->type_name("FORMAT")
      ->transform(WithoutEquals)
      ->check([formats, one_of](const std::string& word) {
        return formats.contains(word) ? "" : absl::StrCat(one_of, ", not \"", word, "\"");
      });
}

std::optional<absl::Duration> ParseTimeout(const std::string& text) {
  int seconds;
  absl::Duration duration;
  if (absl::SimpleAtoi(text, &seconds)) {
    duration = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, &duration)) {
    return std::nullopt;
  }
  return duration > absl::ZeroDuration() ? std::optional(duration) : std::nullopt;
}

void AddWaitOptions(CLI::App* app, bool* wait, absl::Duration* timeout, const char* until) {
  app->add_flag("--wait,!--no-wait", *wait, absl::StrCat("Wait until ", until, *wait ? " (the default)" : ""));
  app->add_option_function<std::string>(
         "--timeout", [timeout](const std::string& text) { *timeout = *ParseTimeout(text); },
         "How long to wait at most: 90s, 5m, or seconds")
      ->default_str("5m")
      ->type_name("DURATION")
      ->check([](const std::string& text) {
        return ParseTimeout(text) ? "" : absl::StrCat("must be a duration such as 90s or 5m, not \"", text, "\"");
      });
}

void AddServerArgument(CLI::App* app, std::string* server) {
  app->add_option_function<std::string>(
         "SERVER", [server](const std::string& text) { *server = ValueOrFlagError(ParseServerName(text), "SERVER"); },
         "Its name")
      ->required()
      ->type_name("");
}

void AddServersArgument(CLI::App* app, std::vector<std::string>* servers, const char* what) {
  app->add_option_function<std::vector<std::string>>(
         "SERVER",
         [servers](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) servers->push_back(ValueOrFlagError(ParseServerName(text), "SERVER"));
         },
         what)
      ->type_name("");
}

CLI::Option* AddResourcesArgument(CLI::App* app, std::vector<Resources>* resources) {
  return app
      ->add_option_function<std::vector<std::string>>(
          "RESOURCE",
          [resources](const std::vector<std::string>& texts) {
            *resources = ValueOrFlagError(ParseResources(texts), "RESOURCE");
          },
          "servers (mcp) or pools (mcpp), and names; or KIND/NAME")
      ->type_name("");
}

// Runs after the parts of a command have been parsed, and before it is chosen.
void AddCheck(CLI::App* app, std::function<void()> check) { app->final_callback(std::move(check)); }

void AddGet(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<GetOptions>();
  CLI::App* get =
      AddCommand(app, command, "get", "Shows servers or pools.\n", kGetExamples, options, RunGet);
  AddResourcesArgument(get, &options->resources)->required();
  AddOutputOption(get,
                  {{"wide", Format::kWide}, {"name", Format::kName}, {"yaml", Format::kYaml}, {"json", Format::kJson}},
                  &options->format);
  get->add_flag("-w,--watch", options->watch, "Go on with changes as they happen");
  get->add_flag_callback("--no-headers", [options] { options->headers = false; }, "Leave out the line with the titles");
  get->add_option("--pool", options->pool, "Only servers of this pool")->type_name("NAME");
  AddCheck(get, [options] {
    if (options->watch && options->resources.size() > 1) FlagError("--watch", "goes with one kind of resource");
  });
}

void AddDescribe(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<DescribeOptions>();
  CLI::App* describe =
      AddCommand(app, command, "describe", "Shows all that is known of servers or pools: conditions and events, too.\n",
                 kDescribeExamples, options, RunDescribe);
  AddResourcesArgument(describe, &options->resources)->required();
}

void AddApply(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<ApplyOptions>();
  CLI::App* apply =
      AddCommand(app, command, "apply",
                 "Makes unmcp have the servers and pools that files declare.\n"
                 "Files are Kubernetes manifests (YAML or JSON), or the configuration of an MCP client\n"
                 "(mcpServers, or VS Code's servers and inputs).\n",
                 kApplyExamples, options, RunApply);
  apply->add_option("-f,--filename", options->filenames, "A file, a directory, or - for standard input; may be repeated")
      ->required()
      ->type_name("FILE|DIR|-")
      ->allow_extra_args(false);
  apply->add_option("--input", options->inputs, "The value of an input that a file asks for; may be repeated")
      ->type_name("ID=VALUE")
      ->allow_extra_args(false);
  apply->add_flag("--dry-run", options->dry_run, "Print what would be applied, without secrets");
  AddWaitOptions(apply, &options->wait, &options->timeout, "the servers are known, and can be used");
}

void AddDelete(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<DeleteOptions>();
  CLI::App* remove = AddCommand(app, command, "delete", "Deletes servers, or pools with all their servers.\n",
                                kDeleteExamples, options, RunDelete);
  AddResourcesArgument(remove, &options->resources);
  remove->add_option("-f,--filename", options->filenames, "What this file or directory declares; may be repeated")
      ->type_name("FILE|DIR|-")
      ->allow_extra_args(false);
  remove->add_flag("--ignore-not-found", options->ignore_not_found, "It is no error when there is nothing to delete");
  AddWaitOptions(remove, &options->wait, &options->timeout, "they are gone");
  AddCheck(remove, [options] {
    if (options->resources.empty() == options->filenames.empty()) {
      FlagError("RESOURCE", "name what to delete, such as `server time`; or give a file with -f");
    }
    for (const Resources& resources : options->resources) {
      if (resources.names.empty()) FlagError("RESOURCE", "name which ones to delete");
    }
  });
}

void AddLogs(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* logs = AddCommand(app, command, "logs", "Shows what a server's process writes to its standard error.\n",
                              kLogsExamples, options, RunLogs);
  AddServerArgument(logs, &options->server);
  logs->add_flag("-f,--follow", options->follow, "Go on with what it writes, until its process ends");
  logs->add_option("--tail", options->tail, "Only the last so many lines")
      ->type_name("LINES")
      ->check([](const std::string& text) {
        int lines;
        return absl::SimpleAtoi(text, &lines) && lines > 0 && lines <= kMaxTail
                   ? ""
                   : absl::StrCat("must be a number from 1 to ", kMaxTail, ", not \"", text, "\"");
      });
}

void AddStart(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<StartOptions>();
  CLI::App* start = AddCommand(app, command, "start", "Starts servers now, and ends their suspension.\n",
                               kStartExamples, options, RunStart);
  AddServersArgument(start, &options->servers, "Names");
  start->get_option("SERVER")->required();
  AddWaitOptions(start, &options->wait, &options->timeout, "they are ready");
}

void AddStop(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<StopOptions>();
  CLI::App* stop = AddCommand(app, command, "stop",
                              "Puts servers to sleep, once calls in flight have ended. The next client wakes them.\n",
                              kStopExamples, options, RunStop);
  AddServersArgument(stop, &options->servers, "Names");
  stop->get_option("SERVER")->required();
  stop->add_flag("--suspend", options->suspend, "Nobody wakes them until they are started by hand");
  AddWaitOptions(stop, &options->wait, &options->timeout, "they have no process");
}

void AddCall(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<CallOptions>();
  CLI::App* call = AddCommand(app, command, "call",
                              "Calls a tool of a server and prints what it answers. Without a tool: lists them.\n",
                              kCallExamples, options, RunCall);
  AddServerArgument(call, &options->server);
  call->add_option("TOOL", options->tool, "The tool's name")->type_name("");
  call->add_option("--arg", options->arguments,
                   "An argument, read as the type that the tool declares; arrays and objects are JSON. May be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  call->add_option("--json", options->json, "Arguments as a JSON object; --arg adds to it")->type_name("OBJECT");
  call->add_option_function<std::string>(
          "-o,--output", [options](const std::string&) { options->as_json = true; }, "Another form: json")
      ->type_name("FORMAT")
      ->transform(WithoutEquals)
      ->check([](const std::string& word) {
        return word == "json" ? "" : absl::StrCat("must be json, not \"", word, "\"");
      });
  AddCheck(call, [options] {
    if (options->tool.empty() && !(options->arguments.empty() && options->json.empty())) {
      FlagError("TOOL", "name the tool that the arguments are for");
    }
  });
}

void AddConnect(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<ConnectOptions>();
  CLI::App* connect = AddCommand(
      app, command, "connect",
      "Is an MCP server on standard input and output, which is in truth one that unmcp runs.\n"
      "For clients that can only run a command.\n",
      kConnectExamples, options, RunConnect);
  AddServerArgument(connect, &options->server);
}

void AddConfig(CLI::App* app, ClientCommand* command) {
  auto options = std::make_shared<ConfigOptions>();
  CLI::App* config = AddCommand(app, command, "config",
                                "Prints what to put into the configuration of an MCP client.\n"
                                "Where it goes is said beside it, on standard error.\n",
                                kConfigExamples, options, RunConfig);
  const std::map<std::string, McpHost> hosts = {{"claude", McpHost::kClaude},
                                                {"claude-code", McpHost::kClaudeCode},
                                                {"cursor", McpHost::kCursor},
                                                {"vscode", McpHost::kVsCode}};
  config
      ->add_option_function<std::string>(
          "CLIENT", [options, hosts](const std::string& word) { options->host = hosts.at(word); },
          "claude, claude-code, cursor or vscode")
      ->required()
      ->type_name("")
      ->check([hosts](const std::string& word) {
        return hosts.contains(word) ? ""
                                    : absl::StrCat("must be claude, claude-code, cursor or vscode, not \"", word, "\"");
      });
  AddServersArgument(config, &options->servers, "Names; all servers when there are none");
  config->add_option("--url", options->url, "Where clients reach unmcp, if not where this command finds it")
      ->type_name("URL");
}

}  // namespace

void AddClientCommands(CLI::App* app, ClientCommand* command) {
  AddGet(app, command);
  AddDescribe(app, command);
  AddApply(app, command);
  AddDelete(app, command);
  AddLogs(app, command);
  AddStart(app, command);
  AddStop(app, command);
  AddCall(app, command);
  AddConnect(app, command);
  AddConfig(app, command);
}

}  // namespace unmcp
