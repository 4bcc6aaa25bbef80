#include "cli/apply.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proto/schema/crd.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp {
namespace {

using kube::Json;

bool IsPool(const kube::Object& object) { return object.kind() == kube::MCPPoolKind().kind; }

// RFC 7386: what `live` has and `wanted` has not is nulled.
Json Difference(const Json& live, const Json& wanted) {
  Json patch = Json::object();
  for (const auto& [key, value] : live.items()) {
    if (!wanted.contains(key)) patch[key] = nullptr;
  }
  for (const auto& [key, value] : wanted.items()) {
    if (!live.contains(key)) {
      patch[key] = value;
    } else if (live[key] != value) {
      patch[key] = live[key].is_object() && value.is_object() ? Difference(live[key], value) : value;
    }
  }
  return patch;
}

// One call of ApplyAll. It owns itself through the callback it waits for, of
// which there is never more than one, made by a step's last statement: so it
// needs no lock.
class Application : public std::enable_shared_from_this<Application> {
 public:
  Application(kube::Cluster* cluster, std::vector<kube::Object> objects, kube::Callback<std::vector<Applied>> done)
      : cluster_(cluster), objects_(std::move(objects)), done_(std::move(done)) {
    std::stable_partition(objects_.begin(), objects_.end(), IsPool);
  }

  void ApplyNext() {
    if (applied_.size() == objects_.size()) return done_(std::move(applied_));
    cluster_->Get(Ref(), [self = shared_from_this()](absl::StatusOr<kube::Object> live) {
      self->OnLive(std::move(live));
    });
  }

 private:
  const kube::Object& wanted() const { return objects_[applied_.size()]; }

  kube::ObjectRef Ref() const {
    return {IsPool(wanted()) ? kube::MCPPoolKind() : kube::MCPServerKind(), wanted().ns(), wanted().name()};
  }

  void OnLive(absl::StatusOr<kube::Object> live) {
    if (absl::IsNotFound(live.status())) {
      return cluster_->Create(Ref().kind, wanted(), [self = shared_from_this()](absl::StatusOr<kube::Object> made) {
        self->OnWritten(Change::kCreated, made.status());
      });
    }
    if (!live.ok()) return Fail(live.status());
    if (live->deleting()) {
      return Fail(absl::AbortedError("is being deleted; apply again when it is gone"));
    }
    Json patch = ApplyPatch(*live, wanted());
    if (patch.empty()) return OnWritten(Change::kUnchanged, absl::OkStatus());
    // What was removed was worked out from this version.
    patch["metadata"]["resourceVersion"] = live->resource_version();
    cluster_->Patch(Ref(), std::move(patch), {}, [self = shared_from_this()](absl::StatusOr<kube::Object> written) {
      self->OnWritten(Change::kConfigured, written.status());
    });
  }

  void OnWritten(Change change, const absl::Status& status) {
    // Somebody created, changed or deleted it between our read and our write.
    const bool lost = absl::IsAlreadyExists(status) || absl::IsAborted(status) || absl::IsNotFound(status);
    if (lost && ++attempts_ < kMaxApplyAttempts) return ApplyNext();
    if (!status.ok()) return Fail(status);
    attempts_ = 0;
    applied_.push_back({Ref(), change});
    ApplyNext();
  }

  void Fail(const absl::Status& status) {
    done_(absl::Status(status.code(),
                       absl::StrCat(wanted().kind(), " ", wanted().name(), ": ", status.message())));
  }

  kube::Cluster* const cluster_;
  std::vector<kube::Object> objects_;
  kube::Callback<std::vector<Applied>> done_;
  std::vector<Applied> applied_;
  int attempts_ = 0;
};

}  // namespace

Json ApplyPatch(const kube::Object& live, const kube::Object& wanted) {
  Json spec = wanted.spec();
  // The live object has its defaults: without ours it would differ for ever.
  FillDefaults(IsPool(wanted) ? v1::MCPPoolSpec::descriptor() : v1::MCPServerSpec::descriptor(), &spec);
  Json patch = Json::object();
  if (Json difference = Difference(live.spec(), spec); !difference.empty()) patch["spec"] = std::move(difference);
  const Json live_metadata = live.json().value("metadata", Json::object());
  const Json wanted_metadata = wanted.json().value("metadata", Json::object());
  for (const char* key : {"labels", "annotations"}) {
    const Json have = live_metadata.value(key, Json::object());
    const Json want = wanted_metadata.value(key, Json::object());
    for (const auto& [name, value] : want.items()) {
      if (!have.contains(name) || have[name] != value) patch["metadata"][key][name] = value;
    }
  }
  return patch;
}

void ApplyAll(kube::Cluster* cluster, std::vector<kube::Object> objects, kube::Callback<std::vector<Applied>> done) {
  std::make_shared<Application>(cluster, std::move(objects), std::move(done))->ApplyNext();
}

}  // namespace unmcp
