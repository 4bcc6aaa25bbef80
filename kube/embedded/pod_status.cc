#include "kube/embedded/pod_status.h"

#include "absl/strings/str_cat.h"

namespace unmcp::kube {
namespace {

// metav1.Time: whole seconds, UTC.
std::string Rfc3339(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

// The condition of this type in `status`, or nothing.
Json ConditionBefore(const Json& status, const std::string& type) {
  auto conditions = status.find("conditions");
  if (conditions == status.end() || !conditions->is_array()) return Json::object();
  for (const Json& condition : *conditions) {
    if (condition.is_object() && condition.value("type", Json()) == type) return condition;
  }
  return Json::object();
}

// The time before, if the condition is as it was.
void SetTransitionTime(const Json& before, absl::Time now, Json& condition) {
  const Json old = ConditionBefore(before, condition["type"]);
  const Json since = old.value("lastTransitionTime", Json());
  condition["lastTransitionTime"] =
      since.is_string() && old.value("status", Json()) == condition["status"] ? since : Json(Rfc3339(now));
}

std::string Phase(const ContainerView& container) {
  if (container.finished) {
    return container.state["terminated"].value("exitCode", 0) == 0 ? "Succeeded" : "Failed";
  }
  return container.state.contains("running") || container.last_state.contains("terminated") ? "Running" : "Pending";
}

}  // namespace

Json RunningState(absl::Time started) { return {{"running", {{"startedAt", Rfc3339(started)}}}}; }

Json WaitingState(const std::string& reason, const std::string& message) {
  return {{"waiting", {{"reason", reason}, {"message", message}}}};
}

Json TerminatedState(const std::string& container_id, int exit_code, const std::string& reason,
                     const std::string& message, absl::Time started, absl::Time finished) {
  return {{"terminated",
           {{"containerID", container_id},
            {"exitCode", exit_code},
            {"reason", reason},
            {"message", message},
            {"startedAt", Rfc3339(started)},
            {"finishedAt", Rfc3339(finished)}}}};
}

Json PodStatusOf(const ContainerView& container, const Json& before, absl::Time now) {
  const bool started_now = container.state.contains("running");
  const bool ready = started_now && container.answers;
  Json status = {
      {"phase", Phase(container)},
      {"hostIP", "127.0.0.1"},
      {"podIP", "127.0.0.1"},
      {"podIPs", Json::array({{{"ip", "127.0.0.1"}}})},
      {"conditions", Json::array()},
  };
  auto started = before.find("startTime");
  status["startTime"] = started != before.end() && started->is_string() ? *started : Json(Rfc3339(now));

  for (const char* type : {"PodScheduled", "Initialized", "ContainersReady", "Ready"}) {
    const bool about_container = absl::string_view(type).find("Ready") != absl::string_view::npos;
    Json condition = {{"type", type}, {"status", ready || !about_container ? "True" : "False"}};
    SetTransitionTime(before, now, condition);
    if (about_container && container.finished) {
      condition["reason"] = container.state["terminated"].value("exitCode", 0) == 0 ? "PodCompleted" : "PodFailed";
    } else if (about_container && !ready) {
      condition["reason"] = "ContainersNotReady";
      const bool probed = started_now && !container.why_not_ready.empty();
      condition["message"] = absl::StrCat("containers with unready status: [", container.name, "]",
                                          probed ? "; readinessProbe: " + container.why_not_ready : "");
    }
    status["conditions"].push_back(std::move(condition));
  }
  for (Json condition : container.conditions) {
    SetTransitionTime(before, now, condition);
    status["conditions"].push_back(std::move(condition));
  }

  Json one = {{"name", container.name},       {"image", container.image},
              {"imageID", ""},                {"restartCount", container.restart_count},
              {"ready", ready},               {"started", started_now},
              {"state", container.state},     {"lastState", container.last_state}};
  if (!container.id.empty()) one["containerID"] = container.id;
  status["containerStatuses"] = Json::array({std::move(one)});
  return status;
}

}  // namespace unmcp::kube
