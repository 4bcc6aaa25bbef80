#include "apiserver/secret_values.h"

#include <algorithm>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace unmcp::apiserver {
namespace {

// Keys of a Secret are at most 253 characters; the rest is for the prefix and
// for what tells two of them apart.
constexpr size_t kMaxKeyPart = 200;

// Words that name a secret even when it is a number.
constexpr absl::string_view kPasswordWords[] = {"password", "passwords", "passwd", "passphrase", "secret", "secrets"};
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

bool ValueLooksSecret(absl::string_view value) {
  return HasKnownToken(value) || HasJwt(value) || HasUrlWithPassword(value) || HasScheme(value) ||
         (absl::StrContains(value, "-----BEGIN ") && absl::StrContains(value, "PRIVATE KEY"));
}

// A reference to another variable, "$(TOKEN)", holds nothing itself.
bool IsReference(absl::string_view value) {
  return absl::StartsWith(value, "$(") && value.find(')') == value.size() - 1;
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

template <class List>
void Take(List* list, bool is_header, const std::set<std::string>& named, std::set<std::string>* taken,
          std::vector<SecretValue>* out) {
  for (int i = 0; i < list->size(); ++i) {
    auto& entry = *list->Mutable(i);
    if (entry.has_value_from() || entry.value().empty()) continue;
    const bool is_named = named.contains(absl::StrCat(is_header ? "headers/" : "env/", entry.name()));
    if (!is_named && !LooksSecret(entry.name(), entry.value())) continue;
    out->push_back({KeyFor(is_header ? "header." : "env.", entry.name(), taken), entry.value(), is_header, i});
    entry.clear_value();
  }
}

}  // namespace

bool LooksSecret(absl::string_view name, absl::string_view value) {
  if (value.empty() || IsReference(value)) return false;
  return ValueLooksSecret(value) || NameLooksSecret(name, value);
}

std::vector<SecretValue> TakeSecretValues(Spec* spec, const std::set<std::string>& named) {
  const Lists lists = ListsOf(spec);
  std::set<std::string> taken;
  std::vector<SecretValue> values;
  Take(lists.env, false, named, &taken, &values);
  Take(lists.headers, true, named, &taken, &values);
  return values;
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
