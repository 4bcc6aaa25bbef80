// Flags that more than one of unmcp's programs has, and the words in which all
// of them answer a command line.
//
//   CLI::App app("Serves the gRPC API.", "unmcp-apiserver");
//   AddStandardFlags(&app);
//   AddNamespaceFlag(&app, &options.ns);
//   AddLogFlags(&app, &options.log);
//   UNMCP_ASSIGN_OR_RETURN(const std::optional<std::string> text, ParseFlags(&app, args));
//   if (text) { std::cout << *text; return 0; }
//
// What a flag points to has its default already, is shown with it in --help,
// and outlives the parsing.
//
// Thread safety: functions only.
#ifndef UNMCP_SERVE_FLAGS_H_
#define UNMCP_SERVE_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "serve/logging.h"

namespace CLI {
class App;
}

namespace unmcp {

inline constexpr char kVersion[] = "0.1.0";

// Of a process whose command line is wrong, as shells have it.
inline constexpr int kUsageExitCode = 2;

// Looks up an environment variable; nullopt when it is not set.
using Environment = absl::FunctionRef<std::optional<std::string>(const char* name)>;

// This process's.
std::optional<std::string> ProcessEnvironment(const char* name);

// $XDG_DATA_HOME/unmcp or ~/.local/share/unmcp; nullopt where neither is known.
std::optional<std::string> DefaultDataDir(Environment environment);

// --help and --version. First: sub-commands take --help over from there.
void AddStandardFlags(CLI::App* app);
void AddHostFlag(CLI::App* app, std::string* host);
// `name` with its dashes. 0 picks a free port.
void AddPortFlag(CLI::App* app, const std::string& name, int* port, const std::string& what);
void AddNamespaceFlag(CLI::App* app, std::string* ns);
// Left out, `dir` becomes $XDG_DATA_HOME/unmcp or ~/.local/share/unmcp when the
// command line has been parsed, which fails where neither is known.
void AddDataDirFlag(CLI::App* app, Environment environment, std::string* dir);
// A Unix socket, given as PATH or unix:PATH; `path` gets the first form.
void AddSocketFlag(CLI::App* app, const std::string& name, std::string* path, const std::string& what);
// The same, to be given as often as one likes.
void AddSocketsFlag(CLI::App* app, const std::string& name, std::vector<std::string>* paths, const std::string& what);
// --log-level and --log-format.
void AddLogFlags(CLI::App* app, LogOptions* options);
// --allow-pod-template, of whoever serves the API.
void AddPodTemplateFlag(CLI::App* app, bool* allow);
// --allow-host and --allow-origin, of whoever serves HTTP.
void AddAccessFlags(CLI::App* app, std::vector<std::string>* hosts, std::vector<std::string>* origins);

// Checks beyond one flag go into the command's parse_complete_callback, which
// throws this. `name` has its dashes.
[[noreturn]] void FlagError(const std::string& name, const std::string& problem);

// Parses `args` (without the program's name) by `app` and its sub-commands.
// Text to be printed on stdout, with exit code 0, for --help and --version.
// INVALID_ARGUMENT for a wrong command line: the message names the flag, and
// where its help is.
absl::StatusOr<std::optional<std::string>> ParseFlags(CLI::App* app, const std::vector<std::string>& args);

// The same for a whole program: prints what is to be printed, and answers the
// exit code; nullopt to go on. Errors on stderr begin with the app's name.
std::optional<int> ParseProgramFlags(CLI::App* app, int argc, char** argv);

}  // namespace unmcp

#endif  // UNMCP_SERVE_FLAGS_H_
