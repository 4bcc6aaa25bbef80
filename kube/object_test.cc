#include "kube/object.h"

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

TEST(Object, ANewOneNamesItsKind) {
  const Object pod(PodKind(), "ns", "p");
  EXPECT_EQ(pod.json(), Json::parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"ns","name":"p"}})"));
  EXPECT_EQ(Object(MCPServerKind(), "ns", "s").api_version(), "unmcp.dev/v1");
  // As generateName wants it.
  EXPECT_FALSE(Object(PodKind(), "ns", "").json()["metadata"].contains("name"));
}

TEST(Object, GettersTakeWhateverIsThere) {
  for (const char* text : {"null", "[]", "{}", R"({"metadata": 1, "spec": [], "kind": 2})",
                           R"({"metadata": {"name": 1, "labels": 2, "annotations": [], "generation": "x",
                               "ownerReferences": [1]}})"}) {
    const Object object(Json::parse(text));
    EXPECT_EQ(object.name(), "") << text;
    EXPECT_EQ(object.kind(), "") << text;
    EXPECT_EQ(object.generation(), 0) << text;
    EXPECT_FALSE(object.deleting()) << text;
    EXPECT_TRUE(object.labels().empty()) << text;
    EXPECT_EQ(object.annotation("a"), "") << text;
    EXPECT_EQ(object.controller_uid(), "") << text;
    EXPECT_TRUE(object.spec().is_object()) << text;
  }
}

TEST(Object, OwnersAreKeptOncePerUid) {
  Object object(PodKind(), "ns", "p");
  object.AddOwner({"v1", "Pod", "other", "1", false});
  object.AddOwner({"unmcp.dev/v1", "MCPServer", "s", "2", true});
  object.AddOwner({"unmcp.dev/v1", "MCPServer", "renamed", "2", true});
  ASSERT_EQ(object.owners().size(), 2u);
  EXPECT_EQ(object.owners()[1].name, "renamed");
  EXPECT_EQ(object.controller_uid(), "2");
  EXPECT_EQ(object.json()["metadata"]["ownerReferences"][1]["blockOwnerDeletion"], true);
  EXPECT_FALSE(object.json()["metadata"]["ownerReferences"][0].contains("controller"));
}

TEST(Kind, ApiVersions) {
  EXPECT_EQ(PodKind().ApiVersion(), "v1");
  EXPECT_EQ(LeaseKind().ApiVersion(), "coordination.k8s.io/v1");
  EXPECT_EQ(MCPPoolKind().plural, "mcppools");
}

}  // namespace
}  // namespace unmcp::kube
