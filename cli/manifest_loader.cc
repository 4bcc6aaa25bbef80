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
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/import/client_config.h"
#include "cli/import/jsonc.h"
#include "cli/yaml.h"
#include "common/proto_json.h"
#include "common/spec_rules.h"
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
  if (out["namespace"] != ns) {
    return Invalid("metadata.namespace", absl::StrCat("is ", JsonText(out["namespace"]), ", but this unmcp serves \"",
                                                      ns, "\"; leave it out, or give --namespace"));
  }
  UNMCP_RETURN_IF_ERROR(CheckWords(out, "labels"));
  UNMCP_RETURN_IF_ERROR(CheckWords(out, "annotations"));
  return out;
}

absl::Status CheckSpec(const Json& metadata, const Json& spec, bool is_server) {
  if (absl::Status name = ValidateName(metadata["name"].get<std::string>()); !name.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("metadata.", name.message()));
  }
  v1::MCPServer server;
  v1::MCPPool pool;
  UNMCP_RETURN_IF_ERROR(FromJson({{"spec", spec}}, UnknownFields::kReject,
                                 is_server ? static_cast<google::protobuf::Message*>(&server) : &pool));
  return is_server ? ValidateServerSpec(server.spec()) : ValidatePoolSpec(pool.spec());
}

// Secrets and ConfigMaps: what is in them is the cluster's to check, but for
// what people most often get wrong.
absl::StatusOr<kube::Object> ReadData(const Json& document, Json metadata) {
  Json out = {{"apiVersion", document["apiVersion"]}, {"kind", document["kind"]}, {"metadata", std::move(metadata)}};
  for (const auto& [key, value] : document.items()) {
    if (key == "apiVersion" || key == "kind" || key == "metadata") continue;
    if (key != "type" && key != "immutable" && key != "data" && key != "binaryData" && key != "stringData") {
      return Invalid(key, absl::StrCat("unknown field of a ", document["kind"].get<std::string>()));
    }
    if (key == "data" || key == "stringData") {
      if (!value.is_object()) return Invalid(key, "must be an object");
      for (const auto& [name, each] : value.items()) {
        if (!each.is_string()) return Invalid(absl::StrCat(key, ".", name), "must be a string; put it in quotes");
      }
    }
    out[key] = value;
  }
  return kube::Object(std::move(out));
}

absl::Status NeitherKindOfFile(const Json& document) {
  for (const char* key : {"mcpServers", "servers"}) {
    if (document.contains(key)) return Invalid(key, "must be an object of servers by their names");
  }
  return absl::InvalidArgumentError(
      "is neither a manifest, which has apiVersion and kind, nor a client's configuration, which has mcpServers or "
      "servers");
}

absl::StatusOr<kube::Object> ReadObject(Json document, const std::string& ns) {
  if (!document.is_object()) return absl::InvalidArgumentError("must be an object with apiVersion, kind, …");
  DropNulls(&document);
  if (!document.contains("apiVersion") && !document.contains("kind")) return NeitherKindOfFile(document);
  for (const char* key : {"apiVersion", "kind"}) {
    if (!document.contains(key)) return Invalid(key, "is required");
    if (!document[key].is_string()) return Invalid(key, "must be a string");
  }
  const bool is_server = Is(document, kube::MCPServerKind());
  const bool is_data = Is(document, kube::SecretKind()) || Is(document, kube::ConfigMapKind());
  if (!is_server && !is_data && !Is(document, kube::MCPPoolKind())) {
    return Invalid("kind", absl::StrCat(document["kind"].get<std::string>(), " of ",
                                        document["apiVersion"].get<std::string>(),
                                        " is not a kind that unmcp reads; it reads MCPServer and MCPPool of ",
                                        kube::MCPServerKind().ApiVersion(), ", and Secret and ConfigMap of v1"));
  }
  UNMCP_ASSIGN_OR_RETURN(Json metadata, ReadMetadata(document, ns));
  if (is_data) return ReadData(document, std::move(metadata));
  for (const auto& [key, value] : document.items()) {
    if (key != "apiVersion" && key != "kind" && key != "metadata" && key != "spec" && key != "status") {
      return Invalid(key, "unknown field; it may belong under spec");
    }
  }
  Json spec = document.value("spec", Json::object());
  UNMCP_RETURN_IF_ERROR(CheckSpec(metadata, spec, is_server));
  return kube::Object({{"apiVersion", document["apiVersion"]},
                       {"kind", document["kind"]},
                       {"metadata", std::move(metadata)},
                       {"spec", std::move(spec)}});
}

class Loader {
 public:
  explicit Loader(const LoadOptions& options) : options_(options) {}

  absl::Status LoadPath(const std::string& path) {
    if (path == "-") return LoadStream(options_.standard_input, path);
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

  std::vector<kube::Object> Take() {
    const auto rank = [](const kube::Object& object) {
      return object.kind() == kube::MCPServerKind().kind ? 2 : object.kind() == kube::MCPPoolKind().kind ? 1 : 0;
    };
    absl::c_stable_sort(objects_, [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return std::move(objects_);
  }

 private:
  absl::Status LoadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return LoadStream(file ? &file : nullptr, path);
  }

  // Null: it could not be opened.
  absl::Status LoadStream(std::istream* stream, const std::string& path) {
    std::string text;
    if (stream != nullptr) {
      text.resize(kMaxManifestBytes + 1);
      stream->read(text.data(), static_cast<std::streamsize>(text.size()));
      text.resize(static_cast<size_t>(stream->gcount()));
    }
    if (stream == nullptr || stream->bad()) {
      return absl::NotFoundError(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
    }
    if (text.size() > kMaxManifestBytes) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": is larger than ", kMaxManifestBytes >> 20,
                                                     " MiB; split it into several files"));
    }
    if (IsJson(path, text)) {
      absl::StatusOr<std::string> strict = StripJsonComments(text);
      absl::StatusOr<Json> json = strict.ok() ? ParseJson(*strict) : strict.status();
      if (!json.ok()) return JsonError(path, text, json.status().message());
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

  // Editors show lines: "not JSON at byte 41, …" becomes "a.json:3: not JSON, …".
  static absl::Status JsonError(const std::string& path, absl::string_view text, absl::string_view message) {
    absl::string_view rest = message;
    size_t byte = 0;
    if (absl::ConsumePrefix(&rest, "not JSON at byte ")) {
      const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
      (void)absl::SimpleAtoi(rest.substr(0, digits), &byte);
      rest.remove_prefix(digits);
    }
    if (byte == 0) return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
    const absl::string_view before = text.substr(0, byte - 1);
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", 1 + absl::c_count(before, '\n'), ": not JSON", rest));
  }

  // By its name, else by its beginning: YAML can hold JSON, but not its comments.
  static bool IsJson(const std::string& path, absl::string_view text) {
    if (absl::EndsWith(path, ".yaml") || absl::EndsWith(path, ".yml")) return false;
    const absl::string_view begin = absl::StripLeadingAsciiWhitespace(text);
    return absl::EndsWith(path, ".json") || absl::StartsWith(begin, "{") || absl::StartsWith(begin, "//") ||
           absl::StartsWith(begin, "/*") || absl::StartsWith(begin, "\xEF\xBB\xBF{");
  }

  // `where` says which document of several it is.
  absl::Status LoadDocument(const YamlDocument& document, const std::string& path, const std::string& where = "") {
    if (IsClientConfig(document.json)) return LoadClientConfig(document, path, where);
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

  absl::Status LoadClientConfig(const YamlDocument& document, const std::string& path, const std::string& where) {
    InputValues none({});
    absl::StatusOr<Imported> imported =
        ImportClientConfig(document.json, {.path = path,
                                           .ns = options_.ns,
                                           .environment = options_.environment,
                                           .inputs = options_.inputs == nullptr ? &none : options_.inputs,
                                           .names_only = options_.names_only});
    if (!imported.ok()) {
      return absl::Status(imported.status().code(), absl::StrCat(path, ": ", where, imported.status().message()));
    }
    for (const std::string& note : imported->notes) options_.note(absl::StrCat(path, ": ", note));
    for (const kube::Object& server : imported->servers) {
      if (options_.names_only) {
        objects_.push_back(server);
        continue;
      }
      UNMCP_RETURN_IF_ERROR(Add(server.json(), "", {}, path, absl::StrCat(where, server.name(), ": ")));
    }
    return absl::OkStatus();
  }

  // `prefix` is where `json` is in the document.
  absl::Status Add(const Json& json, const std::string& prefix, const YamlDocument& document, const std::string& path,
                   const std::string& where) {
    const auto full = [&](const std::string& field) {
      return prefix.empty() || field.empty() ? prefix + field : absl::StrCat(prefix, ".", field);
    };
    absl::StatusOr<kube::Object> object = ReadObject(json, options_.ns);
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

  const LoadOptions& options_;
  std::vector<kube::Object> objects_;
  // "MCPServer name" → where it was read.
  std::map<std::string, std::string> seen_;
};

}  // namespace

absl::StatusOr<std::vector<kube::Object>> LoadManifests(const std::vector<std::string>& paths,
                                                        const LoadOptions& options) {
  Loader loader(options);
  for (const std::string& path : paths) UNMCP_RETURN_IF_ERROR(loader.LoadPath(path));
  return loader.Take();
}

}  // namespace unmcp
