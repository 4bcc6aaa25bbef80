#include "controller/effective_spec.h"

#include <string>

#include "common/proto_json.h"
#include "controller/build.h"
#include "gtest/gtest.h"
#include "kube/object.h"

namespace unmcp::controller {
namespace {

using kube::Json;

template <class Message>
Message Of(const Json& json) {
  Message message;
  const absl::Status status = FromJson(json, UnknownFields::kReject, &message);
  EXPECT_TRUE(status.ok()) << status;
  return message;
}

Json Effective(const Json& own, const Json& pool = Json::object()) {
  const auto pool_spec = Of<v1::MCPPoolSpec>(pool);
  return ToJson(EffectiveSpec(Of<v1::MCPServerSpec>(own), &pool_spec));
}

Declaration Declared(const Json& own, const Json& pool = Json::object(), bool runs_images = false) {
  const auto pool_spec = Of<v1::MCPPoolSpec>(pool);
  return Declare(Of<v1::MCPServerSpec>(own), &pool_spec, runs_images);
}

TEST(EffectiveSpec, DefaultsWhereNobodySaysAnything) {
  const Json expected = {{"pool", "default"},     {"command", {"x"}},       {"transport", {{"type", "stdio"}}},
                         {"idleTimeout", 60},     {"startupTimeout", 120}, {"isolation", "shared"}};
  EXPECT_EQ(Effective({{"command", {"x"}}}), expected);
  EXPECT_EQ(ToJson(EffectiveSpec(Of<v1::MCPServerSpec>({{"command", {"x"}}}), nullptr)), expected);
}

TEST(EffectiveSpec, EachTransportHasItsPath) {
  const auto transport = [](const Json& own) { return Effective(own)["transport"]; };
  EXPECT_EQ(transport({{"transport", {{"type", "sse"}, {"port", 80}}}}),
            Json({{"type", "sse"}, {"port", 80}, {"path", "/sse"}}));
  EXPECT_EQ(transport({{"transport", {{"type", "streamable-http"}, {"port", 80}}}})["path"], "/mcp");
  EXPECT_EQ(transport({{"transport", {{"type", "sse"}, {"port", 80}, {"path", "/x"}}}})["path"], "/x");
  EXPECT_EQ(transport({{"url", "https://a/b"}}), Json({{"type", "streamable-http"}})) << "the url has the path";
  EXPECT_EQ(transport({{"url", "https://a/b"}, {"transport", {{"type", "sse"}}}}), Json({{"type", "sse"}}));
}

TEST(EffectiveSpec, InheritsWhatTheServerDoesNotSet) {
  const Json pool = {{"defaultIdleTimeout", 7},
                     {"defaultResources", {{"limits", {{"memory", "1Gi"}}}}},
                     {"serverDefaults",
                      {{"image", "i"},
                       {"startupTimeout", 9},
                       {"isolation", "session"},
                       {"transport", {{"type", "sse"}, {"port", 80}, {"path", "/p"}}}}}};
  const Json bare = Effective({{"command", {"x"}}}, pool);
  EXPECT_EQ(bare["idleTimeout"], 7);
  EXPECT_EQ(bare["startupTimeout"], 9);
  EXPECT_EQ(bare["isolation"], "session");
  EXPECT_EQ(bare["image"], "i");
  EXPECT_EQ(bare["resources"], Json({{"limits", {{"memory", "1Gi"}}}}));
  EXPECT_EQ(bare["transport"], Json({{"type", "sse"}, {"port", 80}, {"path", "/p"}}));

  const Json own = {{"image", "mine"},      {"idleTimeout", -1},
                    {"startupTimeout", 1},  {"isolation", "shared"},
                    {"resources", {{"limits", {{"cpu", "1"}}}}}, {"transport", {{"type", "sse"}, {"port", 81}}}};
  const Json set = Effective(own, pool);
  for (const char* field : {"image", "idleTimeout", "startupTimeout", "isolation", "resources"}) {
    EXPECT_EQ(set[field], own[field]) << field;
  }
  EXPECT_EQ(set["transport"], Json({{"type", "sse"}, {"port", 81}, {"path", "/p"}}));
  EXPECT_EQ(Effective({{"transport", {{"type", "stdio"}}}}, pool)["transport"], Json({{"type", "stdio"}}))
      << "the port is that of another type";
}

TEST(EffectiveSpec, ListsAreMergedByNameAndTheServerWins) {
  const Json pool = {{"serverDefaults",
                      {{"env", {{{"name", "A"}, {"value", "pool"}}, {{"name", "B"}, {"value", "pool"}}}},
                       {"headers", {{{"name", "X-Key"}, {"value", "pool"}}}}}}};
  const Json merged = Effective(
      {{"env", {{{"name", "C"}, {"value", "own"}}, {{"name", "A"}, {"value", "own"}}}},
       {"headers", {{{"name", "x-key"}, {"value", "own"}}}}},
      pool);
  EXPECT_EQ(merged["env"], Json({{{"name", "A"}, {"value", "own"}},
                                 {{"name", "B"}, {"value", "pool"}},
                                 {{"name", "C"}, {"value", "own"}}}));
  EXPECT_EQ(merged["headers"], Json({{{"name", "x-key"}, {"value", "own"}}})) << "header names have no case";
}

TEST(EffectiveSpec, TheServersTemplateIsMergedOverThePoolsAndItsNullWins) {
  const Json pool = {
      {"serverDefaults",
       {{"podTemplate",
         {{"metadata", {{"labels", {{"team", "a"}, {"tier", "b"}}}}},
          {"spec", {{"nodeSelector", {{"disk", "ssd"}}},
                    {"containers", {{{"name", "server"}, {"workingDir", "/srv"}}, {{"name", "side"}}}}}}}}}}};
  const Json own = {
      {"podTemplate",
       {{"metadata", {{"labels", {{"team", nullptr}}}}},
        {"spec",
         {{"nodeSelector", nullptr}, {"containers", {{{"name", "server"}, {"imagePullPolicy", "Always"}}}}}}}}};
  const Json merged = Effective(own, pool)["podTemplate"];
  EXPECT_EQ(merged["metadata"]["labels"], Json({{"team", nullptr}, {"tier", "b"}}));
  EXPECT_EQ(merged["spec"]["nodeSelector"], Json());
  EXPECT_EQ(merged["spec"]["containers"],
            Json({{{"name", "server"}, {"workingDir", "/srv"}, {"imagePullPolicy", "Always"}}, {{"name", "side"}}}));
  EXPECT_FALSE(Effective({{"podTemplate", {{"spec", nullptr}}}}, pool)["podTemplate"].contains("spec"))
      << "back to what unmcp makes, not to a Pod without a spec";
}

TEST(EffectiveSpec, AServerElsewhereInheritsOnlyTheWayToIt) {
  const Json pool = {{"defaultIdleTimeout", 7},
                     {"defaultResources", {{"limits", {{"memory", "1Gi"}}}}},
                     {"serverDefaults",
                      {{"image", "i"},
                       {"env", {{{"name", "A"}}}},
                       {"headers", {{{"name", "X"}, {"value", "v"}}}},
                       {"podTemplate", {{"spec", Json::object()}}},
                       {"transport", {{"type", "sse"}, {"port", 80}, {"path", "/p"}}}}}};
  EXPECT_EQ(Effective({{"url", "http://a/"}}, pool),
            Json({{"pool", "default"},
                  {"url", "http://a/"},
                  {"idleTimeout", 7},
                  {"startupTimeout", 120},
                  {"isolation", "shared"},
                  {"headers", {{{"name", "X"}, {"value", "v"}}}},
                  {"transport", {{"type", "sse"}}}}));
  EXPECT_TRUE(Declared({{"url", "http://a/"}}, pool).status.ok());
}

TEST(Declare, SaysWhereARuleIsBroken) {
  EXPECT_EQ(Declared({{"command", {"x"}}, {"idleTimeout", -2}}).status.message(),
            "spec.idleTimeout: must be at least -1");
  EXPECT_EQ(Declared({{"command", {"x"}}}, {{"serverDefaults", {{"transport", {{"type", "sse"}}}}}}).status.message(),
            "with what it inherits from pool \"default\": spec.transport.port: is required for the type sse without "
            "a url: the port that the server's process listens on");
  EXPECT_EQ(Declared({{"command", {"x"}}, {"idleTimeout", -2}}).hash, "");
}

TEST(Declare, ATemplateThatFightsForWhatIsOursIsRefusedByItsPath) {
  const auto refused = [](const Json& pod_template) {
    const Declaration declared = Declared({{"command", {"x"}}, {"podTemplate", pod_template}});
    return std::string(declared.status.message().substr(0, declared.status.message().find(':')));
  };
  EXPECT_EQ(refused({{"metadata", {{"name", "x"}}}}), "spec.podTemplate.metadata.name");
  EXPECT_EQ(refused({{"metadata", {{"ownerReferences", Json::array()}}}}),
            "spec.podTemplate.metadata.ownerReferences");
  EXPECT_EQ(refused({{"metadata", {{"labels", {{"unmcp.dev/server", "x"}}}}}}),
            "spec.podTemplate.metadata.labels['unmcp.dev/server']");
  EXPECT_EQ(refused({{"metadata", {{"annotations", {{"a", 1}}}}}}), "spec.podTemplate.metadata.annotations['a']");
  EXPECT_EQ(refused({{"spec", {{"containers", {{{"name", "server"}, {"stdin", false}}}}}}}),
            "spec.podTemplate.spec.containers[0].stdin");
  EXPECT_EQ(refused({{"spec", {{"containers", {{{"image", "x"}}}}}}}), "spec.podTemplate.spec.containers[0].name");
  EXPECT_EQ(refused({{"spec", {{"containers", {{"name", "x"}}}}}}), "spec.podTemplate.spec.containers");
  EXPECT_EQ(refused({{"spec", {{"containers", {1}}}}}), "spec.podTemplate.spec.containers[0].name");
  EXPECT_EQ(refused({{"metadata", {{"labels", {{"team", "a"}}}}}, {"spec", {{"nodeName", "n"}}}}), "");
  const Declaration of_pool =
      Declared({{"command", {"x"}}}, {{"serverDefaults", {{"podTemplate", {{"metadata", {{"uid", "1"}}}}}}}});
  EXPECT_EQ(of_pool.status.message().find("pool \"default\": spec.serverDefaults.podTemplate.metadata.uid"), 0u)
      << of_pool.status;
}

TEST(Declare, NamesFieldsThatDoNothing) {
  EXPECT_EQ(Declared({{"command", {"x"}}}).unused, "");
  EXPECT_NE(Declared({{"url", "http://a"}, {"env", {{{"name", "A"}}}}}).unused.find("spec.env not used"),
            std::string::npos);
  const Json in_url = {{{"name", "A"}, {"value", "a"}}, {{"name", "B"}}};
  const std::string unused = Declared({{"url", "http://a/$(A)"}, {"env", in_url}}).unused;
  EXPECT_EQ(unused.find("spec.env[1] not used"), 0u) << unused;
  EXPECT_NE(Declared({{"command", {"x"}}, {"headers", {{{"name", "A"}}}}}).unused.find("spec.headers not used"),
            std::string::npos);
  const Json both = {{"command", {"x"}}, {"image", "i"}};
  EXPECT_NE(Declared(both).unused.find("spec.image not used"), std::string::npos);
  EXPECT_EQ(Declared(both, Json::object(), /*runs_images=*/true).unused, "");
}

}  // namespace
}  // namespace unmcp::controller
