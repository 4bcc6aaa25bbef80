#include "cli/import/client_config.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/annotations.h"
#include "common/proto_json.h"
#include "common/references.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr size_t kMaxNameLength = 63;
// An environment file is a few dozen lines; more was named by mistake.
constexpr size_t kMaxEnvFileBytes = 1 << 20;

// Settings of the client's own: what it asks its user before a call, how it
// shows the server. They do nothing to the server.
constexpr const char* kClientSettings[] = {
    "alwaysAllow",  "autoApprove", "allowedTools", "dev",      "disabledTools", "excludeTools", "gallery",
    "includeTools", "icon",        "metadata",     "trust",    "version",       "sandbox",      "sandboxEnabled",
    "timeout",      "note",        "description",  "name",     "$schema"};

absl::Status Invalid(absl::string_view path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

// Where the servers are: the object, and its path. Null: nowhere.
const Json* FindServers(const Json& document, std::string* path) {
  const auto object = [&](const Json& in, const char* key, const std::string& at) -> const Json* {
    if (!in.is_object() || !in.contains(key) || !in[key].is_object()) return nullptr;
    *path = at;
    return &in[key];
  };
  if (!document.is_object() || document.contains("kind")) return nullptr;
  if (const Json* servers = object(document, "mcpServers", "mcpServers")) return servers;
  if (document.contains("mcp")) {
    if (const Json* servers = object(document["mcp"], "servers", "mcp.servers")) return servers;
  }
  return object(document, "servers", "servers");
}

const Json& InputsOf(const Json& document, const std::string& servers_path) {
  static const Json* const none = new Json(Json::array());
  const Json& where = servers_path == "mcp.servers" ? document["mcp"] : document;
  return where.contains("inputs") ? where["inputs"] : *none;
}

// Where the places in a file are relative to.
struct Base {
  std::string folder;
  // The file is of a project, and the folder the project's: clients run its servers there.
  bool project = false;
};

// Files of a project are in a hidden folder of it, or hidden in the project itself.
Base BaseOf(const std::string& path) {
  if (path == "-") return {fs::current_path()};
  const fs::path file = fs::absolute(path).lexically_normal();
  const fs::path folder = file.parent_path();
  if (absl::StartsWith(folder.filename().string(), ".")) return {folder.parent_path(), true};
  return {folder, file.filename() == ".mcp.json"};
}

// Values may be numbers and booleans in JSON; a process only has text.
absl::StatusOr<std::string> TextOf(const Json& value, const std::string& path) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return JsonText(value);
  return Invalid(path, "must be a string");
}

class Importer {
 public:
  Importer(const ImportOptions& options, std::map<std::string, Input> inputs)
      : options_(options),
        inputs_(std::move(inputs)),
        base_(BaseOf(options.path)),
        placeholders_{.environment = options.environment,
                      .inputs = &inputs_,
                      .values = options.inputs,
                      .workspace_folder = base_.folder,
                      .home = options.environment("HOME").value_or("")} {}

  absl::StatusOr<Imported> Import(const Json& servers, const std::string& path) {
    for (const auto& [name, server] : servers.items()) {
      if (FitName(name) == name) names_.insert(name);  // and keeps it, whatever others are called
    }
    for (const auto& [name, server] : servers.items()) {
      UNMCP_RETURN_IF_ERROR(ImportServer(name, server, absl::StrCat(path, ".", name)));
    }
    if (!ignored_.empty()) {
      out_.notes.push_back(absl::StrCat("settings of the client, which mean nothing here, are left out: ",
                                        absl::StrJoin(ignored_, ", ")));
    }
    return std::move(out_);
  }

 private:
  absl::Status ImportServer(const std::string& name, const Json& server, const std::string& path) {
    if (options_.names_only) {
      out_.servers.emplace_back(kube::MCPServerKind(), options_.ns, TakeName(name));
      return absl::OkStatus();
    }
    if (!server.is_object()) return Invalid(path, "must be an object");
    spec_ = Json::object();
    secrets_.clear();
    uses_base_ = false;
    for (const auto& [key, value] : server.items()) {
      if (value.is_null()) continue;
      UNMCP_RETURN_IF_ERROR(ImportField(key, value, absl::StrCat(path, ".", key)));
    }
    UNMCP_RETURN_IF_ERROR(CheckWhole(server, path));
    if (base_.project && uses_base_ && !spec_.contains("podTemplate")) RunIn(base_.folder);
    kube::Object object(kube::MCPServerKind(), options_.ns, TakeName(name));
    if (!secrets_.empty()) {
      object.json()["metadata"]["annotations"][kSecretValuesAnnotation] = absl::StrJoin(secrets_, ",");
    }
    object.json()["spec"] = std::move(spec_);
    out_.servers.push_back(std::move(object));
    return absl::OkStatus();
  }

  absl::Status ImportField(const std::string& key, const Json& value, const std::string& path) {
    if (key == "command") return ImportCommand(value, path);
    if (key == "args") return ImportArgs(value, path);
    if (key == "env") return ImportEnv(value, path);
    if (key == "envFile") return ImportEnvFile(value, path);
    if (key == "cwd") return ImportCwd(value, path);
    if (key == "url" || key == "serverUrl" || key == "httpUrl") return ImportUrl(key, value, path);
    if (key == "headers") return ImportHeaders(value, path);
    if (key == "type" || key == "transport" || key == "transportType") return ImportType(value, path);
    if (key == "disabled" || key == "enabled") {
      if (!value.is_boolean()) return Invalid(path, "must be true or false");
      if (value == (key == "disabled")) spec_["suspend"] = true;
      return absl::OkStatus();
    }
    if (absl::c_linear_search(kClientSettings, key)) {
      ignored_.insert(key);
    } else {
      out_.notes.push_back(absl::StrCat(path, ": is not known here, and left out"));
    }
    return absl::OkStatus();
  }

  absl::Status ImportCommand(const Json& value, const std::string& path) {
    if (!value.is_string() || value == "") return Invalid(path, "must be the name of a program");
    UNMCP_ASSIGN_OR_RETURN(const std::string command, ExpandHere(value, path, nullptr));
    uses_base_ |= absl::StrContains(command, '/') && IsInBase(command);
    // "~" is the shell's, and there is none.
    spec_["command"] = {EscapeReferences(absl::StartsWith(command, "~/") ? placeholders_.home + command.substr(1) : command)};
    return absl::OkStatus();
  }

  absl::Status ImportArgs(const Json& value, const std::string& path) {
    if (!value.is_array()) return Invalid(path, "must be a list");
    for (size_t i = 0; i < value.size(); ++i) {
      const std::string at = absl::StrCat(path, "[", i, "]");
      UNMCP_ASSIGN_OR_RETURN(const std::string raw, TextOf(value[i], at));
      bool secret = false;
      UNMCP_ASSIGN_OR_RETURN(const std::string text, ExpandHere(raw, at, &secret));
      uses_base_ |= IsInBase(text);
      spec_["args"].push_back(EscapeReferences(text));
      if (secret) secrets_.insert(absl::StrCat("args/", i));
    }
    return absl::OkStatus();
  }

  absl::Status ImportEnv(const Json& value, const std::string& path) {
    if (!value.is_object()) return Invalid(path, "must be an object");
    for (const auto& [name, each] : value.items()) {
      if (each.is_null()) continue;  // unset
      const std::string at = absl::StrCat(path, ".", name);
      UNMCP_ASSIGN_OR_RETURN(const std::string raw, TextOf(each, at));
      bool secret = false;
      UNMCP_ASSIGN_OR_RETURN(const std::string text, ExpandHere(raw, at, &secret));
      NoteDollar(raw, at);
      AddEnv(name, EscapeReferences(text), secret);
    }
    return absl::OkStatus();
  }

  // NAME=VALUE lines, as in a .env file. What `env` says goes before it; it has
  // been read already, as members come in the order of their names.
  absl::Status ImportEnvFile(const Json& value, const std::string& path) {
    if (!value.is_string()) return Invalid(path, "must be the name of a file");
    UNMCP_ASSIGN_OR_RETURN(const std::string named, ExpandHere(value, path, nullptr));
    const std::string file = (fs::path(base_.folder) / named).lexically_normal();
    std::ifstream in(file, std::ios::binary);
    if (!in) return Invalid(path, absl::StrCat(file, " cannot be read: ", std::strerror(errno)));
    size_t size = 0;
    int number = 0;
    for (std::string line; std::getline(in, line);) {
      ++number;
      size += line.size();
      if (size > kMaxEnvFileBytes) return Invalid(path, absl::StrCat(file, " is larger than 1 MiB"));
      absl::string_view rest = absl::StripAsciiWhitespace(line);
      if (rest.empty() || rest[0] == '#') continue;
      absl::ConsumePrefix(&rest, "export ");
      const size_t equals = rest.find('=');
      if (equals == 0 || equals == absl::string_view::npos) {
        return Invalid(path, absl::StrCat(file, ":", number, ": must be NAME=VALUE"));
      }
      absl::string_view text = absl::StripAsciiWhitespace(rest.substr(equals + 1));
      if (text.size() >= 2 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0]) {
        text = text.substr(1, text.size() - 2);
      }
      const std::string name(absl::StripAsciiWhitespace(rest.substr(0, equals)));
      if (!HasEnv(name)) AddEnv(name, EscapeReferences(std::string(text)), false);
    }
    return absl::OkStatus();
  }

  absl::Status ImportCwd(const Json& value, const std::string& path) {
    if (!value.is_string()) return Invalid(path, "must be the name of a folder");
    UNMCP_ASSIGN_OR_RETURN(std::string folder, ExpandHere(value, path, nullptr));
    if (absl::StartsWith(folder, "~/")) folder = placeholders_.home + folder.substr(1);
    RunIn((fs::path(base_.folder) / folder).lexically_normal());
    return absl::OkStatus();
  }

  absl::Status ImportUrl(const std::string& key, const Json& value, const std::string& path) {
    if (!value.is_string()) return Invalid(path, "must be a URL");
    const std::string raw = value;
    const size_t scheme = raw.find("://");
    const size_t host_end = scheme == std::string::npos ? scheme : raw.find_first_of("/?", scheme + 3);
    UNMCP_RETURN_IF_ERROR(ExpandHere(raw.substr(0, host_end), path, nullptr).status());  // it will be shown
    bool secret = false;
    UNMCP_ASSIGN_OR_RETURN(const std::string url, ExpandHere(raw, path, &secret));
    spec_["url"] = EscapeReferences(url);
    if (secret) secrets_.insert("url");
    if (key == "httpUrl") spec_["transport"]["type"] = "streamable-http";
    return absl::OkStatus();
  }

  absl::Status ImportHeaders(const Json& value, const std::string& path) {
    if (!value.is_object()) return Invalid(path, "must be an object");
    for (const auto& [name, each] : value.items()) {
      const std::string at = absl::StrCat(path, ".", name);
      UNMCP_ASSIGN_OR_RETURN(const std::string raw, TextOf(each, at));
      bool secret = false;
      UNMCP_ASSIGN_OR_RETURN(const std::string text, ExpandHere(raw, at, &secret));
      NoteDollar(raw, at);
      spec_["headers"].push_back({{"name", name}, {"value", text}});
      if (secret) secrets_.insert(absl::StrCat("headers/", name));
    }
    return absl::OkStatus();
  }

  absl::Status ImportType(const Json& value, const std::string& path) {
    static const auto* const types = new std::map<std::string, std::string>{{"stdio", "stdio"},
                                                                            {"sse", "sse"},
                                                                            {"http", "streamable-http"},
                                                                            {"streamable-http", "streamable-http"},
                                                                            {"streamableHttp", "streamable-http"},
                                                                            {"streamable_http", "streamable-http"}};
    const auto type = value.is_string() ? types->find(value.get<std::string>()) : types->end();
    if (type == types->end()) return Invalid(path, "must be stdio, sse or http");
    spec_["transport"]["type"] = type->second;
    return absl::OkStatus();
  }

  // What the fields say together.
  absl::Status CheckWhole(const Json& server, const std::string& path) {
    const bool remote = spec_.contains("url");
    if (remote == spec_.contains("command")) {
      return Invalid(path, remote ? "has both a command and a url; keep one of them"
                                  : "has neither a command nor a url: there is nothing to run or to connect to");
    }
    if (remote && server.contains("env")) {
      spec_.erase("env");  // of a process that is not started here
      out_.notes.push_back(absl::StrCat(path, ".env: means nothing for a server that runs elsewhere, and is left out"));
    }
    // Clients try one after the other; this is how such servers' URLs look.
    if (remote && !spec_.contains("transport")) {
      spec_["transport"]["type"] = absl::EndsWith(std::string(spec_["url"]), "/sse") ? "sse" : "streamable-http";
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ExpandHere(const std::string& text, const std::string& path, bool* secret) {
    absl::StatusOr<Expanded> expanded = Expand(text, placeholders_);
    if (!expanded.ok()) {
      return absl::Status(expanded.status().code(), absl::StrCat(path, ": ", expanded.status().message()));
    }
    if (secret != nullptr) {
      *secret = expanded->secret || expanded->looks_secret;
    } else if (expanded->secret) {
      return Invalid(path, "a secret cannot be part of this; use it in args, env, headers, or after the host of a URL");
    }
    return std::move(expanded->text);
  }

  // Whether a word of a command line names something that is in the base folder.
  bool IsInBase(absl::string_view word) const {
    if (absl::StartsWith(word, "-")) {
      const size_t equals = word.find('=');
      word = equals == absl::string_view::npos ? "" : word.substr(equals + 1);
    }
    const fs::path place(std::string{word});
    std::error_code ignored;
    return !word.empty() && place.is_relative() && fs::exists(base_.folder / place, ignored);
  }
  void RunIn(const std::string& folder) {
    spec_["podTemplate"] = {{"spec", {{"containers", {{{"name", "server"}, {"workingDir", folder}}}}}}};
  }

  // Another client's way to write a variable, which is text here.
  void NoteDollar(const std::string& text, const std::string& path) {
    absl::string_view name = text;
    const bool variable = absl::ConsumePrefix(&name, "$") && !name.empty() && absl::c_all_of(name, [](char c) {
      return c == '_' || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
             absl::ascii_isupper(static_cast<unsigned char>(c));
    });
    if (!variable) return;
    out_.notes.push_back(absl::StrCat(path, ": is the text \"", text, "\"; for the environment variable write ${", name,
                                      "}"));
  }

  bool HasEnv(const std::string& name) const {
    return spec_.contains("env") && absl::c_any_of(spec_["env"], [&](const Json& e) { return e["name"] == name; });
  }
  void AddEnv(const std::string& name, const std::string& value, bool secret) {
    spec_["env"].push_back({{"name", name}, {"value", value}});
    if (secret) secrets_.insert(absl::StrCat("env/", name));
  }

  std::string TakeName(const std::string& name) {
    const std::string fit = FitName(name);
    if (fit == name) return name;
    std::string free = fit;
    for (int i = 2; !names_.insert(free).second; ++i) {
      const std::string suffix = absl::StrCat("-", i);
      free = absl::StrCat(fit.substr(0, kMaxNameLength - suffix.size()), suffix);
    }
    out_.notes.push_back(absl::StrCat("\"", name, "\" is declared as \"", free,
                                      "\", since Kubernetes takes only lower-case letters, digits and '-'"));
    return free;
  }

  const ImportOptions& options_;
  const std::map<std::string, Input> inputs_;
  const Base base_;
  const Placeholders placeholders_;
  std::set<std::string> names_;
  std::set<std::string> ignored_;
  Imported out_;
  // Of the server that is being read.
  Json spec_;
  bool uses_base_ = false;
  std::set<std::string> secrets_;
};

}  // namespace

bool IsClientConfig(const Json& document) {
  std::string path;
  return FindServers(document, &path) != nullptr;
}

absl::StatusOr<Imported> ImportClientConfig(const Json& document, const ImportOptions& options) {
  std::string path;
  const Json* servers = FindServers(document, &path);
  if (servers == nullptr) return absl::InvalidArgumentError("has neither mcpServers nor servers");
  const Json none = Json::array();
  UNMCP_ASSIGN_OR_RETURN(auto inputs, ReadInputs(options.names_only ? none : InputsOf(document, path)));
  return Importer(options, std::move(inputs)).Import(*servers, path);
}

std::string FitName(absl::string_view name) {
  std::string out;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(u)) {
      out += absl::ascii_tolower(u);
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  if (out.empty() || !absl::ascii_islower(static_cast<unsigned char>(out[0]))) out = absl::StrCat("mcp-", out);
  out.resize(std::min(out.size(), kMaxNameLength));
  while (out.back() == '-') out.pop_back();
  return out;
}

}  // namespace unmcp
