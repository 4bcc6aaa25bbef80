#include "cli/yaml.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/proto_json.h"
#include "common/status_macros.h"
#include "yaml-cpp/yaml.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;

constexpr char kDigits[] = "0123456789";

absl::Status Error(int line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

int Line(const YAML::Node& node) { return node.Mark().line + 1; }

bool AllOf(absl::string_view text, absl::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == absl::string_view::npos;
}

// A plain scalar by the core schema (YAML 1.2.2, section 10.3.2).
absl::StatusOr<Json> Resolve(const std::string& text, int line) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  // YAML's 0o17 and 0x1F have no form in JSON; everything else JSON's own
  // number grammar decides, once "+" and "1." and ".5" are written in full.
  if (absl::StartsWith(text, "0x") && AllOf(text.substr(2), "0123456789abcdefABCDEF")) {
    uint64_t value;
    if (absl::SimpleHexAtoi(text, &value)) return value;
    return Error(line, absl::StrCat(text, " is too large a number"));
  }
  if (absl::StartsWith(text, "0o") && AllOf(text.substr(2), "01234567")) {
    if (text.size() - 2 > 21) return Error(line, absl::StrCat(text, " is too large a number"));  // 63 bits
    uint64_t value = 0;
    for (char c : text.substr(2)) value = value * 8 + static_cast<uint64_t>(c - '0');
    return value;
  }
  absl::string_view digits = text;
  const bool negative = absl::StartsWith(digits, "-");
  if (negative || absl::StartsWith(digits, "+")) digits.remove_prefix(1);
  if (digits == ".inf" || digits == ".Inf" || digits == ".INF" || text == ".nan" || text == ".NaN" || text == ".NAN") {
    return Error(line, absl::StrCat(text, " has no form in JSON"));
  }
  const size_t whole = std::min(digits.find_first_not_of(kDigits), digits.size());
  absl::string_view rest = digits.substr(whole);
  std::string number = absl::StrCat(negative ? "-" : "", whole == 0 ? "0" : digits.substr(0, whole));
  if (absl::StartsWith(rest, ".")) {
    const size_t fraction = std::min(rest.find_first_not_of(kDigits, 1), rest.size());
    if (whole == 0 && fraction == 1) return text;
    absl::StrAppend(&number, rest.substr(0, fraction), fraction == 1 ? "0" : "");
    rest.remove_prefix(fraction);
  } else if (whole == 0) {
    return text;
  }
  Json value = Json::parse(absl::StrCat(number, rest), nullptr, /*allow_exceptions=*/false);
  return value.is_number() ? value : Json(text);
}

class Converter {
 public:
  // `values` counts over all documents of a text.
  Converter(YamlDocument* document, int* values) : document_(document), values_(values) {}

  absl::StatusOr<Json> Convert(const YAML::Node& node, const std::string& path, int depth) {
    const int line = Line(node);
    document_->lines.emplace(path, line);
    if (depth > kMaxJsonDepth) return Error(line, absl::StrCat("nested deeper than ", kMaxJsonDepth, " levels"));
    if (++*values_ > kMaxYamlValues) return Error(line, absl::StrCat("more than ", kMaxYamlValues, " values"));
    switch (node.Type()) {
      case YAML::NodeType::Scalar: return Scalar(node, line);
      case YAML::NodeType::Sequence: {
        Json list = Json::array();
        for (const YAML::Node& element : node) {
          UNMCP_ASSIGN_OR_RETURN(Json value,
                                 Convert(element, absl::StrCat(path, "[", list.size(), "]"), depth + 1));
          list.push_back(std::move(value));
        }
        return list;
      }
      case YAML::NodeType::Map: {
        Json object = Json::object();
        for (const auto& entry : node) {
          if (!entry.first.IsScalar()) return Error(Line(entry.first), "a key must be text");
          const std::string& key = entry.first.Scalar();
          if (object.contains(key)) {
            return Error(Line(entry.first), absl::StrCat("the key \"", key, "\" is there twice in one object"));
          }
          const std::string key_path = path.empty() ? key : absl::StrCat(path, ".", key);
          document_->lines.emplace(key_path, Line(entry.first));
          UNMCP_ASSIGN_OR_RETURN(object[key], Convert(entry.second, key_path, depth + 1));
        }
        return object;
      }
      default: return nullptr;
    }
  }

 private:
  static absl::StatusOr<Json> Scalar(const YAML::Node& node, int line) {
    const std::string& tag = node.Tag();
    // yaml-cpp's "!" is a scalar in quotes or a block.
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return node.Scalar();
    if (tag.empty() || tag == "?") return Resolve(node.Scalar(), line);
    return Error(line, absl::StrCat("the tag ", tag, " is not supported; leave it out"));
  }

  YamlDocument* const document_;
  int* const values_;
};

// --- Writing ---

// Text that reads back as the same text without quotes. Few on purpose: the
// rest is quoted as JSON, which is YAML too.
bool IsPlain(const std::string& text) {
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  if (text.empty() || absl::string_view(kLetters).find(text[0]) == absl::string_view::npos || text.back() == ' ' ||
      text.find_first_not_of(absl::StrCat(kLetters, kDigits, "-_./ ,;()")) != std::string::npos) {
    return false;
  }
  // Words that YAML 1.1 readers take for something else.
  for (const char* word : {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}) {
    if (absl::EqualsIgnoreCase(text, word)) return false;
  }
  return true;
}

// Text of several lines that a literal block keeps as it is.
bool IsBlock(const std::string& text) {
  if (text.find('\n') == std::string::npos || absl::StartsWith(text, " ") || absl::StartsWith(text, "\n") ||
      absl::EndsWith(text, "\n")) {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c == '\n' || (c >= ' ' && c != 0x7F); });
}

// `out` ends with the key or dash that the value belongs to, without a blank.
void Write(const Json& json, const std::string& indent, bool after_dash, std::string* out) {
  if (json.is_object() && !json.empty()) {
    bool same_line = after_dash;  // the first key of a list's element
    for (const auto& [key, value] : json.items()) {
      absl::StrAppend(out, same_line ? " " : absl::StrCat(out->empty() ? "" : "\n", indent),
                      IsPlain(key) ? key : JsonText(key), ":");
      same_line = false;
      // Lists start at their key's column, as kubectl writes them.
      Write(value, value.is_array() ? indent : indent + "  ", false, out);
    }
  } else if (json.is_array() && !json.empty()) {
    for (const Json& element : json) {
      absl::StrAppend(out, out->empty() ? "" : "\n", indent, "-");
      Write(element, indent + "  ", true, out);
    }
  } else if (json.is_string() && IsBlock(json.get_ref<const std::string&>())) {
    absl::StrAppend(out, " |-");
    for (absl::string_view line : absl::StrSplit(json.get_ref<const std::string&>(), '\n')) {
      absl::StrAppend(out, "\n", line.empty() ? "" : indent, line);
    }
  } else {
    const bool plain = json.is_string() && IsPlain(json.get_ref<const std::string&>());
    absl::StrAppend(out, out->empty() ? "" : " ", plain ? json.get<std::string>() : JsonText(json));
  }
}

}  // namespace

int YamlDocument::LineOf(std::string path) const {
  for (;;) {
    if (const auto it = lines.find(path); it != lines.end()) return it->second;
    if (path.empty()) return 1;
    const size_t end = path.find_last_of(".[");
    path.resize(end == std::string::npos ? 0 : end);
  }
}

absl::StatusOr<std::vector<YamlDocument>> ParseYaml(const std::string& text) {
  // The library throws; nothing of it leaves this function.
  try {
    std::vector<YamlDocument> documents;
    int values = 0;
    for (const YAML::Node& node : YAML::LoadAll(text)) {
      YamlDocument document;
      UNMCP_ASSIGN_OR_RETURN(document.json, Converter(&document, &values).Convert(node, "", 1));
      if (!document.json.is_null()) documents.push_back(std::move(document));
    }
    return documents;
  } catch (const YAML::Exception& error) {
    // The library's own words for the commonest mistake help nobody.
    const bool unquoted = error.msg == YAML::ErrorMsg::UNKNOWN_TOKEN;
    return Error(error.mark.line + 1,
                 unquoted ? "a value that begins with @, ` or % has to be in quotes" : error.msg);
  }
}

std::string WriteYaml(const Json& json) {
  std::string out;
  Write(json, "", false, &out);
  return out + "\n";
}

}  // namespace unmcp
