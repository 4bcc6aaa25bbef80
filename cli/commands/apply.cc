#include "cli/commands/apply.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/declared.h"
#include "cli/yaml.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

// Whether there is nothing more to wait for, and how it ended.
std::optional<absl::Status> Settled(const v1::MCPServer& written, const v1::MCPServer* server) {
  if (server == nullptr) return absl::NotFoundError(absl::StrCat("server \"", written.name(), "\" was deleted"));
  // What it was before says nothing of what it is now.
  if (server->generation() < written.generation() ||
      server->status().observed_generation() < server->generation()) {
    return std::nullopt;
  }
  for (const v1::Condition& condition : server->status().conditions()) {
    if (condition.type() == "Discovered" && condition.status() == "True") return absl::OkStatus();
  }
  const std::string& phase = server->status().phase();
  const bool suspended = server->spec().suspend() && phase == "Asleep";
  if (suspended || phase == "Waiting") return absl::OkStatus();  // as it was declared, or as the pool has it
  if (phase != "Degraded" && phase != "Ignored") return std::nullopt;
  return absl::FailedPreconditionError(absl::StrCat("server \"", server->name(), "\" cannot be used: ",
                                                    PhaseAndReason(*server), "; see unmcp describe server ",
                                                    server->name()));
}

absl::Status Await(const std::string& name, const ApplyOptions& options, Context& context) {
  UNMCP_ASSIGN_OR_RETURN(const v1::MCPServer written, context.api.GetServer(name));
  return AwaitServer(written, absl::StrCat("server \"", name, "\" to be known"), options.timeout, context,
                     [&](const v1::MCPServer* server) { return Settled(written, server); });
}

}  // namespace

absl::Status RunApply(const ApplyOptions& options, Context& context) {
  UNMCP_ASSIGN_OR_RETURN(const std::vector<kube::Object> objects,
                         LoadDeclared(options.filenames, options.inputs, context.api.Namespace(), context.in,
                                      [&](const std::string& note) { context.err << note << std::endl; }));
  if (objects.empty()) return absl::InvalidArgumentError("there is nothing to apply: no server or pool is declared there");
  if (options.dry_run) {
    for (const kube::Object& object : objects) context.out << "---\n" << WriteYaml(WithoutSecrets(object));
    return absl::OkStatus();
  }
  bool failed = false;
  std::vector<std::string> written;
  for (const kube::Object& object : objects) {
    const absl::StatusOr<v1::ApplyResponse> applied = context.api.Apply(ToApplyRequest(object));
    if (!applied.ok()) {
      context.err << object.kind() << " \"" << object.name() << "\": " << ErrorText(applied.status()) << std::endl;
      failed = true;
      continue;
    }
    const size_t slash = object.api_version().find('/');
    context.out << absl::AsciiStrToLower(applied->kind())
                << (slash == std::string::npos ? "" : absl::StrCat(".", object.api_version().substr(0, slash))) << "/"
                << applied->name() << " " << applied->change() << std::endl;
    if (object.kind() == kube::MCPServerKind().kind) written.push_back(object.name());
  }
  if (!options.wait) written.clear();
  for (const std::string& name : written) {
    const absl::Status status = Await(name, options, context);
    if (status.ok()) continue;
    context.err << ErrorText(status) << std::endl;
    failed = true;
  }
  return failed ? absl::UnknownError("") : absl::OkStatus();
}

}  // namespace unmcp
