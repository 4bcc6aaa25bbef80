#include "common/spec_rules.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "common/references.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

// RFC 1035, section 2.3.4.
constexpr size_t kMaxNameLength = 63;

absl::Status Broken(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

// The declared rules, with paths that begin where the user's document does.
absl::Status ValidateFields(const google::protobuf::Message& spec) {
  const absl::Status status = ValidateRules(spec);
  return status.ok() ? status : absl::InvalidArgumentError(absl::StrCat("spec.", status.message()));
}

bool IsMetadataField(absl::string_view path) {
  for (absl::string_view map : {"metadata.labels['", "metadata.annotations['"}) {
    if (absl::StartsWith(path, map) && absl::EndsWith(path, "']") && path.size() > map.size() + 2) return true;
  }
  return false;
}

absl::Status CheckFieldPath(const std::string& field_path, const std::string& path) {
  for (absl::string_view known : {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
                                  "status.podIP"}) {
    if (field_path == known) return absl::OkStatus();
  }
  if (IsMetadataField(field_path)) return absl::OkStatus();
  return Broken(path,
                "must be metadata.name, metadata.namespace, metadata.uid, spec.nodeName, status.podIP, "
                "metadata.labels['KEY'] or metadata.annotations['KEY']");
}

// Of an entry that has either a value or a source of one.
template <class Entry>
absl::Status CheckValue(const Entry& entry, const std::string& path) {
  if (!entry.has_value_from()) return absl::OkStatus();
  if (!entry.value().empty()) {
    return Broken(absl::StrCat(path, ".valueFrom"), "cannot be given together with value; keep one of the two");
  }
  const v1::ValueSource& source = entry.value_from();
  const int sources = source.has_secret_key_ref() + source.has_config_map_key_ref() + source.has_field_ref();
  if (sources != 1) {
    return Broken(absl::StrCat(path, ".valueFrom"),
                  absl::StrCat("needs exactly one of secretKeyRef, configMapKeyRef and fieldRef, and has ",
                               sources == 0 ? "none" : "several"));
  }
  return absl::OkStatus();
}

template <class Entries>
absl::Status CheckEnv(const Entries& entries, const std::string& path) {
  for (int i = 0; i < entries.size(); ++i) {
    const std::string entry = absl::StrCat(path, "[", i, "]");
    UNMCP_RETURN_IF_ERROR(CheckValue(entries[i], entry));
    const v1::ValueSource& source = entries[i].value_from();
    if (!source.has_field_ref()) continue;
    UNMCP_RETURN_IF_ERROR(
        CheckFieldPath(source.field_ref().field_path(), absl::StrCat(entry, ".valueFrom.fieldRef.fieldPath")));
  }
  return absl::OkStatus();
}

// Before the declared rules: their errors repeat a value that is wrong, and
// what stands in a header may be secret.
template <class Entries>
absl::Status CheckHeaderValues(const Entries& entries, const std::string& path) {
  for (int i = 0; i < entries.size(); ++i) {
    if (entries[i].value().find_first_of("\r\n") == std::string::npos) continue;
    return Broken(absl::StrCat(path, "[", i, "].value"), "must not contain a line break");
  }
  return absl::OkStatus();
}

template <class Entries>
absl::Status CheckHeaders(const Entries& entries, const std::string& path) {
  for (int i = 0; i < entries.size(); ++i) {
    const std::string entry = absl::StrCat(path, "[", i, "]");
    UNMCP_RETURN_IF_ERROR(CheckValue(entries[i], entry));
    if (entries[i].value_from().has_field_ref()) {
      return Broken(absl::StrCat(entry, ".valueFrom.fieldRef"),
                    "a header is not a field of a Pod; use secretKeyRef, configMapKeyRef or value");
    }
    // Two that differ in case are one header to every HTTP server.
    for (int j = 0; j < i; ++j) {
      if (!absl::EqualsIgnoreCase(entries[i].name(), entries[j].name())) continue;
      return Broken(absl::StrCat(entry, ".name"), absl::StrCat("\"", entries[i].name(), "\" is already in ", path, "[",
                                                               j, "]; keep one of the two"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPodTemplate(const google::protobuf::Struct& pod_template, const std::string& path) {
  for (const auto& [key, value] : pod_template.fields()) {
    if (key != "metadata" && key != "spec") {
      return Broken(absl::StrCat(path, ".", key), "is not a field of a Pod template; it has metadata and spec");
    }
    // null removes what a pool's template has.
    if (!value.has_struct_value() && !value.has_null_value()) {
      return Broken(absl::StrCat(path, ".", key), "must be an object");
    }
  }
  return absl::OkStatus();
}

bool SpeaksHttp(const v1::Transport& transport) {
  return transport.type() == "sse" || transport.type() == "streamable-http";
}

// Of "https://host/path": what tells the host, and a user.
absl::string_view Authority(absl::string_view url) {
  const size_t begin = url.find("://");
  if (begin == absl::string_view::npos) return "";
  url.remove_prefix(begin + 3);
  return url.substr(0, url.find_first_of("/?#"));
}

// Before the declared rules: their errors repeat a value that is wrong, and a
// URL may have a secret in its query.
absl::Status CheckUrlText(const std::string& url) {
  if (url.empty()) return absl::OkStatus();
  const bool http = absl::StartsWith(url, "http://") || absl::StartsWith(url, "https://");
  if (!http || Authority(url).empty()) return Broken("spec.url", "must begin with http:// or https:// and a host");
  if (absl::StrContains(url, ' ')) return Broken("spec.url", "must not contain a space; write %20");
  return absl::OkStatus();
}

// $(NAME) in the url.
absl::Status CheckUrlReferences(const v1::MCPServerSpec& spec) {
  if (!ReferencesIn(Authority(spec.url())).empty()) {
    return Broken("spec.url", "may refer to variables, $(NAME), after its host only");
  }
  const auto variables = VariablesOfUrl(spec);
  for (const std::string& name : ReferencesIn(spec.url())) {
    if (std::any_of(variables.begin(), variables.end(), [&](const auto* v) { return v->name() == name; })) continue;
    return Broken("spec.url", absl::StrCat("refers to $(", name, "), and spec.env has no ", name,
                                           ": add it, or write $$( for the characters themselves"));
  }
  for (int i = 0; i < spec.env_size(); ++i) {
    if (!spec.env(i).value_from().has_field_ref()) continue;
    if (std::find(variables.begin(), variables.end(), &spec.env(i)) == variables.end()) continue;
    return Broken(absl::StrCat("spec.env[", i, "].valueFrom.fieldRef"),
                  "spec.url refers to it, and a server that runs elsewhere has no Pod; use secretKeyRef, "
                  "configMapKeyRef or value");
  }
  return absl::OkStatus();
}

absl::Status CheckUrl(const v1::MCPServerSpec& spec) {
  if (spec.url().empty()) return absl::OkStatus();
  if (absl::StrContains(Authority(spec.url()), '@')) {
    return Broken("spec.url",
                  "must not contain a user or password, which everybody who reads the server would see; put them "
                  "into spec.headers (Authorization), whose values are kept secret");
  }
  UNMCP_RETURN_IF_ERROR(CheckUrlReferences(spec));
  const char* other = !spec.image().empty() ? "image" : spec.command_size() > 0 ? "command" : "args";
  if (spec.image().empty() && spec.command_size() == 0 && spec.args_size() == 0) return absl::OkStatus();
  return Broken("spec.url", absl::StrCat("cannot be given together with spec.", other,
                                         ": a server either runs elsewhere or is started by unmcp"));
}

absl::Status CheckTransport(const v1::MCPServerSpec& spec) {
  const v1::Transport& transport = spec.transport();
  if (!spec.url().empty() && transport.type() == "stdio") {
    return Broken("spec.transport.type", "must be sse or streamable-http, or unset, for a server with a url");
  }
  if (!spec.url().empty() && transport.has_port()) {
    return Broken("spec.transport.port", "cannot be given together with spec.url, which has the port");
  }
  if (!spec.url().empty() && !transport.path().empty()) {
    return Broken("spec.transport.path", "cannot be given together with spec.url, which has the path");
  }
  if (spec.url().empty() && SpeaksHttp(transport) && !transport.has_port()) {
    return Broken("spec.transport.port",
                  absl::StrCat("is required for the type ", transport.type(),
                               " without a url: the port that the server's process listens on"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateServerSpec(const v1::MCPServerSpec& spec) {
  UNMCP_RETURN_IF_ERROR(CheckHeaderValues(spec.headers(), "spec.headers"));
  UNMCP_RETURN_IF_ERROR(CheckUrlText(spec.url()));
  UNMCP_RETURN_IF_ERROR(ValidateFields(spec));
  UNMCP_RETURN_IF_ERROR(CheckUrl(spec));
  UNMCP_RETURN_IF_ERROR(CheckTransport(spec));
  UNMCP_RETURN_IF_ERROR(CheckEnv(spec.env(), "spec.env"));
  UNMCP_RETURN_IF_ERROR(CheckHeaders(spec.headers(), "spec.headers"));
  return CheckPodTemplate(spec.pod_template(), "spec.podTemplate");
}

absl::Status ValidatePoolSpec(const v1::MCPPoolSpec& spec) {
  UNMCP_RETURN_IF_ERROR(CheckHeaderValues(spec.server_defaults().headers(), "spec.serverDefaults.headers"));
  UNMCP_RETURN_IF_ERROR(ValidateFields(spec));
  const v1::ServerDefaults& defaults = spec.server_defaults();
  UNMCP_RETURN_IF_ERROR(CheckEnv(defaults.env(), "spec.serverDefaults.env"));
  UNMCP_RETURN_IF_ERROR(CheckHeaders(defaults.headers(), "spec.serverDefaults.headers"));
  return CheckPodTemplate(defaults.pod_template(), "spec.serverDefaults.podTemplate");
}

absl::Status ValidateName(absl::string_view name) {
  if (name.empty()) return Broken("name", "is required");
  if (name.size() > kMaxNameLength) {
    return Broken("name", absl::StrCat("is ", name.size(), " characters long; at most ", kMaxNameLength,
                                       " are allowed"));
  }
  const bool fits = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
  if (!fits || !absl::ascii_islower(name.front()) || name.back() == '-') {
    return Broken("name",
                  absl::StrCat(JsonText(std::string(name)),
                               " must consist of lower-case letters, digits and '-', begin with a letter and end "
                               "with a letter or digit (RFC 1035), since a Service bears the same name"));
  }
  return absl::OkStatus();
}

}  // namespace unmcp
