// ServerService: reads of the published state.
#ifndef UNMCP_APISERVER_SERVER_SERVICE_H_
#define UNMCP_APISERVER_SERVER_SERVICE_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "apiserver/directory.h"
#include "session/shared_hub.h"
#include "unmcp/v1/server_service.grpc.pb.h"

namespace unmcp::apiserver {

// A server as the API shows it: as published, with the fields that are derived
// when read, and with this process's own activity in place of what it last
// told the controller (which writes at most once a minute).
v1::MCPServer View(const v1::PublishedServer& published, const session::HubActivity& live,
                   const std::string& process);

// Thread safety: thread safe.
class ServerService final : public v1::ServerService::CallbackService {
 public:
  using ActivitySource = absl::AnyInvocable<session::HubActivity(const std::string& uid) const>;
  // `process`: this apiserver's identity on the state stream.
  ServerService(const Directory* directory, ActivitySource activity, std::string process);

 private:
  grpc::ServerUnaryReactor* ListServers(grpc::CallbackServerContext* context, const v1::ListServersRequest* request,
                                        v1::ListServersResponse* response) override;
  grpc::ServerUnaryReactor* GetServer(grpc::CallbackServerContext* context, const v1::GetServerRequest* request,
                                      v1::MCPServer* response) override;

  const Directory* const directory_;
  const ActivitySource activity_;
  const std::string process_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SERVER_SERVICE_H_
