#include "kube/embedded/process_spec.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

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

// $(NAME) and $$. What names no variable stays as it is.
std::string Expand(absl::string_view text, const Variables& variables) {
  std::string result;
  while (true) {
    const size_t dollar = text.find('$');
    result.append(text.data(), dollar == absl::string_view::npos ? text.size() : dollar);
    if (dollar == absl::string_view::npos) return result;
    text.remove_prefix(dollar);
    if (absl::ConsumePrefix(&text, "$$")) {
      result += '$';
      continue;
    }
    const size_t close = text.substr(0, 2) == "$(" ? text.find(')') : absl::string_view::npos;
    auto variable = variables.end();
    if (close != absl::string_view::npos) variable = variables.find(std::string(text.substr(2, close - 2)));
    if (variable == variables.end()) {
      result += '$';
      text.remove_prefix(1);
    } else {
      result += variable->second;
      text.remove_prefix(close + 1);
    }
  }
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

// Adds env to `variables`. What is wrong, or nothing.
std::optional<std::string> AddEnv(const Object& pod, const Json& container, Variables* variables) {
  const Json& env = List(container, "env");
  for (size_t i = 0; i < env.size(); ++i) {
    const std::string path = absl::StrCat("spec.containers[0].env[", i, "]");
    const std::string name = Text(env[i], "name");
    if (name.empty() || name.find('=') != std::string::npos) {
      return absl::StrCat(path, ".name: must be the name of a variable");
    }
    const Json from = env[i].value("valueFrom", Json());
    if (!from.is_object()) {
      (*variables)[name] = Expand(Text(env[i], "value"), *variables);
    } else if (const Json field = from.value("fieldRef", Json()); field.is_object()) {
      const auto value = PodField(pod, Text(field, "fieldPath"));
      if (!value) return absl::StrCat(path, ".valueFrom.fieldRef.fieldPath: '", Text(field, "fieldPath"),
                                      "' is not a field that a container can have");
      (*variables)[name] = *value;
    } else {
      return absl::StrCat(path, ".valueFrom: without a cluster there are no Secrets, ConfigMaps or resource limits to"
                                " take ", name, " from; give its value, or set it in the environment of unmcp, which"
                                " its servers inherit");
    }
  }
  if (!List(container, "envFrom").empty()) {
    return "spec.containers[0].envFrom: without a cluster there are no Secrets and ConfigMaps; use env";
  }
  return std::nullopt;
}

}  // namespace

bool ProcessOf(const Object& pod, const std::vector<std::string>& inherited, bridge::ProcessSpec* process,
               NotRunnable* why) {
  const Json& containers = List(pod.spec(), "containers");
  if (containers.size() != 1 || !List(pod.spec(), "initContainers").empty()) {
    *why = {"CreateContainerConfigError",
            "spec.containers: without a cluster a Pod has one container and no initContainers"};
    return false;
  }
  const Json& container = containers[0];
  if (List(container, "command").empty()) {
    *why = {"ImageNotRunnable",
            absl::StrCat("spec.image: '", Text(container, "image"), "' needs a container runtime, and there is none "
                         "without a cluster; give spec.command, the program to run on this machine, or use a cluster")};
    return false;
  }
  Variables own;
  if (auto wrong = AddEnv(pod, container, &own)) {
    *why = {"CreateContainerConfigError", *std::move(wrong)};
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
