#include "kube/embedded/pod_worker.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "glog/logging.h"
#include "kube/embedded/pod_honored.h"
#include "kube/embedded/port_check.h"

namespace unmcp::kube {
namespace {

// A kubelet puts as much of the log into a container's termination message.
constexpr size_t kMessageBytes = 2048;
constexpr int kMessageLines = 10;

// Between attempts to write to a cluster that cannot take it now (a full disk).
constexpr absl::Duration kWriteAgain = absl::Seconds(1);

// unmcp itself has to end within 10 s of its SIGTERM.
constexpr absl::Duration kShutdownGrace = absl::Seconds(5);

// What a container runtime reports of a container that was lost with its node.
constexpr int kLostExitCode = 255;

constexpr int kDefaultGraceSeconds = 30;

// Between looks for a Secret or ConfigMap that is missing: a read from memory.
constexpr absl::Duration kConfigAgain = absl::Seconds(1);

// In a condition's message: a Pod with more has them listed in its spec.
constexpr size_t kMaxListedFields = 20;

constexpr char kLimitsEnforced[] = "unmcp.dev/LimitsEnforced";
constexpr char kPodHonored[] = "unmcp.dev/PodHonored";

std::string Text(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

int Number(const Json& object, const char* key, int otherwise) {
  if (!object.is_object()) return otherwise;
  auto it = object.find(key);
  return it != object.end() && it->is_number_integer() ? it->get<int>() : otherwise;
}

// `object`.`key`, or null.
Json Member(const Json& object, const char* key) {
  if (!object.is_object()) return Json();
  auto it = object.find(key);
  return it != object.end() ? *it : Json();
}

Json FirstOf(const Json& object, const char* list) {
  const Json entries = Member(object, list);
  return entries.is_array() && !entries.empty() ? entries[0] : Json::object();
}

absl::Time ParseTime(const std::string& text, absl::Time otherwise) {
  absl::Time time;
  return absl::ParseTime(absl::RFC3339_full, text, &time, nullptr) ? time : otherwise;
}

}  // namespace

PodWorker::PodWorker(const PodWorkerContext* context, PodPtr pod, absl::AnyInvocable<void()> idle)
    : context_(*context),
      pod_(std::move(pod)),
      idle_(std::move(idle)),
      timer_(context->loop),
      publish_again_(context->loop),
      log_(context->log_bytes) {
  const Json container = FirstOf(pod_->spec(), "containers");
  view_.name = Text(container, "name");
  view_.image = Text(container, "image");
  if (std::vector<std::string> fields = FieldsWithoutEffect(*pod_); !fields.empty()) {
    if (fields.size() > kMaxListedFields) fields.resize(kMaxListedFields);
    SetCondition(kPodHonored, false, "FieldsNotSupported",
                 absl::StrCat(absl::StrJoin(fields, ", "), ": without effect where servers run as processes of one "
                              "machine, with no container runtime; remove what is not needed, or use a cluster"));
  }
  TakeUp();
}

PodWorker::~PodWorker() {
  EndFollowers(removed_ ? absl::OkStatus() : absl::UnavailableError("unmcp is shutting down"));
}

template <class T>
absl::AnyInvocable<void(T)> PodWorker::OnLoop(void (PodWorker::*method)(T)) {
  return [this, method, loop = context_.loop, alive = std::weak_ptr<bool>(alive_)](T argument) {
    loop->Post([this, method, alive, argument = std::move(argument)]() mutable {
      if (!alive.expired()) (this->*method)(std::move(argument));
    });
  };
}

// Goes on where the Pod's status says that it stands.
void PodWorker::TakeUp() {
  const std::string phase = Text(pod_->status(), "phase");
  const Json before = FirstOf(pod_->status(), "containerStatuses");
  const Json running = Member(Member(before, "state"), "running");
  view_.id = Text(before, "containerID");
  view_.restart_count = Number(before, "restartCount", 0);
  if (Member(before, "lastState").is_object()) view_.last_state = Member(before, "lastState");
  has_lived_ = !view_.id.empty();
  if (phase == "Succeeded" || phase == "Failed") {
    state_ = State::kFinished;
  } else if (running.is_object()) {
    const absl::Time now = context_.loop->Now();
    view_.last_state = TerminatedState(view_.id, kLostExitCode, "Unknown", "unmcp ended, and its containers with it",
                                       ParseTime(Text(running, "startedAt"), now), now);
  }
  if (pod_->deleting()) return Update(pod_);
  if (state_ == State::kFinished) return;
  if (running.is_object() && Text(pod_->spec(), "restartPolicy") == "Never") {
    state_ = State::kFinished;
    view_.finished = true;
    view_.state = std::exchange(view_.last_state, Json::object());
    return Publish();
  }
  Start();
}

void PodWorker::Update(PodPtr pod) {
  pod_ = std::move(pod);
  if (!pod_->deleting() || shutdown_) return;
  const auto grace = absl::Seconds(
      Number(Member(pod_->json(), "metadata"), "deletionGracePeriodSeconds", kDefaultGraceSeconds));
  // Deleted again, it may get less time, never more.
  if (std::exchange(deleting_, true) && grace >= grace_) return;
  Stop(grace);
}

void PodWorker::Remove() {
  removed_ = true;
  Stop(absl::ZeroDuration());
}

void PodWorker::Shutdown() {
  shutdown_ = true;
  const auto own = absl::Seconds(Number(pod_->spec(), "terminationGracePeriodSeconds", kDefaultGraceSeconds));
  Stop(std::min(own, kShutdownGrace));
}

void PodWorker::Start() {
  config_.clear();
  config_to_read_ = ConfigRefsOf(*pod_);
  ReadConfig();
}

void PodWorker::ReadConfig() {
  if (config_to_read_.empty()) return Launch();
  context_.cluster->Get(config_to_read_.back(), OnLoop<absl::StatusOr<Object>>(&PodWorker::OnConfig));
}

void PodWorker::OnConfig(absl::StatusOr<Object> object) {
  if (stopping()) return;
  const ObjectRef ref = std::move(config_to_read_.back());
  config_to_read_.pop_back();
  if (object.ok()) {
    config_[{ref.kind.kind, ref.name}] = *std::move(object);
  } else if (!absl::IsNotFound(object.status())) {
    return RestartAfter(kConfigAgain, "CreateContainerConfigError",
                        absl::StrCat(ref.kind.kind, " ", ref.ns, "/", ref.name, " cannot be read: ",
                                     std::string(object.status().message())));
  }
  ReadConfig();
}

void PodWorker::Launch() {
  bridge::ProcessSpec spec;
  const bool prepared = Prepare(&spec);
  config_.clear();  // secrets are not kept for longer than they are needed
  if (!prepared) return;
  state_ = State::kStarting;
  auto alive = std::weak_ptr<bool>(alive_);
  context_.supervisor->Spawn(
      std::move(spec),
      [this, alive](absl::StatusOr<bridge::Process> process) {
        if (!alive.expired()) OnStarted(std::move(process));
      },
      [this, alive](bridge::ExitStatus exit) {
        if (!alive.expired()) OnExited(exit);
      });
}

bool PodWorker::Prepare(bridge::ProcessSpec* spec) {
  NotRunnable why;
  if (!ProcessOf(*pod_, context_.environment, config_, spec, &why)) {
    why.may_change ? RestartAfter(kConfigAgain, why.reason, why.message) : WaitForever(why.reason, why.message);
    return false;
  }
  const Json container = FirstOf(pod_->spec(), "containers");
  const absl::StatusOr<ContainerLimits> limits = LimitsOf(container);
  const absl::StatusOr<std::optional<ProbeSpec>> probe = ReadinessProbeOf(container);
  for (const absl::Status& status : {limits.status(), probe.status()}) {
    if (status.ok()) continue;
    WaitForever("CreateContainerConfigError", std::string(status.message()));
    return false;
  }
  if (!PortsAreFree(container)) return false;
  PutLimits(*limits, spec);
  return true;
}

// Two programs that listen on one port would not both be the one that clients reach.
bool PodWorker::PortsAreFree(const Json& container) {
  if (Member(container, "stdin") == true) return true;
  for (const int port : ContainerPorts(container)) {
    const std::optional<std::string> holder = PortHolder(port);
    if (!holder) continue;
    RestartAfter(std::max(backoff_.Next(absl::ZeroDuration()), RestartBackoff::kFirst), "PortInUse",
                 absl::StrCat("127.0.0.1:", port, " is in use by ", *holder,
                              "; stop that, or give the server another port"));
    return false;
  }
  return true;
}

void PodWorker::PutLimits(const ContainerLimits& limits, bridge::ProcessSpec* spec) {
  const Json resources = Member(FirstOf(pod_->spec(), "containers"), "resources");
  const std::string memory = absl::StrCat("memory ", Member(Member(resources, "limits"), "memory").dump());
  const std::string cpu = absl::StrCat("cpu ", Member(Member(resources, "limits"), "cpu").dump());
  if (!limits.any()) {
    const Json requests = Member(resources, "requests");
    if (requests.is_object() && !requests.empty()) {
      SetCondition(kLimitsEnforced, false, "NotEnforced",
                   "resources.requests have no effect on one machine; give resources.limits");
    }
    return;
  }
  std::string why_not = context_.why_no_cgroups;
  if (context_.cgroups != nullptr) {
    // A new one for each life, so that what is counted in it is this life's.
    absl::StatusOr<std::string> cgroup =
        context_.cgroups->Make(absl::StrCat(pod_->uid(), ".", NewUuid(context_.random)), limits);
    if (cgroup.ok()) {
      spec->cgroup = cgroup_ = *std::move(cgroup);
      const bool memory_holds = limits.memory_bytes > 0, cpu_holds = limits.cpu_millis > 0 && context_.cgroups->has_cpu();
      const std::string holds = memory_holds && cpu_holds ? memory + " and " + cpu : memory_holds ? memory : cpu;
      const bool cpu_missing = limits.cpu_millis > 0 && !cpu_holds;
      if (!memory_holds && !cpu_holds) {
        return SetCondition(kLimitsEnforced, false, "NotEnforced",
                            cpu + " is not enforced: the cgroup of unmcp has no cpu controller");
      }
      return SetCondition(kLimitsEnforced, true, "Cgroup",
                          absl::StrCat(holds, " for all processes of the container together",
                                       cpu_missing ? absl::StrCat("; ", cpu, " is not enforced: the cgroup of unmcp "
                                                                             "has no cpu controller")
                                                   : ""));
    }
    why_not = std::string(cgroup.status().message());
  }
  const std::string no_cpu = absl::StrCat(cpu, " is not enforced, for want of cgroups: ", why_not);
  if (limits.memory_bytes == 0) return SetCondition(kLimitsEnforced, false, "NotEnforced", no_cpu);
  spec->max_data_bytes = static_cast<uint64_t>(limits.memory_bytes);
  SetCondition(kLimitsEnforced, true, "Rlimit",
               absl::StrCat(memory, " for each process of the container by itself (RLIMIT_DATA), for want of cgroups",
                            limits.cpu_millis > 0 ? absl::StrCat("; ", cpu, " is not enforced") : "", ": ", why_not));
}

void PodWorker::OnStarted(absl::StatusOr<bridge::Process> process) {
  if (!process.ok()) {
    state_ = State::kWaiting;
    if (!cgroup_.empty()) context_.cgroups->Remove(std::exchange(cgroup_, ""));
    if (stopping()) return Stopped();
    // Nothing will have changed so soon, so not at once.
    return RestartAfter(std::max(backoff_.Next(absl::ZeroDuration()), RestartBackoff::kFirst), "CreateContainerError",
                        std::string(process.status().message()));
  }
  state_ = State::kRunning;
  const auto log = [this](absl::string_view bytes) { OnLogText(bytes); };
  process_id_ = process->id;
  started_at_ = context_.loop->Now();
  log_mark_ = log_.appended();
  log_readers_.push_back(std::make_unique<LogReader>(context_.loop, std::move(process->stderr_fd), log));
  const Json container = FirstOf(pod_->spec(), "containers");
  if (Member(container, "stdin") == true) {
    pipes_ = ContainerPipes::Create(std::move(process->stdin_fd), std::move(process->stdout_fd));
  } else {
    log_readers_.push_back(std::make_unique<LogReader>(context_.loop, std::move(process->stdout_fd), log));
  }
  view_.id = absl::StrCat("process://", NewUuid(context_.random));
  view_.state = RunningState(started_at_);
  if (std::exchange(has_lived_, true)) ++view_.restart_count;
  if (const auto probe = ReadinessProbeOf(container); probe.ok() && *probe) {
    view_.answers = false;
    view_.why_not_ready = "";
    probe_ = std::make_unique<ReadinessProbe>(
        context_.loop, **probe, [this](bool ready, const std::string& why) { OnProbed(ready, why); });
  }
  LOG(INFO) << "pod " << pod_->name() << ": container " << view_.name << " runs as process " << process->pid;
  stopping() ? Stop(grace_) : Publish();
}

void PodWorker::OnExited(bridge::ExitStatus exit) {
  for (auto& reader : log_readers_) reader->Drain();
  log_readers_.clear();
  probe_ = nullptr;
  process_id_ = 0;
  timer_.Cancel();
  state_ = State::kWaiting;

  const absl::Time now = context_.loop->Now();
  const std::string tail = log_.Tail(kMessageLines, std::min(kMessageBytes, log_.appended() - log_mark_));
  const bool completed = !exit.signaled && exit.code == 0;
  const bool out_of_memory = !completed && !cgroup_.empty() && Cgroups::OutOfMemory(cgroup_);
  if (!cgroup_.empty()) context_.cgroups->Remove(std::exchange(cgroup_, ""));
  std::string message = tail;
  if (out_of_memory) {
    message = absl::StrCat("the container reached its memory limit; raise resources.limits.memory",
                           tail.empty() ? "" : "; the end of its log: ", tail);
  } else if (exit.signaled && tail.empty()) {
    message = exit.ToString();
    if (exit.code == SIGKILL && !stopping()) message += ", as the kernel does when memory runs out";
  }
  const Json terminated =
      TerminatedState(view_.id, exit.signaled ? 128 + exit.code : exit.code,
                      out_of_memory ? "OOMKilled" : completed ? "Completed" : "Error", message, started_at_, now);
  if (pipes_ != nullptr) {
    pipes_->Close(absl::UnavailableError(absl::StrCat("the container has ended: ", exit.ToString(),
                                                      out_of_memory ? ", having reached its memory limit" : "",
                                                      tail.empty() ? "" : "; the end of its log: ", tail)));
    pipes_ = nullptr;
  }
  LOG(INFO) << "pod " << pod_->name() << ": container " << view_.name << " has ended: " << exit.ToString();
  if (stopping()) return Stopped();

  const std::string policy = Text(pod_->spec(), "restartPolicy");
  if (policy == "Never" || (policy == "OnFailure" && completed)) {
    state_ = State::kFinished;
    view_.finished = true;
    view_.state = terminated;
    EndFollowers(absl::OkStatus());
    return Publish();
  }
  view_.last_state = terminated;
  RestartAfter(backoff_.Next(now - started_at_), "CrashLoopBackOff", message);
}

void PodWorker::WaitForever(const std::string& reason, const std::string& message) {
  view_.state = WaitingState(reason, message);
  Publish();
}

void PodWorker::OnProbed(bool ready, const std::string& why) {
  view_.answers = ready;
  view_.why_not_ready = why;
  Publish();
}

void PodWorker::SetCondition(const std::string& type, bool status, const std::string& reason,
                             const std::string& message) {
  std::erase_if(view_.conditions, [&](const Json& condition) { return condition["type"] == type; });
  view_.conditions.push_back(
      {{"type", type}, {"status", status ? "True" : "False"}, {"reason", reason}, {"message", message}});
}

void PodWorker::RestartAfter(absl::Duration delay, const std::string& reason, const std::string& message) {
  view_.state = WaitingState(reason, absl::StrCat(message, message.empty() ? "" : "; ", "next start in ",
                                                  absl::FormatDuration(delay)));
  if (delay == absl::ZeroDuration()) return Start();  // what comes of it is published
  timer_.Set(delay, [this] { Start(); });
  Publish();
}

void PodWorker::Stop(absl::Duration grace) {
  grace_ = grace;
  if (state_ == State::kStarting) return;  // OnStarted looks
  if (state_ != State::kRunning) {
    timer_.Cancel();
    context_.loop->Post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) Stopped();
    });
    return;
  }
  probe_ = nullptr;
  if (pipes_ != nullptr) pipes_->CloseInput();
  context_.supervisor->Signal(process_id_, grace > absl::ZeroDuration() ? SIGTERM : SIGKILL);
  timer_.Set(grace, [this] { context_.supervisor->Signal(process_id_, SIGKILL); });
}

void PodWorker::Stopped() {
  if (removed_ || shutdown_) {
    if (idle_) std::exchange(idle_, nullptr)();
  } else if (deleting_) {
    Delete();
  }
}

void PodWorker::Delete() {
  DeleteOptions options;
  options.uid = pod_->uid();
  options.grace_period_seconds = 0;
  // When it is gone, Remove is called. A precondition that fails says that the
  // name has another Pod by now.
  context_.cluster->Delete({PodKind(), pod_->ns(), pod_->name()}, std::move(options),
                           OnLoop<absl::Status>(&PodWorker::OnDeleted));
}

void PodWorker::OnDeleted(absl::Status status) {
  if (status.ok() || absl::IsNotFound(status) || absl::IsAborted(status) || removed_) return;
  LOG(WARNING) << "pod " << pod_->name() << " cannot be deleted now: " << status;
  timer_.Set(kWriteAgain, [this] { Delete(); });
}

void PodWorker::Publish() {
  if (stopping() || !publishing_.is_null()) return;
  const Json status = PodStatusOf(view_, published_.is_null() ? pod_->status() : published_, context_.loop->Now());
  if (status == published_) return;
  publishing_ = status;
  context_.cluster->Patch({PodKind(), pod_->ns(), pod_->name()},
                          {{"metadata", {{"uid", pod_->uid()}}}, {"status", status}}, {.subresource = "status"},
                          OnLoop<absl::StatusOr<Object>>(&PodWorker::OnPublished));
}

void PodWorker::OnPublished(absl::StatusOr<Object> written) {
  const absl::Status& status = written.status();
  Json tried = std::exchange(publishing_, Json());
  if (status.ok()) {
    published_ = std::move(tried);
    return Publish();  // if something has changed meanwhile
  }
  // The Pod is gone, or the name has another by now: the watch says so too.
  if (absl::IsNotFound(status) || absl::IsAborted(status)) return;
  LOG(WARNING) << "the status of pod " << pod_->name() << " cannot be written now: " << status;
  publish_again_.Set(kWriteAgain, [this] { Publish(); });
}

absl::Status PodWorker::CheckContainer(const std::string& name) const {
  if (name.empty() || name == view_.name) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("pod ", pod_->name(), " has no container '", name, "', but '", view_.name, "'"));
}

absl::StatusOr<std::unique_ptr<Attachment>> PodWorker::Attach(const AttachOptions& options) {
  if (absl::Status found = CheckContainer(options.container); !found.ok()) return found;
  if (state_ != State::kRunning) {
    return absl::NotFoundError(absl::StrCat("container ", view_.name, " of pod ", pod_->name(), " is not running"));
  }
  if (!options.container_id.empty() && options.container_id != view_.id) {
    return absl::NotFoundError(absl::StrCat("container ", options.container_id, " of pod ", pod_->name(),
                                            " has ended; ", view_.id, " runs now"));
  }
  if (pipes_ == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "container ", view_.name, " of pod ", pod_->name(), " has no stdin to attach to; set stdin: true in its spec"));
  }
  return pipes_->Attach();
}

absl::StatusOr<std::string> PodWorker::Logs(const LogOptions& options) const {
  if (absl::Status found = CheckContainer(options.container); !found.ok()) return found;
  return log_.Tail(options.tail_lines);
}

void PodWorker::FollowLogs(const LogOptions& options, std::shared_ptr<LogSink> sink) {
  if (absl::Status found = CheckContainer(options.container); !found.ok()) return sink->End(std::move(found));
  std::erase_if(followers_, [](const auto& follower) { return follower->cancelled(); });
  if (followers_.size() >= kMaxFollowers) {
    return sink->End(absl::ResourceExhaustedError(absl::StrCat(
        "pod ", pod_->name(), " has ", kMaxFollowers, " readers of its log already; end one of them")));
  }
  sink->Append(log_.Tail(options.tail_lines));
  if (state_ == State::kFinished) return sink->End(absl::OkStatus());
  followers_.push_back(std::move(sink));
}

void PodWorker::OnLogText(absl::string_view bytes) {
  log_.Append(bytes);
  for (const auto& follower : followers_) follower->Append(bytes);
}

void PodWorker::EndFollowers(const absl::Status& why) {
  for (const auto& follower : std::exchange(followers_, {})) follower->End(why);
}

}  // namespace unmcp::kube
