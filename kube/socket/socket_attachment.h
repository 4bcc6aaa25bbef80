// The client's end of one attachment over the cluster's socket.
#ifndef UNMCP_KUBE_SOCKET_SOCKET_ATTACHMENT_H_
#define UNMCP_KUBE_SOCKET_SOCKET_ATTACHMENT_H_

#include <memory>

#include "kube/cluster.h"
#include "kube/socket/calls.h"
#include "unmcp/cluster/v1/cluster.grpc.pb.h"

namespace unmcp::kube {

// Opens the stream; `done` runs once, on a thread of gRPC's.
void AttachOverSocket(cluster::v1::ClusterService::Stub* stub, std::shared_ptr<Calls> calls,
                      cluster::v1::AttachOpen open, Callback<std::unique_ptr<Attachment>> done);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_SOCKET_SOCKET_ATTACHMENT_H_
