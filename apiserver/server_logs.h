// The log of a server's process: what it writes to its standard error.
#ifndef UNMCP_APISERVER_SERVER_LOGS_H_
#define UNMCP_APISERVER_SERVER_LOGS_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "apiserver/api_context.h"
#include "unmcp/v1/server_service.pb.h"

namespace unmcp::apiserver {

// What a client of a followed log may be behind with.
inline constexpr size_t kMaxPendingLogBytes = 1024 * 1024;

// The end of what is kept: whole lines, of which `tail_lines` at the most (0:
// all). FAILED_PRECONDITION when there is no process. `done` runs once, here or
// on a thread of the cluster.
void ReadLogs(const ApiContext& context, const v1::PublishedServer& server, int tail_lines,
              absl::AnyInvocable<void(absl::StatusOr<std::string>)> done);

// The same, and what is written from then on, until the process has ended. One
// stream, for gRPC.
grpc::ServerWriteReactor<v1::ServerLogs>* FollowLogs(const ApiContext& context,
                                                     const v1::FollowServerLogsRequest& request);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SERVER_LOGS_H_
