#include "kube/embedded/builtin.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "kube/embedded/config_objects.h"
#include "kube/embedded/metadata.h"

namespace unmcp::kube {
namespace {

std::string Text(const Json& json, const char* key) {
  auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

// `object`.spec.`list`, or an empty list when it is none.
const Json& SpecList(const Json& object, const char* list) {
  static const Json* const none = new Json(Json::array());
  auto spec = object.find("spec");
  if (spec == object.end() || !spec->is_object()) return *none;
  auto it = spec->find(list);
  return it != spec->end() && it->is_array() ? *it : *none;
}

void FillDefault(Json& object, const char* key, Json value) {
  if (!object.contains(key) || object[key].is_null()) object[key] = std::move(value);
}

bool IsConfig(const Kind& kind) { return kind == SecretKind() || kind == ConfigMapKind(); }

std::vector<FieldError> ValidatePod(const Json& pod) {
  std::vector<FieldError> errors;
  const Json& containers = SpecList(pod, "containers");
  if (containers.empty()) errors.push_back(RequiredValue("spec.containers"));
  std::set<std::string> names;
  for (const char* list : {"containers", "initContainers"}) {
    const Json& entries = SpecList(pod, list);
    for (size_t i = 0; i < entries.size(); ++i) {
      const std::string path = absl::StrCat("spec.", list, "[", i, "].name");
      const std::string name = entries[i].is_object() ? Text(entries[i], "name") : "";
      if (name.empty()) {
        errors.push_back(RequiredValue(path));
      } else if (!IsDns1123Subdomain(name) || name.find('.') != std::string::npos || name.size() > 63) {
        errors.push_back(InvalidValue(path, name,
                                      "a lowercase RFC 1123 label must consist of lower case alphanumeric "
                                      "characters or '-', at most 63"));
      } else if (!names.insert(name).second) {
        errors.push_back(DuplicateValue(path, name));
      }
    }
  }
  if (auto grace = pod["spec"].find("terminationGracePeriodSeconds");
      grace != pod["spec"].end() && (!grace->is_number_integer() || *grace < 0)) {
    errors.push_back(InvalidValue("spec.terminationGracePeriodSeconds", *grace, "must be a whole number of seconds"));
  }
  return errors;
}

// The part of a Pod's spec that is fixed.
Json FixedSpec(const Json& pod) {
  Json spec = pod["spec"];
  for (const char* field : {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"}) spec.erase(field);
  for (const char* list : {"containers", "initContainers"}) {
    if (!spec.contains(list) || !spec[list].is_array()) continue;
    for (Json& container : spec[list]) {
      if (container.is_object()) container.erase("image");
    }
  }
  return spec;
}

}  // namespace

void FillBuiltinDefaults(const Kind& kind, Json& object) {
  if (IsConfig(kind)) return NormalizeConfigObject(kind, object);
  if (!object.contains("spec") || !object["spec"].is_object()) return;
  Json& spec = object["spec"];
  if (kind == PodKind()) {
    FillDefault(spec, "restartPolicy", "Always");
    FillDefault(spec, "terminationGracePeriodSeconds", kDefaultPodGraceSeconds);
    FillDefault(object, "status", Json::object());
    if (object["status"].is_object()) FillDefault(object["status"], "phase", "Pending");
  } else if (kind == ServiceKind()) {
    FillDefault(spec, "type", "ClusterIP");
    if (!spec.contains("ports") || !spec["ports"].is_array()) return;
    for (Json& port : spec["ports"]) {
      if (port.is_object()) FillDefault(port, "protocol", "TCP");
    }
  }
}

std::vector<FieldError> ValidateBuiltin(const Kind& kind, const Json& object) {
  if (IsConfig(kind)) return ValidateConfigObject(kind, object);
  if (kind == PodKind() || kind == ServiceKind()) {
    if (!object.contains("spec") || !object["spec"].is_object()) return {RequiredValue("spec")};
  }
  if (kind == PodKind()) return ValidatePod(object);
  const std::string name = Text(object["metadata"], "name");
  if (kind == ServiceKind() && !IsDns1035Label(name)) {
    return {InvalidValue("metadata.name", name,
                         "a DNS-1035 label must consist of lower case alphanumeric characters or "
                         "'-', at most 63, start with an alphabetic character, and end with an "
                         "alphanumeric character")};
  }
  return {};
}

std::vector<FieldError> ValidateBuiltinUpdate(const Kind& kind, const Json& old, const Json& object) {
  if (IsConfig(kind)) return ValidateConfigObjectUpdate(kind, old, object);
  if (!(kind == PodKind())) return {};
  Json was = FixedSpec(old), is = FixedSpec(object);
  if (Text(was, "nodeName").empty()) is.erase("nodeName"), was.erase("nodeName");
  if (was == is) return {};
  return {Forbidden("spec",
                    "pod updates may not change fields other than `spec.containers[*].image`, "
                    "`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations`, "
                    "`spec.terminationGracePeriodSeconds`: create another pod")};
}

int PodGraceSeconds(const Object& pod, int requested) {
  const bool taken = !Text(pod.spec(), "nodeName").empty() || !Text(pod.status(), "startTime").empty();
  const std::string phase = Text(pod.status(), "phase");
  if (!taken || phase == "Succeeded" || phase == "Failed") return 0;
  if (requested >= 0) return requested;
  auto own = pod.spec().find("terminationGracePeriodSeconds");
  return own != pod.spec().end() && own->is_number_integer() ? own->get<int>() : kDefaultPodGraceSeconds;
}

}  // namespace unmcp::kube
