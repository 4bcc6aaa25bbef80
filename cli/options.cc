#include "cli/options.h"

#include <algorithm>
#include <map>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

constexpr char kAbout[] = "unmcp runs MCP servers: it starts one when a client connects, puts it to sleep when it is\n"
                          "idle, and gives every client one stable endpoint per server.\n";

constexpr char kExamples[] =
    R"(Examples:
  unmcp up -f examples/                      the servers declared in a directory
  unmcp up -f servers.yaml --port 0          on a free port; the first line of output says which
  unmcp up --data-dir ./data                 what was declared before is still there

Clients connect to http://HOST:PORT/api/v1/servers/NAME/sse.
)";

constexpr char kUpAbout[] = "Runs everything in one process on this machine: controller, API and the servers themselves.\n"
                            "Prints \"ready http://HOST:PORT\" when clients can connect. Ctrl-C stops all of it.\n";

std::string CheckPort(const std::string& text) {
  int port;
  if (absl::SimpleAtoi(text, &port) && port >= 0 && port <= 65535) return "";
  return absl::StrCat("must be a port from 0 to 65535 (0 picks a free one), not \"", text, "\"");
}

// RFC 1123 label, as namespaces are.
std::string CheckNamespace(const std::string& text) {
  const bool letters = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (letters && !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-') return "";
  return absl::StrCat("must be at most 63 lower-case letters, digits and '-', not \"", text, "\"");
}

std::string CheckNotEmpty(const std::string& text) { return text.empty() ? "must not be empty" : ""; }

// XDG Base Directory specification 0.8: relative paths are to be ignored.
absl::StatusOr<std::string> DefaultDataDir(Environment environment) {
  if (const auto xdg = environment("XDG_DATA_HOME"); xdg.has_value() && absl::StartsWith(*xdg, "/")) {
    return absl::StrCat(*xdg, "/unmcp");
  }
  if (const auto home = environment("HOME"); home.has_value() && absl::StartsWith(*home, "/")) {
    return absl::StrCat(*home, "/.local/share/unmcp");
  }
  return absl::InvalidArgumentError("HOME is not set, so there is no default place for data; give --data-dir DIR");
}

// What CLI11 could not place, in our own words.
absl::Status CheckExtras(const CLI::App& app, const std::string& help, const std::string& what) {
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) return absl::OkStatus();
  const bool flag = absl::StartsWith(extras[0], "-");
  return absl::InvalidArgumentError(
      absl::StrCat("unknown ", flag ? "flag " : what, flag ? extras[0].substr(0, extras[0].find('=')) : extras[0],
                   "; see ", help));
}

}  // namespace

absl::StatusOr<Command> ParseCommandLine(const std::vector<std::string>& args, Environment environment) {
  CLI::App app(kAbout, "unmcp");
  app.set_version_flag("--version", absl::StrCat("unmcp ", kVersion), "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.allow_extras();
  app.require_subcommand(0, 1);
  app.footer(kExamples);

  UpOptions options;
  CLI::App* up = app.add_subcommand("up", kUpAbout);
  up->allow_extras();
  up->footer(kExamples);
  up->add_option("--host", options.host, "Address to listen on")
      ->capture_default_str()
      ->type_name("ADDRESS")
      ->check(CheckNotEmpty);
  up->add_option("--port", options.port, "Port for clients and the REST API; 0 picks a free one")
      ->capture_default_str()
      ->type_name("PORT")
      ->check(CheckPort);
  up->add_option("--grpc-port", options.grpc_port, "Port for the gRPC API; 0 picks a free one")
      ->capture_default_str()
      ->type_name("PORT")
      ->check(CheckPort);
  up->add_option("--data-dir", options.data_dir,
                 "Where everything is kept [$XDG_DATA_HOME/unmcp or ~/.local/share/unmcp]")
      ->type_name("DIR")
      ->check(CheckNotEmpty);
  up->add_option("--namespace", options.ns, "Namespace of the resources")
      ->capture_default_str()
      ->type_name("NAME")
      ->check(CheckNamespace);
  up->add_option("-f,--filename", options.manifests, "Apply the manifests in this file or directory; may be repeated")
      ->type_name("FILE|DIR")
      ->allow_extra_args(false)
      ->check(CheckNotEmpty);
  const std::map<std::string, LogLevel> levels = {{"debug", LogLevel::kDebug},
                                                  {"info", LogLevel::kInfo},
                                                  {"warning", LogLevel::kWarning},
                                                  {"error", LogLevel::kError}};
  std::string level = "info";
  up->add_option("--log-level", level, "debug, info, warning or error")
      ->capture_default_str()
      ->type_name("LEVEL")
      ->check([&](const std::string& text) {
        return levels.contains(text) ? ""
                                     : absl::StrCat("must be debug, info, warning or error, not \"", text, "\"");
      });
  std::string format = "text";
  up->add_option("--log-format", format, "text, or json for one object a line")
      ->capture_default_str()
      ->type_name("FORMAT")
      ->check([](const std::string& text) {
        return text == "text" || text == "json" ? "" : absl::StrCat("must be text or json, not \"", text, "\"");
      });

  // The library throws; nothing of it leaves this function.
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    return PrintAndExit{app.help()};
  } catch (const CLI::CallForVersion& version) {
    return PrintAndExit{absl::StrCat(version.what(), "\n")};
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(error.what(), "; see unmcp ", up->count() > 0 ? "up " : "", "--help"));
  }
  UNMCP_RETURN_IF_ERROR(CheckExtras(app, "unmcp --help", "command "));
  if (!up->parsed()) return PrintAndExit{app.help()};
  UNMCP_RETURN_IF_ERROR(CheckExtras(*up, "unmcp up --help", "argument "));
  if (options.port != 0 && options.port == options.grpc_port) {
    return absl::InvalidArgumentError("--grpc-port: must differ from --port; see unmcp up --help");
  }
  if (options.data_dir.empty()) {
    UNMCP_ASSIGN_OR_RETURN(options.data_dir, DefaultDataDir(environment));
  }
  options.log.level = levels.at(level);
  options.log.format = format == "json" ? LogFormat::kJson : LogFormat::kText;
  return options;
}

}  // namespace unmcp
