#include "serve/flags.h"

#include <cstdlib>
#include <iostream>
#include <map>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace unmcp {
namespace {

// sockaddr_un's, less the NUL at its end.
constexpr size_t kMaxSocketPath = 107;

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

std::string SocketPath(const std::string& text) { return std::string(absl::StripPrefix(text, "unix:")); }

std::string CheckSocket(const std::string& text) {
  const std::string path = SocketPath(text);
  if (path.empty()) return "must be the path of a Unix socket";
  if (path.size() <= kMaxSocketPath) return "";
  return absl::StrCat("must be at most ", kMaxSocketPath, " bytes long, as the system has it; choose a shorter path");
}

// The command that the arguments chose, as far as they could be read.
CLI::App* Chosen(CLI::App* app) {
  for (CLI::App* command : app->get_subcommands({})) {
    if (command->count() > 0) return Chosen(command);
  }
  return app;
}

// "unmcp up --help".
std::string HelpOf(const CLI::App* app) {
  std::string words = app->get_name();
  for (app = app->get_parent(); app != nullptr; app = app->get_parent()) {
    words = absl::StrCat(app->get_name(), " ", words);
  }
  return absl::StrCat(words, " --help");
}

void AllowExtras(CLI::App* app) {
  app->allow_extras();
  for (CLI::App* command : app->get_subcommands({})) AllowExtras(command);
}

// What CLI11 could not place, in our own words.
absl::Status CheckExtras(const CLI::App* app) {
  const std::vector<std::string> extras = app->remaining();
  if (extras.empty()) return absl::OkStatus();
  const bool flag = absl::StartsWith(extras[0], "-");
  const bool command = !app->get_subcommands([](const CLI::App*) { return true; }).empty();
  return absl::InvalidArgumentError(absl::StrCat("unknown ", flag ? "flag " : command ? "command " : "argument ",
                                                 flag ? extras[0].substr(0, extras[0].find('=')) : extras[0], "; see ",
                                                 HelpOf(app)));
}

}  // namespace

std::optional<std::string> ProcessEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// XDG Base Directory specification 0.8: relative paths are to be ignored.
std::optional<std::string> DefaultDataDir(Environment environment) {
  if (const auto xdg = environment("XDG_DATA_HOME"); xdg.has_value() && absl::StartsWith(*xdg, "/")) {
    return absl::StrCat(*xdg, "/unmcp");
  }
  if (const auto home = environment("HOME"); home.has_value() && absl::StartsWith(*home, "/")) {
    return absl::StrCat(*home, "/.local/share/unmcp");
  }
  return std::nullopt;
}

void AddStandardFlags(CLI::App* app) {
  app->set_version_flag("--version", absl::StrCat(app->get_name(), " ", kVersion), "Print the version and exit");
  app->set_help_flag("-h,--help", "Print this help and exit");
}

void AddHostFlag(CLI::App* app, std::string* host) {
  app->add_option("--host", *host, "Address to listen on")
      ->capture_default_str()
      ->type_name("ADDRESS")
      ->check(CheckNotEmpty);
}

void AddPortFlag(CLI::App* app, const std::string& name, int* port, const std::string& what) {
  app->add_option(name, *port, what)->capture_default_str()->type_name("PORT")->check(CheckPort);
}

void AddNamespaceFlag(CLI::App* app, std::string* ns) {
  app->add_option("--namespace", *ns, "Namespace of the resources")
      ->capture_default_str()
      ->type_name("NAME")
      ->check(CheckNamespace);
}

void AddDataDirFlag(CLI::App* app, Environment environment, std::string* dir) {
  app->add_option("--data-dir", *dir, "Where everything is kept [$XDG_DATA_HOME/unmcp or ~/.local/share/unmcp]")
      ->type_name("DIR")
      ->check(CheckNotEmpty);
  app->final_callback([environment, dir] {
    if (!dir->empty()) return;
    const std::optional<std::string> found = DefaultDataDir(environment);
    if (!found) FlagError("--data-dir", "HOME is not set, so there is no default place for data; give --data-dir DIR");
    *dir = *found;
  });
}

void AddSocketFlag(CLI::App* app, const std::string& name, std::string* path, const std::string& what) {
  app->add_option_function<std::string>(name, [path](const std::string& text) { *path = SocketPath(text); }, what)
      ->type_name("unix:PATH")
      ->check(CheckSocket);
}

void AddSocketsFlag(CLI::App* app, const std::string& name, std::vector<std::string>* paths, const std::string& what) {
  app->add_option_function<std::vector<std::string>>(
         name,
         [paths](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) paths->push_back(SocketPath(text));
         },
         what)
      ->type_name("unix:PATH")
      ->allow_extra_args(false)
      ->check(CheckSocket);
}

void AddLogFlags(CLI::App* app, LogOptions* options) {
  static const auto* const kLevels = new std::map<std::string, LogLevel>{{"debug", LogLevel::kDebug},
                                                                         {"info", LogLevel::kInfo},
                                                                         {"warn", LogLevel::kWarning},
                                                                         {"warning", LogLevel::kWarning},
                                                                         {"error", LogLevel::kError}};
  app->add_option_function<std::string>(
         "--log-level", [options](const std::string& level) { options->level = kLevels->at(level); },
         "debug, info, warn or error")
      ->default_str("info")
      ->type_name("LEVEL")
      ->check([](const std::string& text) {
        return kLevels->contains(text) ? "" : absl::StrCat("must be debug, info, warn or error, not \"", text, "\"");
      });
  app->add_option_function<std::string>(
         "--log-format",
         [options](const std::string& format) {
           options->format = format == "json" ? LogFormat::kJson : LogFormat::kText;
         },
         "text, or json for one object a line")
      ->default_str("text")
      ->type_name("FORMAT")
      ->check([](const std::string& text) {
        return text == "text" || text == "json" ? "" : absl::StrCat("must be text or json, not \"", text, "\"");
      });
}

void AddPodTemplateFlag(CLI::App* app, bool* allow) {
  app->add_flag("--allow-pod-template", *allow,
                "Take spec.podTemplate from clients of the API, which lets them run anything");
}

void AddAccessFlags(CLI::App* app, std::vector<std::string>* hosts, std::vector<std::string>* origins) {
  app->add_option("--allow-host", *hosts, "Another name that clients reach this by (Host); may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->check(CheckNotEmpty);
  app->add_option("--allow-origin", *origins, "Web pages from here may connect (CORS); may be repeated")
      ->type_name("ORIGIN")
      ->allow_extra_args(false)
      ->check(CheckNotEmpty);
}

void FlagError(const std::string& name, const std::string& problem) { throw CLI::ValidationError(name, problem); }

absl::StatusOr<std::optional<std::string>> ParseFlags(CLI::App* app, const std::vector<std::string>& args) {
  AllowExtras(app);
  // The library throws; nothing of it leaves this function.
  try {
    app->parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    return app->help();
  } catch (const CLI::CallForVersion& version) {
    return absl::StrCat(version.what(), "\n");
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(error.what(), "; see ", HelpOf(Chosen(app))));
  }
  for (const CLI::App* part = Chosen(app); part != nullptr; part = part->get_parent()) {
    if (absl::Status status = CheckExtras(part); !status.ok()) return status;
  }
  return std::nullopt;
}

std::optional<int> ParseProgramFlags(CLI::App* app, int argc, char** argv) {
  const auto text = ParseFlags(app, {argv + 1, argv + argc});
  if (!text.ok()) {
    std::cerr << app->get_name() << ": " << text.status().message() << "\n";
    return kUsageExitCode;
  }
  if (!text->has_value()) return std::nullopt;
  std::cout << **text;
  return 0;
}

}  // namespace unmcp
