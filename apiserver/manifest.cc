#include "apiserver/manifest.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/proto_json.h"
#include "common/spec_rules.h"
#include "common/status_macros.h"

namespace unmcp::apiserver {
namespace {

using kube::Json;

// RFC 1123 subdomain, which names of Secrets and ConfigMaps are.
constexpr size_t kMaxSubdomain = 253;
// core/v1: MaxSecretSize, and the same for a ConfigMap.
constexpr size_t kMaxDataBytes = 1024 * 1024;

// What kubectl writes for itself: the whole manifest, secret values included.
constexpr char kLastApplied[] = "kubectl.kubernetes.io/last-applied-configuration";

absl::Status Broken(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

std::string Text(const Json& json, const char* key) {
  auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

struct KnownKind {
  kube::Kind kind;
  std::vector<std::string> fields;  // beside apiVersion, kind and metadata
};

const std::vector<KnownKind>& KnownKinds() {
  static const auto* const kinds = new std::vector<KnownKind>{
      {kube::MCPServerKind(), {"spec", "status"}},
      {kube::MCPPoolKind(), {"spec", "status"}},
      {kube::SecretKind(), {"data", "stringData", "type", "immutable"}},
      {kube::ConfigMapKind(), {"data", "binaryData", "immutable"}},
  };
  return *kinds;
}

absl::StatusOr<const KnownKind*> FindKind(const Json& json) {
  const std::string kind = Text(json, "kind");
  const std::string version = Text(json, "apiVersion");
  if (kind.empty()) return Broken("kind", "is required: MCPServer, MCPPool, Secret or ConfigMap");
  for (const KnownKind& known : KnownKinds()) {
    if (known.kind.kind != kind) continue;
    if (known.kind.ApiVersion() == version) return &known;
    return Broken("apiVersion", absl::StrCat("must be ", known.kind.ApiVersion(), " for a ", kind));
  }
  return Broken("kind", absl::StrCat("must be MCPServer, MCPPool, Secret or ConfigMap, not ", JsonText(kind)));
}

absl::Status CheckFields(const Json& json, const KnownKind& known) {
  for (const auto& [key, value] : json.items()) {
    if (key == "apiVersion" || key == "kind" || key == "metadata" || absl::c_linear_search(known.fields, key)) continue;
    return Broken(key, absl::StrCat("is not a field of a ", known.kind.kind, "; it has apiVersion, kind, metadata, ",
                                    absl::StrJoin(known.fields, ", ")));
  }
  return absl::OkStatus();
}

absl::Status CheckSubdomain(const std::string& name) {
  const bool fits = !name.empty() && name.size() <= kMaxSubdomain && absl::c_all_of(name, [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '.';
  }) && absl::ascii_isalnum(name.front()) && absl::ascii_isalnum(name.back());
  if (fits) return absl::OkStatus();
  return Broken("metadata.name", "must have 1 to 253 lower-case letters, digits, '-' and '.', and begin and end with a "
                                 "letter or digit");
}

absl::StatusOr<Json> ReadStrings(const Json& metadata, const char* key) {
  auto it = metadata.find(key);
  if (it == metadata.end() || it->is_null()) return Json::object();
  if (!it->is_object()) return Broken(absl::StrCat("metadata.", key), "must be an object");
  for (const auto& [name, value] : it->items()) {
    if (!value.is_string()) return Broken(absl::StrCat("metadata.", key, ".", name), "must be text; put it in quotes");
  }
  Json strings = *it;
  strings.erase(kLastApplied);
  return strings;
}

absl::StatusOr<kube::Object> ReadMetadata(const Json& json, const KnownKind& known, const std::string& ns) {
  auto it = json.find("metadata");
  if (it == json.end() || !it->is_object()) return Broken("metadata", "is required, and is an object");
  const std::string name = Text(*it, "name");
  if (!known.kind.group.empty()) {
    const absl::Status valid = ValidateName(name);
    if (!valid.ok()) return absl::InvalidArgumentError(absl::StrCat("metadata.", valid.message()));
  } else {
    UNMCP_RETURN_IF_ERROR(CheckSubdomain(name));
  }
  const std::string given = Text(*it, "namespace");
  if (!given.empty() && given != ns) {
    return Broken("metadata.namespace", absl::StrCat("must be ", ns, ", the namespace that is served, or be left out"));
  }
  kube::Object object(known.kind, ns, name);
  for (const char* key : {"labels", "annotations"}) {
    UNMCP_ASSIGN_OR_RETURN(Json strings, ReadStrings(*it, key));
    if (!strings.empty()) object.json()["metadata"][key] = std::move(strings);
  }
  return object;
}

absl::Status CheckKey(const std::string& key, const std::string& path) {
  const bool fits = !key.empty() && key.size() <= kMaxSubdomain && absl::c_all_of(key, [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
  if (fits) return absl::OkStatus();
  return Broken(path, "a key has 1 to 253 letters, digits, '-', '_' and '.'");
}

// One of data, stringData and binaryData. No error repeats a value.
absl::Status ReadData(const Json& json, const char* field, bool base64, bool encode, Json* out) {
  auto it = json.find(field);
  if (it == json.end() || it->is_null()) return absl::OkStatus();
  if (!it->is_object()) return Broken(field, "must be an object");
  for (const auto& [key, value] : it->items()) {
    const std::string path = absl::StrCat(field, ".", key.substr(0, kMaxSubdomain));
    UNMCP_RETURN_IF_ERROR(CheckKey(key, path));
    if (!value.is_string()) return Broken(path, "must be text; put it in quotes");
    const auto& text = value.get_ref<const std::string&>();
    std::string decoded;
    if (base64 && !absl::Base64Unescape(text, &decoded)) {
      return Broken(path, absl::StrCat("must be base64", absl::string_view(field) == "data"
                                                             ? "; plain text goes into stringData"
                                                             : ""));
    }
    (*out)[key] = encode ? absl::Base64Escape(text) : text;
  }
  return absl::OkStatus();
}

absl::Status ReadContent(const Json& json, const kube::Kind& kind, Json* object) {
  const bool secret = kind == kube::SecretKind();
  Json data = Json::object();
  UNMCP_RETURN_IF_ERROR(ReadData(json, "data", secret, false, &data));
  if (secret) UNMCP_RETURN_IF_ERROR(ReadData(json, "stringData", false, true, &data));
  Json binary = Json::object();
  if (!secret) UNMCP_RETURN_IF_ERROR(ReadData(json, "binaryData", true, false, &binary));
  size_t bytes = 0;
  for (const Json* part : {&data, &binary}) {
    for (const auto& [key, value] : part->items()) bytes += key.size() + value.get_ref<const std::string&>().size();
  }
  if (bytes > kMaxDataBytes) return Broken("data", "is over 1 MiB, which the cluster does not take");
  if (!data.empty()) (*object)["data"] = std::move(data);
  if (!binary.empty()) (*object)["binaryData"] = std::move(binary);
  if (auto it = json.find("type"); it != json.end()) {
    if (!it->is_string()) return Broken("type", "must be text");
    (*object)["type"] = *it;
  }
  if (auto it = json.find("immutable"); it != json.end() && !it->is_null()) {
    if (!it->is_boolean()) return Broken("immutable", "must be true or false");
    (*object)["immutable"] = *it;
  }
  return absl::OkStatus();
}

template <class Message>
absl::StatusOr<Spec> ReadSpec(const Json& json) {
  Message message;
  const Json spec = json.value("spec", Json::object());
  if (!spec.is_object()) return Broken("spec", "must be an object");
  const absl::Status read = FromJson(spec, UnknownFields::kReject, &message);
  if (!read.ok()) return absl::InvalidArgumentError(absl::StrCat("spec.", read.message()));
  return message;
}

}  // namespace

absl::StatusOr<Manifest> ReadManifest(const Json& json, const std::string& ns) {
  if (!json.is_object()) return absl::InvalidArgumentError("a manifest is an object with apiVersion, kind and metadata");
  UNMCP_ASSIGN_OR_RETURN(const KnownKind* known, FindKind(json));
  UNMCP_RETURN_IF_ERROR(CheckFields(json, *known));
  Manifest manifest;
  manifest.kind = known->kind;
  UNMCP_ASSIGN_OR_RETURN(manifest.object, ReadMetadata(json, *known, ns));
  if (known->kind == kube::MCPServerKind()) {
    UNMCP_ASSIGN_OR_RETURN(manifest.spec, ReadSpec<v1::MCPServerSpec>(json));
  } else if (known->kind == kube::MCPPoolKind()) {
    UNMCP_ASSIGN_OR_RETURN(manifest.spec, ReadSpec<v1::MCPPoolSpec>(json));
  } else {
    UNMCP_RETURN_IF_ERROR(ReadContent(json, known->kind, &manifest.object.json()));
  }
  return manifest;
}

}  // namespace unmcp::apiserver
