#include "common/references.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace unmcp {
namespace {

// As the schema has EnvVar.name.
bool IsVariableName(absl::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-._", c);
         });
}

}  // namespace

std::string ExpandReferences(absl::string_view text,
                             absl::FunctionRef<std::optional<std::string>(absl::string_view name)> value) {
  std::string result;
  while (true) {
    const size_t dollar = text.find('$');
    absl::StrAppend(&result, text.substr(0, dollar));
    if (dollar == absl::string_view::npos) return result;
    text.remove_prefix(dollar);
    const size_t close = absl::StartsWith(text, "$(") ? text.find(')') : absl::string_view::npos;
    if (close != absl::string_view::npos) {
      const std::optional<std::string> known = value(text.substr(2, close - 2));
      absl::StrAppend(&result, known ? absl::string_view(*known) : text.substr(0, close + 1));
      text.remove_prefix(close + 1);
    } else {
      result += '$';
      text.remove_prefix(absl::StartsWith(text, "$$") ? 2 : 1);
    }
  }
}

std::vector<std::string> ReferencesIn(absl::string_view text) {
  std::vector<std::string> names;
  ExpandReferences(text, [&](absl::string_view name) -> std::optional<std::string> {
    if (IsVariableName(name)) names.emplace_back(name);
    return std::nullopt;
  });
  return names;
}

std::string WithoutReferences(absl::string_view text) {
  return ExpandReferences(text, [](absl::string_view name) {
    return IsVariableName(name) ? std::optional<std::string>("") : std::nullopt;
  });
}

std::string EscapeReferences(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"$$", "$$$$"}, {"$(", "$$("}});
}

std::vector<const v1::EnvVar*> VariablesOfUrl(const v1::MCPServerSpec& spec) {
  std::vector<std::string> names = ReferencesIn(spec.url());
  std::set<std::string> wanted(names.begin(), names.end());
  std::vector<const v1::EnvVar*> variables;
  // A value refers to what comes before it.
  for (auto variable = spec.env().rbegin(); variable != spec.env().rend(); ++variable) {
    if (!wanted.contains(variable->name())) continue;
    variables.push_back(&*variable);
    names = ReferencesIn(variable->value());
    wanted.insert(names.begin(), names.end());
  }
  std::reverse(variables.begin(), variables.end());
  return variables;
}

}  // namespace unmcp
