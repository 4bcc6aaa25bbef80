#include "controller/build.h"

#include <string>

#include "common/proto_json.h"
#include "controller/effective_spec.h"
#include "gtest/gtest.h"

namespace unmcp::controller {
namespace {

using kube::Json;

v1::MCPServerSpec Spec(Json json) {
  if (!json.contains("url")) json["command"] = {"x"};
  v1::MCPServerSpec own;
  const absl::Status status = FromJson(json, UnknownFields::kReject, &own);
  EXPECT_TRUE(status.ok()) << status;
  const Declaration declared = Declare(own, nullptr, /*runs_images=*/true);
  EXPECT_TRUE(declared.status.ok()) << declared.status;
  return declared.spec;
}

v1::MCPServer Server() {
  v1::MCPServer server;
  server.set_name("a");
  server.set_namespace_("default");
  server.set_uid("uid");
  return server;
}

Json Pod(const Json& spec) { return BuildPod(Server(), Spec(spec), "hash", 4).json(); }
Json Container(const Json& spec) { return Pod(spec)["spec"]["containers"][0]; }
std::string Hash(const Json& spec) { return SpecHash(Spec(spec)); }

TEST(BuildPod, BearsItsServerAndItsLife) {
  const Json pod = Pod(Json::object());
  EXPECT_EQ(pod["metadata"]["name"], "a-4");
  EXPECT_EQ(pod["metadata"]["labels"], Json({{"unmcp.dev/server", "a"}, {"unmcp.dev/incarnation", "4"}}));
  EXPECT_EQ(pod["metadata"]["annotations"], Json({{"unmcp.dev/spec-hash", "hash"}}));
  EXPECT_EQ(pod["metadata"]["ownerReferences"][0]["uid"], "uid");
  EXPECT_EQ(pod["spec"]["restartPolicy"], "Always");
}

TEST(BuildPod, CommandArgumentsImageAndResources) {
  const Json container = Container(
      {{"args", {"y"}},
       {"image", "i"},
       {"resources", {{"requests", {{"cpu", "100m"}}}, {"limits", {{"cpu", "1"}, {"memory", "1Gi"}}}}}});
  EXPECT_EQ(container["command"], Json::array({"x"}));
  EXPECT_EQ(container["args"], Json::array({"y"}));
  EXPECT_EQ(container["image"], "i");
  EXPECT_EQ(container["resources"],
            Json({{"requests", {{"cpu", "100m"}}}, {"limits", {{"cpu", "1"}, {"memory", "1Gi"}}}}));
  EXPECT_EQ(Container(Json::object())["image"], kNoImage);
  EXPECT_FALSE(Container(Json::object()).contains("resources"));
}

TEST(BuildPod, EnvironmentAsKubernetesHasIt) {
  const Json secret = {{"name", "s"}, {"key", "k"}, {"optional", true}};
  const Json env = {{{"name", "A"}, {"value", "1"}},
                    {{"name", "B"}, {"valueFrom", {{"secretKeyRef", secret}}}},
                    {{"name", "C"}, {"valueFrom", {{"configMapKeyRef", {{"name", "s"}, {"key", "k"}}}}}},
                    {{"name", "D"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}}}};
  EXPECT_EQ(Container({{"env", env}})["env"], env);
}

TEST(BuildPod, OnlyAServerOnStdioHasAStdin) {
  EXPECT_EQ(Container(Json::object())["stdin"], true);
  for (const char* type : {"sse", "streamable-http"}) {
    const Json container = Container({{"transport", {{"type", type}, {"port", 8000}}}});
    EXPECT_FALSE(container.contains("stdin"));
    EXPECT_EQ(container["ports"][0]["containerPort"], 8000);
    EXPECT_EQ(container["readinessProbe"]["tcpSocket"]["port"], 8000);
    EXPECT_EQ(container["env"], Json({{{"name", "PORT"}, {"value", "8000"}}}));
  }
}

TEST(BuildPod, ThePortIsToldUnlessTheUserSaysOtherwise) {
  const Json transport = {{"type", "sse"}, {"port", 8000}};
  EXPECT_EQ(Container({{"transport", transport}, {"env", {{{"name", "URL"}, {"value", "http://x:$(PORT)"}}}}})["env"],
            Json({{{"name", "PORT"}, {"value", "8000"}}, {{"name", "URL"}, {"value", "http://x:$(PORT)"}}}))
      << "first, so that it can be referred to";
  EXPECT_EQ(Container({{"transport", transport}, {"env", {{{"name", "PORT"}, {"value", "1"}}}}})["env"].size(), 1u);
}

TEST(BuildPod, TheTemplateIsMergedOverIt) {
  const Json pod = Pod({{"podTemplate",
                         {{"metadata", {{"labels", {{"team", "a"}}}, {"annotations", {{"note", "b"}}}}},
                          {"spec",
                           {{"terminationGracePeriodSeconds", nullptr},
                            {"nodeSelector", {{"disk", "ssd"}}},
                            {"containers", {{{"name", "side"}, {"image", "s"}},
                                            {{"name", "server"}, {"workingDir", "/srv"}}}}}}}}});
  EXPECT_EQ(pod["metadata"]["labels"]["team"], "a");
  EXPECT_EQ(pod["metadata"]["labels"]["unmcp.dev/server"], "a");
  EXPECT_EQ(pod["metadata"]["annotations"]["note"], "b");
  EXPECT_EQ(pod["metadata"]["annotations"]["unmcp.dev/spec-hash"], "hash");
  EXPECT_FALSE(pod["spec"].contains("terminationGracePeriodSeconds"));
  EXPECT_EQ(pod["spec"]["nodeSelector"], Json({{"disk", "ssd"}}));
  ASSERT_EQ(pod["spec"]["containers"].size(), 2u);
  EXPECT_EQ(pod["spec"]["containers"][0]["workingDir"], "/srv");
  EXPECT_EQ(pod["spec"]["containers"][0]["command"], Json::array({"x"}));
  EXPECT_EQ(pod["spec"]["containers"][1], Json({{"name", "side"}, {"image", "s"}}));
}

TEST(SpecHash, ChangesWithWhatReachesTheProcessOnly) {
  const std::string hash = Hash(Json::object());
  EXPECT_EQ(Hash({{"idleTimeout", 5}, {"suspend", true}, {"pool", "other"}, {"startupTimeout", 7}}), hash);
  for (const Json& edit : {Json{{"args", {"y"}}}, Json{{"env", {{{"name", "A"}}}}}, Json{{"image", "i"}},
                           Json{{"resources", {{"limits", {{"cpu", "1"}}}}}}, Json{{"transport", {{"port", 1}}}},
                           Json{{"podTemplate", {{"metadata", {{"labels", {{"a", "b"}}}}}}}}}) {
    EXPECT_NE(Hash(edit), hash) << edit;
  }
  EXPECT_NE(Hash({{"transport", {{"type", "sse"}, {"port", 1}, {"path", "/a"}}}}),
            Hash({{"transport", {{"type", "sse"}, {"port", 1}, {"path", "/b"}}}}));
}

TEST(SpecHash, OfAServerElsewhereIsOfTheWayToIt) {
  const std::string hash = Hash({{"url", "http://a"}});
  EXPECT_EQ(Hash({{"url", "http://a"}, {"idleTimeout", 5}, {"env", {{{"name", "A"}}}}}), hash);
  EXPECT_NE(Hash({{"url", "http://b"}}), hash);
  EXPECT_NE(Hash({{"url", "http://a"}, {"headers", {{{"name", "A"}, {"value", "b"}}}}}), hash);
  EXPECT_NE(Hash({{"url", "http://a"}, {"transport", {{"type", "sse"}}}}), hash);
  EXPECT_NE(Hash({{"url", "http://a/$(A)"}, {"env", {{{"name", "A"}, {"value", "1"}}}}}),
            Hash({{"url", "http://a/$(A)"}, {"env", {{{"name", "A"}, {"value", "2"}}}}}));
}

TEST(BuildService, HasThePortOfAServerThatListens) {
  const Json listens = BuildService(Server(), Spec({{"transport", {{"type", "sse"}, {"port", 8000}}}}), 4).json();
  EXPECT_EQ(listens["spec"]["ports"], Json({{{"name", "mcp"}, {"port", 8000}, {"targetPort", 8000}}}));
  EXPECT_EQ(listens["spec"]["clusterIP"], "None");
  EXPECT_EQ(listens["spec"]["selector"]["unmcp.dev/incarnation"], "4");
  EXPECT_FALSE(BuildService(Server(), Spec(Json::object()), 4).json()["spec"].contains("ports"));
}

}  // namespace
}  // namespace unmcp::controller
