#include "cli/remote_cluster.h"

#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace unmcp {
namespace {

constexpr char kServiceAccountToken[] = "/var/run/secrets/kubernetes.io/serviceaccount/token";

}  // namespace

std::optional<std::string> FindRemoteCluster(const std::string& kubeconfig, Environment environment,
                                             absl::FunctionRef<bool(const std::string& path)> readable) {
  if (!kubeconfig.empty()) {
    return readable(kubeconfig) ? std::optional(absl::StrCat("the cluster of ", kubeconfig)) : std::nullopt;
  }
  const std::vector<std::string> files =
      absl::StrSplit(environment("KUBECONFIG").value_or(""), ':', absl::SkipEmpty());
  for (const std::string& path : files) {
    if (readable(path)) return absl::StrCat("the cluster of ", path, " (KUBECONFIG)");
  }
  if (environment("KUBERNETES_SERVICE_HOST").value_or("") != "" && readable(kServiceAccountToken)) {
    return "the cluster that this runs in";
  }
  const std::string home = environment("HOME").value_or("");
  if (!home.empty() && readable(absl::StrCat(home, "/.kube/config"))) return "the cluster of ~/.kube/config";
  return std::nullopt;
}

absl::Status NoRemoteCluster(const std::string& command, const std::string& kubeconfig, Environment environment) {
  const auto found = FindRemoteCluster(kubeconfig, environment,
                                       [](const std::string& path) { return access(path.c_str(), R_OK) == 0; });
  const std::string instead =
      command == "server" ? "to run everything on this machine: unmcp up; to serve the API beside an unmcp-controller "
                            "of this machine: unmcp server --data-dir DIR"
                          : "to run everything on this machine, with a cluster of its own: unmcp up";
  if (found) {
    return absl::UnimplementedError(absl::StrCat("there is ", *found, ", but this version does not speak to remote "
                                                 "clusters yet; ", instead));
  }
  if (!kubeconfig.empty()) {
    return absl::NotFoundError(absl::StrCat("--kubeconfig: ", kubeconfig, " cannot be read; ", instead));
  }
  return absl::NotFoundError(absl::StrCat("there is no Kubernetes cluster here (looked at --kubeconfig, KUBECONFIG, the "
                                          "Pod's service account and ~/.kube/config); ", instead));
}

}  // namespace unmcp
