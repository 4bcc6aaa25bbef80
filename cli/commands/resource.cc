#include "cli/commands/resource.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

absl::StatusOr<ResourceKind> ParseKind(absl::string_view text) {
  const std::string word = absl::AsciiStrToLower(absl::StripSuffix(text, ".unmcp.dev"));
  for (const char* server : {"server", "servers", "mcpserver", "mcpservers", "mcp"}) {
    if (word == server) return ResourceKind::kServer;
  }
  for (const char* pool : {"pool", "pools", "mcppool", "mcppools", "mcpp"}) {
    if (word == pool) return ResourceKind::kPool;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no kind of resource \"", text, "\"; there are servers (mcp) and pools (mcpp)"));
}

void Add(ResourceKind kind, std::string name, std::vector<Resources>* all) {
  for (Resources& resources : *all) {
    if (resources.kind == kind) return resources.names.push_back(std::move(name));
  }
  all->push_back({kind, {std::move(name)}});
}

}  // namespace

absl::StatusOr<std::vector<Resources>> ParseResources(const std::vector<std::string>& args) {
  std::vector<Resources> all;
  if (absl::StrContains(args[0], '/')) {
    for (const std::string& arg : args) {
      const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(arg, absl::MaxSplits('/', 1));
      if (parts.second.empty()) {
        return absl::InvalidArgumentError(absl::StrCat("\"", arg, "\" must be KIND/NAME, as the first one is"));
      }
      UNMCP_ASSIGN_OR_RETURN(const ResourceKind kind, ParseKind(parts.first));
      Add(kind, std::string(parts.second), &all);
    }
    return all;
  }
  const std::vector<std::string> names(args.begin() + 1, args.end());
  for (const std::string& name : names) {
    if (name.empty() || absl::StrContains(name, '/')) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name, "\" must be a name, since the kind (", args[0], ") stands before it"));
    }
  }
  if (args[0] == "all") {
    if (!names.empty()) return absl::InvalidArgumentError("\"all\" takes no names; give a kind: servers or pools");
    return std::vector<Resources>{{ResourceKind::kServer, {}}, {ResourceKind::kPool, {}}};
  }
  for (absl::string_view word : absl::StrSplit(args[0], ',')) {
    UNMCP_ASSIGN_OR_RETURN(const ResourceKind kind, ParseKind(word));
    all.push_back({kind, names});
  }
  return all;
}

absl::StatusOr<std::string> ParseServerName(const std::string& arg) {
  if (!absl::StrContains(arg, '/')) return arg;
  UNMCP_ASSIGN_OR_RETURN(const std::vector<Resources> named, ParseResources({arg}));
  if (named[0].kind == ResourceKind::kServer) return named[0].names[0];
  return absl::InvalidArgumentError(absl::StrCat("\"", arg, "\" is a pool; this command is for servers"));
}

}  // namespace unmcp
