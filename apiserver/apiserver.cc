#include "apiserver/apiserver.h"

#include <chrono>
#include <cstdlib>
#include <initializer_list>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apiserver/data_path.h"
#include "apiserver/directory.h"
#include "apiserver/api_context.h"
#include "apiserver/errors.h"
#include "apiserver/manifest_service.h"
#include "apiserver/metrics.h"
#include "apiserver/metrics_service.h"
#include "apiserver/pool_service.h"
#include "apiserver/resource_writer.h"
#include "apiserver/response_stream.h"
#include "apiserver/rpc_metrics.h"
#include "apiserver/server_service.h"
#include "apiserver/session_service.h"
#include "apiserver/state_service.h"
#include "common/mutex.h"
#include "common/private_socket.h"
#include "common/status_macros.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "http/http_client.h"
#include "link/callee.h"

namespace unmcp::apiserver {
namespace {

// The largest gRPC message taken: a SyncRequest with one server's spec, whose
// lists are bounded by its schema to well under this.
constexpr int kMaxMessageBytes = 16 * 1024 * 1024;

// Reflection and the health service are switched on for every server that is
// built afterwards, so once per process.
void EnableStandardServices() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // gRPC serves health without its descriptor, and reflection would list a
    // service that it cannot describe: tools that walk through all of them stop.
    google::protobuf::LinkMessageReflection<grpc::health::v1::HealthCheckRequest>();
  });
}

// The usual way to add to the system's: OpenSSL's own variable.
std::string CertificateAuthorities() {
  const char* const file = std::getenv("SSL_CERT_FILE");
  return file == nullptr ? "" : file;
}

class ApiServerImpl final : public ApiServer {
 public:
  ApiServerImpl(Options options, std::unique_ptr<http::Client> http)
      : options_(std::move(options)),
        http_(std::move(http)),
        process_(options_.random->Id128()),
        metrics_(options_.registry),
        data_path_({.loop = options_.loop,
                    .cluster = options_.cluster,
                    .http = http_.get(),
                    .random = options_.random,
                    .directory = &directory_,
                    .metrics = &metrics_,
                    .version = options_.version,
                    .on_synced =
                        [this] {
                          SetServing(true);
                          options_.on_ready();
                        }}),
        state_service_(options_.loop, process_, &data_path_),
        writer_({.cluster = options_.cluster,
                 .random = options_.random,
                 .allow_pod_template = options_.allow_pod_template}),
        context_{.directory = &directory_,
                 .cluster = options_.cluster,
                 .writer = &writer_,
                 .streams = &streams_,
                 .activity = [this](const std::string& uid) { return data_path_.ActivityOf(uid); },
                 .process = process_},
        server_service_(&context_),
        pool_service_(&context_),
        manifest_service_(&context_),
        metrics_service_({.context = &context_,
                          .registry = options_.registry,
                          .version = options_.version,
                          .started_at = absl::Now()}),
        session_service_(options_.loop,
                         [this](session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange) {
                           data_path_.Accept(std::move(request), std::move(exchange));
                         }),
        callee_(link::Callee::Create({options_.loop, [this](session::ExchangeRequest request,
                                                            std::unique_ptr<session::Exchange> exchange) {
                                        data_path_.Accept(std::move(request), std::move(exchange));
                                      },
                                      /*over_sockets=*/!options_.internal_socket.empty()})) {
    data_path_.set_state_service(&state_service_);
    directory_.set_controller({.ns = options_.ns});
  }

  ~ApiServerImpl() override {
    if (!internal_server_) return;
    internal_server_->Shutdown(std::chrono::system_clock::now());
    callee_->Finish();
  }

  absl::Status Init() {
    EnableStandardServices();
    grpc::ServerBuilder internal;
    internal.SetMaxReceiveMessageSize(kMaxMessageBytes);
    internal.RegisterService(&state_service_);
    callee_->Register(&internal);
    grpc::ServerBuilder builder;
    if (!options_.internal_socket.empty()) {
      UNMCP_ASSIGN_OR_RETURN(internal_socket_, PrivateSocket::Claim(options_.internal_socket, "unmcp-apiserver"));
      UNMCP_ASSIGN_OR_RETURN(api_socket_, PrivateSocket::Claim(options_.api_socket, "unmcp-apiserver"));
      internal.AddListeningPort(internal_socket_->address(), grpc::InsecureServerCredentials());
      builder.AddListeningPort(api_socket_->address(), grpc::InsecureServerCredentials());
    }
    UNMCP_RETURN_IF_ERROR(Listen(internal_socket_.get(), [&] { internal_server_ = internal.BuildAndStart(); }));
    if (!internal_server_) return absl::InternalError("gRPC cannot be started");
    callee_->Start();

    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    // Two processes on one port would share its connections between them.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    const std::string address = absl::StrCat(
        absl::StrContains(options_.host, ':') ? absl::StrCat("[", options_.host, "]") : options_.host, ":",
        options_.port);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    for (grpc::Service* service : std::initializer_list<grpc::Service*>{
             &server_service_, &pool_service_, &manifest_service_, &metrics_service_, &session_service_}) {
      builder.RegisterService(service);
    }
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(MakeRpcMetrics(options_.registry));
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
    UNMCP_RETURN_IF_ERROR(Listen(api_socket_.get(), [&] { api_server_ = builder.BuildAndStart(); }));
    if (!api_server_ || port_ == 0) {
      return absl::UnavailableError(absl::StrCat("cannot listen for gRPC on ", address, ": the port is in use, or ",
                                                 options_.host, " is not an address of this machine; stop what "
                                                 "listens there, or choose another with --grpc-port (0 picks a free "
                                                 "one) or --host"));
    }
    SetServing(false);  // until the state is there
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  std::shared_ptr<grpc::Channel> ApiChannel() override { return ChannelTo(api_server_.get()); }
  std::shared_ptr<grpc::Channel> InternalChannel() override { return ChannelTo(internal_server_.get()); }

  link::CompletionDriver* completions() override { return callee_->completions(); }

  void CloseSessions(absl::string_view why) override {
    SetServing(false);
    Notification done;
    options_.loop->Post([&] {
      data_path_.CloseAll(why);
      done.Notify();
    });
    done.Wait();
  }

  void Shutdown(absl::Duration grace) override {
    // Streams that nobody ends would be waited for until the grace is over.
    streams_.EndAll(Stopping());
    const auto deadline = absl::ToChronoTime(absl::Now() + grace);
    api_server_->Shutdown(deadline);
    internal_server_->Shutdown(deadline);
  }

 private:
  // Whether it listens at all is looked at afterwards.
  static absl::Status Listen(PrivateSocket* socket, absl::FunctionRef<void()> listen) {
    if (socket != nullptr) return socket->Bind(listen);
    listen();
    return absl::OkStatus();
  }

  // Health: of the whole (""), and of each service by name.
  void SetServing(bool serving) {
    grpc::HealthCheckServiceInterface* health = api_server_->GetHealthCheckService();
    health->SetServingStatus(serving);
    for (const char* service : {v1::ServerService::service_full_name(), v1::PoolService::service_full_name(),
                                v1::ManifestService::service_full_name(), v1::MetricsService::service_full_name(),
                                v1::SessionService::service_full_name()}) {
      health->SetServingStatus(service, serving);
    }
  }

  static std::shared_ptr<grpc::Channel> ChannelTo(grpc::Server* server) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    return server->InProcessChannel(arguments);
  }

  Options options_;
  const std::unique_ptr<http::Client> http_;  // toward servers
  const std::string process_;
  Metrics metrics_;
  Directory directory_;
  DataPath data_path_;
  StateService state_service_;
  StreamSet streams_;
  ResourceWriter writer_;
  const ApiContext context_;
  ServerService server_service_;
  PoolService pool_service_;
  ManifestService manifest_service_;
  MetricsService metrics_service_;
  SessionService session_service_;
  std::unique_ptr<link::Callee> callee_;
  int port_ = 0;
  std::unique_ptr<PrivateSocket> internal_socket_, api_socket_;
  std::unique_ptr<grpc::Server> internal_server_;
  std::unique_ptr<grpc::Server> api_server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Create(Options options) {
  UNMCP_ASSIGN_OR_RETURN(std::unique_ptr<http::Client> http,
                         http::Client::Create({.loop = options.loop,
                                               .ca_file = CertificateAuthorities(),
                                               .user_agent = absl::StrCat("unmcp/", options.version)}));
  auto apiserver = std::make_unique<ApiServerImpl>(std::move(options), std::move(http));
  if (absl::Status status = apiserver->Init(); !status.ok()) return status;
  return apiserver;
}

}  // namespace unmcp::apiserver
