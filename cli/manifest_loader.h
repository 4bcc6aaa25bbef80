// Manifests of MCPServers and MCPPools from files: what `unmcp up -f` reads.
// They are the same files that kubectl applies to a cluster.
//
//   UNMCP_ASSIGN_OR_RETURN(auto objects, LoadManifests({"examples/"}, "default"));
//
// Reading is strict, so that a misspelt field is an error here and not a server
// that behaves strangely later. Errors name file, line, document and field:
//
//   examples/a.yaml:7: document 2: spec.comand: unknown field; did you mean "command"?
#ifndef UNMCP_CLI_MANIFEST_LOADER_H_
#define UNMCP_CLI_MANIFEST_LOADER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kube/object.h"

namespace unmcp {

// More than 50,000 servers; a file beyond it was named by mistake.
inline constexpr size_t kMaxManifestBytes = 16 << 20;

// Reads each path: a file, or a directory, of which the *.yaml, *.yml and
// *.json files are read in the order of their names (hidden ones and
// sub-directories are not). YAML files may hold several documents; lists
// (kind List, MCPServerList, MCPPoolList) are taken apart.
//
// What comes back has apiVersion, kind, metadata (name, namespace, labels,
// annotations) and spec; what an API server adds to an object (uid, status, …)
// is dropped, so that the output of `kubectl get -o yaml` can be read. Objects
// are in the order read; none is there twice. `ns` is the namespace of objects
// that name none; another is an error.
//
// Errors: NOT_FOUND (no such file, or no manifest in a directory),
// INVALID_ARGUMENT.
absl::StatusOr<std::vector<kube::Object>> LoadManifests(const std::vector<std::string>& paths, const std::string& ns);

}  // namespace unmcp

#endif  // UNMCP_CLI_MANIFEST_LOADER_H_
