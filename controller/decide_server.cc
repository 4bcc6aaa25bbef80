#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/annotations.h"
#include "controller/build.h"
#include "controller/decide.h"
#include "controller/ledger.h"
#include "controller/status.h"
#include "controller/want.h"

namespace unmcp::controller {
namespace {

using v1::MCPServerStatus;

absl::Duration StartBackoff(int failures) {
  return std::min(kMaxStartBackoff, kFirstStartBackoff * (1 << std::min(failures - 1, 10)));
}

// A container that waits for this is on its way; for anything else (a crash
// loop, a program that is not there) somebody has to be told.
bool IsOnItsWay(const std::string& waiting_reason) {
  return waiting_reason.empty() || waiting_reason == "ContainerCreating" || waiting_reason == "PodInitializing";
}

class Decider {
 public:
  explicit Decider(const ServerSnapshot& seen)
      : seen_(seen), server_(seen.server), spec_(seen.declared->spec), status_(seen.server.status()), next_(status_),
        blocked_(Blocked(seen)) {
    plan_.memory = seen.memory;
  }

  ServerPlan Decide() {
    if (seen_.deleting) return std::move(plan_);
    next_.set_observed_generation(server_.generation());
    Condition(kAccepted, blocked_ && blocked_->reason() != "Suspended"
                             ? ConditionValue{"False", blocked_->reason(), blocked_->message()}
                             : Accepted());
    DecideDiscovery();
    want_ = WantOf(seen_, discovered_);
    const ObservedPod* pod = nullptr;
    for (const ObservedPod& candidate : seen_.pods) {
      if (candidate.incarnation == status_.incarnation() && Started(seen_)) {
        pod = &candidate;
      } else if (!candidate.deleting) {
        DeletePod(candidate);  // of a life that is over
      }
    }
    if (!Started(seen_)) {
      Down();
    } else if (pod == nullptr) {
      WithoutPod();
    } else {
      plan_.memory.pod_seen = pod->incarnation;
      TakeOver();
      WithPod(*pod);
    }
    DecideRequested();
    return Finish();
  }

 private:
  void Condition(const char* type, const ConditionValue& value) {
    SetCondition(next_.mutable_conditions(), type, value, server_.generation(), seen_.now);
  }
  ConditionValue Accepted() const {
    if (seen_.declared->unused.empty()) return {"True", "Accepted", "The spec is in order."};
    return {"True", "FieldsNotUsed", absl::StrCat("The spec is in order; ", seen_.declared->unused, ".")};
  }
  void NotReady(const std::string& reason, const std::string& message) {
    Condition(kReady, {"False", reason, message});
  }
  void Event(bool warning, const std::string& reason, const std::string& message) {
    plan_.events.push_back({warning, reason, message});
  }
  void LookAgain(absl::Time when) {
    if (when > seen_.now) plan_.look_again = std::min(plan_.look_again, when);
  }
  kube::ObjectRef Ref(const kube::Kind& kind, const std::string& name) const {
    return {kind, server_.namespace_(), name};
  }
  void DeletePod(const ObservedPod& pod) {
    last_.push_back({.verb = Write::Verb::kDelete, .ref = Ref(kube::PodKind(), pod.name), .uid = pod.uid});
  }
  // One that had to leave its place asks for another like everybody else.
  bool MayStart() const {
    return want_ != Want::kNone && seen_.pool.granted && seen_.pods.empty() && !LeftItsPlace(seen_);
  }

  // ---- What the server is ----

  void DecideDiscovery() {
    const ServerMemory& memory = seen_.memory;
    const std::string& hash = seen_.declared->hash;
    bool made_of_it = RunsElsewhere(spec_) && !Started(seen_) && memory.elsewhere_hash == hash;
    for (const ObservedPod& candidate : seen_.pods) {
      made_of_it |= candidate.incarnation == status_.incarnation() && candidate.spec_hash == hash;
    }
    const bool heard = memory.discovery_incarnation == status_.incarnation() && memory.discovery_error.empty();
    if (made_of_it && heard && !hash.empty()) {
      *next_.mutable_server_info() = memory.server_info;
      next_.set_tool_count(memory.tool_count);
      next_.set_discovered_hash(hash);
    }
    discovered_ = Discovered(next_, *seen_.declared);
    if (discovered_) {
      Condition(kDiscovered, {"True", "Discovered", "The server has said what it is."});
      return;
    }
    const v1::Condition* before = FindCondition(status_.conditions(), kDiscovered);
    const bool failed = before != nullptr && before->status() == "False" &&
                        (before->observed_generation() == server_.generation() || memory.failed_hash == hash);
    if (!failed) Condition(kDiscovered, {"Unknown", "Pending", "The server has not been started with this spec yet."});
  }

  // ---- No life ----

  void Down() {
    next_.clear_address();
    if (blocked_) {
      const bool ignored = blocked_->reason() == "OverLimit";
      const bool suspended = blocked_->reason() == "Suspended";
      const char* phase = ignored ? "Ignored" : suspended ? "Asleep" : "Degraded";
      if (status_.phase() != phase) Event(!suspended, blocked_->reason(), blocked_->message());
      next_.set_phase(phase);
      NotReady(blocked_->reason(), blocked_->message());
      plan_.memory.demanded = false;  // who waits is told why, now
      return;
    }
    if (RunsElsewhere(spec_)) return Elsewhere();
    if (MayStart()) return Start();
    if (BackingOff(seen_)) {
      unavailable_ = Unavailable(seen_.memory.failure_reason, seen_.memory.failure_message,
                                 SecondsUntil(seen_.memory.retry_at));
      LookAgain(seen_.memory.retry_at);
    }
    if (Demanded(seen_)) {
      LookAgain(std::max(seen_.memory.demanded_at, seen_.hand_started_at) + kDemandLifetime);
    } else {
      plan_.memory.demanded = false;
    }
    if (want_ == Want::kDemand || want_ == Want::kInUse) {
      // So that a controller that takes over serves them in the same order.
      if (seen_.memory.demanded) *next_.mutable_requested_at() = ToTimestamp(seen_.memory.demanded_since);
      if (seen_.pool.waiting) {
        const std::string message = absl::StrCat("as many servers of pool \"", server_.spec().pool(),
                                                 "\" run as may run at once: try again later, or raise the pool's "
                                                 "spec.maxServersActive");
        if (status_.phase() != "Waiting") Event(false, "PoolFull", message);
        next_.set_phase("Waiting");
        NotReady("PoolFull", message);
        // Who waits for moments only is not sent away.
        if (!seen_.pool.next) unavailable_ = Unavailable("PoolFull", message, kPoolFullRetrySeconds);
      } else {
        next_.set_phase("Requested");
        NotReady("Requested", "The server has been asked for.");
      }
      return;
    }
    const v1::Condition* discovery = FindCondition(next_.conditions(), kDiscovered);
    if (Failures(seen_) > 0) {
      next_.set_phase("Degraded");
      NotReady(seen_.memory.failure_reason, seen_.memory.failure_message);
    } else if (discovery->status() == "False") {
      next_.set_phase("Degraded");
      NotReady(discovery->reason(), discovery->message());
    } else {
      next_.set_phase("Asleep");
      NotReady("Asleep", "The server starts when a client connects.");
    }
  }

  // ---- A process that is not ours ----

  // There is nothing to start: the data path is told that it may connect, and a
  // new incarnation tells it to try anew.
  void Elsewhere() {
    ServerMemory& memory = plan_.memory;
    memory.demanded = false;
    next_.set_incarnation(std::max(status_.incarnation(), memory.elsewhere_incarnation));
    const bool told = memory.elsewhere_hash == seen_.declared->hash;
    const bool failed = told && memory.discovery_incarnation == next_.incarnation() &&
                        !memory.discovery_error.empty();
    if (failed) {
      // The url is not repeated: some bear a key in their query.
      const std::string message = absl::StrCat("the server that spec.url names cannot be spoken to: ",
                                               memory.discovery_error);
      RecordFailure(next_.incarnation(), "Unreachable", message);
      next_.clear_discovered_hash();
      discovered_ = false;
      Condition(kDiscovered, {"False", "Unreachable", message});
    }
    const bool try_again = failed && seen_.now >= memory.retry_at;
    // One that an earlier controller has made known is known still.
    const bool known = told || (discovered_ && memory.discovery_incarnation != next_.incarnation());
    if (try_again || !known) {
      next_.set_incarnation(next_.incarnation() + 1);
      next_.clear_discovered_hash();
    }
    memory.elsewhere_hash = seen_.declared->hash;
    memory.elsewhere_incarnation = next_.incarnation();
    plan_.published.mutable_route()->set_incarnation(next_.incarnation());
    if (discovered_) {
      memory.failures = 0;
      if (status_.phase() != "Ready") Event(false, "Ready", "the server that spec.url names answers");
      next_.set_phase("Ready");
      Condition(kReady, {"True", "Ready", "The server can be reached."});
    } else if (memory.failures > 0 && memory.failed_hash == seen_.declared->hash) {
      next_.set_phase("Degraded");
      NotReady(memory.failure_reason, memory.failure_message);
      if (seen_.now < memory.retry_at) {
        LookAgain(memory.retry_at);
        unavailable_ = Unavailable(memory.failure_reason, memory.failure_message, SecondsUntil(memory.retry_at));
      }
    } else {
      next_.set_phase("Starting");
      NotReady("Connecting", "The server has not been reached yet.");
    }
  }

  int SecondsUntil(absl::Time when) const { return static_cast<int>(absl::ToInt64Seconds(when - seen_.now)) + 1; }

  void Start() {
    const int64_t incarnation =
        std::max({status_.incarnation(), seen_.highest_incarnation, seen_.memory.name_taken}) + 1;
    next_.set_incarnation(incarnation);
    next_.set_phase("Starting");
    *next_.mutable_started_at() = ToTimestamp(seen_.now);
    plan_.memory.life = incarnation;
    plan_.memory.life_began = seen_.now;
    plan_.memory.elsewhere_hash.clear();
    if (seen_.memory.demanded) *next_.mutable_requested_at() = ToTimestamp(seen_.memory.demanded_since);
    Condition(kStarted, {"True", "Starting", "A Pod has been made for the server."});
    NotReady("Starting", "The server is starting.");
    Event(false, "Starting", absl::StrCat("starting Pod ", PodName(server_.name(), incarnation), ": ",
                                          WhyStarted()));
    CreatePod();
    LookAgain(StartDeadline());
  }

  const char* WhyStarted() const {
    if (want_ == Want::kDiscovery) return "to learn what the server is";
    if (want_ == Want::kWarm) return "its pool keeps it running";
    if (want_ == Want::kInUse) return "it is in use";
    return StartPending(seen_) ? "it was started by hand" : "a client asked for it";
  }

  void CreatePod() {
    plan_.starts = true;
    const kube::Object pod = BuildPod(server_, spec_, seen_.declared->hash, next_.incarnation());
    last_.insert(last_.begin(), {.verb = Write::Verb::kCreate, .ref = Ref(kube::PodKind(), pod.name()),
                                 .body = pod.json(), .uid = server_.uid()});
  }

  // ---- A life whose Pod is not there ----

  void WithoutPod() {
    const ServerMemory& memory = seen_.memory;
    const bool known = memory.pod_seen == status_.incarnation();
    const bool taken = memory.name_taken == status_.incarnation();
    if (status_.phase() == "Starting" && !known && !taken && MayStart()) {
      CreatePod();  // announced, then interrupted
      LookAgain(StartDeadline());
      return;
    }
    // Gone for certain when it has been seen to go; else the cluster is asked:
    // a creation whose answer was lost may have happened.
    if (!known && !taken) {
      plan_.writes.push_back({.verb = Write::Verb::kConfirmAbsent,
                              .ref = Ref(kube::PodKind(), PodName(server_.name(), status_.incarnation())),
                              .uid = server_.uid()});
    }
    EndDrain();
    *next_.mutable_stopped_at() = ToTimestamp(seen_.now);
    if (MayStart() && !blocked_) return Start();
    Condition(kStarted, {"False", "Stopped", "The server does not run."});
    Down();
  }

  // ---- A life ----

  // What an earlier controller knew of this life, as far as status has it. Read
  // once: a process that crashes and comes back must not begin its time anew.
  void TakeOver() {
    ServerMemory& memory = plan_.memory;
    if (memory.life != status_.incarnation()) {
      memory.life = status_.incarnation();
      memory.life_began = FromTimestamp(status_.started_at());
    }
    if (memory.served_at == absl::InfinitePast()) memory.served_at = ServedAsRecorded(status_);
  }

  void WithPod(const ObservedPod& pod) {
    const ServerMemory& memory = seen_.memory;
    if (pod.deleting || status_.phase() == "Stopping") {
      if (status_.phase() != "Stopping") NotReady("Stopping", "The server's Pod is being deleted.");
      next_.set_phase("Stopping");
      if (!pod.deleting) DeletePod(pod);
      EndDrain();
      return;
    }
    if (blocked_) {
      Present(pod);
      return DrainThenStop(pod, blocked_->reason(), blocked_->message(), kEditGrace);
    }
    if (!IsCurrent(pod)) {
      Present(pod);
      return DrainThenStop(pod, "SpecChanged", "The spec has changed: the server is started anew with it.", kEditGrace);
    }
    if (pod.finished) return Fail(pod, "PodFailed", absl::StrCat("the server's Pod has ended: ", pod.message));
    if (memory.discovery_incarnation == pod.incarnation && !memory.discovery_error.empty()) {
      return Fail(pod, "HandshakeFailed", absl::StrCat("the server cannot be spoken to: ",
                                                       memory.discovery_error));
    }
    Present(pod);
    // Where nobody can speak to it, that it does not answer says nothing.
    const bool unheard = pod.running && pod.ready && !discovered_ && seen_.apiservers.connected.empty();
    if (!Answers(pod) && !unheard) {
      if (seen_.now >= StartDeadline()) {
        return Fail(pod, pod.waiting_reason.empty() ? "StartTimeout" : pod.waiting_reason,
                    absl::StrCat("the server was not ready ", StartupTimeout(), " s after its start",
                                 pod.message.empty() ? "" : "; what is known of it: ", pod.message,
                                 "; if it needs longer, raise spec.startupTimeout"));
      }
      LookAgain(StartDeadline());
    }
    if (seen_.pool.waiting) {
      DrainThenStop(pod, kPoolFull, "The server's pool has no room for it.", kEditGrace);
    } else if (Stopped(seen_)) {
      DrainThenStop(pod, kStoppedByHand, ByHand("stopped", seen_.hand_stopped_at, seen_.hand_stopped_by), kEditGrace);
    } else if (want_ == Want::kNone) {
      DrainThenStop(pod, "Idle", "The server was idle; it starts when a client connects.");
    } else if (seen_.pool.yield == Yield::kGiveWay) {
      DrainThenStop(pod, kGaveWay, "The server was idle for longest, and gave way to one that a client waits for.");
    } else if (seen_.pool.yield == Yield::kOverCap) {
      DrainThenStop(pod, kPoolFull, "More servers of the pool ran than its spec.maxServersActive allows.", kEditGrace);
    } else {
      EndDrain(ServerPlan::DrainEnd::kWithdrawn);
      plan_.memory.ending = 0;
      LookAgain(AwakeUntil(seen_, plan_.memory));
    }
  }

  // The phase of a Pod that is to stay, and the way to it.
  void Present(const ObservedPod& pod) {
    if (pod.running) {
      v1::Route* route = plan_.published.mutable_route();
      route->set_incarnation(pod.incarnation);
      route->set_pod(pod.name);
      route->set_pod_uid(pod.uid);
      route->set_container(kContainer);
      route->set_container_id(pod.container_id);
      if (SpeaksHttp(spec_)) route->set_address(pod.ip);
    }
    ShowConditions(pod);
    if (IsReady(pod)) {
      if (status_.phase() != "Ready") {
        if (pod.running_since != absl::InfinitePast()) *next_.mutable_started_at() = ToTimestamp(pod.running_since);
        Event(false, "Ready", absl::StrCat("Pod ", pod.name, " is ready"));
      }
      next_.set_phase("Ready");
      Condition(kReady, {"True", "Ready", "The server runs."});
      if (SpeaksHttp(spec_) && !pod.ip.empty()) next_.set_address(HostPort(pod.ip, spec_.transport().port()));
      if (plan_.memory.demanded) {
        // Recorded when it overrules a stop by hand: a controller that takes
        // over knows of the demand only so.
        if (seen_.hand_stopped_at > FromTimestamp(next_.requested_at())) {
          *next_.mutable_requested_at() = ToTimestamp(seen_.now);
        }
        plan_.memory.demanded = false;
        plan_.memory.served_at = seen_.now;
      }
      AnswerStart();
      if (discovered_) plan_.memory.failures = 0;
    } else if (!pod.running && !IsOnItsWay(pod.waiting_reason)) {
      const std::string message = pod.message.empty() ? "the server's container does not start" : pod.message;
      if (status_.phase() != "Degraded") Event(true, pod.waiting_reason, message);
      next_.set_phase("Degraded");
      NotReady(pod.waiting_reason, message);
      if (!discovered_) Condition(kDiscovered, {"False", pod.waiting_reason, message});
      unavailable_ = Unavailable(pod.waiting_reason, message,
                                 static_cast<int>(absl::ToInt64Seconds(kFirstStartBackoff)));
    } else if (pod.running && status_.phase() == "Degraded") {
      // It has been started again, like the times before: whether that helps,
      // will be seen.
    } else {
      const bool restarting = IsTrue(status_.conditions(), kReady) ||
                              (status_.phase() == "Starting" && NotReadyReason() == "Restarting");
      next_.set_phase("Starting");
      NotReady(restarting ? "Restarting" : "Starting",
               restarting ? "The server's process ended and is started again." : "The server is starting.");
    }
  }

  // What was started by hand runs: from here on it is like any other.
  void AnswerStart() {
    const bool begun_for_it = RequestedReason() == kStartedByHand &&
                              seen_.hand_started_at > FromTimestamp(next_.requested_at());
    if (!StartPending(seen_) && !begun_for_it) return;
    *next_.mutable_requested_at() = ToTimestamp(seen_.hand_started_at);
    plan_.memory.served_at = seen_.now;
  }

  std::string RequestedReason() const {
    const v1::Condition* requested = FindCondition(status_.conditions(), kRequested);
    return requested == nullptr ? "" : requested->reason();
  }

  // It was made of the spec as it is now.
  bool IsCurrent(const ObservedPod& pod) const { return pod.spec_hash == seen_.declared->hash; }

  // Its process runs and speaks MCP, as far as is known; one of an earlier spec
  // is what it was.
  bool Answers(const ObservedPod& pod) const {
    const bool speaks = IsCurrent(pod) ? discovered_ : IsTrue(status_.conditions(), kReady);
    return pod.running && pod.ready && speaks;
  }

  // It answers, and is not one of those that end a moment after each start.
  bool IsReady(const ObservedPod& pod) {
    if (!Answers(pod)) return false;
    if (pod.restarts == 0) return true;
    LookAgain(pod.running_since + kSettleTime);
    return seen_.now >= pod.running_since + kSettleTime;
  }

  static std::string HostPort(const std::string& ip, int port) {
    return absl::StrContains(ip, ':') ? absl::StrCat("[", ip, "]:", port) : absl::StrCat(ip, ":", port);
  }

  // What the Pod's node says of it, for as long as it is what is declared.
  void ShowConditions(const ObservedPod& pod) {
    const bool reported = pod.running || !pod.waiting_reason.empty();
    if (!reported || !IsCurrent(pod)) return;
    const auto is_own = [](const std::string& type) {
      return absl::c_any_of(kOwnConditions, [&](const char* own) { return type == own; });
    };
    std::vector<const v1::Condition*> shown;
    for (const v1::Condition& condition : pod.conditions) {
      if (!is_own(condition.type()) && shown.size() < kMaxPodConditions) shown.push_back(&condition);
    }
    auto* conditions = next_.mutable_conditions();
    conditions->erase(std::remove_if(conditions->begin(), conditions->end(),
                                     [&](const v1::Condition& condition) {
                                       return !is_own(condition.type()) &&
                                              absl::c_none_of(shown, [&](const v1::Condition* of_pod) {
                                                return of_pod->type() == condition.type();
                                              });
                                     }),
                      conditions->end());
    for (const v1::Condition* condition : shown) {
      Condition(condition->type().c_str(), {condition->status(), condition->reason(), condition->message()});
    }
  }

  std::string NotReadyReason() const {
    const v1::Condition* ready = FindCondition(status_.conditions(), kReady);
    return ready == nullptr ? "" : ready->reason();
  }

  // Asked until everybody agrees, or for `grace`.
  void DrainThenStop(const ObservedPod& pod, const std::string& reason, const std::string& message,
                     absl::Duration grace = absl::InfiniteDuration()) {
    // What cannot be reached has nothing in flight.
    if (!pod.running) return Stop(pod, reason, message);
    ServerMemory& memory = plan_.memory;
    if (grace != absl::InfiniteDuration()) {
      if (memory.ending != pod.incarnation) memory.end_by = seen_.now + grace;
      memory.ending = pod.incarnation;
      if (seen_.now >= memory.end_by) return Stop(pod, reason, message);
      LookAgain(memory.end_by);
    }
    if (memory.drain_incarnation != pod.incarnation) memory.drain = ServerMemory::Drain::kNone;
    switch (memory.drain) {
      case ServerMemory::Drain::kDrained:
        return Stop(pod, reason, message);
      case ServerMemory::Drain::kAsked:
        return;
      case ServerMemory::Drain::kRefused:
        if (seen_.now < memory.drain_retry_at) return LookAgain(memory.drain_retry_at);
        [[fallthrough]];
      case ServerMemory::Drain::kNone:
        memory.drain = ServerMemory::Drain::kAsked;
        memory.drain_incarnation = pod.incarnation;
        plan_.drain = pod.incarnation;
    }
  }

  void EndDrain(ServerPlan::DrainEnd how = ServerPlan::DrainEnd::kLifeEnded) {
    if (plan_.memory.drain == ServerMemory::Drain::kNone) return;
    plan_.memory.drain = ServerMemory::Drain::kNone;
    plan_.drain_end = how;
  }

  // The intent is in status before the Pod is deleted, so that a controller
  // that takes over goes on with it and nobody is sent there any more.
  void Stop(const ObservedPod& pod, const std::string& reason, const std::string& message) {
    next_.set_phase("Stopping");
    NotReady(reason, message);
    next_.clear_address();
    plan_.published.clear_route();
    DeletePod(pod);
    EndDrain();
    Event(false, "Stopping", absl::StrCat("deleting Pod ", pod.name, ": ", message));
  }

  void Fail(const ObservedPod& pod, const std::string& reason, const std::string& message) {
    RecordFailure(pod.incarnation, reason, message);
    if (!discovered_) Condition(kDiscovered, {"False", reason, message});
    unavailable_ = Unavailable(reason, message,
                               static_cast<int>(absl::ToInt64Seconds(StartBackoff(plan_.memory.failures))));
    Stop(pod, reason, message);
  }

  // Once for each incarnation, however often it is decided.
  void RecordFailure(int64_t incarnation, const std::string& reason, const std::string& message) {
    ServerMemory& memory = plan_.memory;
    if (memory.failed_incarnation == incarnation) return;
    memory.failures = Failures(seen_) + 1;
    memory.failed_incarnation = incarnation;
    memory.failed_hash = seen_.declared->hash;
    memory.retry_at = seen_.now + StartBackoff(memory.failures);
    memory.failure_reason = reason;
    memory.failure_message = message;
    Event(true, reason, message);
  }

  int StartupTimeout() const { return spec_.startup_timeout(); }
  absl::Time StartDeadline() const {
    // That it runs now and then is not what it was started for.
    if (want_ == Want::kDiscovery) return plan_.memory.life_began + absl::Seconds(StartupTimeout());
    absl::Time since = FromTimestamp(next_.started_at());
    const v1::Condition* ready = FindCondition(next_.conditions(), kReady);
    // Ready once, and not any more: as long again to come back.
    if (ready != nullptr && ready->status() != "True") {
      since = std::max(since, FromTimestamp(ready->last_transition_time()));
    }
    return since + absl::Seconds(StartupTimeout());
  }

  static v1::Unavailable Unavailable(const std::string& reason, const std::string& message, int retry_after) {
    v1::Unavailable unavailable;
    unavailable.set_reason(reason);
    unavailable.set_message(message);
    unavailable.set_retry_after_seconds(std::max(1, retry_after));
    return unavailable;
  }

  static std::string ByHand(const char* what, absl::Time when, const std::string& who) {
    return absl::StrCat("The server was ", what, " by hand", who.empty() ? "" : " by ", who, " at ",
                        AnnotationTime(when), ".");
  }

  void DecideRequested() {
    if (RunsElsewhere(spec_) && !IsTrue(next_.conditions(), kStarted)) {
      const ConditionValue elsewhere{"False", "RunsElsewhere",
                                     "The server runs elsewhere: there is nothing to start."};
      Condition(kRequested, elsewhere);
      return Condition(kStarted, elsewhere);
    }
    // Its time is yet to come.
    LookAgain(seen_.hand_started_at);
    LookAgain(seen_.hand_stopped_at);
    if (Stopped(seen_) && !blocked_) {
      return Condition(kRequested, {"False", kStoppedByHand,
                                    ByHand("stopped", seen_.hand_stopped_at, seen_.hand_stopped_by) +
                                        " It starts when a client connects."});
    }
    // While it is still being asked whether it may end, nothing has changed.
    if (want_ == Want::kNone && plan_.memory.drain != ServerMemory::Drain::kNone) return;
    switch (want_) {
      case Want::kNone:
        return Condition(kRequested, {"False", "NotRequested", "Nobody uses the server."});
      case Want::kDiscovery:
        return Condition(kRequested, {"True", kForDiscovery, "It has to be learned what the server is."});
      case Want::kWarm:
        return Condition(kRequested, {"True", kForWarmth, "The pool keeps the server running "
                                                          "(spec.minServersWarm)."});
      case Want::kDemand:
      case Want::kInUse:  // one reason: a start for somebody is not written twice
        if (seen_.hand_started_at != absl::InfinitePast() &&
            (StartPending(seen_) || seen_.hand_started_at == FromTimestamp(next_.requested_at()))) {
          return Condition(kRequested, {"True", kStartedByHand,
                                        ByHand("started", seen_.hand_started_at, seen_.hand_started_by)});
        }
        return Condition(kRequested, {"True", kForClients, "Clients use the server, or wait for it."});
    }
  }

  // ---- Putting the plan together ----

  ServerPlan Finish() {
    kube::Json patch = MergePatch(status_, next_);
    MCPServerStatus with_activity = next_;
    std::vector<ProcessActivity> remembered =
        FoldActivity(status_, seen_.memory.activity, seen_.apiservers, &with_activity);
    kube::Json full_patch = MergePatch(status_, with_activity);
    if (patch.empty() && !full_patch.empty() &&
        seen_.now < plan_.memory.activity_written_at + kActivityInterval) {
      LookAgain(plan_.memory.activity_written_at + kActivityInterval);
    } else {
      if (full_patch != patch) plan_.memory.activity_written_at = seen_.now;
      plan_.memory.activity = std::move(remembered);
      patch = std::move(full_patch);
    }

    std::vector<Write> writes;
    const kube::ObjectRef self = Ref(kube::MCPServerKind(), server_.name());
    if (seen_.pool.exists && seen_.owner_pool_uid != seen_.pool.uid) {
      kube::Json owners = seen_.other_owners;
      owners.push_back({{"apiVersion", kube::MCPPoolKind().ApiVersion()}, {"kind", kube::MCPPoolKind().kind},
                        {"name", server_.spec().pool()},                  {"uid", seen_.pool.uid},
                        {"controller", true}});
      writes.push_back({.verb = Write::Verb::kPatch, .ref = self,
                        .body = {{"metadata", {{"ownerReferences", std::move(owners)}}}},
                        .resource_version = server_.resource_version()});
    }
    std::move(plan_.writes.begin(), plan_.writes.end(), std::back_inserter(writes));
    if (!patch.empty()) {
      writes.push_back({.verb = Write::Verb::kPatchStatus, .ref = self, .body = {{"status", std::move(patch)}},
                        .resource_version = server_.resource_version()});
    }
    std::move(last_.begin(), last_.end(), std::back_inserter(writes));
    AddServiceWrite(&writes);
    plan_.writes = std::move(writes);

    *plan_.published.mutable_effective_spec() = spec_;
    *plan_.published.mutable_server() = server_;
    *plan_.published.mutable_server()->mutable_status() = std::move(with_activity);
    if (blocked_) {
      *plan_.published.mutable_unavailable() = *blocked_;
    } else if (unavailable_) {
      *plan_.published.mutable_unavailable() = *unavailable_;
    }
    return std::move(plan_);
  }

  // Last in every plan: nobody who waits for the server waits for its Service.
  void AddServiceWrite(std::vector<Write>* writes) const {
    const kube::ObjectRef ref = Ref(kube::ServiceKind(), server_.name());
    if (RunsElsewhere(spec_)) {
      if (seen_.service.ours) {
        writes->push_back({.verb = Write::Verb::kDelete, .ref = ref, .uid = seen_.service.uid});
      }
      return;
    }
    if (!seen_.service.exists) {
      writes->push_back({.verb = Write::Verb::kCreate, .ref = ref,
                         .body = BuildService(server_, spec_, next_.incarnation()).json(), .uid = server_.uid()});
      return;
    }
    const kube::Json ports = ServicePorts(spec_);
    if (!seen_.service.ours ||
        (seen_.service.incarnation == next_.incarnation() && seen_.service.ports == ports)) {
      return;
    }
    kube::Json spec = {{"selector", {{kIncarnationLabel, absl::StrCat(next_.incarnation())}}}};
    if (seen_.service.ports != ports) spec["ports"] = ports.empty() ? kube::Json() : ports;
    writes->push_back({.verb = Write::Verb::kPatch, .ref = ref, .body = {{"spec", std::move(spec)}},
                       .resource_version = seen_.service.resource_version});
  }

  const ServerSnapshot& seen_;
  const v1::MCPServer& server_;
  const v1::MCPServerSpec& spec_;  // effective
  const MCPServerStatus& status_;
  MCPServerStatus next_;
  const std::optional<v1::Unavailable> blocked_;
  bool discovered_ = false;
  Want want_ = Want::kNone;
  std::optional<v1::Unavailable> unavailable_;
  // Writes that come after the status.
  std::vector<Write> last_;
  ServerPlan plan_;
};

}  // namespace

ServerPlan DecideServer(const ServerSnapshot& seen) { return Decider(seen).Decide(); }

}  // namespace unmcp::controller
