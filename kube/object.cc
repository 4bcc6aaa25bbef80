#include "kube/object.h"

#include <utility>

namespace unmcp::kube {
namespace {

// The member `key` of `json`, or null: what is not an object has no members.
const Json* Find(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  auto it = json.find(key);
  return it == json.end() ? nullptr : &*it;
}

std::string String(const Json& json, const char* key) {
  const Json* value = Find(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

// metadata.`key`, or null.
const Json* FindMeta(const Json& json, const char* key) {
  const Json* metadata = Find(json, "metadata");
  return metadata == nullptr ? nullptr : Find(*metadata, key);
}

OwnerReference ReadOwner(const Json& json) {
  const Json* controller = Find(json, "controller");
  return {String(json, "apiVersion"), String(json, "kind"), String(json, "name"), String(json, "uid"),
          controller != nullptr && controller->is_boolean() && controller->get<bool>()};
}

}  // namespace

const Kind& PodKind() {
  static const Kind* const kind = new Kind{"", "v1", "pods", "Pod"};
  return *kind;
}

const Kind& ServiceKind() {
  static const Kind* const kind = new Kind{"", "v1", "services", "Service"};
  return *kind;
}

const Kind& EventKind() {
  static const Kind* const kind = new Kind{"", "v1", "events", "Event"};
  return *kind;
}

const Kind& SecretKind() {
  static const Kind* const kind = new Kind{"", "v1", "secrets", "Secret"};
  return *kind;
}

const Kind& ConfigMapKind() {
  static const Kind* const kind = new Kind{"", "v1", "configmaps", "ConfigMap"};
  return *kind;
}

const Kind& LeaseKind() {
  static const Kind* const kind = new Kind{"coordination.k8s.io", "v1", "leases", "Lease"};
  return *kind;
}

const Kind& MCPServerKind() {
  static const Kind* const kind = new Kind{"unmcp.dev", "v1", "mcpservers", "MCPServer"};
  return *kind;
}

const Kind& MCPPoolKind() {
  static const Kind* const kind = new Kind{"unmcp.dev", "v1", "mcppools", "MCPPool"};
  return *kind;
}

Object::Object(const Kind& kind, const std::string& ns, const std::string& name) {
  json_["apiVersion"] = kind.ApiVersion();
  json_["kind"] = kind.kind;
  Json& metadata = json_["metadata"] = Json::object();
  if (!ns.empty()) metadata["namespace"] = ns;
  if (!name.empty()) metadata["name"] = name;
}

std::string Object::kind() const { return String(json_, "kind"); }

std::string Object::api_version() const { return String(json_, "apiVersion"); }

int64_t Object::generation() const {
  const Json* value = FindMeta(json_, "generation");
  return value != nullptr && value->is_number_integer() ? value->get<int64_t>() : 0;
}

bool Object::deleting() const { return !Meta("deletionTimestamp").empty(); }

std::map<std::string, std::string> Object::labels() const {
  std::map<std::string, std::string> labels;
  const Json* json = FindMeta(json_, "labels");
  if (json == nullptr || !json->is_object()) return labels;
  for (const auto& [key, value] : json->items()) {
    if (value.is_string()) labels[key] = value.get<std::string>();
  }
  return labels;
}

std::string Object::annotation(const std::string& key) const {
  const Json* annotations = FindMeta(json_, "annotations");
  return annotations == nullptr ? "" : String(*annotations, key.c_str());
}

std::vector<OwnerReference> Object::owners() const {
  std::vector<OwnerReference> owners;
  const Json* references = FindMeta(json_, "ownerReferences");
  if (references == nullptr || !references->is_array()) return owners;
  for (const Json& reference : *references) owners.push_back(ReadOwner(reference));
  return owners;
}

std::string Object::controller_uid() const {
  for (const OwnerReference& owner : owners()) {
    if (owner.controller) return owner.uid;
  }
  return "";
}

void Object::AddOwner(const OwnerReference& owner) {
  Json reference = {{"apiVersion", owner.api_version}, {"kind", owner.kind}, {"name", owner.name}, {"uid", owner.uid}};
  if (owner.controller) {
    reference["controller"] = true;
    reference["blockOwnerDeletion"] = true;
  }
  Json& references = json_["metadata"]["ownerReferences"];
  if (!references.is_array()) references = Json::array();
  for (Json& present : references) {
    if (ReadOwner(present).uid == owner.uid) {
      present = std::move(reference);
      return;
    }
  }
  references.push_back(std::move(reference));
}

std::string Object::Meta(const char* key) const {
  const Json* metadata = Find(json_, "metadata");
  return metadata == nullptr ? "" : String(*metadata, key);
}

const Json& Object::Section(const char* key) const {
  static const Json* const empty = new Json(Json::object());
  const Json* section = Find(json_, key);
  return section != nullptr && section->is_object() ? *section : *empty;
}

}  // namespace unmcp::kube
