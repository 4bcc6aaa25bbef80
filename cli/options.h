// The command line of `unmcp`.
//
//   const auto command = ParseCommandLine({argv + 1, argv + argc}, Environment);
//   if (!command.ok()) { std::cerr << "unmcp: " << command.status().message() << "\n"; return kUsageExitCode; }
//
// Thread safety: everything here is thread safe.
#ifndef UNMCP_CLI_OPTIONS_H_
#define UNMCP_CLI_OPTIONS_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "cli/logging.h"

namespace unmcp {

inline constexpr char kVersion[] = "0.1.0";

// Of a process whose command line is wrong, as shells have it.
inline constexpr int kUsageExitCode = 2;

// `unmcp up`: everything in one process on this machine.
struct UpOptions {
  std::string host = "127.0.0.1";
  // 0 picks a free port.
  int port = 8080;
  int grpc_port = 9090;
  std::string data_dir;
  std::string ns = "default";
  // Files and directories for LoadManifests.
  std::vector<std::string> manifests;
  LogOptions log;
};

// --help or --version: print on stdout and exit with 0.
struct PrintAndExit {
  std::string text;
};

using Command = std::variant<UpOptions, PrintAndExit>;

// Looks up an environment variable; nullopt when it is not set.
using Environment = absl::FunctionRef<std::optional<std::string>(const char* name)>;

// `args` is without the program's name. INVALID_ARGUMENT, with a message that
// names the flag and where its help is.
absl::StatusOr<Command> ParseCommandLine(const std::vector<std::string>& args, Environment environment);

}  // namespace unmcp

#endif  // UNMCP_CLI_OPTIONS_H_
