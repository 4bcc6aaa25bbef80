#include "controller/build.h"

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/proto_json.h"
#include "common/references.h"
#include "controller/effective_spec.h"
#include "controller/observed.h"
#include "controller/pod_template.h"

namespace unmcp::controller {
namespace {

using kube::Json;

// From SIGTERM to SIGKILL. A server is stopped when nothing is in flight, and
// has had its stdin closed; whoever connects meanwhile waits for this.
constexpr int kStopGraceSeconds = 5;
// Of the port, in Pod and Service.
constexpr char kPortName[] = "mcp";
constexpr char kPortVariable[] = "PORT";
// Somebody waits for the server while it is being started: kubelet's default of
// ten seconds would be most of that time.
constexpr int kProbePeriodSeconds = 1;

// FNV-1a: stable between versions and machines, which absl::Hash is not. Not a
// secret, and a collision costs one missed restart.
uint64_t Fnv1a(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

Json Labels(const v1::MCPServer& server, int64_t incarnation) {
  return {{kServerLabel, server.name()}, {kIncarnationLabel, absl::StrCat(incarnation)}};
}

kube::Object Owned(const kube::Kind& kind, const v1::MCPServer& server, const std::string& name) {
  kube::Object object(kind, server.namespace_(), name);
  object.AddOwner({kube::MCPServerKind().ApiVersion(), kube::MCPServerKind().kind, server.name(), server.uid()});
  return object;
}

// First, so that variables after it can be made of it: $(PORT).
void AddPort(const v1::MCPServerSpec& spec, Json* container) {
  const int port = spec.transport().port();
  if (port == 0) return;
  (*container)["ports"] = Json::array({{{"name", kPortName}, {"containerPort", port}}});
  if (SpeaksHttp(spec)) {
    (*container)["readinessProbe"] = {{"tcpSocket", {{"port", port}}}, {"periodSeconds", kProbePeriodSeconds}};
  }
  const bool set = absl::c_any_of(spec.env(), [](const v1::EnvVar& v) { return v.name() == kPortVariable; });
  if (!set) (*container)["env"].push_back({{"name", kPortVariable}, {"value", absl::StrCat(port)}});
}

Json Container(const v1::MCPServerSpec& spec) {
  Json container = {{"name", kContainer}, {"image", spec.image().empty() ? kNoImage : spec.image()}};
  if (!SpeaksHttp(spec)) container["stdin"] = true;
  for (const std::string& word : spec.command()) container["command"].push_back(word);
  for (const std::string& word : spec.args()) container["args"].push_back(word);
  AddPort(spec, &container);
  for (const v1::EnvVar& variable : spec.env()) container["env"].push_back(ToJson(variable));
  if (Json resources = ToJson(spec.resources()); !resources.empty()) container["resources"] = std::move(resources);
  return container;
}

// All of a Pod but whose it is.
Json PodTemplate(const v1::MCPServerSpec& spec) {
  Json pod = {{"metadata", Json::object()},
              {"spec",
               {{"restartPolicy", "Always"},
                {"terminationGracePeriodSeconds", kStopGraceSeconds},
                {"containers", Json::array({Container(spec)})}}}};
  MergePodTemplate(ToJson(spec.pod_template()), Nulls::kApply, &pod);
  return pod;
}

// What the process is spoken to by, as far as it is not in its Pod.
Json HashedPart(const v1::MCPServerSpec& spec) {
  const Json transport = ToJson(spec.transport());
  if (!RunsElsewhere(spec)) return {{"pod", PodTemplate(spec)}, {"transport", transport}};
  Json headers = Json::array();
  for (const v1::HttpHeader& header : spec.headers()) headers.push_back(ToJson(header));
  Json part = {{"url", spec.url()}, {"transport", transport}, {"headers", std::move(headers)}};
  for (const v1::EnvVar* variable : VariablesOfUrl(spec)) part["env"].push_back(ToJson(*variable));
  return part;
}

}  // namespace

std::string PodName(const std::string& server, int64_t incarnation) { return absl::StrCat(server, "-", incarnation); }

std::string SpecHash(const v1::MCPServerSpec& spec) {
  return absl::StrFormat("%016x", Fnv1a(HashedPart(spec).dump(-1, ' ', false, Json::error_handler_t::replace)));
}

kube::Object BuildPod(const v1::MCPServer& server, const v1::MCPServerSpec& spec, const std::string& hash,
                      int64_t incarnation) {
  kube::Object pod = Owned(kube::PodKind(), server, PodName(server.name(), incarnation));
  const Json made = PodTemplate(spec);
  pod.json()["metadata"].update(made["metadata"]);
  pod.json()["metadata"]["labels"].update(Labels(server, incarnation));
  pod.json()["metadata"]["annotations"][kSpecHashAnnotation] = hash;
  pod.json()["spec"] = made["spec"];
  return pod;
}

Json ServicePorts(const v1::MCPServerSpec& spec) {
  Json ports = Json::array();
  const int port = spec.transport().port();
  if (SpeaksHttp(spec) && port != 0) ports.push_back({{"name", kPortName}, {"port", port}, {"targetPort", port}});
  return ports;
}

kube::Object BuildService(const v1::MCPServer& server, const v1::MCPServerSpec& spec, int64_t incarnation) {
  kube::Object service = Owned(kube::ServiceKind(), server, server.name());
  service.json()["metadata"]["labels"] = {{kServerLabel, server.name()}};
  service.json()["spec"] = {{"clusterIP", "None"}, {"selector", Labels(server, incarnation)}};
  if (Json ports = ServicePorts(spec); !ports.empty()) service.json()["spec"]["ports"] = std::move(ports);
  return service;
}

}  // namespace unmcp::controller
