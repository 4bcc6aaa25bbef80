// PoolService: pools, for programs (proto/unmcp/v1/pool_service.proto).
#ifndef UNMCP_APISERVER_POOL_SERVICE_H_
#define UNMCP_APISERVER_POOL_SERVICE_H_

#include "apiserver/api_context.h"
#include "unmcp/v1/pool_service.grpc.pb.h"

namespace unmcp::apiserver {

// As ServerService.
//
// Thread safety: thread safe.
class PoolService final : public v1::PoolService::CallbackService {
 public:
  explicit PoolService(const ApiContext* context) : context_(*context) {}

 private:
  grpc::ServerUnaryReactor* ListPools(grpc::CallbackServerContext* call, const v1::ListPoolsRequest* request,
                                      v1::ListPoolsResponse* response) override;
  grpc::ServerWriteReactor<v1::PoolChange>* WatchPools(grpc::CallbackServerContext* call,
                                                       const v1::WatchPoolsRequest* request) override;
  grpc::ServerUnaryReactor* GetPool(grpc::CallbackServerContext* call, const v1::GetPoolRequest* request,
                                    v1::MCPPool* response) override;
  grpc::ServerUnaryReactor* CreatePool(grpc::CallbackServerContext* call, const v1::CreatePoolRequest* request,
                                       v1::MCPPool* response) override;
  grpc::ServerUnaryReactor* UpdatePool(grpc::CallbackServerContext* call, const v1::UpdatePoolRequest* request,
                                       v1::MCPPool* response) override;
  grpc::ServerUnaryReactor* DeletePool(grpc::CallbackServerContext* call, const v1::DeletePoolRequest* request,
                                       v1::DeletePoolResponse* response) override;

  const ApiContext& context_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_POOL_SERVICE_H_
