// The custom resources as messages of the schema.
#ifndef UNMCP_KUBE_RESOURCES_H_
#define UNMCP_KUBE_RESOURCES_H_

#include "absl/status/statusor.h"
#include "kube/object.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::kube {

// An object as a message, metadata included. Fields that this version does not
// know are ignored; what cannot be read at all is an INVALID_ARGUMENT that
// names the field. Nothing is filled in but MCPServer.pool, a copy.
//
// Thread safety: functions only.
absl::StatusOr<v1::MCPServer> ReadServer(const Object& object);
absl::StatusOr<v1::MCPPool> ReadPool(const Object& object);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_RESOURCES_H_
