#include "controller/effective_spec.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/proto_json.h"
#include "common/references.h"
#include "common/spec_rules.h"
#include "common/status_macros.h"
#include "controller/build.h"
#include "controller/pod_template.h"

namespace unmcp::controller {
namespace {

using kube::Json;

// The pool's entries, in their order, each replaced by the server's of that
// name; then the server's others.
template <class Entries, class SameName>
void InheritByName(const Entries& inherited, SameName same_name, Entries* own) {
  Entries merged = inherited;
  for (const auto& entry : *own) {
    auto it = std::find_if(merged.begin(), merged.end(),
                           [&](const auto& candidate) { return same_name(candidate.name(), entry.name()); });
    *(it == merged.end() ? merged.Add() : &*it) = entry;
  }
  own->Swap(&merged);
}

// A port and a path belong to a type: those of another are not inherited.
void InheritTransport(const v1::Transport& inherited, v1::Transport* own) {
  if (!own->type().empty() && own->type() != inherited.type()) return;
  v1::Transport merged = inherited;
  merged.MergeFrom(*own);
  *own = std::move(merged);
}

// Above all containers, null takes back what the pool's template says there; it
// does not mean a Pod without a spec.
void DropNulls(Json* pod_template) {
  const auto drop = [](Json* json, const char* key) {
    if (json->is_object() && json->contains(key) && (*json)[key].is_null()) json->erase(key);
  };
  drop(pod_template, "metadata");
  drop(pod_template, "spec");
  if (!pod_template->contains("spec")) return;
  drop(&(*pod_template)["spec"], "containers");
  drop(&(*pod_template)["spec"], "initContainers");
}

void InheritTemplate(const google::protobuf::Struct& inherited, v1::MCPServerSpec* own) {
  Json merged = ToJson(inherited);
  const Json upper = ToJson(own->pod_template());
  // A template that breaks its rules is reported, never used.
  if (!CheckPodTemplate(merged, "").ok() || !CheckPodTemplate(upper, "").ok()) return;
  MergePodTemplate(upper, Nulls::kKeep, &merged);
  DropNulls(&merged);
  if (merged.empty()) return own->clear_pod_template();
  own->clear_pod_template();
  // Any JSON object can be a Struct.
  FromJson(merged, UnknownFields::kIgnore, own->mutable_pod_template()).IgnoreError();
}

void InheritProcess(const v1::MCPPoolSpec& pool, v1::MCPServerSpec* own) {
  const v1::ServerDefaults& defaults = pool.server_defaults();
  if (own->image().empty()) own->set_image(defaults.image());
  InheritByName(defaults.env(), [](const std::string& a, const std::string& b) { return a == b; },
                own->mutable_env());
  if (!own->has_resources() && pool.has_default_resources()) *own->mutable_resources() = pool.default_resources();
  if (own->isolation().empty()) own->set_isolation(defaults.isolation());
  if (defaults.has_transport()) InheritTransport(defaults.transport(), own->mutable_transport());
}

// Of one that runs elsewhere: its address has the port and the path.
void InheritType(const v1::Transport& inherited, v1::Transport* own) {
  if (own->type().empty() && inherited.type() != "stdio") own->set_type(inherited.type());
}

void Inherit(const v1::MCPPoolSpec& pool, v1::MCPServerSpec* own) {
  const v1::ServerDefaults& defaults = pool.server_defaults();
  if (RunsElsewhere(*own)) {
    InheritType(defaults.transport(), own->mutable_transport());
  } else {
    InheritProcess(pool, own);
  }
  InheritByName(defaults.headers(),
                [](const std::string& a, const std::string& b) { return absl::EqualsIgnoreCase(a, b); },
                own->mutable_headers());
  if (!own->has_startup_timeout() && defaults.has_startup_timeout()) {
    own->set_startup_timeout(defaults.startup_timeout());
  }
  if (own->idle_timeout() == 0 && pool.has_default_idle_timeout()) {
    own->set_idle_timeout(pool.default_idle_timeout());
  }
}

void FillTransport(v1::MCPServerSpec* spec) {
  v1::Transport* transport = spec->mutable_transport();
  if (transport->type().empty()) transport->set_type(RunsElsewhere(*spec) ? "streamable-http" : "stdio");
  if (RunsElsewhere(*spec) || !transport->path().empty()) return;
  if (transport->type() == "sse") transport->set_path("/sse");
  if (transport->type() == "streamable-http") transport->set_path("/mcp");
}

// What the server itself sets and nothing reads.
std::string UnusedFields(const v1::MCPServerSpec& own, const v1::MCPServerSpec& effective, bool runs_images) {
  std::vector<std::string> process, http, all;
  const std::vector<const v1::EnvVar*> in_url = VariablesOfUrl(own);
  if (in_url.empty() && own.env_size() > 0) process.push_back("spec.env");
  for (int i = 0; i < own.env_size() && !in_url.empty(); ++i) {
    if (!absl::c_linear_search(in_url, &own.env(i))) process.push_back(absl::StrCat("spec.env[", i, "]"));
  }
  if (own.has_resources()) process.push_back("spec.resources");
  if (own.has_pod_template()) process.push_back("spec.podTemplate");
  if (own.headers_size() > 0) http.push_back("spec.headers");
  if (!own.transport().path().empty()) http.push_back("spec.transport.path");
  if (RunsElsewhere(effective) && !process.empty()) {
    all.push_back(absl::StrCat(absl::StrJoin(process, ", "),
                               " not used: the server runs elsewhere (spec.url), and unmcp starts no process for it"));
  }
  if (!SpeaksHttp(effective) && !http.empty()) {
    all.push_back(absl::StrCat(absl::StrJoin(http, ", "),
                               " not used: the server speaks on its standard streams (spec.transport.type stdio)"));
  }
  if (!runs_images && effective.command_size() > 0 && !effective.image().empty()) {
    all.push_back("spec.image not used: this machine runs spec.command itself, without an image");
  }
  return absl::StrJoin(all, "; ");
}

absl::Status Check(const v1::MCPServerSpec& own, const v1::MCPServerSpec& effective, const v1::MCPPoolSpec* pool) {
  if (const absl::Status status = ValidateServerSpec(effective); !status.ok()) {
    const absl::Status by_itself = ValidateServerSpec(own);
    if (!by_itself.ok()) return by_itself;
    return absl::InvalidArgumentError(
        absl::StrCat("with what it inherits from pool \"", effective.pool(), "\": ", status.message()));
  }
  UNMCP_RETURN_IF_ERROR(CheckPodTemplate(ToJson(own.pod_template()), "spec.podTemplate"));
  if (pool == nullptr) return absl::OkStatus();
  return CheckPodTemplate(ToJson(pool->server_defaults().pod_template()),
                          absl::StrCat("pool \"", effective.pool(), "\": spec.serverDefaults.podTemplate"));
}

}  // namespace

v1::MCPServerSpec EffectiveSpec(const v1::MCPServerSpec& own, const v1::MCPPoolSpec* pool) {
  v1::MCPServerSpec spec = own;
  if (pool != nullptr) Inherit(*pool, &spec);
  if (!RunsElsewhere(spec)) {
    InheritTemplate(pool != nullptr ? pool->server_defaults().pod_template() : google::protobuf::Struct(), &spec);
  }
  if (spec.pool().empty()) spec.set_pool(kDefaultPool);
  if (own.idle_timeout() == 0 && !(pool != nullptr && pool->has_default_idle_timeout())) {
    spec.set_idle_timeout(kDefaultIdleTimeoutSeconds);
  }
  if (!spec.has_startup_timeout()) spec.set_startup_timeout(kDefaultStartupTimeoutSeconds);
  if (spec.isolation().empty()) spec.set_isolation("shared");
  FillTransport(&spec);
  return spec;
}

Declaration Declare(const v1::MCPServerSpec& own, const v1::MCPPoolSpec* pool, bool runs_images) {
  Declaration declared{.spec = EffectiveSpec(own, pool)};
  declared.status = Check(own, declared.spec, pool);
  if (declared.status.ok()) declared.hash = SpecHash(declared.spec);
  declared.unused = UnusedFields(own, declared.spec, runs_images);
  return declared;
}

}  // namespace unmcp::controller
