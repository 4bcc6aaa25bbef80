#include "cli/remote_cluster.h"

#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

struct Machine {
  std::map<std::string, std::string> variables;
  std::set<std::string> files;

  std::optional<std::string> Get(const char* name) const {
    const auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional(it->second);
  }
  std::optional<std::string> Find(const std::string& flag = "") const {
    return FindRemoteCluster(
        flag, [this](const char* name) { return Get(name); },
        [this](const std::string& path) { return files.contains(path); });
  }
};

constexpr char kToken[] = "/var/run/secrets/kubernetes.io/serviceaccount/token";

TEST(RemoteClusterTest, LooksWhereKubectlLooks) {
  Machine machine{.variables = {{"HOME", "/home/me"},
                                {"KUBECONFIG", "/missing:/second"},
                                {"KUBERNETES_SERVICE_HOST", "10.0.0.1"}},
                  .files = {"/flag", "/second", kToken, "/home/me/.kube/config"}};
  EXPECT_THAT(machine.Find("/flag"), Optional(HasSubstr("/flag")));
  EXPECT_EQ(machine.Find("/absent"), std::nullopt);
  EXPECT_THAT(machine.Find(), Optional(HasSubstr("/second (KUBECONFIG)")));
  machine.variables.erase("KUBECONFIG");
  EXPECT_THAT(machine.Find(), Optional(std::string("the cluster that this runs in")));
  machine.files.erase(kToken);
  EXPECT_THAT(machine.Find(), Optional(std::string("the cluster of ~/.kube/config")));
  machine.files.clear();
  EXPECT_EQ(machine.Find(), std::nullopt);
}

TEST(RemoteClusterTest, SaysWhatToDoInstead) {
  const Machine machine;
  const auto environment = [&](const char* name) { return machine.Get(name); };
  const absl::Status none = NoRemoteCluster("operator", "", environment);
  EXPECT_THAT(std::string(none.message()), HasSubstr("there is no Kubernetes cluster here"));
  EXPECT_THAT(std::string(none.message()), HasSubstr("unmcp up"));
  const absl::Status absent = NoRemoteCluster("server", "/no/such/file", environment);
  EXPECT_THAT(std::string(absent.message()), HasSubstr("--kubeconfig: /no/such/file cannot be read"));
  EXPECT_THAT(std::string(absent.message()), HasSubstr("unmcp server --data-dir"));
  const absl::Status found = NoRemoteCluster("operator", "/proc/self/status", environment);
  EXPECT_THAT(std::string(found.message()), HasSubstr("does not speak to remote clusters yet"));
  EXPECT_THAT(std::string(found.message()), HasSubstr("unmcp up"));
}

}  // namespace
}  // namespace unmcp
