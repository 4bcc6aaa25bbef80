// Carries plans out, write by write.
#ifndef UNMCP_CONTROLLER_EXECUTOR_H_
#define UNMCP_CONTROLLER_EXECUTOR_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/scheduler.h"
#include "controller/decide.h"
#include "kube/cluster.h"

namespace unmcp::controller {

// A plan ends with its first write that fails. What is there instead is then
// read live and shown to `on_object`, before `done`: the next decision must not
// be made on the picture that was just found to be old.
//
// Thread safety: none; everything on the scheduler, callbacks too.
class Executor {
 public:
  struct Outcome {
    absl::Status status;
    // The Pod that was to be created has somebody else's name.
    bool pod_name_taken = false;
  };
  using Done = absl::AnyInvocable<void(Outcome)>;

  struct Options {
    Scheduler* scheduler = nullptr;
    kube::Cluster* cluster = nullptr;
    // Every object that the cluster answers with.
    std::function<void(kube::Object)> on_object;
    // Optional: every write, and what became of it.
    std::function<void(const Write&, const absl::Status&)> on_write = nullptr;
  };
  explicit Executor(Options options) : options_(std::move(options)) {}

  // `done` may be called before Run returns only when there is nothing to write.
  void Run(std::vector<Write> writes, Done done);

  // Plans end (CANCELLED) after the write they are at: each is made to be
  // interrupted anywhere.
  void Stop() { stopped_ = true; }
  int running() const { return running_; }

 private:
  struct Plan;

  void Next(std::shared_ptr<Plan> plan);
  void Wrote(const Plan& plan, const absl::Status& status) const;
  void OnAnswer(const std::shared_ptr<Plan>& plan, absl::StatusOr<kube::Object> answer);
  // Reads what the failed write was about.
  void Refresh(std::shared_ptr<Plan> plan, absl::Status why);
  void Finish(const std::shared_ptr<Plan>& plan, Outcome outcome);
  // Lets a callback of the cluster go on here.
  template <class T>
  absl::AnyInvocable<void(T)> Here(absl::AnyInvocable<void(T)> then);

  Options options_;
  bool stopped_ = false;
  int running_ = 0;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_EXECUTOR_H_
