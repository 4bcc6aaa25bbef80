#include "apiserver/upstream_headers.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

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

class Resolver : public std::enable_shared_from_this<Resolver> {
 public:
  Resolver(kube::Cluster* cluster, EventLoop* loop, std::string ns, std::vector<v1::HttpHeader> headers,
           absl::AnyInvocable<void(absl::StatusOr<http::Headers>)> done)
      : cluster_(cluster), loop_(loop), ns_(std::move(ns)), headers_(std::move(headers)), done_(std::move(done)) {}

  void Next() {
    while (at_ < headers_.size()) {
      const v1::HttpHeader& header = headers_[at_];
      if (std::count(std::begin(kOurs), std::end(kOurs), absl::AsciiStrToLower(header.name())) > 0) {
        return Fail(absl::StrCat(Path(), ".name: ", header.name(), " is set by unmcp itself; leave it out"));
      }
      if (header.has_value_from()) return Fetch(header.value_from());
      if (!Add(header.value())) return;
    }
    done_(std::move(result_));
  }

 private:
  std::string Path() const { return absl::StrCat("spec.headers[", at_, "]"); }
  void Fail(std::string why) { done_(absl::FailedPreconditionError(std::move(why))); }

  // False: it has failed.
  bool Add(absl::string_view value) {
    // A Secret made from a file ends with a newline, which means nothing here.
    value = absl::StripAsciiWhitespace(value);
    if (value.find_first_of(absl::string_view("\r\n\0", 3)) != absl::string_view::npos) {
      Fail(absl::StrCat(Path(), ": the value has several lines; a header has one"));
      return false;
    }
    result_.emplace_back(headers_[at_].name(), std::string(value));
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
  const std::vector<v1::HttpHeader> headers_;
  absl::AnyInvocable<void(absl::StatusOr<http::Headers>)> done_;
  size_t at_ = 0;
  http::Headers result_;
};

}  // namespace

void ResolveHeaders(kube::Cluster* cluster, EventLoop* loop, const std::string& ns,
                    const google::protobuf::RepeatedPtrField<v1::HttpHeader>& headers,
                    absl::AnyInvocable<void(absl::StatusOr<http::Headers>)> done) {
  auto resolver = std::make_shared<Resolver>(
      cluster, loop, ns, std::vector<v1::HttpHeader>(headers.begin(), headers.end()), std::move(done));
  loop->Post([resolver] { resolver->Next(); });
}

std::string WithoutValues(absl::string_view text, const http::Headers& headers) {
  std::vector<std::string> secrets;
  for (const auto& [name, value] : headers) {
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
