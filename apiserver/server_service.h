// ServerService: MCP servers, for programs (proto/unmcp/v1/server_service.proto).
#ifndef UNMCP_APISERVER_SERVER_SERVICE_H_
#define UNMCP_APISERVER_SERVER_SERVICE_H_

#include "apiserver/api_context.h"
#include "unmcp/v1/server_service.grpc.pb.h"

namespace unmcp::apiserver {

// Reads answer from the directory; writes go to the cluster, and into the
// directory before they are answered.
//
// Thread safety: thread safe.
class ServerService final : public v1::ServerService::CallbackService {
 public:
  explicit ServerService(const ApiContext* context) : context_(*context) {}

 private:
  grpc::ServerUnaryReactor* ListServers(grpc::CallbackServerContext* call, const v1::ListServersRequest* request,
                                        v1::ListServersResponse* response) override;
  grpc::ServerWriteReactor<v1::ServerChange>* WatchServers(grpc::CallbackServerContext* call,
                                                           const v1::WatchServersRequest* request) override;
  grpc::ServerUnaryReactor* GetServer(grpc::CallbackServerContext* call, const v1::GetServerRequest* request,
                                      v1::MCPServer* response) override;
  grpc::ServerUnaryReactor* CreateServer(grpc::CallbackServerContext* call, const v1::CreateServerRequest* request,
                                         v1::MCPServer* response) override;
  grpc::ServerUnaryReactor* UpdateServer(grpc::CallbackServerContext* call, const v1::UpdateServerRequest* request,
                                         v1::MCPServer* response) override;
  grpc::ServerUnaryReactor* DeleteServer(grpc::CallbackServerContext* call, const v1::DeleteServerRequest* request,
                                         v1::DeleteServerResponse* response) override;
  grpc::ServerUnaryReactor* StartServer(grpc::CallbackServerContext* call, const v1::StartServerRequest* request,
                                        v1::MCPServer* response) override;
  grpc::ServerUnaryReactor* StopServer(grpc::CallbackServerContext* call, const v1::StopServerRequest* request,
                                       v1::MCPServer* response) override;
  grpc::ServerUnaryReactor* GetServerLogs(grpc::CallbackServerContext* call, const v1::GetServerLogsRequest* request,
                                          v1::ServerLogs* response) override;
  grpc::ServerWriteReactor<v1::ServerLogs>* FollowServerLogs(grpc::CallbackServerContext* call,
                                                             const v1::FollowServerLogsRequest* request) override;
  grpc::ServerUnaryReactor* ListServerEvents(grpc::CallbackServerContext* call,
                                             const v1::ListServerEventsRequest* request,
                                             v1::ListServerEventsResponse* response) override;

  const ApiContext& context_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SERVER_SERVICE_H_
