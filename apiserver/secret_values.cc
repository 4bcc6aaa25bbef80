#include "apiserver/secret_values.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/references.h"
#include "common/status_macros.h"

namespace unmcp::apiserver {
namespace {

// Keys of a Secret are at most 253 characters; the rest is for the prefix and
// for what tells two of them apart.
constexpr size_t kMaxKeyPart = 200;

// Names stand in each other: "--env=API_KEY=x", "--header=X-Key: x".
constexpr int kMaxNestedNames = 3;

// Words that name a secret even when it is a number.
constexpr absl::string_view kPasswordWords[] = {"password",   "passwords", "passwd", "pass",
                                                "passphrase", "secret",    "secrets"};
constexpr absl::string_view kSecretWords[] = {"token",         "tokens", "key",    "keys",    "apikey",        "credential",
                                              "credentials",   "auth",   "bearer", "cookie",  "cookies",
                                              "authorization", "pat"};
// What a name ends with that says where or how, not what: KEY_FILE, TOKEN_URL.
constexpr absl::string_view kAboutWords[] = {"path", "file",      "dir",     "url",     "uri",
                                             "type", "algorithm", "timeout", "expiry", "ttl"};

bool IsNumberOrBoolean(absl::string_view value) {
  double number = 0;
  bool boolean = false;
  return absl::SimpleAtod(value, &number) || absl::SimpleAtob(value, &boolean);
}

// "OPENAI_API_KEY", "X-Api-Key" and "openaiApiKey": in lower case, word by word.
std::vector<std::string> Words(absl::string_view name) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < name.size(); ++i) {
    const bool separator = !absl::ascii_isalnum(name[i]);
    const bool hump = i > 0 && absl::ascii_isupper(name[i]) && absl::ascii_islower(name[i - 1]);
    if ((separator || hump) && !words.back().empty()) words.emplace_back();
    if (!separator) words.back().push_back(absl::ascii_tolower(name[i]));
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

bool NameLooksSecret(absl::string_view name, absl::string_view value) {
  const std::vector<std::string> words = Words(name);
  if (words.empty() || absl::c_linear_search(kAboutWords, words.back())) return false;
  const auto has = [&](const auto& list) {
    return absl::c_any_of(words, [&](const std::string& word) { return absl::c_linear_search(list, word); });
  };
  bool boolean = false;
  if (absl::SimpleAtob(value, &boolean) && value != "0" && value != "1") return false;
  return has(kPasswordWords) || (has(kSecretWords) && !IsNumberOrBoolean(value));
}

bool IsTokenCharacter(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; }

size_t TokenLength(absl::string_view text) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsTokenCharacter) - text.begin());
}

// A token with a well-known beginning, as a word anywhere in the value.
bool HasKnownToken(absl::string_view value) {
  struct Form {
    absl::string_view prefix;
    size_t least;  // characters after it
  };
  constexpr Form kForms[] = {{"sk-", 16},  {"sk_live_", 10}, {"sk_test_", 10}, {"rk_live_", 10}, {"ghp_", 20},
                             {"gho_", 20}, {"ghu_", 20},     {"ghs_", 20},     {"ghr_", 20},     {"github_pat_", 20},
                             {"glpat-", 16}, {"xoxb-", 8},   {"xoxp-", 8},     {"xoxa-", 8},     {"xoxr-", 8},
                             {"xoxs-", 8}, {"AKIA", 16},     {"ASIA", 16},     {"AIza", 30},     {"npm_", 30}};
  for (const Form& form : kForms) {
    for (size_t at = value.find(form.prefix); at != absl::string_view::npos; at = value.find(form.prefix, at + 1)) {
      if (at > 0 && IsTokenCharacter(value[at - 1])) continue;
      if (TokenLength(value.substr(at + form.prefix.size())) >= form.least) return true;
    }
  }
  return false;
}

// RFC 7519: header.payload.signature; the header is an object, so in base64url
// it begins with "eyJ".
bool HasJwt(absl::string_view value) {
  for (size_t at = value.find("eyJ"); at != absl::string_view::npos; at = value.find("eyJ", at + 1)) {
    if (at > 0 && IsTokenCharacter(value[at - 1])) continue;
    absl::string_view rest = value.substr(at);
    const size_t header = TokenLength(rest);
    rest.remove_prefix(header);
    if (header < 8 || !absl::ConsumePrefix(&rest, ".")) continue;
    const size_t payload = TokenLength(rest);
    rest.remove_prefix(payload);
    if (payload >= 2 && absl::StartsWith(rest, ".")) return true;
  }
  return false;
}

// scheme://user:password@host
bool HasUrlWithPassword(absl::string_view value) {
  for (size_t at = value.find("://"); at != absl::string_view::npos; at = value.find("://", at + 1)) {
    if (at == 0 || !absl::ascii_isalnum(value[at - 1])) continue;
    absl::string_view authority = value.substr(at + 3);
    authority = authority.substr(0, authority.find_first_of("/?# \t\r\n"));
    const size_t end = authority.rfind('@');
    if (end == absl::string_view::npos) continue;
    const size_t colon = authority.substr(0, end).find(':');
    if (colon != absl::string_view::npos && colon + 1 < end) return true;
  }
  return false;
}

// "Bearer x", "Basic x": what stands in an Authorization header.
bool HasScheme(absl::string_view value) {
  for (absl::string_view scheme : {"bearer ", "basic "}) {
    if (absl::StartsWithIgnoreCase(value, scheme) && TokenLength(value.substr(scheme.size())) >= 6) return true;
  }
  return false;
}

// {"apiKey": "x"}, also as JSON in JSON.
bool HasSecretMember(absl::string_view value) {
  if (!absl::StrContains(value, '{')) return false;
  const std::string text = absl::StrReplaceAll(value, {{"\\", ""}});
  const std::vector<absl::string_view> pieces = absl::StrSplit(text, '"');
  for (size_t i = 0; i + 2 < pieces.size(); ++i) {
    if (absl::StripAsciiWhitespace(pieces[i + 1]) != ":" || pieces[i + 2].empty()) continue;
    if (NameLooksSecret(pieces[i], pieces[i + 2])) return true;
  }
  return false;
}

bool ValueLooksSecret(absl::string_view value) {
  return HasKnownToken(value) || HasJwt(value) || HasUrlWithPassword(value) || HasScheme(value) ||
         HasSecretMember(value) ||
         (absl::StrContains(value, "-----BEGIN ") && absl::StrContains(value, "PRIVATE KEY"));
}

// A value that refers to another variable by its name, "$(TOKEN)", leaves the
// secret there.
bool IsSecret(absl::string_view name, absl::string_view value) {
  if (value.empty()) return false;
  const bool refers = !ReferencesIn(value).empty();
  return (!refers && NameLooksSecret(name, value)) || ValueLooksSecret(WithoutReferences(value));
}

bool IsName(absl::string_view text) {
  return !text.empty() && absl::c_all_of(text, [](char c) { return IsTokenCharacter(c) || c == '.'; });
}

// The segments of a URL's path and the values of its query that are secret.
std::vector<absl::string_view> SecretPartsOfUrl(absl::string_view url) {
  std::vector<absl::string_view> parts;
  size_t at = url.find("://");
  if (at == absl::string_view::npos || !IsName(url.substr(0, at))) return parts;
  at = url.find_first_of("/?#", at + 3);
  while (at != absl::string_view::npos && url[at] == '/') {
    const size_t next = url.find_first_of("/?#", at + 1);
    const absl::string_view segment = url.substr(at + 1, next - at - 1);
    if (IsSecret("", segment)) parts.push_back(segment);
    at = next;
  }
  while (at != absl::string_view::npos && url[at] != '#') {
    const size_t next = url.find_first_of("&#", at + 1);
    const absl::string_view parameter = url.substr(at + 1, next - at - 1);
    const size_t equals = parameter.find('=');
    const absl::string_view value = equals == absl::string_view::npos ? parameter : parameter.substr(equals + 1);
    if (IsSecret(equals == absl::string_view::npos ? "" : parameter.substr(0, equals), value)) parts.push_back(value);
    at = next;
  }
  return parts;
}

std::vector<absl::string_view> PartsIn(absl::string_view name, absl::string_view text, int names_left) {
  if (ReferencesIn(text).empty() && !text.empty() && NameLooksSecret(name, text)) return {text};
  const size_t separator = text.find_first_of("=:");
  if (names_left > 0 && separator != absl::string_view::npos && IsName(text.substr(0, separator)) &&
      !absl::StartsWith(text.substr(separator), "://")) {
    const absl::string_view value = absl::StripLeadingAsciiWhitespace(text.substr(separator + 1));
    auto parts = PartsIn(text.substr(0, separator), value, names_left - 1);
    if (!parts.empty()) return parts;
  }
  if (!HasUrlWithPassword(WithoutReferences(text))) {
    auto parts = SecretPartsOfUrl(text);
    if (!parts.empty()) return parts;
  }
  if (IsSecret("", text)) return {text};
  return {};
}

// "env.API_KEY", "header.X-Key": what a Secret's key may consist of.
std::string KeyFor(absl::string_view prefix, absl::string_view name, std::set<std::string>* taken) {
  std::string key = absl::StrCat(prefix, name.substr(0, kMaxKeyPart));
  for (char& c : key) {
    if (!IsTokenCharacter(c) && c != '.') c = '_';
  }
  std::string unique = key;
  for (int n = 2; !taken->insert(unique).second; ++n) unique = absl::StrCat(key, ".", n);
  return unique;
}

struct Lists {
  google::protobuf::RepeatedPtrField<v1::EnvVar>* env;
  google::protobuf::RepeatedPtrField<v1::HttpHeader>* headers;
};

Lists ListsOf(Spec* spec) {
  if (auto* server = std::get_if<v1::MCPServerSpec>(spec)) return {server->mutable_env(), server->mutable_headers()};
  // Not to be made just to look into it.
  static v1::ServerDefaults* const none = new v1::ServerDefaults();
  auto& pool = std::get<v1::MCPPoolSpec>(*spec);
  v1::ServerDefaults* defaults = pool.has_server_defaults() ? pool.mutable_server_defaults() : none;
  return {defaults->mutable_env(), defaults->mutable_headers()};
}

class Taker {
 public:
  Taker(Spec* spec, const std::set<std::string>& named)
      : server_(std::get_if<v1::MCPServerSpec>(spec)), lists_(ListsOf(spec)), named_(named) {}

  absl::StatusOr<std::vector<SecretValue>> Take() && {
    const std::string spec = server_ != nullptr ? "spec." : "spec.serverDefaults.";
    for (int i = 0; i < lists_.env->size(); ++i) {
      UNMCP_RETURN_IF_ERROR(TakeVariable(i, absl::StrCat(spec, "env[", i, "]")));
    }
    for (int i = 0; i < lists_.headers->size(); ++i) TakeHeader(i, absl::StrCat(spec, "headers[", i, "]"));
    if (server_ != nullptr) {
      UNMCP_RETURN_IF_ERROR(TakeFromWords());
      UNMCP_RETURN_IF_ERROR(TakeFromUrl());
    }
    return std::move(values_);
  }

 private:
  absl::Status TakeVariable(int index, std::string path) {
    v1::EnvVar& variable = *lists_.env->Mutable(index);
    if (variable.has_value_from()) return absl::OkStatus();
    const bool refers = !ReferencesIn(variable.value()).empty();
    const bool named = !variable.value().empty() && !refers && named_.contains(absl::StrCat("env/", variable.name()));
    if (!named && !LooksSecret(variable.name(), variable.value())) return absl::OkStatus();
    if (refers) return BesideReference(path, variable.value());
    Add("env.", variable.name(), WithoutReferences(variable.value()), false, index, std::move(path));
    variable.clear_value();
    return absl::OkStatus();
  }

  void TakeHeader(int index, std::string path) {
    v1::HttpHeader& header = *lists_.headers->Mutable(index);
    if (header.has_value_from() || header.value().empty()) return;
    if (!named_.contains(absl::StrCat("headers/", header.name())) && !LooksSecret(header.name(), header.value())) {
      return;
    }
    Add("header.", header.name(), header.value(), true, index, std::move(path));
    header.clear_value();
  }

  absl::Status TakeFromWords() {
    std::string flag;  // whose value the next word is
    const auto take = [&](std::string* word, std::string path, const std::string& variable, bool named) {
      const std::string text = *word;
      const bool is_flag = absl::StartsWith(text, "-");
      std::vector<absl::string_view> parts = SecretParts(is_flag ? "" : flag, text);
      const bool all = parts.empty() ? named && ReferencesIn(text).empty() : HasParenthesis(text);
      if (all && !text.empty()) parts = {text};
      flag = is_flag && !absl::StrContains(text, '=') ? text : "";
      return Replace(parts, text, path, [&](size_t) { return variable; }, word);
    };
    for (int i = 0; i < server_->command_size(); ++i) {
      if (i == 0) continue;  // the program
      UNMCP_RETURN_IF_ERROR(take(server_->mutable_command(i), absl::StrCat("spec.command[", i, "]"),
                                 absl::StrCat("UNMCP_COMMAND_", i), false));
    }
    for (int i = 0; i < server_->args_size(); ++i) {
      UNMCP_RETURN_IF_ERROR(take(server_->mutable_args(i), absl::StrCat("spec.args[", i, "]"),
                                 absl::StrCat("UNMCP_ARG_", i), named_.contains(absl::StrCat("args/", i))));
    }
    return absl::OkStatus();
  }

  absl::Status TakeFromUrl() {
    const std::string text = server_->url();
    std::vector<absl::string_view> parts = SecretPartsOfUrl(text);
    if (parts.empty() ? named_.contains("url") && ReferencesIn(text).empty() : HasParenthesis(text)) {
      const size_t scheme = text.find("://");
      const size_t path = scheme == std::string::npos ? scheme : text.find_first_of("/?", scheme + 3);
      parts.clear();
      if (path < text.size() - 1) parts.push_back(absl::string_view(text).substr(path + 1));
    }
    return Replace(parts, text, "spec.url", [](size_t n) { return absl::StrCat("UNMCP_URL_", n); },
                   server_->mutable_url());
  }

  // "$(" that begins no reference could be closed by one that is written behind it.
  static bool HasParenthesis(absl::string_view text) { return absl::StrContains(WithoutReferences(text), "$("); }

  // Writes `text` to `out` with references in place of `parts`.
  absl::Status Replace(const std::vector<absl::string_view>& parts, absl::string_view text, const std::string& path,
                       absl::FunctionRef<std::string(size_t n)> variable, std::string* out) {
    std::string result;
    const char* rest = text.data();
    for (size_t n = 0; n < parts.size(); ++n) {
      const absl::string_view part = parts[n];
      if (!ReferencesIn(part).empty()) return BesideReference(path, part);
      const int index = NewVariable(variable(n));
      const std::string& name = lists_.env->Get(index).name();
      Add("env.", name, WithoutReferences(part), false, index, path);
      absl::StrAppend(&result, absl::string_view(rest, part.data() - rest), "$(", name, ")");
      rest = part.data() + part.size();
    }
    absl::StrAppend(&result, absl::string_view(rest, text.data() + text.size() - rest));
    *out = std::move(result);
    return absl::OkStatus();
  }

  static absl::Status BesideReference(const std::string& path, absl::string_view text) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": holds a secret beside the reference $(", ReferencesIn(text).front(),
                     "): put the secret into a variable of spec.env of its own, and refer to that; or write $$( for "
                     "the characters themselves"));
  }

  // The index of an entry of this name, or one like it, that nothing refers to.
  int NewVariable(const std::string& wanted) {
    if (referred_.empty()) ReadReferences();
    std::string name = wanted;
    for (int n = 2; !referred_.insert(name).second; ++n) name = absl::StrCat(wanted, "_", n);
    auto it = absl::c_find_if(*lists_.env, [&](const v1::EnvVar& variable) { return variable.name() == name; });
    // What an earlier spec had there.
    const int index = static_cast<int>(it - lists_.env->begin());
    v1::EnvVar& variable = it == lists_.env->end() ? *lists_.env->Add() : *it;
    variable.Clear();
    variable.set_name(name);
    return index;
  }

  void ReadReferences() {
    const auto read = [&](absl::string_view text) {
      for (std::string& name : ReferencesIn(text)) referred_.insert(std::move(name));
    };
    for (const std::string& word : server_->command()) read(word);
    for (const std::string& word : server_->args()) read(word);
    for (const v1::EnvVar& variable : server_->env()) read(variable.value());
    read(server_->url());
  }

  void Add(absl::string_view prefix, absl::string_view name, std::string value, bool is_header, int index,
           std::string path) {
    values_.push_back({KeyFor(prefix, name, &keys_), std::move(value), is_header, index, std::move(path)});
  }

  v1::MCPServerSpec* const server_;  // nullptr: a pool
  const Lists lists_;
  const std::set<std::string>& named_;
  std::set<std::string> keys_;
  std::set<std::string> referred_;
  std::vector<SecretValue> values_;
};

}  // namespace

bool LooksSecret(absl::string_view name, absl::string_view value) {
  return IsSecret(name, value) || !SecretPartsOfUrl(value).empty();
}

std::vector<absl::string_view> SecretParts(absl::string_view name, absl::string_view text) {
  return PartsIn(name, text, kMaxNestedNames);
}

absl::StatusOr<std::vector<SecretValue>> TakeSecretValues(Spec* spec, const std::set<std::string>& named) {
  return Taker(spec, named).Take();
}

void ReferTo(const SecretValue& value, const std::string& secret_name, Spec* spec) {
  const Lists lists = ListsOf(spec);
  v1::ValueSource* source = value.is_header ? lists.headers->Mutable(value.index)->mutable_value_from()
                                            : lists.env->Mutable(value.index)->mutable_value_from();
  source->mutable_secret_key_ref()->set_name(secret_name);
  source->mutable_secret_key_ref()->set_key(value.key);
}

std::vector<std::string> ReferredSecrets(const Spec& spec) {
  Spec copy = spec;
  const Lists lists = ListsOf(&copy);
  std::set<std::string> names;
  for (const v1::EnvVar& variable : *lists.env) names.insert(variable.value_from().secret_key_ref().name());
  for (const v1::HttpHeader& header : *lists.headers) names.insert(header.value_from().secret_key_ref().name());
  names.erase("");
  return {names.begin(), names.end()};
}

}  // namespace unmcp::apiserver
