#include "apiserver/rpc_metrics.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/histogram.h"

namespace unmcp::apiserver {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

// Seconds: a read of memory, a write to disk, a write that has to wait.
const prometheus::Histogram::BucketBoundaries& Buckets() {
  static const auto* const buckets =
      new prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5};
  return *buckets;
}

class Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(prometheus::Registry* registry)
      : handled_(&prometheus::BuildCounter()
                      .Name("grpc_server_handled_total")
                      .Help("Calls that have ended, by how they did.")
                      .Register(*registry)),
        seconds_(&prometheus::BuildHistogram()
                      .Name("grpc_server_handling_seconds")
                      .Help("How long unary calls took.")
                      .Register(*registry)) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new Call(this, info);
  }

 private:
  class Call final : public grpc::experimental::Interceptor {
   public:
    Call(Factory* factory, ServerRpcInfo* info) : factory_(factory), info_(info), began_(absl::Now()) {}

    void Intercept(InterceptorBatchMethods* methods) override {
      if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
        Ended(methods->GetSendStatus().error_code());
      }
      methods->Proceed();
    }

   private:
    void Ended(grpc::StatusCode code) {
      const std::pair<std::string, std::string> name =
          absl::StrSplit(absl::StripPrefix(info_->method(), "/"), absl::MaxSplits('/', 1));
      const prometheus::Labels labels = {{"grpc_service", name.first}, {"grpc_method", name.second}};
      if (info_->type() == ServerRpcInfo::Type::UNARY) {
        factory_->seconds_->Add(labels, Buckets()).Observe(absl::ToDoubleSeconds(absl::Now() - began_));
      }
      prometheus::Labels with_code = labels;
      with_code["grpc_code"] = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
      factory_->handled_->Add(with_code).Increment();
    }

    Factory* const factory_;
    ServerRpcInfo* const info_;
    const absl::Time began_;
  };

  prometheus::Family<prometheus::Counter>* const handled_;
  prometheus::Family<prometheus::Histogram>* const seconds_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeRpcMetrics(prometheus::Registry* registry) {
  return std::make_unique<Factory>(registry);
}

}  // namespace unmcp::apiserver
