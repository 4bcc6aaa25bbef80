#include "kube/embedded/pod_honored.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Object Pod(Json spec) {
  Object pod(PodKind(), "default", "p");
  pod.json()["spec"] = std::move(spec);
  return pod;
}

TEST(FieldsWithoutEffect, NoneOfWhatANodeDoes) {
  EXPECT_THAT(FieldsWithoutEffect(Pod(R"({
    "restartPolicy": "Always", "terminationGracePeriodSeconds": 5, "hostNetwork": true, "tolerations": [{"key": "x"}],
    "securityContext": {}, "volumes": [], "automountServiceAccountToken": false, "shareProcessNamespace": false,
    "containers": [{
      "name": "server", "image": "x", "command": ["x"], "args": ["y"], "env": [{"name": "A"}], "stdin": true,
      "envFrom": [{"secretRef": {"name": "s"}}], "workingDir": "/", "tty": false,
      "ports": [{"name": "http", "containerPort": 8080, "hostPort": 8080, "protocol": "TCP"}],
      "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}},
      "readinessProbe": {"httpGet": {"path": "/", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 5}
    }]})"_json)),
              IsEmpty());
  EXPECT_THAT(FieldsWithoutEffect(Pod(Json::object())), IsEmpty());
}

TEST(FieldsWithoutEffect, EveryOneThatIsSetIsNamed) {
  EXPECT_THAT(
      FieldsWithoutEffect(Pod(R"({
    "volumes": [{"name": "v"}], "nodeSelector": {"gpu": "yes"}, "securityContext": {"runAsUser": 7},
    "initContainers": [{"name": "i"}], "hostPID": true, "activeDeadlineSeconds": 5,
    "containers": [{
      "name": "server", "tty": true, "volumeMounts": [{"name": "v"}], "livenessProbe": {"tcpSocket": {"port": 1}},
      "lifecycle": {"preStop": {}}, "resources": {"limits": {"nvidia.com/gpu": 1}},
      "ports": [{"containerPort": 8080, "hostPort": 80}], "readinessProbe": {"exec": {"command": ["x"]}}
    }, {"name": "sidecar"}]})"_json)),
      UnorderedElementsAre("spec.volumes", "spec.nodeSelector", "spec.securityContext", "spec.initContainers",
                           "spec.hostPID", "spec.activeDeadlineSeconds", "spec.containers[1]",
                           "spec.containers[0].tty", "spec.containers[0].volumeMounts",
                           "spec.containers[0].livenessProbe", "spec.containers[0].lifecycle",
                           "spec.containers[0].resources.limits.nvidia.com/gpu",
                           "spec.containers[0].ports[0].hostPort", "spec.containers[0].readinessProbe.exec"));
  EXPECT_THAT(FieldsWithoutEffect(Pod(
                  R"({"containers": [{"name": "s", "readinessProbe": {"httpGet": {"scheme": "HTTPS"}}}]})"_json)),
              ElementsAre("spec.containers[0].readinessProbe.httpGet.scheme"));
}

}  // namespace
}  // namespace unmcp::kube
