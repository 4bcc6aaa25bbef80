#include "cli/commands/lifecycle.h"

#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "cli/manifest_loader.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

// Why a start has failed for good, as far as one can see. `asked` is the server
// as the start was answered: a failure from before it says nothing.
std::optional<absl::Status> StartFailed(const v1::MCPServer& asked, const v1::MCPServer& server) {
  if (server.resource_version() == asked.resource_version()) return std::nullopt;
  const std::string& phase = server.status().phase();
  bool refused = phase == "Degraded" || phase == "Ignored";
  for (const v1::Condition& condition : server.status().conditions()) {
    refused = refused || (condition.type() == "Accepted" && condition.status() == "False");
  }
  if (!refused) return std::nullopt;
  return absl::FailedPreconditionError(absl::StrCat("server \"", server.name(), "\" does not start: ",
                                                    PhaseAndReason(server), "; see unmcp describe server ",
                                                    server.name()));
}

absl::Status Start(const std::string& name, const StartOptions& options, Context& context) {
  UNMCP_ASSIGN_OR_RETURN(const v1::MCPServer asked, context.api.StartServer(name));
  if (options.wait) {
    UNMCP_RETURN_IF_ERROR(AwaitServer(
        asked, absl::StrCat("server \"", asked.name(), "\" to be Ready"), options.timeout, context,
        [&](const v1::MCPServer* server) -> std::optional<absl::Status> {
          if (server == nullptr) return absl::NotFoundError(absl::StrCat("server \"", asked.name(), "\" was deleted"));
          if (server->status().phase() == "Ready") return absl::OkStatus();
          return StartFailed(asked, *server);
        }));
  }
  context.out << "mcpserver.unmcp.dev/" << asked.name() << (options.wait ? " started" : " is starting") << std::endl;
  return absl::OkStatus();
}

// Whether the life that `asked` was in is over.
bool Stopped(const v1::MCPServer& asked, const v1::MCPServer& server) {
  for (const v1::Condition& condition : server.status().conditions()) {
    // What does not start has no process between its attempts: it may be Degraded all the same.
    if (condition.type() == "Started" && condition.status() == "False") return true;
  }
  const std::string& phase = server.status().phase();
  return phase == "Asleep" || phase == "Waiting" || phase == "Ignored" ||
         server.status().incarnation() > asked.status().incarnation();
}

absl::Status Stop(const std::string& name, const StopOptions& options, Context& context) {
  UNMCP_ASSIGN_OR_RETURN(const v1::MCPServer asked, context.api.StopServer(name, options.suspend));
  if (options.wait) {
    UNMCP_RETURN_IF_ERROR(AwaitServer(asked, absl::StrCat("server \"", asked.name(), "\" to stop"), options.timeout,
                                      context, [&](const v1::MCPServer* server) -> std::optional<absl::Status> {
                                        if (server == nullptr || Stopped(asked, *server)) return absl::OkStatus();
                                        return std::nullopt;
                                      }));
  }
  context.out << "mcpserver.unmcp.dev/" << asked.name()
              << (options.wait ? " stopped" : " is stopping") << (options.suspend ? ", suspended" : "") << std::endl;
  return absl::OkStatus();
}

// Does it for each; what fails is said at once, and in the exit code.
absl::Status ForEach(const std::vector<std::string>& names, Context& context,
                     absl::FunctionRef<absl::Status(const std::string& name)> act) {
  bool failed = false;
  for (const std::string& name : names) {
    const absl::Status status = act(name);
    if (status.ok()) continue;
    context.err << ErrorText(status) << std::endl;
    failed = true;
  }
  return failed ? absl::UnknownError("") : absl::OkStatus();
}

absl::Status Delete(ResourceKind kind, const std::string& name, const DeleteOptions& options, Context& context) {
  const char* id = kind == ResourceKind::kServer ? "mcpserver" : "mcppool";
  if (kind == ResourceKind::kServer) {
    UNMCP_ASSIGN_OR_RETURN(const v1::MCPServer server, context.api.GetServer(name));
    UNMCP_RETURN_IF_ERROR(context.api.DeleteServer(server.uid()));
    if (options.wait) {
      UNMCP_RETURN_IF_ERROR(AwaitServer(server, absl::StrCat("server \"", server.name(), "\" to be gone"),
                                        options.timeout, context,
                                        [](const v1::MCPServer* left) -> std::optional<absl::Status> {
                                          if (left == nullptr) return absl::OkStatus();
                                          return std::nullopt;
                                        }));
    }
  } else {
    UNMCP_ASSIGN_OR_RETURN(const v1::MCPPool pool, context.api.GetPool(name));
    UNMCP_RETURN_IF_ERROR(context.api.DeletePool(name));
    if (options.wait) UNMCP_RETURN_IF_ERROR(AwaitPoolGone(pool, options.timeout, context));
  }
  context.out << id << ".unmcp.dev \"" << name << "\" deleted" << std::endl;
  return absl::OkStatus();
}

}  // namespace

absl::Status RunStart(const StartOptions& options, Context& context) {
  return ForEach(options.servers, context, [&](const std::string& name) { return Start(name, options, context); });
}

absl::Status RunStop(const StopOptions& options, Context& context) {
  return ForEach(options.servers, context, [&](const std::string& name) { return Stop(name, options, context); });
}

absl::Status RunDelete(const DeleteOptions& options, Context& context) {
  std::vector<Resources> doomed = options.resources;
  if (!options.filenames.empty()) {
    UNMCP_ASSIGN_OR_RETURN(const std::vector<kube::Object> objects,
                           LoadManifests(options.filenames, {.ns = context.api.Namespace(),
                                                             .names_only = true,
                                                             .standard_input = &context.in}));
    // Servers before pools, which would take theirs with them.
    doomed = {{ResourceKind::kServer, {}}, {ResourceKind::kPool, {}}};
    for (const kube::Object& object : objects) {
      if (object.kind() == "MCPServer") {
        doomed[0].names.push_back(object.name());
      } else if (object.kind() == "MCPPool") {
        doomed[1].names.push_back(object.name());
      } else {
        context.err << object.kind() << " \"" << object.name() << "\" is left: the API does not delete it"
                    << std::endl;
      }
    }
  }
  bool failed = false;
  for (const Resources& resources : doomed) {
    const absl::Status status = ForEach(resources.names, context, [&](const std::string& name) {
      const absl::Status deleted = Delete(resources.kind, name, options, context);
      return absl::IsNotFound(deleted) && options.ignore_not_found ? absl::OkStatus() : deleted;
    });
    failed = failed || !status.ok();
  }
  return failed ? absl::UnknownError("") : absl::OkStatus();
}

}  // namespace unmcp
