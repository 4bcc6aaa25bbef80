#include "controller/executor.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace unmcp::controller {

struct Executor::Plan {
  std::vector<Write> writes;
  size_t next = 0;
  // resourceVersions that this plan's own writes have made, by kind and name.
  std::map<std::pair<std::string, std::string>, std::string> versions;
  Done done;

  const Write& current() const { return writes[next]; }
};

template <class T>
absl::AnyInvocable<void(T)> Executor::Here(absl::AnyInvocable<void(T)> then) {
  return [scheduler = options_.scheduler, alive = std::weak_ptr<bool>(alive_),
          then = std::move(then)](T value) mutable {
    scheduler->Post([alive, then = std::move(then), value = std::move(value)]() mutable {
      if (!alive.expired()) then(std::move(value));
    });
  };
}

void Executor::Run(std::vector<Write> writes, Done done) {
  ++running_;
  auto plan = std::make_shared<Plan>();
  plan->writes = std::move(writes);
  plan->done = std::move(done);
  Next(std::move(plan));
}

void Executor::Next(std::shared_ptr<Plan> plan) {
  if (plan->next == plan->writes.size()) return Finish(plan, {});
  if (stopped_) return Finish(plan, {.status = absl::CancelledError("the controller shuts down")});
  const Write& write = plan->current();
  kube::Cluster* const cluster = options_.cluster;
  auto answered = Here<absl::StatusOr<kube::Object>>(
      [this, plan](absl::StatusOr<kube::Object> answer) { OnAnswer(plan, std::move(answer)); });
  switch (write.verb) {
    case Write::Verb::kCreate:
      return cluster->Create(write.ref.kind, kube::Object(write.body), std::move(answered));
    case Write::Verb::kPatch:
    case Write::Verb::kPatchStatus: {
      kube::Json patch = write.body;
      auto own = plan->versions.find({write.ref.kind.plural, write.ref.name});
      patch["metadata"]["resourceVersion"] = own == plan->versions.end() ? write.resource_version : own->second;
      const char* subresource = write.verb == Write::Verb::kPatchStatus ? "status" : "";
      return cluster->Patch(write.ref, std::move(patch), {.subresource = subresource}, std::move(answered));
    }
    case Write::Verb::kConfirmAbsent:
      return cluster->Get(write.ref, std::move(answered));
    case Write::Verb::kDelete:
      return cluster->Delete(write.ref, {.uid = write.uid, .resource_version = ""},
                             Here<absl::Status>([this, plan](absl::Status deleted) {
                               Wrote(*plan, deleted);
                               // Not there any more, or another by now: it is gone.
                               if (!deleted.ok() && !absl::IsNotFound(deleted) && !absl::IsAborted(deleted)) {
                                 return Refresh(plan, std::move(deleted));
                               }
                               ++plan->next;
                               Next(plan);
                             }));
  }
}

void Executor::Wrote(const Plan& plan, const absl::Status& status) const {
  if (options_.on_write) options_.on_write(plan.current(), status);
}

void Executor::OnAnswer(const std::shared_ptr<Plan>& plan, absl::StatusOr<kube::Object> answer) {
  const Write& write = plan->current();
  if (write.verb != Write::Verb::kConfirmAbsent) Wrote(*plan, answer.status());
  if (write.verb == Write::Verb::kConfirmAbsent) {
    // A namesake of somebody else's is none of our business.
    if (answer.ok() && answer->controller_uid() == write.uid) {
      options_.on_object(*std::move(answer));
      return Finish(plan, {.status = absl::AbortedError(absl::StrCat(write.ref.name, " is there after all"))});
    }
    if (!answer.ok() && !absl::IsNotFound(answer.status())) return Finish(plan, {.status = answer.status()});
  } else if (!answer.ok()) {
    return Refresh(plan, answer.status());
  } else {
    plan->versions[{write.ref.kind.plural, write.ref.name}] = answer->resource_version();
    options_.on_object(*std::move(answer));
  }
  ++plan->next;
  Next(plan);
}

void Executor::Refresh(std::shared_ptr<Plan> plan, absl::Status why) {
  options_.cluster->Get(
      plan->current().ref,
      Here<absl::StatusOr<kube::Object>>([this, plan, why](absl::StatusOr<kube::Object> there) {
        const Write& write = plan->current();
        const bool create = write.verb == Write::Verb::kCreate;
        if (!there.ok()) return Finish(plan, {.status = why});
        const bool ours = !create || (there->controller_uid() == write.uid && !there->deleting());
        if (!ours) {
          return Finish(plan, {.status = why, .pod_name_taken = write.ref.kind == kube::PodKind()});
        }
        options_.on_object(*std::move(there));
        // Created before, by us: an answer that was lost, or another's start.
        if (!create) return Finish(plan, {.status = why});
        ++plan->next;
        Next(plan);
      }));
}

void Executor::Finish(const std::shared_ptr<Plan>& plan, Outcome outcome) {
  --running_;
  plan->done(std::move(outcome));
}

}  // namespace unmcp::controller
