#include "apiserver/pool_service.h"

#include <string>
#include <tuple>
#include <utility>

#include "apiserver/errors.h"
#include "apiserver/paging.h"
#include "apiserver/watcher.h"
#include "common/grpc_status.h"

namespace unmcp::apiserver {
namespace {

bool All(const v1::MCPPool&) { return true; }

kube::ObjectRef RefOf(const v1::MCPPool& pool) { return {kube::MCPPoolKind(), pool.namespace_(), pool.name()}; }

kube::Callback<kube::Object> AnswerWith(const ApiContext& context, v1::MCPPool* response,
                                        grpc::ServerUnaryReactor* reactor) {
  return [&context, response, reactor](absl::StatusOr<kube::Object> object) {
    const absl::StatusOr<Pools::Entry> written = TakePool(context, object);
    if (written.ok()) *response = **written;
    reactor->Finish(ToGrpc(written.status()));
  };
}

// Finds the pool that a request names and goes on with it; answers if there is none.
grpc::ServerUnaryReactor* With(const ApiContext& context, grpc::CallbackServerContext* call, const std::string& name,
                               absl::AnyInvocable<void(const v1::MCPPool&, grpc::ServerUnaryReactor*)> go_on) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  if (!IsReady(context, reactor)) return reactor;
  FindPool(context, name, [reactor, go_on = std::move(go_on)](absl::StatusOr<Pools::Entry> found) mutable {
    if (!found.ok()) return reactor->Finish(ToGrpc(found.status()));
    go_on(**found, reactor);
  });
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* PoolService::ListPools(grpc::CallbackServerContext* call,
                                                 const v1::ListPoolsRequest* request,
                                                 v1::ListPoolsResponse* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  if (!IsReady(context_, *request, reactor)) return reactor;
  const auto page =
      MakePage<v1::MCPPool>(context_.directory->pools(), request->page_size(), request->page_token(), All);
  if (page.ok()) {
    for (const Pools::Entry& entry : page->entries) *response->add_items() = *entry;
    response->set_next_page_token(page->next_page_token);
  }
  reactor->Finish(ToGrpc(page.status()));
  return reactor;
}

grpc::ServerWriteReactor<v1::PoolChange>* PoolService::WatchPools(grpc::CallbackServerContext*,
                                                                  const v1::WatchPoolsRequest* request) {
  return Watcher<v1::MCPPool, v1::PoolChange>::Begin(*request,
                                                     {.directory = context_.directory,
                                                      .catalog = &context_.directory->pools(),
                                                      .selects = All,
                                                      .view = [](const v1::MCPPool& pool) { return pool; }},
                                                     context_.streams);
}

grpc::ServerUnaryReactor* PoolService::GetPool(grpc::CallbackServerContext* call, const v1::GetPoolRequest* request,
                                               v1::MCPPool* response) {
  return With(context_, call, request->name(), [response](const v1::MCPPool& pool, grpc::ServerUnaryReactor* reactor) {
    *response = pool;
    reactor->Finish(grpc::Status::OK);
  });
}

grpc::ServerUnaryReactor* PoolService::CreatePool(grpc::CallbackServerContext* call,
                                                  const v1::CreatePoolRequest* request, v1::MCPPool* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  if (!IsReady(context_, reactor)) return reactor;
  const v1::MCPPool& pool = request->pool();
  const std::string ns = context_.directory->ns();
  if (!pool.namespace_().empty() && pool.namespace_() != ns) {
    reactor->Finish(ToGrpc(Contradicts("namespace", pool.namespace_(), ns)));
    return reactor;
  }
  context_.writer->Create(ns, pool.name(), pool.spec(), AnswerWith(context_, response, reactor));
  return reactor;
}

grpc::ServerUnaryReactor* PoolService::UpdatePool(grpc::CallbackServerContext* call,
                                                  const v1::UpdatePoolRequest* request, v1::MCPPool* response) {
  return With(context_, call, request->name(),
              [this, request, response](const v1::MCPPool& live, grpc::ServerUnaryReactor* reactor) {
                const v1::MCPPool& body = request->pool();
                for (const auto& [field, given, is] : {std::tuple("name", body.name(), live.name()),
                                                       std::tuple("uid", body.uid(), live.uid()),
                                                       std::tuple("namespace", body.namespace_(), live.namespace_())}) {
                  if (!given.empty() && given != is) return reactor->Finish(ToGrpc(Contradicts(field, given, is)));
                }
                context_.writer->Update(RefOf(live), {.uid = body.uid(), .resource_version = body.resource_version()},
                                        body.spec(), AnswerWith(context_, response, reactor));
              });
}

grpc::ServerUnaryReactor* PoolService::DeletePool(grpc::CallbackServerContext* call,
                                                  const v1::DeletePoolRequest* request, v1::DeletePoolResponse*) {
  return With(context_, call, request->name(),
              [this, request](const v1::MCPPool& live, grpc::ServerUnaryReactor* reactor) {
                context_.writer->Delete(RefOf(live), {.resource_version = request->resource_version()},
                                        [this, uid = live.uid(), reactor](absl::Status deleted) {
                                          if (deleted.ok()) context_.directory->pools().Deleted(uid);
                                          reactor->Finish(ToGrpc(deleted));
                                        });
              });
}

}  // namespace unmcp::apiserver
