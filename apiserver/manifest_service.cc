#include "apiserver/manifest_service.h"

#include <utility>

#include "apiserver/errors.h"
#include "common/grpc_status.h"
#include "common/proto_json.h"

namespace unmcp::apiserver {
namespace {

const char* Word(Change change) {
  switch (change) {
    case Change::kCreated: return "created";
    case Change::kConfigured: return "configured";
    case Change::kUnchanged: break;
  }
  return "unchanged";
}

}  // namespace

grpc::ServerUnaryReactor* ManifestService::Apply(grpc::CallbackServerContext* call, const v1::ApplyRequest* request,
                                                 v1::ApplyResponse* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  // What the controller knows is of no interest for a write: only where it goes.
  const std::string ns = context_.directory->ns();
  if (ns.empty()) {
    reactor->Finish(ToGrpc(NotSynced()));
    return reactor;
  }
  context_.writer->Apply(ns, ToJson(request->manifest()),
                         [this, response, reactor](absl::StatusOr<ResourceWriter::Applied> applied) {
                           if (!applied.ok()) return reactor->Finish(ToGrpc(applied.status()));
                           const std::string kind = applied->object.kind();
                           // Into the directory; what it answers is of no interest here.
                           if (kind == kube::MCPServerKind().kind) TakeServer(context_, applied->object).IgnoreError();
                           if (kind == kube::MCPPoolKind().kind) TakePool(context_, applied->object).IgnoreError();
                           response->set_change(Word(applied->change));
                           response->set_kind(kind);
                           response->set_name(applied->object.name());
                           reactor->Finish(grpc::Status::OK);
                         });
  return reactor;
}

}  // namespace unmcp::apiserver
