#include "kube/resources.h"

#include <string>

#include "absl/time/time.h"
#include "common/proto_json.h"
#include "common/status_macros.h"
#include "common/timestamps.h"

namespace unmcp::kube {
namespace {

// spec and status by reflection, metadata by hand: the messages flatten it.
template <class Resource>
absl::StatusOr<Resource> Read(const Object& object) {
  Resource resource;
  resource.set_uid(object.uid());
  resource.set_name(object.name());
  resource.set_namespace_(object.ns());
  resource.set_resource_version(object.resource_version());
  resource.set_generation(object.generation());
  const Json metadata = object.json().value("metadata", Json::object());
  if (auto it = metadata.find("creationTimestamp"); it != metadata.end() && it->is_string()) {
    absl::Time created;
    std::string error;
    if (absl::ParseTime(absl::RFC3339_full, it->get<std::string>(), &created, &error)) {
      *resource.mutable_created_at() = ToTimestamp(created);
    }
  }
  UNMCP_RETURN_IF_ERROR(FromJson(object.spec(), UnknownFields::kIgnore, resource.mutable_spec()));
  UNMCP_RETURN_IF_ERROR(FromJson(object.status(), UnknownFields::kIgnore, resource.mutable_status()));
  return resource;
}

}  // namespace

absl::StatusOr<v1::MCPServer> ReadServer(const Object& object) {
  UNMCP_ASSIGN_OR_RETURN(v1::MCPServer server, Read<v1::MCPServer>(object));
  server.set_pool(server.spec().pool());
  return server;
}

absl::StatusOr<v1::MCPPool> ReadPool(const Object& object) { return Read<v1::MCPPool>(object); }

}  // namespace unmcp::kube
