#include "serve/apiserver_part.h"

#include <utility>

#include "common/random.h"
#include "common/status_macros.h"
#include "serve/flags.h"
#include "serve/process.h"

namespace unmcp {
namespace {

constexpr absl::Duration kRpcGrace = absl::Milliseconds(500);
// What the sessions are told last has left within the loop's next turns.
constexpr absl::Duration kFlushTime = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<std::unique_ptr<ApiserverPart>> ApiserverPart::Create(Options options) {
  std::unique_ptr<ApiserverPart> part(new ApiserverPart(options.cluster_socket));
  UNMCP_ASSIGN_OR_RETURN(part->apiserver_,
                         apiserver::ApiServer::Create({.loop = &part->loop_,
                                                       .cluster = &part->cluster_,
                                                       .random = Random::System(),
                                                       .registry = &part->registry_,
                                                       .version = kVersion,
                                                       .host = options.host,
                                                       .port = options.grpc_port,
                                                       .internal_socket = options.apiserver_socket,
                                                       .api_socket = ApiSocketBeside(options.apiserver_socket),
                                                       .allow_pod_template = options.allow_pod_template,
                                                       .on_ready = std::move(options.on_ready)}));
  return part;
}

ApiserverPart::~ApiserverPart() { loop_.Stop(); }

void ApiserverPart::Start() { loop_.Start(); }

void ApiserverPart::CloseSessions() {
  apiserver_->CloseSessions("unmcp is stopping");
  RunOn(&loop_, [this](absl::AnyInvocable<void()> done) { loop_.After(kFlushTime, std::move(done)); });
}

void ApiserverPart::Stop() { apiserver_->Shutdown(kRpcGrace); }

}  // namespace unmcp
