// What `-f` reads: Kubernetes manifests of MCPServers and MCPPools (the same files
// that kubectl applies to a cluster), of the Secrets and ConfigMaps that they
// refer to, and the configuration files of MCP clients (see
// cli/import/client_config.h). JSON may have comments and trailing commas.
//
//   UNMCP_ASSIGN_OR_RETURN(auto objects, LoadManifests({"examples/"}, {.ns = "default"}));
//
// Reading is strict, so that a misspelt field is an error here and not a server
// that behaves strangely later. Errors name file, line, document and field:
//
//   examples/a.yaml:7: document 2: spec.comand: unknown field; did you mean "command"?
#ifndef UNMCP_CLI_MANIFEST_LOADER_H_
#define UNMCP_CLI_MANIFEST_LOADER_H_

#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/import/placeholders.h"
#include "kube/object.h"

namespace unmcp {

// More than 50,000 servers; a file beyond it was named by mistake.
inline constexpr size_t kMaxManifestBytes = 16 << 20;

struct LoadOptions {
  // Of objects that name none; another is an error.
  std::string ns;
  // For client configurations: the process's environment variables, and the
  // values of inputs. Without `inputs` a file that needs one is an error.
  std::function<std::optional<std::string>(const std::string& name)> environment = [](const std::string&) {
    return std::nullopt;
  };
  InputValues* inputs = nullptr;
  // Of client configurations only the names of their servers matter: what comes
  // back for them has no spec.
  bool names_only = false;
  // What the user should be told of a file that was read, one sentence at a time.
  std::function<void(const std::string& note)> note = [](const std::string&) {};
  // What "-" reads.
  std::istream* standard_input = nullptr;
};

// Reads each path: a file, "-", or a directory, of which the *.yaml, *.yml and
// *.json files are read in the order of their names (hidden ones and
// sub-directories are not). YAML files may hold several documents; lists
// (kind List, MCPServerList, MCPPoolList) are taken apart.
//
// What comes back has apiVersion, kind, metadata (name, namespace, labels,
// annotations) and spec (Secrets and ConfigMaps: type, data and stringData);
// what an API server adds to an object (uid, status, …) is dropped, so that the
// output of `kubectl get -o yaml` can be read. Secrets and ConfigMaps come
// first, then pools, then servers, each in the order read: what is referred to
// is there before who refers to it. None is there twice.
//
// Errors: NOT_FOUND (no such file, or no manifest in a directory),
// INVALID_ARGUMENT.
absl::StatusOr<std::vector<kube::Object>> LoadManifests(const std::vector<std::string>& paths,
                                                        const LoadOptions& options);

}  // namespace unmcp

#endif  // UNMCP_CLI_MANIFEST_LOADER_H_
