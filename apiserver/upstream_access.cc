#include "apiserver/upstream_access.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/references.h"

namespace unmcp::apiserver {
namespace {

// What belongs to the framing of a request, or to MCP: with another value
// nothing would work.
constexpr absl::string_view kOurs[] = {
    "accept",         "connection",   "content-length",       "content-type",     "expect",
    "last-event-id",  "mcp-session-id", "mcp-protocol-version", "transfer-encoding",
};

// Shorter values are no secrets, and stand in too many words.
constexpr size_t kMinSecretBytes = 6;

// A header, or a variable that the url refers to.
struct Item {
  std::string path;  // "spec.headers[0]"
  bool is_header;
  std::string name;
  std::string value;
  std::optional<v1::ValueSource> source;
};

template <class Entry>
Item ItemOf(std::string path, bool is_header, const Entry& entry) {
  Item item{std::move(path), is_header, entry.name(), entry.value(), std::nullopt};
  if (entry.has_value_from()) item.source = entry.value_from();
  return item;
}

std::vector<Item> ItemsOf(const v1::MCPServerSpec& spec) {
  std::vector<Item> items;
  for (int i = 0; i < spec.headers_size(); ++i) {
    items.push_back(ItemOf(absl::StrCat("spec.headers[", i, "]"), true, spec.headers(i)));
  }
  const std::vector<const v1::EnvVar*> variables = VariablesOfUrl(spec);
  for (int i = 0; i < spec.env_size(); ++i) {
    if (std::find(variables.begin(), variables.end(), &spec.env(i)) == variables.end()) continue;
    items.push_back(ItemOf(absl::StrCat("spec.env[", i, "]"), false, spec.env(i)));
  }
  return items;
}

class Resolver : public std::enable_shared_from_this<Resolver> {
 public:
  Resolver(kube::Cluster* cluster, EventLoop* loop, std::string ns, const v1::MCPServerSpec& spec,
           absl::AnyInvocable<void(absl::StatusOr<ResolvedAccess>)> done)
      : cluster_(cluster),
        loop_(loop),
        ns_(std::move(ns)),
        items_(ItemsOf(spec)),
        url_(spec.url()),
        done_(std::move(done)) {}

  void Next() {
    while (at_ < items_.size()) {
      const Item& item = items_[at_];
      if (item.is_header && std::count(std::begin(kOurs), std::end(kOurs), absl::AsciiStrToLower(item.name)) > 0) {
        return Fail(absl::StrCat(item.path, ".name: ", item.name, " is set by unmcp itself; leave it out"));
      }
      if (item.source) return Fetch(*item.source);
      if (!Add(item.is_header ? item.value : Expand(item.value))) return;
    }
    result_.url = Expand(url_);
    done_(std::move(result_));
  }

 private:
  const std::string& Path() const { return items_[at_].path; }
  void Fail(std::string why) { done_(absl::FailedPreconditionError(std::move(why))); }
  std::string Expand(absl::string_view text) const {
    return ExpandReferences(text, [this](absl::string_view name) -> std::optional<std::string> {
      auto variable = variables_.find(std::string(name));
      return variable == variables_.end() ? std::nullopt : std::optional(variable->second);
    });
  }

  // False: it has failed.
  bool Add(absl::string_view value) {
    // A Secret made from a file ends with a newline, which means nothing here.
    value = absl::StripAsciiWhitespace(value);
    const Item& item = items_[at_];
    if (item.is_header) {
      if (value.find_first_of(absl::string_view("\r\n\0", 3)) != absl::string_view::npos) {
        Fail(absl::StrCat(Path(), ": the value has several lines; a header has one"));
        return false;
      }
      result_.headers.emplace_back(item.name, std::string(value));
    } else {
      if (!std::all_of(value.begin(), value.end(), [](unsigned char c) { return absl::ascii_isgraph(c); })) {
        Fail(absl::StrCat(Path(), ": the value has characters that a URL cannot have; percent-encode them"));
        return false;
      }
      if (item.source) result_.url_values.emplace_back(value);
      variables_[item.name] = std::string(value);
    }
    ++at_;
    return true;
  }

  void Fetch(const v1::ValueSource& source) {
    const bool secret = source.has_secret_key_ref();
    if (!secret && !source.has_config_map_key_ref()) {
      return Fail(absl::StrCat(Path(), ".valueFrom: needs secretKeyRef or configMapKeyRef"));
    }
    const kube::Kind& kind = secret ? kube::SecretKind() : kube::ConfigMapKind();
    const v1::KeyRef& ref = secret ? source.secret_key_ref() : source.config_map_key_ref();
    cluster_->Get({kind, ns_, ref.name()},
                  [self = shared_from_this(), secret, ref](absl::StatusOr<kube::Object> object) mutable {
                    EventLoop* const loop = self->loop_;
                    loop->Post([self = std::move(self), secret, ref, object = std::move(object)] {
                      self->OnObject(secret, ref, object);
                    });
                  });
  }

  void OnObject(bool secret, const v1::KeyRef& ref, const absl::StatusOr<kube::Object>& object) {
    const std::string path = absl::StrCat(Path(), ".valueFrom.", secret ? "secretKeyRef" : "configMapKeyRef");
    const std::string what = absl::StrCat(secret ? "Secret" : "ConfigMap", " \"", ref.name(), "\"");
    if (!object.ok() && !absl::IsNotFound(object.status())) {
      return Fail(absl::StrCat(path, ": ", what, " cannot be read: ", object.status().message()));
    }
    const kube::Json* value = nullptr;
    if (object.ok() && object->json().contains("data") && object->json()["data"].is_object()) {
      const kube::Json& data = object->json()["data"];
      if (auto it = data.find(ref.key()); it != data.end() && it->is_string()) value = &*it;
    }
    if (value == nullptr) {
      if (!ref.optional()) {
        return Fail(object.ok() ? absl::StrCat(path, ": ", what, " has no key \"", ref.key(), "\"")
                                : absl::StrCat(path, ": there is no ", what, " in namespace ", ns_));
      }
      if (!items_[at_].is_header) variables_[items_[at_].name] = "";
      ++at_;
      return Next();
    }
    std::string text = value->get<std::string>();
    if (secret) {
      std::string decoded;
      if (!absl::Base64Unescape(text, &decoded)) return Fail(absl::StrCat(path, ": the value is no base64"));
      text = std::move(decoded);
    }
    if (Add(text)) Next();
  }

  kube::Cluster* const cluster_;
  EventLoop* const loop_;
  const std::string ns_;
  const std::vector<Item> items_;
  const std::string url_;
  absl::AnyInvocable<void(absl::StatusOr<ResolvedAccess>)> done_;
  size_t at_ = 0;
  std::map<std::string, std::string> variables_;
  ResolvedAccess result_;
};

}  // namespace

void ResolveAccess(kube::Cluster* cluster, EventLoop* loop, const std::string& ns, const v1::MCPServerSpec& spec,
                   absl::AnyInvocable<void(absl::StatusOr<ResolvedAccess>)> done) {
  auto resolver = std::make_shared<Resolver>(cluster, loop, ns, spec, std::move(done));
  loop->Post([resolver] { resolver->Next(); });
}

std::string WithoutValues(absl::string_view text, const ResolvedAccess& access) {
  std::vector<std::string> secrets;
  for (const std::string& value : access.url_values) {
    if (value.size() >= kMinSecretBytes) secrets.push_back(value);
  }
  for (const auto& [name, value] : access.headers) {
    // "Bearer abc" is a secret, and so is its last word.
    const size_t space = value.rfind(' ');
    for (const std::string& secret : {value, space == std::string::npos ? value : value.substr(space + 1)}) {
      if (secret.size() >= kMinSecretBytes) secrets.push_back(secret);
    }
  }
  std::sort(secrets.begin(), secrets.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  std::string clean(text);
  for (const std::string& secret : secrets) clean = absl::StrReplaceAll(clean, {{secret, "***"}});
  return clean;
}

}  // namespace unmcp::apiserver
