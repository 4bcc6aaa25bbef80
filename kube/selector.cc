#include "kube/selector.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace unmcp::kube {
namespace {

std::string Trimmed(absl::string_view text) { return std::string(absl::StripAsciiWhitespace(text)); }

// Characters of label keys and values; stricter checks are the writer's.
bool IsToken(const std::string& text) {
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") ==
         std::string::npos;
}

// Splits at commas that are outside parentheses.
std::vector<std::string> SplitRequirements(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

absl::StatusOr<LabelSelector> LabelSelector::Parse(const std::string& text) {
  LabelSelector selector;
  if (Trimmed(text).empty()) return selector;
  for (const std::string& part : SplitRequirements(text)) {
    UNMCP_ASSIGN_OR_RETURN(Requirement requirement, ParseRequirement(Trimmed(part)));
    selector.requirements_.push_back(std::move(requirement));
  }
  return selector;
}

absl::StatusOr<LabelSelector::Requirement> LabelSelector::ParseRequirement(const std::string& text) {
  const auto error = [&] {
    return absl::InvalidArgumentError(absl::StrCat("unable to parse label selector: \"", text,
                                                   "\" is none of key, !key, key=value, key!=value, "
                                                   "key in (a,b), key notin (a,b)"));
  };
  Requirement requirement;
  std::string values;
  if (const size_t equals = text.find('='); equals != std::string::npos) {
    size_t key_end = equals;
    if (key_end > 0 && text[key_end - 1] == '!') {
      requirement.negated = true;
      --key_end;
    }
    absl::string_view value = absl::string_view(text).substr(equals + 1);
    absl::ConsumePrefix(&value, "=");
    requirement.key = Trimmed(text.substr(0, key_end));
    requirement.values.insert(Trimmed(value));
  } else if (const size_t open = text.find('('); open != std::string::npos) {
    if (!absl::EndsWith(text, ")")) return error();
    const std::vector<std::string> words =
        absl::StrSplit(text.substr(0, open), absl::ByAnyChar(" \t"), absl::SkipWhitespace());
    if (words.size() != 2 || (words[1] != "in" && words[1] != "notin")) return error();
    requirement.key = words[0];
    requirement.negated = words[1] == "notin";
    for (absl::string_view value : absl::StrSplit(text.substr(open + 1, text.size() - open - 2), ',')) {
      requirement.values.insert(Trimmed(value));
    }
  } else {
    requirement.exists = true;
    requirement.negated = absl::StartsWith(text, "!");
    requirement.key = Trimmed(requirement.negated ? text.substr(1) : text);
  }
  if (requirement.key.empty() || !IsToken(requirement.key)) return error();
  for (const std::string& value : requirement.values) {
    if (!IsToken(value)) return error();
  }
  return requirement;
}

bool LabelSelector::Matches(const Object& object) const {
  if (requirements_.empty()) return true;
  const std::map<std::string, std::string> labels = object.labels();
  for (const Requirement& requirement : requirements_) {
    auto label = labels.find(requirement.key);
    const bool selected = label != labels.end() && (requirement.exists || requirement.values.count(label->second) > 0);
    if (selected == requirement.negated) return false;
  }
  return true;
}

}  // namespace unmcp::kube
