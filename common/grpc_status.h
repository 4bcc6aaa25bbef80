// The one conversion between absl::Status and grpc::Status. The code values
// are the same by design of both.
#ifndef UNMCP_COMMON_GRPC_STATUS_H_
#define UNMCP_COMMON_GRPC_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace unmcp {

// A status travels as metadata, of which gRPC takes 8 KiB in all; a byte that is
// not ASCII takes three there. A longer message would be lost, code and all.
inline constexpr size_t kMaxStatusMessageBytes = 2048;

// A message that is too long (it quotes what somebody sent) is cut in its middle:
// what is wrong stands at its beginning, what to do about it at its end.
inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string message(status.message());
  if (message.size() > kMaxStatusMessageBytes) {
    const auto continues = [&](size_t i) { return (static_cast<unsigned char>(message[i]) & 0xC0) == 0x80; };
    size_t head = kMaxStatusMessageBytes / 2, tail = message.size() - kMaxStatusMessageBytes / 2;
    while (head > 0 && continues(head)) --head;
    while (tail < message.size() && continues(tail)) ++tail;
    message = message.substr(0, head) + " … " + message.substr(tail);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message);
}

inline absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace unmcp

#endif  // UNMCP_COMMON_GRPC_STATUS_H_
