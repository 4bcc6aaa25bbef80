// ${…} in the configuration files of MCP clients.
#ifndef UNMCP_CLI_IMPORT_PLACEHOLDERS_H_
#define UNMCP_CLI_IMPORT_PLACEHOLDERS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace unmcp {

// A value that a file leaves to its user: an entry of VS Code's `inputs`.
struct Input {
  std::string id;
  std::string description;
  // Not shown while it is typed, and a secret afterwards.
  bool password = false;
  std::string default_value;
  // Not empty: one of these.
  std::vector<std::string> options;
};

// Reads an `inputs` list. INVALID_ARGUMENT names what is wrong; inputs of type
// "command" are among it, since only the editor can run its commands.
absl::StatusOr<std::map<std::string, Input>> ReadInputs(const nlohmann::json& inputs);

// Where the values of inputs come from.
//
//   InputValues values({.given = {{"token", "t"}}, .environment = …, .ask = …});
//
// Thread compatible.
class InputValues {
 public:
  struct Options {
    // --input ID=VALUE
    std::map<std::string, std::string> given = {};
    // Looks up UNMCP_INPUT_ID. Called during Get.
    absl::AnyInvocable<std::optional<std::string>(const std::string& name)> environment = nullptr;
    // Asks the user; null without a terminal.
    absl::AnyInvocable<absl::StatusOr<std::string>(const Input&)> ask = nullptr;
  };
  explicit InputValues(Options options) : options_(std::move(options)) {}

  // As given, else from the environment, else as the user answers (asked once),
  // else INVALID_ARGUMENT, which says how to give it.
  absl::StatusOr<std::string> Get(const Input& input);

 private:
  Options options_;
  std::map<std::string, std::string> answers_;
};

// "github-token" → "UNMCP_INPUT_GITHUB_TOKEN".
std::string InputVariable(absl::string_view id);

// Asks on /dev/tty's file descriptor `fd`, without echo for a password.
// CANCELLED at the end of input and for Ctrl-C. The terminal is left as it was.
absl::StatusOr<std::string> AskOnTerminal(int fd, const Input& input);

// What placeholders stand for.
struct Placeholders {
  // Of the process that reads the file.
  absl::FunctionRef<std::optional<std::string>(const std::string& name)> environment;
  const std::map<std::string, Input>* inputs;
  InputValues* values;
  // ${workspaceFolder}, ${userHome}.
  std::string workspace_folder;
  std::string home;
};

struct Expanded {
  std::string text;
  // Part of it came from a password input.
  bool secret = false;
  // Part of it came from an environment variable that looks like a secret, by
  // its name there or its value.
  bool looks_secret = false;
};

// Replaces ${env:X}, ${input:x}, ${workspaceFolder}, ${workspaceFolderBasename},
// ${userHome}, ${pathSeparator} and ${/}, as VS Code and Cursor have them, and
// ${X} and ${X:-default}, as Claude Code has them. What is inserted is not
// looked at again. INVALID_ARGUMENT names what is not known or not set.
absl::StatusOr<Expanded> Expand(absl::string_view text, const Placeholders& placeholders);

}  // namespace unmcp

#endif  // UNMCP_CLI_IMPORT_PLACEHOLDERS_H_
