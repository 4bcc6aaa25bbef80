// What has been decided about a server lately: the Kubernetes Events about it.
#ifndef UNMCP_APISERVER_SERVER_EVENTS_H_
#define UNMCP_APISERVER_SERVER_EVENTS_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "apiserver/api_context.h"
#include "unmcp/v1/server_service.pb.h"

namespace unmcp::apiserver {

// Events that are looked through: the namespace's, of an hour. In a larger
// installation the answer may lack some.
inline constexpr int kMaxEventsRead = 10'000;

// Oldest first, by when they were last seen. `done` runs once, on a thread of
// the cluster.
void ListEvents(const ApiContext& context, const v1::MCPServer& server,
                absl::AnyInvocable<void(absl::StatusOr<v1::ListServerEventsResponse>)> done);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SERVER_EVENTS_H_
