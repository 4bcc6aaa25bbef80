#include "serve/gateway_part.h"

#include <utility>

#include "common/socket_channel.h"
#include "common/status_macros.h"
#include "glog/logging.h"
#include "google/protobuf/wrappers.pb.h"
#include "serve/flags.h"
#include "serve/process.h"

namespace unmcp {
namespace {

// How often an apiserver that does not serve yet is asked: nobody waits for
// longer than this for what is there.
constexpr absl::Duration kHealthInterval = absl::Milliseconds(20);
constexpr absl::Duration kHealthTimeout = absl::Seconds(5);
// grpc.health.v1.HealthCheckResponse.ServingStatus
constexpr int kHealthServing = 1;

// The parts of a shutdown: answers under way, within 8 s for all of unmcp.
constexpr absl::Duration kStreamGrace = absl::Seconds(2);
// What the apiserver has told the clients last is here within the loop's next
// turns.
constexpr absl::Duration kFlushTime = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<std::unique_ptr<GatewayPart>> GatewayPart::Create(Options options) {
  std::unique_ptr<GatewayPart> part(new GatewayPart(std::move(options)));
  Options& given = part->options_;
  if (!given.apiserver_socket.empty()) {
    given.internal = SocketChannel(given.apiserver_socket);
    given.api = SocketChannel(ApiSocketBeside(given.apiserver_socket));
    part->own_completions_ =
        std::make_unique<link::CompletionDriver>(given.loop, std::make_unique<grpc::CompletionQueue>());
    part->own_completions_->StartThread();
    given.completions = part->own_completions_.get();
  }
  part->caller_ = link::Caller::Create({given.loop, given.internal, given.completions,
                                        [part = part.get()](bool connected) { part->OnLink(connected); }});
  UNMCP_ASSIGN_OR_RETURN(part->gateway_, gateway::Gateway::Create({.loop = given.loop,
                                                                   .host = given.host,
                                                                   .port = given.port,
                                                                   .channel = given.api,
                                                                   .caller = part->caller_.get(),
                                                                   .registry = &part->registry_,
                                                                   .allowed_hosts = given.allowed_hosts,
                                                                   .allowed_origins = given.allowed_origins,
                                                                   .version = kVersion}));
  part->health_caller_ = std::make_unique<gateway::ApiCaller>(given.loop, given.api);
  return part;
}

GatewayPart::GatewayPart(Options options) : options_(std::move(options)), health_timer_(options_.loop) {}

void GatewayPart::OnLink(bool connected) {
  if (connected && !std::exchange(was_linked_, true)) AskForHealth();
}

void GatewayPart::AskForHealth() {
  // grpc.health.v1's messages by messages of the same form: a string and a
  // number, each in field 1.
  health_caller_->Call("/grpc.health.v1.Health/Check", std::make_unique<google::protobuf::StringValue>(),
                       std::make_unique<google::protobuf::Int32Value>(), kHealthTimeout,
                       [this](const grpc::Status& status, const google::protobuf::Message& response) {
                         if (status.ok() &&
                             static_cast<const google::protobuf::Int32Value&>(response).value() == kHealthServing) {
                           gateway_->SetServing(true);
                           options_.on_ready();
                         } else {
                           health_timer_.Set(kHealthInterval, [this] { AskForHealth(); });
                         }
                       });
}

void GatewayPart::BeginStop() {
  options_.loop->Post([this] { gateway_->SetServing(false); });
}

void GatewayPart::Stop() {
  RunOn(options_.loop, [this](absl::AnyInvocable<void()> done) {
    health_timer_.Cancel();
    options_.loop->After(kFlushTime, std::move(done));
  });
  RunOn(options_.loop,
        [this](absl::AnyInvocable<void()> done) { gateway_->Shutdown(kStreamGrace, std::move(done)); });
  RunOn(options_.loop, [this](absl::AnyInvocable<void()> done) {
    caller_->Shutdown();
    done();
  });
}

}  // namespace unmcp
