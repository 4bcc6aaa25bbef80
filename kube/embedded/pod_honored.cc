#include "kube/embedded/pod_honored.h"

#include <set>

#include "absl/strings/str_cat.h"

namespace unmcp::kube {
namespace {

using Names = std::set<std::string>;

bool IsUnset(const Json& value) {
  return value.is_null() || value == false || value == 0 || value == "" ||
         ((value.is_object() || value.is_array()) && value.empty());
}

const Json& Member(const Json& object, const char* key) {
  static const Json* const null = new Json;
  if (!object.is_object()) return *null;
  auto it = object.find(key);
  return it == object.end() ? *null : *it;
}

class Finder {
 public:
  std::vector<std::string> Find(const Object& pod) {
    // Scheduling has one answer here, images are not pulled, the network is the
    // host's, and nothing is mounted.
    static const Names* const kSpec = new Names{
        "containers",        "restartPolicy",    "terminationGracePeriodSeconds", "nodeName",
        "schedulerName",     "tolerations",      "priority",                      "priorityClassName",
        "preemptionPolicy",  "imagePullSecrets", "hostNetwork",                   "dnsPolicy",
        "enableServiceLinks"};
    const Json& spec = pod.spec();
    Others(spec, *kSpec, "spec");
    const Json& containers = Member(spec, "containers");
    if (!containers.is_array()) return std::move(paths_);
    for (size_t i = 1; i < containers.size(); ++i) paths_.push_back(absl::StrCat("spec.containers[", i, "]"));
    if (!containers.empty()) Container(containers[0], "spec.containers[0]");
    return std::move(paths_);
  }

 private:
  // Adds the members of `object` that are set and not in `known`.
  void Others(const Json& object, const Names& known, const std::string& path) {
    if (!object.is_object()) return;
    for (const auto& [name, value] : object.items()) {
      if (!known.contains(name) && !IsUnset(value)) paths_.push_back(absl::StrCat(path, ".", name));
    }
  }

  void Container(const Json& container, const std::string& path) {
    static const Names* const kContainer = new Names{
        "name",       "image", "imagePullPolicy", "command",   "args",           "env",
        "envFrom",    "stdin", "workingDir",      "ports",     "readinessProbe", "resources",
        "terminationMessagePolicy"};
    Others(container, *kContainer, path);
    Others(Member(Member(container, "resources"), "limits"), {"cpu", "memory"}, path + ".resources.limits");
    Others(Member(container, "resources"), {"limits", "requests"}, path + ".resources");
    Ports(Member(container, "ports"), path + ".ports");
    Probe(Member(container, "readinessProbe"), path + ".readinessProbe");
  }

  void Ports(const Json& ports, const std::string& path) {
    for (size_t i = 0; ports.is_array() && i < ports.size(); ++i) {
      const std::string here = absl::StrCat(path, "[", i, "]");
      Names known = {"name", "containerPort", "protocol"};
      // In the host's network that is the same port.
      if (Member(ports[i], "hostPort") == Member(ports[i], "containerPort")) known.insert("hostPort");
      Others(ports[i], known, here);
    }
  }

  void Probe(const Json& probe, const std::string& path) {
    static const Names* const kProbe =
        new Names{"tcpSocket",     "httpGet",          "initialDelaySeconds", "periodSeconds",
                  "timeoutSeconds", "successThreshold", "failureThreshold"};
    Others(probe, *kProbe, path);
    Others(Member(probe, "tcpSocket"), {"port"}, path + ".tcpSocket");
    Names http = {"port", "path", "httpHeaders"};
    if (Member(Member(probe, "httpGet"), "scheme") == "HTTP") http.insert("scheme");
    Others(Member(probe, "httpGet"), http, path + ".httpGet");
  }

  std::vector<std::string> paths_;
};

}  // namespace

std::vector<std::string> FieldsWithoutEffect(const Object& pod) { return Finder().Find(pod); }

}  // namespace unmcp::kube
