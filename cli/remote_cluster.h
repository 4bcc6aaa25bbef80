// Where a Kubernetes cluster would be reached from here.
#ifndef UNMCP_CLI_REMOTE_CLUSTER_H_
#define UNMCP_CLI_REMOTE_CLUSTER_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "serve/flags.h"

namespace unmcp {

// Looks where kubectl looks: `kubeconfig` (of --kubeconfig, when not empty),
// the files that KUBECONFIG names, the service account of the Pod that this is,
// ~/.kube/config. Answers what it found, in words; nullopt for no cluster.
// `readable` tells whether a file can be read.
std::optional<std::string> FindRemoteCluster(const std::string& kubeconfig, Environment environment,
                                             absl::FunctionRef<bool(const std::string& path)> readable);

// Why `unmcp operator` and `unmcp server` cannot begin, and what to do: this
// version has a cluster of its own, and no client for another's API.
// `command` is "operator" or "server".
absl::Status NoRemoteCluster(const std::string& command, const std::string& kubeconfig, Environment environment);

}  // namespace unmcp

#endif  // UNMCP_CLI_REMOTE_CLUSTER_H_
