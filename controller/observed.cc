#include "controller/observed.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "kube/resources.h"

namespace unmcp::controller {
namespace {

using kube::Json;

const Json& Member(const Json& json, const char* key) {
  static const Json* const null = new Json();
  if (!json.is_object()) return *null;
  auto it = json.find(key);
  return it == json.end() ? *null : *it;
}

std::string String(const Json& json, const char* key) {
  const Json& value = Member(json, key);
  return value.is_string() ? value.get<std::string>() : "";
}

absl::Time Time(const Json& json, const char* key) {
  absl::Time time;
  std::string error;
  return absl::ParseTime(absl::RFC3339_full, String(json, key), &time, &error) ? time : absl::InfinitePast();
}

int64_t Number(const std::string& text) {
  int64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

// "exit code 1: its last words"
std::string Ended(const Json& terminated) {
  if (!terminated.is_object()) return "";
  const Json& code = Member(terminated, "exitCode");
  const std::string reason = String(terminated, "reason");
  const std::string message = String(terminated, "message");
  return absl::StrCat(code.is_number_integer() ? absl::StrCat("exit code ", code.get<int64_t>()) : "it ended",
                      reason.empty() || reason == "Error" ? "" : absl::StrCat(" (", reason, ")"),
                      message.empty() ? "" : absl::StrCat(": ", message));
}

}  // namespace

absl::StatusOr<v1::MCPServer> ReadServer(const kube::Object& object) {
  UNMCP_ASSIGN_OR_RETURN(v1::MCPServer server, kube::ReadServer(object));
  // As the schema has it, for what was stored before there was one.
  if (server.spec().pool().empty()) server.mutable_spec()->set_pool("default");
  server.set_pool(server.spec().pool());
  return server;
}

absl::StatusOr<v1::MCPPool> ReadPool(const kube::Object& object) { return kube::ReadPool(object); }

absl::Time ReadTimeAnnotation(const kube::Object& object, const char* annotation) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, object.annotation(annotation), &time, &error)) return absl::InfinitePast();
  return absl::FromUnixMillis(absl::ToUnixMillis(time));
}

ObservedPod ReadPod(const kube::Object& object) {
  ObservedPod pod;
  pod.name = object.name();
  pod.uid = object.uid();
  const auto labels = object.labels();
  if (auto it = labels.find(kIncarnationLabel); it != labels.end()) pod.incarnation = Number(it->second);
  pod.spec_hash = object.annotation(kSpecHashAnnotation);
  pod.deleting = object.deleting();
  const Json& status = object.status();
  const std::string phase = String(status, "phase");
  pod.finished = phase == "Failed" || phase == "Succeeded";
  if (pod.finished) pod.message = absl::StrCat(String(status, "reason"), " ", String(status, "message"));
  pod.ip = String(status, "podIP");
  for (const Json& condition : Member(status, "conditions")) {
    const std::string type = String(condition, "type");
    if (type == "Ready") pod.ready = String(condition, "status") == "True";
    absl::string_view ours = type;
    if (!absl::ConsumePrefix(&ours, kConditionPrefix)) continue;
    v1::Condition& kept = pod.conditions.emplace_back();
    kept.set_type(std::string(ours));
    kept.set_status(String(condition, "status"));
    kept.set_reason(String(condition, "reason"));
    kept.set_message(String(condition, "message"));
  }
  for (const Json& container : Member(status, "containerStatuses")) {
    if (String(container, "name") != kContainer) continue;
    const Json& state = Member(container, "state");
    const Json& running = Member(state, "running");
    const Json& waiting = Member(state, "waiting");
    pod.container_id = String(container, "containerID");
    pod.running = running.is_object() && !pod.container_id.empty();
    pod.running_since = Time(running, "startedAt");
    const Json& restarts = Member(container, "restartCount");
    if (restarts.is_number_integer()) pod.restarts = restarts.get<int64_t>();
    pod.waiting_reason = String(waiting, "reason");
    std::string ended = Ended(Member(state, "terminated"));
    if (ended.empty()) ended = Ended(Member(Member(container, "lastState"), "terminated"));
    if (pod.message.empty()) pod.message = ended.empty() ? String(waiting, "message") : ended;
  }
  return pod;
}

ObservedService ReadService(const kube::Object& object, const std::string& server_uid) {
  ObservedService service;
  service.exists = true;
  service.ours = object.controller_uid() == server_uid;
  service.uid = object.uid();
  service.resource_version = object.resource_version();
  // What a cluster adds to a port (its protocol) is left out.
  for (const Json& port : Member(object.spec(), "ports")) {
    Json& kept = service.ports.emplace_back(Json::object());
    for (const char* key : {"name", "port", "targetPort"}) kept[key] = Member(port, key);
  }
  service.incarnation = Number(String(Member(object.spec(), "selector"), kIncarnationLabel));
  return service;
}

}  // namespace unmcp::controller
