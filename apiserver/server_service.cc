#include "apiserver/server_service.h"

#include <algorithm>
#include <utility>

#include "apiserver/errors.h"
#include "common/grpc_status.h"

namespace unmcp::apiserver {

v1::MCPServer View(const v1::PublishedServer& published, const session::HubActivity& live,
                   const std::string& process) {
  v1::MCPServer server = published.server();
  server.set_pool(server.spec().pool());
  v1::MCPServerStatus& status = *server.mutable_status();
  int64_t told = 0;
  for (const v1::ActivityEntry& entry : status.activity().entries()) {
    if (entry.process() == process) told = entry.requests();
  }
  status.set_total_requests(status.total_requests() + std::max<int64_t>(0, live.requests - told));
  status.clear_activity();
  status.set_current_connections(live.open_sessions);
  if (live.last_request > absl::InfinitePast()) {
    const int64_t seconds = absl::ToUnixSeconds(live.last_request);
    if (seconds >= status.last_request_at().seconds()) {
      status.mutable_last_request_at()->set_seconds(seconds);
      status.mutable_last_request_at()->set_nanos(0);
    }
  }
  status.set_is_running(published.has_route() && status.phase() == "Ready");
  status.set_is_idle(live.calls_in_flight == 0 && live.open_sessions == 0);
  return server;
}

ServerService::ServerService(const Directory* directory, ActivitySource activity, std::string process)
    : directory_(directory), activity_(std::move(activity)), process_(std::move(process)) {}

grpc::ServerUnaryReactor* ServerService::ListServers(grpc::CallbackServerContext* context,
                                                     const v1::ListServersRequest*,
                                                     v1::ListServersResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (!directory_->synced()) {
    reactor->Finish(ToGrpc(NotSynced()));
    return reactor;
  }
  for (const Directory::Entry& entry : directory_->List()) {
    *response->add_items() = View(*entry, activity_(entry->server().uid()), process_);
  }
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* ServerService::GetServer(grpc::CallbackServerContext* context,
                                                   const v1::GetServerRequest* request, v1::MCPServer* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const Directory::Entry entry = directory_->Find(request->uid());
  if (!entry) {
    reactor->Finish(ToGrpc(directory_->synced() ? ServerNotFound(request->uid()) : NotSynced()));
    return reactor;
  }
  *response = View(*entry, activity_(entry->server().uid()), process_);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace unmcp::apiserver
