#include "apiserver/server_service.h"

#include <string>
#include <utility>

#include "apiserver/errors.h"
#include "apiserver/paging.h"
#include "apiserver/server_events.h"
#include "apiserver/server_logs.h"
#include "apiserver/watcher.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"

namespace unmcp::apiserver {
namespace {

kube::ObjectRef RefOf(const v1::MCPServer& server) {
  return {kube::MCPServerKind(), server.namespace_(), server.name()};
}

// The resource that the path names, and nothing that bears its name after it.
ResourceWriter::Precondition OnlyThis(const v1::MCPServer& server, const std::string& path,
                                      const std::string& resource_version) {
  return {.uid = path == server.uid() ? server.uid() : "", .resource_version = resource_version};
}

bool Selects(const std::string& pool, const std::string& phase, const v1::PublishedServer& entry) {
  return (pool.empty() || entry.server().spec().pool() == pool) &&
         (phase.empty() || entry.server().status().phase() == phase);
}

// The spec of a body, with a pool that stands beside the name. Where the body
// was read before, that may be a copy of an earlier one, and counts for nothing.
absl::StatusOr<v1::MCPServerSpec> SpecOf(const v1::MCPServer& body, const std::string& pool_before) {
  v1::MCPServerSpec spec = body.spec();
  if (body.pool().empty()) return spec;
  const bool copy = body.pool() == pool_before || !body.resource_version().empty();
  if (spec.pool().empty()) {
    spec.set_pool(body.pool());
  } else if (body.pool() != spec.pool() && !copy) {
    return Contradicts("pool", body.pool(), spec.pool());
  }
  return spec;
}

// Who asks, for people who read the server's events.
std::string Caller(grpc::CallbackServerContext* call) { return "API client " + call->peer(); }

// Answers with the server that was written.
kube::Callback<kube::Object> AnswerWith(const ApiContext& context, v1::MCPServer* response,
                                        grpc::ServerUnaryReactor* reactor) {
  return [&context, response, reactor](absl::StatusOr<kube::Object> object) {
    const absl::StatusOr<Servers::Entry> written = TakeServer(context, object);
    if (written.ok()) *response = View(context, **written);
    reactor->Finish(ToGrpc(written.status()));
  };
}

// Finds the server that a request names and goes on with it; answers if there is none.
grpc::ServerUnaryReactor* With(const ApiContext& context, grpc::CallbackServerContext* call, const std::string& uid,
                               absl::AnyInvocable<void(const v1::PublishedServer&, grpc::ServerUnaryReactor*)> go_on) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  if (!IsReady(context, reactor)) return reactor;
  FindServer(context, uid, [reactor, go_on = std::move(go_on)](absl::StatusOr<Servers::Entry> found) mutable {
    if (!found.ok()) return reactor->Finish(ToGrpc(found.status()));
    go_on(**found, reactor);
  });
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* ServerService::ListServers(grpc::CallbackServerContext* call,
                                                     const v1::ListServersRequest* request,
                                                     v1::ListServersResponse* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  if (!IsReady(context_, *request, reactor)) return reactor;
  const auto page = MakePage<v1::PublishedServer>(
      context_.directory->servers(), request->page_size(), request->page_token(),
      [request](const v1::PublishedServer& entry) { return Selects(request->pool(), request->phase(), entry); });
  if (page.ok()) {
    for (const Servers::Entry& entry : page->entries) *response->add_items() = View(context_, *entry);
    response->set_next_page_token(page->next_page_token);
  }
  reactor->Finish(ToGrpc(page.status()));
  return reactor;
}

grpc::ServerWriteReactor<v1::ServerChange>* ServerService::WatchServers(grpc::CallbackServerContext*,
                                                                        const v1::WatchServersRequest* request) {
  return Watcher<v1::PublishedServer, v1::ServerChange>::Begin(
      *request,
      {.directory = context_.directory,
       .catalog = &context_.directory->servers(),
       .selects = [pool = request->pool(), phase = request->phase()](
                      const v1::PublishedServer& entry) { return Selects(pool, phase, entry); },
       .view = [this](const v1::PublishedServer& entry) { return View(context_, entry); }},
      context_.streams);
}

grpc::ServerUnaryReactor* ServerService::GetServer(grpc::CallbackServerContext* call,
                                                   const v1::GetServerRequest* request, v1::MCPServer* response) {
  return With(context_, call, request->uid(),
              [this, response](const v1::PublishedServer& entry, grpc::ServerUnaryReactor* reactor) {
                *response = View(context_, entry);
                reactor->Finish(grpc::Status::OK);
              });
}

grpc::ServerUnaryReactor* ServerService::CreateServer(grpc::CallbackServerContext* call,
                                                      const v1::CreateServerRequest* request,
                                                      v1::MCPServer* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  if (!IsReady(context_, reactor)) return reactor;
  const v1::MCPServer& server = request->server();
  const std::string ns = context_.directory->ns();
  absl::StatusOr<v1::MCPServerSpec> spec = SpecOf(server, "");
  if (!server.namespace_().empty() && server.namespace_() != ns) {
    spec = Contradicts("namespace", server.namespace_(), ns);
  }
  if (!spec.ok()) {
    reactor->Finish(ToGrpc(spec.status()));
    return reactor;
  }
  context_.writer->Create(ns, server.name(), *std::move(spec), AnswerWith(context_, response, reactor));
  return reactor;
}

grpc::ServerUnaryReactor* ServerService::UpdateServer(grpc::CallbackServerContext* call,
                                                      const v1::UpdateServerRequest* request,
                                                      v1::MCPServer* response) {
  return With(context_, call, request->uid(),
              [this, request, response](const v1::PublishedServer& entry, grpc::ServerUnaryReactor* reactor) {
                const v1::MCPServer& body = request->server();
                const v1::MCPServer& live = entry.server();
                absl::StatusOr<v1::MCPServerSpec> spec = SpecOf(body, live.spec().pool());
                for (const auto& [field, given, is] : {std::tuple("name", body.name(), live.name()),
                                                       std::tuple("uid", body.uid(), live.uid()),
                                                       std::tuple("namespace", body.namespace_(), live.namespace_())}) {
                  if (!given.empty() && given != is) spec = Contradicts(field, given, is);
                }
                if (!spec.ok()) return reactor->Finish(ToGrpc(spec.status()));
                context_.writer->Update(RefOf(live), OnlyThis(live, request->uid(), body.resource_version()),
                                        *std::move(spec), AnswerWith(context_, response, reactor));
              });
}

grpc::ServerUnaryReactor* ServerService::DeleteServer(grpc::CallbackServerContext* call,
                                                      const v1::DeleteServerRequest* request,
                                                      v1::DeleteServerResponse*) {
  return With(context_, call, request->uid(),
              [this, request](const v1::PublishedServer& entry, grpc::ServerUnaryReactor* reactor) {
                const v1::MCPServer& live = entry.server();
                context_.writer->Delete(RefOf(live), OnlyThis(live, request->uid(), request->resource_version()),
                                        [this, uid = live.uid(), reactor](absl::Status deleted) {
                                          if (deleted.ok()) context_.directory->servers().Deleted(uid);
                                          reactor->Finish(ToGrpc(deleted));
                                        });
              });
}

grpc::ServerUnaryReactor* ServerService::StartServer(grpc::CallbackServerContext* call,
                                                     const v1::StartServerRequest* request, v1::MCPServer* response) {
  return With(context_, call, request->uid(),
              [this, request, response, by = Caller(call)](const v1::PublishedServer& entry,
                                                           grpc::ServerUnaryReactor* reactor) {
                context_.writer->Start(RefOf(entry.server()), OnlyThis(entry.server(), request->uid(), ""), by,
                                       AnswerWith(context_, response, reactor));
              });
}

grpc::ServerUnaryReactor* ServerService::StopServer(grpc::CallbackServerContext* call,
                                                    const v1::StopServerRequest* request, v1::MCPServer* response) {
  return With(context_, call, request->uid(),
              [this, request, response, by = Caller(call)](const v1::PublishedServer& entry,
                                                           grpc::ServerUnaryReactor* reactor) {
                context_.writer->Stop(RefOf(entry.server()), OnlyThis(entry.server(), request->uid(), ""), by,
                                      request->suspend(), AnswerWith(context_, response, reactor));
              });
}

grpc::ServerUnaryReactor* ServerService::GetServerLogs(grpc::CallbackServerContext* call,
                                                       const v1::GetServerLogsRequest* request,
                                                       v1::ServerLogs* response) {
  return With(context_, call, request->uid(),
              [this, request, response](const v1::PublishedServer& entry, grpc::ServerUnaryReactor* reactor) {
                if (!IsReady(context_, *request, reactor)) return;
                ReadLogs(context_, entry, request->tail_lines(), [response, reactor](absl::StatusOr<std::string> text) {
                  if (text.ok()) response->set_text(*std::move(text));
                  reactor->Finish(ToGrpc(text.status()));
                });
              });
}

grpc::ServerWriteReactor<v1::ServerLogs>* ServerService::FollowServerLogs(grpc::CallbackServerContext*,
                                                                          const v1::FollowServerLogsRequest* request) {
  return FollowLogs(context_, *request);
}

grpc::ServerUnaryReactor* ServerService::ListServerEvents(grpc::CallbackServerContext* call,
                                                          const v1::ListServerEventsRequest* request,
                                                          v1::ListServerEventsResponse* response) {
  return With(context_, call, request->uid(),
              [this, response](const v1::PublishedServer& entry, grpc::ServerUnaryReactor* reactor) {
                ListEvents(context_, entry.server(), [response, reactor](absl::StatusOr<v1::ListServerEventsResponse> events) {
                  if (events.ok()) *response = *std::move(events);
                  reactor->Finish(ToGrpc(events.status()));
                });
              });
}

}  // namespace unmcp::apiserver
