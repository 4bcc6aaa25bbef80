#include "kube/socket/calls.h"

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "kube/socket/wire.h"

namespace unmcp::kube {

Calls::Id Calls::Begin(grpc::ClientContext* context) {
  MutexLock lock(&mutex_);
  open_.emplace(++last_, context);
  ++not_ended_;
  if (closing_) context->TryCancel();
  return last_;
}

void Calls::Cancel(Id id) {
  MutexLock lock(&mutex_);
  if (auto it = open_.find(id); it != open_.end()) it->second->TryCancel();
}

void Calls::End(Id id, std::unique_ptr<grpc::ClientContext> context) {
  {
    MutexLock lock(&mutex_);
    open_.erase(id);
  }
  context.reset();
  MutexLock lock(&mutex_);
  if (--not_ended_ == 0 && closing_) all_ended_.Notify();
}

void Calls::Close() {
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    if (not_ended_ == 0) return;
    for (auto& [id, context] : open_) context->TryCancel();
  }
  all_ended_.Wait();
}

absl::Status Calls::Outcome(const grpc::ClientContext& context, const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  if (context.GetServerTrailingMetadata().contains(wire::kAnsweredKey)) return FromGrpc(status);
  return Lost(status.error_message());
}

absl::Status Calls::Lost(const std::string& why) const {
  return absl::UnavailableError(
      absl::StrCat("the cluster does not answer on ", socket_, " (", why, "); is unmcp-controller running?"));
}

}  // namespace unmcp::kube
