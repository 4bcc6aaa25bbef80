// The one conversion between absl::Status and grpc::Status. The code values
// are the same by design of both.
#ifndef UNMCP_COMMON_GRPC_STATUS_H_
#define UNMCP_COMMON_GRPC_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace unmcp {

inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

inline absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace unmcp

#endif  // UNMCP_COMMON_GRPC_STATUS_H_
