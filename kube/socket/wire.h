// kube::Cluster's types as messages of proto/unmcp/cluster/v1, and back.
#ifndef UNMCP_KUBE_SOCKET_WIRE_H_
#define UNMCP_KUBE_SOCKET_WIRE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "kube/cluster.h"
#include "unmcp/cluster/v1/cluster.pb.h"

namespace unmcp::kube::wire {

namespace v1 = ::unmcp::cluster::v1;

// Bytes of an attachment's output that may be on their way, or wait for a
// reader that has paused: what a pipe holds, and enough to keep a fast reader
// busy.
inline constexpr int64_t kOutputWindow = 256 * 1024;
// Credit is given back in lumps of this size.
inline constexpr int64_t kCreditLump = 64 * 1024;

// An error message travels in a header, and gRPC refuses headers beyond its
// limit, which we set to hold the message with every byte escaped.
inline constexpr size_t kMaxMessageBytes = 16 * 1024;
inline constexpr int kMaxMetadataBytes = 3 * kMaxMessageBytes + 4096;

// Marks an answer of the cluster's own. Every other error comes from the way
// there, and is UNAVAILABLE.
inline constexpr char kAnsweredKey[] = "unmcp-cluster";

void ToWire(const Kind& kind, v1::Kind* out);
Kind FromWire(const v1::Kind& kind);
void ToWire(const ObjectRef& ref, v1::ObjectRef* out);
ObjectRef FromWire(const v1::ObjectRef& ref);

// INVALID_ARGUMENT for text that is not UTF-8, as an API server has it.
absl::Status ToWire(const Json& json, v1::Object* out);
// INTERNAL for what is no JSON.
absl::StatusOr<Json> FromWire(const v1::Object& object);
absl::StatusOr<Object> ObjectFromWire(const v1::Object& object);

const char* NameOf(WatchEventType type);
absl::StatusOr<WatchEventType> WatchEventTypeFrom(const std::string& name);
const char* NameOf(Propagation propagation);
absl::StatusOr<Propagation> PropagationFrom(const std::string& name);

// The cluster's own answer, marked as such.
grpc::Status Answer(grpc::CallbackServerContext* context, const absl::Status& status);

}  // namespace unmcp::kube::wire

#endif  // UNMCP_KUBE_SOCKET_WIRE_H_
