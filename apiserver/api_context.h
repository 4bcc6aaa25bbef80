// What the services of the API work with.
#ifndef UNMCP_APISERVER_API_CONTEXT_H_
#define UNMCP_APISERVER_API_CONTEXT_H_

#include <functional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "apiserver/directory.h"
#include "apiserver/resource_writer.h"
#include "apiserver/response_stream.h"
#include "grpcpp/support/server_callback.h"
#include "kube/cluster.h"
#include "session/shared_hub.h"

namespace unmcp::apiserver {

// Everything in it outlives the services, and is thread safe.
struct ApiContext {
  Directory* directory = nullptr;
  kube::Cluster* cluster = nullptr;
  ResourceWriter* writer = nullptr;
  StreamSet* streams = nullptr;
  // What clients of a server do now, by its uid.
  std::function<session::HubActivity(const std::string& uid)> activity;
  // This apiserver's identity on the state stream.
  std::string process;
};

// Whether the API can answer; if not, `reactor` has been finished, saying why.
bool IsReady(const ApiContext& context, grpc::ServerUnaryReactor* reactor);
// The same, and whether the fields of `request` keep the rules that are
// declared on them. Not for requests with a resource in them, whose
// output_only fields nobody looks at.
bool IsReady(const ApiContext& context, const google::protobuf::Message& request, grpc::ServerUnaryReactor* reactor);

// A server as the API shows it: as published, with the fields that are derived
// when read, and with this process's own activity in place of what it last
// told the controller (which writes at most once a minute).
v1::MCPServer View(const ApiContext& context, const v1::PublishedServer& published);

// What is known of a server or pool: as the directory has it, else as the
// cluster does, which may know of one that the controller has not published
// yet. NOT_FOUND. `done` runs once, here or on a thread of the cluster.
void FindServer(const ApiContext& context, const std::string& uid_or_name,
                absl::AnyInvocable<void(absl::StatusOr<Servers::Entry>)> done);
void FindPool(const ApiContext& context, const std::string& uid_or_name,
              absl::AnyInvocable<void(absl::StatusOr<Pools::Entry>)> done);

// Takes what the cluster has answered into the directory, so that it is read
// from then on.
absl::StatusOr<Servers::Entry> TakeServer(const ApiContext& context, const absl::StatusOr<kube::Object>& object);
absl::StatusOr<Pools::Entry> TakePool(const ApiContext& context, const absl::StatusOr<kube::Object>& object);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_API_CONTEXT_H_
