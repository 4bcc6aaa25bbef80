#include "serve/controller_part.h"

#include <future>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "proto/schema/crd.h"

namespace unmcp {
namespace {

// Written at each start; its resourceVersion, which only rises and is as
// durable as the cluster, is the controller's epoch.
constexpr char kLeaseName[] = "unmcp-controller";

// Blocks for one call. For the main thread, while nothing else goes on.
template <class T>
T Await(absl::FunctionRef<void(absl::AnyInvocable<void(T)>)> call) {
  std::promise<T> answer;
  call([&](T value) { answer.set_value(std::move(value)); });
  return answer.get_future().get();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControllerPart>> ControllerPart::Create(Options options,
                                                                       std::unique_ptr<bridge::Supervisor> supervisor,
                                                                       Fatal fatal) {
  std::unique_ptr<ControllerPart> part(new ControllerPart(std::move(options), std::move(supervisor)));
  UNMCP_RETURN_IF_ERROR(part->Init(std::move(fatal)));
  return part;
}

ControllerPart::ControllerPart(Options options, std::unique_ptr<bridge::Supervisor> supervisor)
    : options_(std::move(options)), supervisor_(std::move(supervisor)) {}

ControllerPart::~ControllerPart() {
  Stop();
  cluster_server_.reset();
  control_loop_.Stop();
  node_loop_.Stop();
  if (cluster_) cluster_->SetNode(nullptr);
}

absl::Status ControllerPart::Init(Fatal fatal) {
  UNMCP_ASSIGN_OR_RETURN(cluster_, kube::EmbeddedCluster::Create({.data_dir = options_.data_dir, .crds = AllCrds()}));
  UNMCP_RETURN_IF_ERROR(EvictPods());
  supervisor_->Start(&node_loop_);
  supervisor_->OnHelperLost([fatal = std::move(fatal)] {
    fatal(absl::InternalError(
        "the process supervisor has ended, and with it every server's process; start unmcp again"));
  });
  UNMCP_ASSIGN_OR_RETURN(
      node_, kube::EmbeddedNode::Create(
                 {.loop = &node_loop_,
                  .cluster = cluster_.get(),
                  .supervisor = supervisor_.get(),
                  .ns = options_.ns,
                  .data_dir = options_.data_dir}));
  cluster_->SetNode(node_.get());
  if (!options_.cluster_socket.empty()) {
    UNMCP_ASSIGN_OR_RETURN(cluster_server_, kube::ClusterServer::Create(cluster_.get(), options_.cluster_socket));
  }
  return absl::OkStatus();
}

absl::Status ControllerPart::Start(std::vector<std::shared_ptr<grpc::Channel>> apiservers) {
  UNMCP_ASSIGN_OR_RETURN(const uint64_t epoch, NextEpoch());
  UNMCP_ASSIGN_OR_RETURN(controller_, controller::Controller::Create({.scheduler = &control_loop_,
                                                                      .cluster = cluster_.get(),
                                                                      .ns = options_.ns,
                                                                      .apiservers = std::move(apiservers),
                                                                      .epoch = epoch,
                                                                      .identity = options_.identity,
                                                                      .random = Random::System()}));
  node_loop_.Start();
  control_loop_.Start();
  started_ = true;
  control_loop_.Post([this] { controller_->Start(); });
  return absl::OkStatus();
}

void ControllerPart::Stop() {
  if (!std::exchange(started_, false)) return;
  RunOn(&control_loop_, [this](absl::AnyInvocable<void()> done) { controller_->Shutdown(std::move(done)); });
  // With it go the channels, which may be to servers of this process.
  RunOn(&control_loop_, [this](absl::AnyInvocable<void()> done) {
    controller_.reset();
    done();
  });
  RunOn(&node_loop_, [this](absl::AnyInvocable<void()> done) { node_->Shutdown(std::move(done)); });
}

// What ran when unmcp last ended has ended with it: its Pods are over, as on a
// node that is lost. Left alone they would be run again as they were declared
// then, whether anybody wants them or not.
absl::Status ControllerPart::EvictPods() {
  UNMCP_ASSIGN_OR_RETURN(const kube::ObjectList pods, Await<absl::StatusOr<kube::ObjectList>>([&](auto done) {
                           cluster_->List(kube::PodKind(), options_.ns, {}, std::move(done));
                         }));
  for (const kube::Object& pod : pods.items) {
    const absl::Status deleted = Await<absl::Status>([&](auto done) {
      cluster_->Delete({kube::PodKind(), options_.ns, pod.name()}, {.uid = pod.uid(), .grace_period_seconds = 0},
                       std::move(done));
    });
    if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ControllerPart::NextEpoch() {
  const kube::ObjectRef ref{kube::LeaseKind(), options_.ns, kLeaseName};
  const auto renew = [&](auto done) {
    const std::string now = absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
    cluster_->Patch(ref, {{"spec", {{"holderIdentity", options_.identity}, {"renewTime", now}}}}, {}, std::move(done));
  };
  absl::StatusOr<kube::Object> lease = Await<absl::StatusOr<kube::Object>>(renew);
  if (absl::IsNotFound(lease.status())) {
    lease = Await<absl::StatusOr<kube::Object>>([&](auto done) {
      kube::Object first(ref.kind, ref.ns, ref.name);
      first.json()["spec"]["holderIdentity"] = options_.identity;
      cluster_->Create(ref.kind, std::move(first), std::move(done));
    });
  }
  UNMCP_RETURN_IF_ERROR(lease.status());
  uint64_t epoch = 0;
  if (!absl::SimpleAtoi(lease->resource_version(), &epoch)) {
    return absl::InternalError(absl::StrCat("the Lease ", kLeaseName, " has no version"));
  }
  return epoch;
}

}  // namespace unmcp
