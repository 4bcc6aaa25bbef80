#include "cli/import/placeholders.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "apiserver/secret_values.h"
#include "common/proto_json.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;

// What is typed for one input. Terminals give no more than 4 KiB on a line;
// pasted private keys are longer and belong into files.
constexpr size_t kMaxAnswerBytes = 64 * 1024;

// A pick list's entry: a word, or an object with label and value.
absl::StatusOr<std::string> ReadOption(const Json& option) {
  if (option.is_string()) return option.get<std::string>();
  if (option.is_object() && option.contains("value") && option["value"].is_string()) {
    return option["value"].get<std::string>();
  }
  return absl::InvalidArgumentError("must be a string, or an object with label and value");
}

absl::StatusOr<Input> ReadInput(const Json& json) {
  const auto text = [&](const char* key) -> std::string {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
  };
  if (!json.is_object() || text("id").empty()) return absl::InvalidArgumentError("id: is required");
  Input input{.id = text("id"),
              .description = text("description"),
              .password = json.contains("password") && json["password"] == true,
              .default_value = text("default")};
  const std::string type = text("type");
  if (type == "pickString") {
    if (!json.contains("options") || !json["options"].is_array() || json["options"].empty()) {
      return absl::InvalidArgumentError("options: must be a list of what may be picked");
    }
    for (size_t i = 0; i < json["options"].size(); ++i) {
      auto option = ReadOption(json["options"][i]);
      if (!option.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("options[", i, "]: ", option.status().message()));
      }
      input.options.push_back(*std::move(option));
    }
  } else if (type != "promptString") {
    return absl::InvalidArgumentError(
        absl::StrCat("type: is ", JsonText(json.value("type", Json())),
                     "; promptString and pickString can be asked for here, others only by the editor"));
  }
  return input;
}

bool IsIdentifier(absl::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) && absl::c_all_of(name, [](char c) {
    return c == '_' || absl::ascii_isalnum(static_cast<unsigned char>(c));
  });
}

// One line from the terminal, without its end. nullopt: there is no more, or the
// character `interrupt` came.
std::optional<std::string> ReadLine(int fd, char interrupt) {
  std::string line;
  char c;
  while (line.size() < kMaxAnswerBytes) {
    const ssize_t n = read(fd, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return line.empty() ? std::nullopt : std::optional(line);
    if (c == interrupt) return std::nullopt;
    if (c == '\n') return line;
    line += c;
  }
  return line;
}

void Print(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR) return;
    if (n > 0) text.remove_prefix(static_cast<size_t>(n));
  }
}

class Expander {
 public:
  explicit Expander(const Placeholders& placeholders) : p_(placeholders) {}

  absl::StatusOr<Expanded> Expand(absl::string_view text) {
    Expanded out;
    for (;;) {
      const size_t begin = text.find("${");
      const size_t end = begin == absl::string_view::npos ? begin : text.find('}', begin);
      if (end == absl::string_view::npos) {
        absl::StrAppend(&out.text, text);
        return out;
      }
      absl::StrAppend(&out.text, text.substr(0, begin));
      UNMCP_ASSIGN_OR_RETURN(const std::string value, Value(text.substr(begin + 2, end - begin - 2), &out));
      out.text += value;
      text.remove_prefix(end + 1);
    }
  }

 private:
  absl::StatusOr<std::string> Value(absl::string_view name, Expanded* out) {
    if (absl::ConsumePrefix(&name, "env:")) return Variable(name, std::nullopt, out);
    if (absl::ConsumePrefix(&name, "input:")) return InputValue(name, out);
    if (name == "workspaceFolder") return p_.workspace_folder;
    if (name == "workspaceFolderBasename") return std::filesystem::path(p_.workspace_folder).filename().string();
    if (name == "userHome") return p_.home;
    if (name == "pathSeparator" || name == "/") return "/";
    const size_t fallback = name.find(":-");
    if (IsIdentifier(name.substr(0, fallback))) {
      return fallback == absl::string_view::npos
                 ? Variable(name, std::nullopt, out)
                 : Variable(name.substr(0, fallback), std::string(name.substr(fallback + 2)), out);
    }
    return absl::InvalidArgumentError(
        absl::StrCat("${", name, "}: is not known here; known are ${env:NAME}, ${NAME}, ${NAME:-default}, ${input:id}, "
                     "${workspaceFolder} and ${userHome}"));
  }

  absl::StatusOr<std::string> Variable(absl::string_view name, std::optional<std::string> fallback, Expanded* out) {
    std::optional<std::string> value = p_.environment(std::string(name));
    // An empty variable counts as none where there is a default, as in shells.
    if (fallback.has_value() && (!value.has_value() || value->empty())) return *std::move(fallback);
    if (value.has_value()) {
      out->looks_secret |= apiserver::LooksSecret(name, *value);
      return *std::move(value);
    }
    return absl::InvalidArgumentError(
        absl::StrCat("the environment variable ", name, " is not set; set it where unmcp is run: ", name, "=…"));
  }

  absl::StatusOr<std::string> InputValue(absl::string_view id, Expanded* out) {
    const auto it = p_.inputs->find(std::string(id));
    if (it == p_.inputs->end()) {
      return absl::InvalidArgumentError(absl::StrCat("${input:", id, "}: the file's `inputs` have no \"", id, "\""));
    }
    out->secret |= it->second.password;
    return p_.values->Get(it->second);
  }

  const Placeholders& p_;
};

}  // namespace

absl::StatusOr<std::map<std::string, Input>> ReadInputs(const Json& inputs) {
  if (!inputs.is_array()) return absl::InvalidArgumentError("inputs: must be a list");
  std::map<std::string, Input> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    absl::StatusOr<Input> input = ReadInput(inputs[i]);
    if (!input.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("inputs[", i, "].", input.status().message()));
    }
    const std::string id = input->id;
    if (!out.emplace(id, *std::move(input)).second) {
      return absl::InvalidArgumentError(absl::StrCat("inputs[", i, "].id: \"", id, "\" is there twice"));
    }
  }
  return out;
}

std::string InputVariable(absl::string_view id) {
  std::string name = absl::StrCat("UNMCP_INPUT_", absl::AsciiStrToUpper(id));
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

absl::StatusOr<std::string> InputValues::Get(const Input& input) {
  const auto check = [&](std::string value) -> absl::StatusOr<std::string> {
    if (input.options.empty() || absl::c_linear_search(input.options, value)) return value;
    return absl::InvalidArgumentError(
        absl::StrCat("input ", input.id, ": must be one of ", absl::StrJoin(input.options, ", ")));
  };
  if (const auto it = options_.given.find(input.id); it != options_.given.end()) return check(it->second);
  if (options_.environment) {
    if (auto value = options_.environment(InputVariable(input.id))) return check(*std::move(value));
  }
  if (const auto it = answers_.find(input.id); it != answers_.end()) return it->second;
  if (!options_.ask) {
    return absl::InvalidArgumentError(absl::StrCat("the input \"", input.id, "\"",
                                                   input.description.empty() ? "" : " (", input.description,
                                                   input.description.empty() ? "" : ")",
                                                   " is asked for on a terminal, and there is none; give it with --input ",
                                                   input.id, "=VALUE, or in the environment: ",
                                                   InputVariable(input.id), "=VALUE"));
  }
  UNMCP_ASSIGN_OR_RETURN(std::string answer, options_.ask(input));
  UNMCP_ASSIGN_OR_RETURN(answer, check(std::move(answer)));
  answers_[input.id] = answer;
  return answer;
}

absl::StatusOr<std::string> AskOnTerminal(int fd, const Input& input) {
  std::string prompt = input.description.empty() ? input.id : input.description;
  for (size_t i = 0; i < input.options.size(); ++i) absl::StrAppend(&prompt, "\n  ", i + 1, ") ", input.options[i]);
  if (!input.options.empty()) absl::StrAppend(&prompt, "\nnumber or value");
  if (!input.default_value.empty() && !input.password) absl::StrAppend(&prompt, " [", input.default_value, "]");
  termios before{};
  const bool terminal = tcgetattr(fd, &before) == 0;
  if (terminal) {
    // Ctrl-C is read, as the end of the line, and no signal: that would end the
    // process with the echo off, or not at all where signals wait for later.
    termios asking = before;
    asking.c_lflag &= ~static_cast<tcflag_t>(input.password ? ISIG | ECHO : ISIG);
    asking.c_cc[VEOL] = before.c_cc[VINTR];
    tcsetattr(fd, TCSADRAIN, &asking);
  }
  const absl::Cleanup restore = [&] {
    if (terminal) tcsetattr(fd, TCSANOW, &before);
    if (terminal && input.password) Print(fd, "\n");  // the one that was typed was not shown
  };
  Print(fd, absl::StrCat(prompt, ": "));
  std::optional<std::string> line = ReadLine(fd, terminal ? static_cast<char>(before.c_cc[VINTR]) : '\0');
  if (!line.has_value()) {
    return absl::CancelledError(absl::StrCat("the input \"", input.id, "\" was not answered"));
  }
  int number;
  if (!input.options.empty() && absl::SimpleAtoi(*line, &number) && number >= 1 &&
      number <= static_cast<int>(input.options.size()) && !absl::c_linear_search(input.options, *line)) {
    return input.options[static_cast<size_t>(number - 1)];
  }
  return line->empty() ? input.default_value : *std::move(line);
}

absl::StatusOr<Expanded> Expand(absl::string_view text, const Placeholders& placeholders) {
  return Expander(placeholders).Expand(text);
}

}  // namespace unmcp
