#include "kube/embedded/process_spec.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/references.h"

namespace unmcp::kube {
namespace {

using Variables = std::map<std::string, std::string>;

std::string Text(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// `object`.`key` when it is a list, else an empty one.
const Json& List(const Json& object, const char* key) {
  static const Json* const none = new Json(Json::array());
  if (!object.is_object()) return *none;
  auto it = object.find(key);
  return it != object.end() && it->is_array() ? *it : *none;
}

std::string Expand(absl::string_view text, const Variables& variables) {
  return ExpandReferences(text, [&](absl::string_view name) -> std::optional<std::string> {
    auto variable = variables.find(std::string(name));
    return variable == variables.end() ? std::nullopt : std::optional(variable->second);
  });
}

// The fields that Kubernetes offers to containers. Everything runs on this
// machine's network, so addresses are the loopback's.
std::optional<std::string> PodField(const Object& pod, absl::string_view path) {
  if (path == "metadata.name") return pod.name();
  if (path == "metadata.namespace") return pod.ns();
  if (path == "metadata.uid") return pod.uid();
  if (path == "spec.nodeName") return "localhost";
  if (path == "spec.serviceAccountName") return Text(pod.spec(), "serviceAccountName");
  if (path == "status.podIP" || path == "status.hostIP") return "127.0.0.1";
  if (absl::ConsumeSuffix(&path, "']")) {
    if (absl::ConsumePrefix(&path, "metadata.annotations['")) return pod.annotation(std::string(path));
    if (absl::ConsumePrefix(&path, "metadata.labels['")) {
      const auto labels = pod.labels();
      auto it = labels.find(std::string(path));
      return it != labels.end() ? it->second : "";
    }
  }
  return std::nullopt;
}

NotRunnable ConfigError(std::string message, bool may_change) {
  return {"CreateContainerConfigError", std::move(message), may_change};
}

// Where a value is to come from: a Secret or ConfigMap by name.
struct Source {
  const Kind* kind;
  const Json* ref;
  std::string name() const { return Text(*ref, "name"); }
  bool optional() const { return ref->value("optional", Json()) == true; }
};

// Of valueFrom (secretKeyRef, configMapKeyRef) or of an entry of envFrom
// (secretRef, configMapRef); nothing when it is neither.
std::optional<Source> SourceOf(const Json& from, const char* secret, const char* config_map) {
  if (!from.is_object()) return std::nullopt;
  for (const auto& [key, kind] : {std::pair(secret, &SecretKind()), std::pair(config_map, &ConfigMapKind())}) {
    auto it = from.find(key);
    if (it != from.end() && it->is_object()) return Source{kind, &*it};
  }
  return std::nullopt;
}

std::optional<Source> KeySourceOf(const Json& variable) {
  if (!variable.is_object() || !variable.contains("valueFrom")) return std::nullopt;
  return SourceOf(variable["valueFrom"], "secretKeyRef", "configMapKeyRef");
}

const Object* Find(const ConfigObjects& config, const Source& source) {
  auto it = config.find({source.kind->kind, source.name()});
  return it == config.end() ? nullptr : &it->second;
}

// The value under `key`, as text, or nothing.
std::optional<std::string> ValueIn(const Object& object, const std::string& key) {
  auto data = object.json().find("data");
  if (data == object.json().end() || !data->is_object()) return std::nullopt;
  auto it = data->find(key);
  if (it == data->end() || !it->is_string()) return std::nullopt;
  if (object.kind() != SecretKind().kind) return it->get<std::string>();
  std::string bytes;
  if (!absl::Base64Unescape(it->get<std::string>(), &bytes)) return std::nullopt;
  return bytes;
}

bool IsVariableName(const std::string& name) { return !name.empty() && name.find('=') == std::string::npos; }

// Fills the container's variables in. What is wrong, or nothing.
class Environment {
 public:
  Environment(const Object& pod, const ConfigObjects& config, Variables* variables)
      : pod_(pod), config_(config), variables_(*variables) {}

  std::optional<NotRunnable> Add(const Json& container) {
    const Json& whole = List(container, "envFrom");
    for (size_t i = 0; i < whole.size(); ++i) {
      if (auto wrong = AddAll(whole[i], absl::StrCat("spec.containers[0].envFrom[", i, "]"))) return wrong;
    }
    const Json& env = List(container, "env");
    for (size_t i = 0; i < env.size(); ++i) {
      if (auto wrong = AddOne(env[i], absl::StrCat("spec.containers[0].env[", i, "]"))) return wrong;
    }
    return std::nullopt;
  }

 private:
  std::optional<NotRunnable> AddAll(const Json& entry, const std::string& path) {
    const std::optional<Source> source = SourceOf(entry, "secretRef", "configMapRef");
    if (!source) return ConfigError(absl::StrCat(path, ": must have a secretRef or a configMapRef"), false);
    const Object* object = Find(config_, *source);
    if (object == nullptr) return Missing(*source, path);
    auto data = object->json().find("data");
    if (data == object->json().end() || !data->is_object()) return std::nullopt;
    for (const auto& [key, value] : data->items()) {
      const std::string name = Text(entry, "prefix") + key;
      // As a kubelet: a key that can be no variable is passed over.
      if (auto text = ValueIn(*object, key); text && IsVariableName(name)) variables_[name] = *std::move(text);
    }
    return std::nullopt;
  }

  std::optional<NotRunnable> AddOne(const Json& variable, const std::string& path) {
    const std::string name = Text(variable, "name");
    if (!IsVariableName(name)) return ConfigError(absl::StrCat(path, ".name: must be the name of a variable"), false);
    const Json from = variable.value("valueFrom", Json());
    if (!from.is_object()) {
      variables_[name] = Expand(Text(variable, "value"), variables_);
      return std::nullopt;
    }
    if (const Json field = from.value("fieldRef", Json()); field.is_object()) {
      const auto value = PodField(pod_, Text(field, "fieldPath"));
      if (!value) {
        return ConfigError(absl::StrCat(path, ".valueFrom.fieldRef.fieldPath: '", Text(field, "fieldPath"),
                                        "' is not a field that a container can have"),
                           false);
      }
      variables_[name] = *value;
      return std::nullopt;
    }
    const std::optional<Source> source = KeySourceOf(variable);
    if (!source) {
      return ConfigError(absl::StrCat(path, ".valueFrom: without a cluster ", name, " can come from a secretKeyRef, a "
                                      "configMapKeyRef or a fieldRef; or give its value"),
                         false);
    }
    return AddKey(*source, name, path);
  }

  std::optional<NotRunnable> AddKey(const Source& source, const std::string& name, const std::string& path) {
    const Object* object = Find(config_, source);
    if (object == nullptr) return Missing(source, absl::StrCat(path, " (", name, ")"));
    const std::string key = Text(*source.ref, "key");
    if (auto value = ValueIn(*object, key)) {
      variables_[name] = *std::move(value);
    } else if (!source.optional()) {
      return ConfigError(absl::StrCat(path, " (", name, "): ", source.kind->kind, " ", pod_.ns(), "/", source.name(),
                                      " has no key '", key, "'; add it, and the container starts"),
                         true);
    }
    return std::nullopt;
  }

  std::optional<NotRunnable> Missing(const Source& source, const std::string& path) const {
    if (source.optional()) return std::nullopt;
    const std::string key = Text(*source.ref, "key");
    return ConfigError(absl::StrCat(path, ": there is no ", source.kind->kind, " ", pod_.ns(), "/", source.name(),
                                    "; create it", key.empty() ? "" : absl::StrCat(" with key '", key, "'"),
                                    ", and the container starts"),
                       true);
  }

  const Object& pod_;
  const ConfigObjects& config_;
  Variables& variables_;
};

const Json& ContainerOf(const Object& pod) {
  static const Json* const none = new Json(Json::object());
  const Json& containers = List(pod.spec(), "containers");
  return containers.empty() ? *none : containers[0];
}

}  // namespace

std::vector<ObjectRef> ConfigRefsOf(const Object& pod) {
  std::vector<ObjectRef> refs;
  const auto add = [&](const std::optional<Source>& source) {
    if (source && !source->name().empty()) refs.push_back({*source->kind, pod.ns(), source->name()});
  };
  for (const Json& entry : List(ContainerOf(pod), "envFrom")) add(SourceOf(entry, "secretRef", "configMapRef"));
  for (const Json& variable : List(ContainerOf(pod), "env")) add(KeySourceOf(variable));
  const auto key = [](const ObjectRef& ref) { return std::tie(ref.kind, ref.name); };
  std::sort(refs.begin(), refs.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  refs.erase(std::unique(refs.begin(), refs.end(), [&](const auto& a, const auto& b) { return key(a) == key(b); }),
             refs.end());
  return refs;
}

bool ProcessOf(const Object& pod, const std::vector<std::string>& inherited, const ConfigObjects& config,
               bridge::ProcessSpec* process, NotRunnable* why) {
  const Json& container = ContainerOf(pod);
  if (List(container, "command").empty()) {
    *why = {"ImageNotRunnable",
            absl::StrCat("spec.image: '", Text(container, "image"), "' needs a container runtime, and there is none "
                         "without a cluster; give spec.command, the program to run on this machine, or use a cluster")};
    return false;
  }
  Variables own;
  if (auto wrong = Environment(pod, config, &own).Add(container)) {
    *why = *std::move(wrong);
    return false;
  }
  *process = {};
  for (const char* list : {"command", "args"}) {
    for (const Json& word : List(container, list)) {
      process->argv.push_back(Expand(word.is_string() ? word.get<std::string>() : word.dump(), own));
    }
  }
  for (const std::string& variable : inherited) {
    if (!own.contains(variable.substr(0, variable.find('=')))) process->env.push_back(variable);
  }
  for (const auto& [name, value] : own) process->env.push_back(absl::StrCat(name, "=", value));
  process->working_directory = Expand(Text(container, "workingDir"), own);
  return true;
}

}  // namespace unmcp::kube
