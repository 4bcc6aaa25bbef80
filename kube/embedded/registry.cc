#include "kube/embedded/registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace unmcp::kube {
namespace {

// `json` at a path of keys, or null where there is nothing.
const Json& At(const Json& json, std::initializer_list<const char*> keys) {
  static const Json* const null = new Json;
  const Json* at = &json;
  for (const char* key : keys) {
    if (!at->is_object() || !at->contains(key)) return *null;
    at = &(*at)[key];
  }
  return *at;
}

std::string Text(const Json& json) { return json.is_string() ? json.get<std::string>() : ""; }

absl::StatusOr<KindInfo> ParseCrd(const Json& crd) {
  const std::string name = Text(At(crd, {"metadata", "name"}));
  const auto error = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("CustomResourceDefinition \"", name, "\": ", what));
  };
  if (Text(At(crd, {"spec", "scope"})) != "Namespaced") return error("spec.scope must be Namespaced");
  KindInfo info;
  info.kind.group = Text(At(crd, {"spec", "group"}));
  info.kind.plural = Text(At(crd, {"spec", "names", "plural"}));
  info.kind.kind = Text(At(crd, {"spec", "names", "kind"}));
  if (info.kind.group.empty() || info.kind.plural.empty() || info.kind.kind.empty()) {
    return error("spec.group, spec.names.plural and spec.names.kind are required");
  }
  if (name != GroupResource(info.kind)) return error("metadata.name must be spec.names.plural + \".\" + spec.group");
  const Json& versions = At(crd, {"spec", "versions"});
  if (!versions.is_array()) return error("spec.versions must be a list");
  for (const Json& version : versions) {
    if (At(version, {"storage"}) != true) continue;
    info.kind.version = Text(At(version, {"name"}));
    info.status_subresource = At(version, {"subresources", "status"}).is_object();
    info.counts_generation = true;
    absl::StatusOr<std::unique_ptr<const Schema>> schema = Schema::Parse(At(version, {"schema", "openAPIV3Schema"}));
    if (!schema.ok()) return error(std::string(schema.status().message()));
    info.schema = *std::move(schema);
    return info;
  }
  return error("spec.versions has no storage version");
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Registry>> Registry::Create(const std::vector<Json>& crds) {
  auto registry = std::make_unique<Registry>();
  const auto add = [&](KindInfo info) {
    const std::string resource = GroupResource(info.kind);
    return registry->kinds_.emplace(resource, std::move(info)).second;
  };
  add({PodKind(), true, true, nullptr});
  add({ServiceKind(), true, true, nullptr});
  add({EventKind(), false, false, nullptr});
  add({LeaseKind(), false, false, nullptr});
  add({SecretKind(), false, false, nullptr});
  add({ConfigMapKind(), false, false, nullptr});
  for (const Json& crd : crds) {
    UNMCP_ASSIGN_OR_RETURN(KindInfo info, ParseCrd(crd));
    const std::string resource = GroupResource(info.kind);
    if (!add(std::move(info))) {
      return absl::InvalidArgumentError(absl::StrCat("CustomResourceDefinition \"", resource, "\" is given twice"));
    }
  }
  return registry;
}

const KindInfo* Registry::Find(const Kind& kind) const {
  auto it = kinds_.find(GroupResource(kind));
  return it == kinds_.end() ? nullptr : &it->second;
}

const KindInfo* Registry::Find(const std::string& api_version, const std::string& kind) const {
  for (const auto& [resource, info] : kinds_) {
    if (info.kind.ApiVersion() == api_version && info.kind.kind == kind) return &info;
  }
  return nullptr;
}

}  // namespace unmcp::kube
