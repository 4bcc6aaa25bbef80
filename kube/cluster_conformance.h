// What every implementation of kube::Cluster has to do: a suite of tests
// written against the seam alone, true of a real API server first. A
// difference is a bug in the implementation.
//
// Example, in one of a binary's .cc files:
//
//   class EmbeddedUnderTest : public ClusterUnderTest { … };
//   INSTANTIATE_TEST_SUITE_P(Embedded, ClusterConformance,
//                            testing::Values(ClusterFactory([] { return std::make_unique<EmbeddedUnderTest>(); })));
#ifndef UNMCP_KUBE_CLUSTER_CONFORMANCE_H_
#define UNMCP_KUBE_CLUSTER_CONFORMANCE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "kube/await.h"
#include "kube/cluster.h"
#include "kube/object.h"

namespace unmcp::kube {

// A custom resource made for the suite, with every feature of schemas that
// unmcp's own use. The cluster under test has its definition installed.
const Kind& WidgetKind();
Json WidgetCrd();

class ClusterUnderTest {
 public:
  virtual ~ClusterUnderTest() = default;
  virtual Cluster& cluster() = 0;
  // A namespace that exists and that no other test uses.
  virtual std::string NewNamespace() = 0;
};

using ClusterFactory = std::function<std::unique_ptr<ClusterUnderTest>()>;

class ClusterConformance : public testing::TestWithParam<ClusterFactory> {
 protected:
  ClusterConformance()
      : under_test_(GetParam()()), cluster_(under_test_->cluster()), ns_(under_test_->NewNamespace()) {}

  ObjectRef Ref(const std::string& name) const { return {WidgetKind(), ns_, name}; }
  ObjectRef PodRef(const std::string& name) const { return {PodKind(), ns_, name}; }
  // A widget with the one field that is required.
  Object NewWidget(const std::string& name) const;
  // A pod that no scheduler takes.
  Object NewPod(const std::string& name) const;
  static OwnerReference OwnerOf(const Object& owner);

  absl::StatusOr<Object> Create(const Object& object) { return AwaitCreate(cluster_, WidgetKind(), object); }
  // As Create, of what has to succeed.
  Object MustCreate(const Object& object);
  Object MustCreatePod(const Object& object);
  absl::StatusOr<Object> Get(const std::string& name) { return AwaitGet(cluster_, Ref(name)); }
  absl::StatusOr<Object> Patch(const std::string& name, const Json& patch) {
    return AwaitPatch(cluster_, Ref(name), patch);
  }
  absl::StatusOr<Object> PatchStatus(const std::string& name, const Json& patch) {
    return AwaitPatch(cluster_, Ref(name), patch, {"status"});
  }
  absl::Status Delete(const std::string& name, DeleteOptions options = {}) {
    return AwaitDelete(cluster_, Ref(name), std::move(options));
  }
  absl::StatusOr<ObjectList> List(ListOptions options = {}) {
    return AwaitList(cluster_, WidgetKind(), ns_, std::move(options));
  }
  // The version at which a watch sees everything from now on.
  std::string Now();
  static std::string Message(const absl::Status& status);
  // "ADDED a", "DELETED b".
  static std::vector<std::string> Story(const std::vector<WatchEvent>& events);
  // Blocks until the object is gone: garbage collection takes its time.
  bool WaitUntilGone(const ObjectRef& ref);

  const std::unique_ptr<ClusterUnderTest> under_test_;
  Cluster& cluster_;
  const std::string ns_;
};

// The same for a cluster whose nodes run Pods: containers of the image busybox,
// whose command is a script for sh.
class PodConformance : public testing::TestWithParam<ClusterFactory> {
 protected:
  PodConformance();

  // Runs `script`; in it $$ stands for $, as in every command of a container.
  void Run(const std::string& name, const std::string& script, const Json& container = Json::object(),
           const Json& spec = Json::object());
  // The first state of the Pod, since the test began, that is as wanted.
  Object WaitFor(const std::string& name, const std::function<bool(const Object&)>& wanted);

  const std::unique_ptr<ClusterUnderTest> under_test_;
  Cluster& cluster_;
  const std::string ns_;
  std::unique_ptr<WatchRecorder> watch_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_CLUSTER_CONFORMANCE_H_
