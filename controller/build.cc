#include "controller/build.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/proto_json.h"
#include "controller/observed.h"

namespace unmcp::controller {
namespace {

using kube::Json;

// From SIGTERM to SIGKILL. A server is stopped when nothing is in flight, and
// has had its stdin closed; whoever connects meanwhile waits for this.
constexpr int kStopGraceSeconds = 5;

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

Json Container(const v1::MCPServerSpec& spec) {
  Json container = {{"name", kContainer},
                    {"image", spec.image().empty() ? kNoImage : spec.image()},
                    {"stdin", true}};
  for (const std::string& word : spec.command()) container["command"].push_back(word);
  for (const std::string& word : spec.args()) container["args"].push_back(word);
  for (const v1::EnvVar& variable : spec.env()) {
    container["env"].push_back({{"name", variable.name()}, {"value", variable.value()}});
  }
  return container;
}

}  // namespace

std::string PodName(const std::string& server, int64_t incarnation) { return absl::StrCat(server, "-", incarnation); }

std::string SpecHash(const v1::MCPServerSpec& spec) {
  return absl::StrFormat("%016x", Fnv1a(Container(spec).dump(-1, ' ', false, Json::error_handler_t::replace)));
}

kube::Object BuildPod(const v1::MCPServer& server, int64_t incarnation) {
  kube::Object pod = Owned(kube::PodKind(), server, PodName(server.name(), incarnation));
  pod.json()["metadata"]["labels"] = Labels(server, incarnation);
  pod.json()["metadata"]["annotations"] = {{kSpecHashAnnotation, SpecHash(server.spec())}};
  pod.json()["spec"] = {{"restartPolicy", "Always"},
                        {"terminationGracePeriodSeconds", kStopGraceSeconds},
                        {"containers", Json::array({Container(server.spec())})}};
  return pod;
}

kube::Object BuildService(const v1::MCPServer& server, int64_t incarnation) {
  kube::Object service = Owned(kube::ServiceKind(), server, server.name());
  service.json()["metadata"]["labels"] = {{kServerLabel, server.name()}};
  service.json()["spec"] = {{"clusterIP", "None"}, {"selector", Labels(server, incarnation)}};
  return service;
}

}  // namespace unmcp::controller
