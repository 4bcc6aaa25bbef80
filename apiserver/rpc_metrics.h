// Counts and times the calls of a gRPC server, under the names that are usual
// for it.
#ifndef UNMCP_APISERVER_RPC_METRICS_H_
#define UNMCP_APISERVER_RPC_METRICS_H_

#include <memory>

#include "grpcpp/support/server_interceptor.h"
#include "prometheus/registry.h"

namespace unmcp::apiserver {

// For grpc::ServerBuilder::experimental().SetInterceptorCreators. Makes
//
//   grpc_server_handled_total{grpc_service,grpc_method,grpc_code}
//   grpc_server_handling_seconds{grpc_service,grpc_method}, of unary calls
//
// in `registry`, which outlives the server. Only methods that exist reach an
// interceptor, so the labels are bounded.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeRpcMetrics(prometheus::Registry* registry);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_RPC_METRICS_H_
