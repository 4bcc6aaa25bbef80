// Kubernetes objects as JSON documents, with the accessors every user of the
// Cluster seam needs.
#ifndef UNMCP_KUBE_OBJECT_H_
#define UNMCP_KUBE_OBJECT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace unmcp::kube {

using Json = nlohmann::json;

// What sort of object: apiVersion and kind in a manifest, group, version and
// plural in a path.
struct Kind {
  std::string group;  // "" for core
  std::string version;
  std::string plural;
  std::string kind;

  // "v1" or "unmcp.dev/v1".
  std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }
  friend bool operator==(const Kind& a, const Kind& b) { return a.group == b.group && a.plural == b.plural; }
  friend bool operator<(const Kind& a, const Kind& b) {
    return std::tie(a.group, a.plural) < std::tie(b.group, b.plural);
  }
};

// The kinds unmcp works with.
const Kind& PodKind();
const Kind& ServiceKind();
const Kind& EventKind();
const Kind& LeaseKind();
const Kind& SecretKind();
const Kind& ConfigMapKind();
const Kind& MCPServerKind();
const Kind& MCPPoolKind();

struct ObjectRef {
  Kind kind;
  std::string ns;
  std::string name;
};

struct OwnerReference {
  std::string api_version, kind, name, uid;
  bool controller = true;
};

// One object as the API server knows it. A value type: copying copies the
// document. Getters answer "" or 0 for what is absent. Thread compatible.
class Object {
 public:
  Object() = default;
  explicit Object(Json json) : json_(std::move(json)) {}
  // apiVersion, kind, namespace and name set, nothing else.
  Object(const Kind& kind, const std::string& ns, const std::string& name);

  const Json& json() const { return json_; }
  Json& json() { return json_; }

  std::string name() const { return Meta("name"); }
  std::string ns() const { return Meta("namespace"); }
  std::string uid() const { return Meta("uid"); }
  std::string resource_version() const { return Meta("resourceVersion"); }
  std::string kind() const;
  std::string api_version() const;
  int64_t generation() const;
  bool deleting() const;
  std::map<std::string, std::string> labels() const;
  // "" when the annotation is absent.
  std::string annotation(const std::string& key) const;
  std::vector<OwnerReference> owners() const;
  // uid of the owner with controller: true, or "".
  std::string controller_uid() const;
  void AddOwner(const OwnerReference& owner);

  // A sub-document by key, or an empty object.
  const Json& spec() const { return Section("spec"); }
  const Json& status() const { return Section("status"); }

 private:
  std::string Meta(const char* key) const;
  const Json& Section(const char* key) const;

  Json json_ = Json::object();
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_OBJECT_H_
