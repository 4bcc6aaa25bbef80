#include "cli/manifest_loader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/yaml.h"
#include "common/proto_json.h"
#include "common/status_macros.h"
#include "proto/schema/crd.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;

// What an API server writes into metadata, and what only means something in
// the cluster it was read from.
constexpr const char* kServerMetadata[] = {
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation",
    "managedFields",     "ownerReferences",            "resourceVersion",   "selfLink",   "uid"};

absl::Status Invalid(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

bool Is(const Json& json, const kube::Kind& kind) {
  return json.value("kind", "") == kind.kind && json.value("apiVersion", "") == kind.ApiVersion();
}

// Null stands for absence in manifests; an API server drops it.
void DropNulls(Json* json) {
  if (json->is_object()) {
    for (auto it = json->begin(); it != json->end();) it = it->is_null() ? json->erase(it) : std::next(it);
  }
  if (json->is_structured()) {
    for (Json& child : *json) DropNulls(&child);
  }
}

// kNamePattern and kNameMaxLength, in a few comparisons.
bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= kNameMaxLength && absl::ascii_islower(name.front()) && name.back() != '-' &&
         absl::c_all_of(name, [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-'; });
}

absl::Status CheckWords(const Json& metadata, const char* key) {
  const std::string path = absl::StrCat("metadata.", key);
  if (!metadata.contains(key)) return absl::OkStatus();
  if (!metadata[key].is_object()) return Invalid(path, "must be an object");
  for (const auto& [name, value] : metadata[key].items()) {
    if (!value.is_string()) {
      return Invalid(absl::StrCat(path, ".", name), absl::StrCat("must be a string; write \"", JsonText(value), "\""));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> ReadMetadata(const Json& document, const std::string& ns) {
  const Json metadata = document.value("metadata", Json());
  if (metadata.is_null()) return Invalid("metadata.name", "is required");
  if (!metadata.is_object()) return Invalid("metadata", "must be an object");
  Json out = {{"namespace", ns}};
  for (const auto& [key, value] : metadata.items()) {
    if (key == "name" || key == "namespace" || key == "labels" || key == "annotations") {
      out[key] = value;
    } else if (!absl::c_linear_search(kServerMetadata, key)) {
      return Invalid(absl::StrCat("metadata.", key),
                     "unknown field; a manifest's metadata has name, namespace, labels and annotations");
    }
  }
  if (!out.contains("name")) return Invalid("metadata.name", "is required");
  if (!out["name"].is_string()) return Invalid("metadata.name", "must be a string; put it in quotes");
  const std::string name = out["name"];
  if (!IsName(name)) {
    return Invalid("metadata.name", absl::StrCat("must be at most ", kNameMaxLength,
                                                 " lower-case letters, digits and '-', beginning with a letter and "
                                                 "ending with a letter or digit, since a Service bears the same name"));
  }
  if (out["namespace"] != ns) {
    return Invalid("metadata.namespace", absl::StrCat("is ", JsonText(out["namespace"]), ", but this unmcp serves \"",
                                                      ns, "\"; leave it out, or give --namespace"));
  }
  UNMCP_RETURN_IF_ERROR(CheckWords(out, "labels"));
  UNMCP_RETURN_IF_ERROR(CheckWords(out, "annotations"));
  return out;
}

template <class Message>
absl::Status CheckSpec(const Json& spec) {
  Message message;
  UNMCP_RETURN_IF_ERROR(FromJson({{"spec", spec}}, UnknownFields::kReject, &message));
  return ValidateRules(message);
}

absl::StatusOr<kube::Object> ReadObject(Json document, const std::string& ns) {
  if (!document.is_object()) return absl::InvalidArgumentError("must be an object with apiVersion, kind, …");
  DropNulls(&document);
  for (const char* key : {"apiVersion", "kind"}) {
    if (!document.contains(key)) return Invalid(key, "is required");
    if (!document[key].is_string()) return Invalid(key, "must be a string");
  }
  const bool is_server = Is(document, kube::MCPServerKind());
  if (!is_server && !Is(document, kube::MCPPoolKind())) {
    return Invalid("kind", absl::StrCat(document["kind"].get<std::string>(), " of ",
                                        document["apiVersion"].get<std::string>(),
                                        " is not a kind that unmcp reads; it reads MCPServer and MCPPool of ",
                                        kube::MCPServerKind().ApiVersion()));
  }
  for (const auto& [key, value] : document.items()) {
    if (key != "apiVersion" && key != "kind" && key != "metadata" && key != "spec" && key != "status") {
      return Invalid(key, "unknown field; it may belong under spec");
    }
  }
  Json spec = document.value("spec", Json::object());
  UNMCP_ASSIGN_OR_RETURN(Json metadata, ReadMetadata(document, ns));
  UNMCP_RETURN_IF_ERROR(is_server ? CheckSpec<v1::MCPServer>(spec) : CheckSpec<v1::MCPPool>(spec));
  return kube::Object({{"apiVersion", document["apiVersion"]},
                       {"kind", document["kind"]},
                       {"metadata", std::move(metadata)},
                       {"spec", std::move(spec)}});
}

class Loader {
 public:
  explicit Loader(const std::string& ns) : ns_(ns) {}

  absl::Status LoadPath(const std::string& path) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (!fs::is_directory(path, error)) return LoadFile(path);
    std::vector<std::string> files;
    fs::directory_iterator it(path, error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
      const std::string name = it->path().filename();
      const std::string extension = it->path().extension();
      std::error_code ignored;
      if (name[0] != '.' && (extension == ".yaml" || extension == ".yml" || extension == ".json") &&
          !it->is_directory(ignored)) {
        files.push_back(it->path());
      }
    }
    if (error) return absl::NotFoundError(absl::StrCat(path, ": cannot be listed: ", error.message()));
    if (files.empty()) {
      return absl::NotFoundError(absl::StrCat(path, ": has no *.yaml, *.yml or *.json file; name another directory"));
    }
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) UNMCP_RETURN_IF_ERROR(LoadFile(file));
    return absl::OkStatus();
  }

  std::vector<kube::Object> Take() { return std::move(objects_); }

 private:
  absl::Status LoadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    if (file) {
      text.resize(kMaxManifestBytes + 1);
      file.read(text.data(), static_cast<std::streamsize>(text.size()));
      text.resize(static_cast<size_t>(file.gcount()));
    }
    if (!file.is_open() || file.bad()) {
      return absl::NotFoundError(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
    }
    if (text.size() > kMaxManifestBytes) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": is larger than ", kMaxManifestBytes >> 20,
                                                     " MiB; split it into several files"));
    }
    if (absl::EndsWith(path, ".json")) {
      absl::StatusOr<Json> json = ParseJson(text);
      if (!json.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", json.status().message()));
      return LoadDocument({*std::move(json), {}}, path);
    }
    absl::StatusOr<std::vector<YamlDocument>> documents = ParseYaml(text);
    if (!documents.ok()) {
      // "line 7: …" becomes "a.yaml:7: …", as for all other errors.
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", absl::StripPrefix(documents.status().message(), "line ")));
    }
    for (size_t i = 0; i < documents->size(); ++i) {
      const std::string where = documents->size() == 1 ? "" : absl::StrCat("document ", i + 1, ": ");
      UNMCP_RETURN_IF_ERROR(LoadDocument((*documents)[i], path, where));
    }
    return absl::OkStatus();
  }

  // `where` says which document of several it is.
  absl::Status LoadDocument(const YamlDocument& document, const std::string& path, const std::string& where = "") {
    const std::string kind = document.json.is_object() && document.json.contains("kind") &&
                                     document.json["kind"].is_string()
                                 ? document.json["kind"].get<std::string>()
                                 : "";
    if (kind != "List" && kind != "MCPServerList" && kind != "MCPPoolList") {
      return Add(document.json, "", document, path, where);
    }
    const Json items = document.json.value("items", Json::array());
    if (!items.is_array()) {
      return absl::InvalidArgumentError(absl::StrCat(path, LineSuffix(document, "items"), ": ", where,
                                                     "items: must be a list"));
    }
    for (size_t i = 0; i < items.size(); ++i) {
      UNMCP_RETURN_IF_ERROR(Add(items[i], absl::StrCat("items[", i, "]"), document, path, where));
    }
    return absl::OkStatus();
  }

  // `prefix` is where `json` is in the document.
  absl::Status Add(const Json& json, const std::string& prefix, const YamlDocument& document, const std::string& path,
                   const std::string& where) {
    const auto full = [&](const std::string& field) {
      return prefix.empty() || field.empty() ? prefix + field : absl::StrCat(prefix, ".", field);
    };
    absl::StatusOr<kube::Object> object = ReadObject(json, ns_);
    if (!object.ok()) {
      // "spec.env[2].name: must be …" begins with the field that is wrong.
      const std::string message(object.status().message());
      const std::string field = message.substr(0, std::min(message.find(": "), message.size()));
      const std::string at = absl::StrContains(field, ' ') ? "" : field;
      return absl::InvalidArgumentError(absl::StrCat(path, LineSuffix(document, full(at)), ": ", where,
                                                     prefix, prefix.empty() ? "" : at.empty() ? ": " : ".", message));
    }
    const std::string place = absl::StrCat(path, LineSuffix(document, full("metadata.name")));
    const auto [it, fresh] = seen_.emplace(absl::StrCat(object->kind(), " ", object->name()), place);
    if (!fresh) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": ", where, it->first, " is already in ", it->second,
                                                     "; keep one of the two"));
    }
    objects_.push_back(*std::move(object));
    return absl::OkStatus();
  }

  // JSON files come without lines.
  static std::string LineSuffix(const YamlDocument& document, const std::string& field) {
    return document.lines.empty() ? "" : absl::StrCat(":", document.LineOf(field));
  }

  const std::string ns_;
  std::vector<kube::Object> objects_;
  // "MCPServer name" → where it was read.
  std::map<std::string, std::string> seen_;
};

}  // namespace

absl::StatusOr<std::vector<kube::Object>> LoadManifests(const std::vector<std::string>& paths, const std::string& ns) {
  Loader loader(ns);
  for (const std::string& path : paths) UNMCP_RETURN_IF_ERROR(loader.LoadPath(path));
  return loader.Take();
}

}  // namespace unmcp
