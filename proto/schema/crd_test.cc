#include "proto/schema/crd.h"

#include <algorithm>
#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

Json Schema(const Json& crd) { return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]; }

Json ServerSchema() { return Schema(AllCrds()[0]); }
Json PoolSchema() { return Schema(AllCrds()[1]); }

// Calls `visit` on the schema and on every schema in it.
void Walk(const std::string& path, const Json& schema,
          const std::function<void(const std::string&, const Json&)>& visit) {
  visit(path, schema);
  if (schema.contains("items")) Walk(path + "[]", schema["items"], visit);
  if (schema.contains("additionalProperties")) Walk(path + ".*", schema["additionalProperties"], visit);
  if (schema.contains("properties")) {
    for (const auto& [name, child] : schema["properties"].items()) Walk(absl::StrCat(path, ".", name), child, visit);
  }
}

TEST(CrdTest, NamesAreWhatUsersType) {
  const Json crd = AllCrds()[0];
  EXPECT_EQ(crd["metadata"]["name"], "mcpservers.unmcp.dev");
  EXPECT_EQ(crd["spec"]["names"], Json::parse(R"({"kind":"MCPServer","listKind":"MCPServerList","plural":"mcpservers",
      "singular":"mcpserver","shortNames":["mcp"],"categories":["unmcp"]})"));
  EXPECT_EQ(crd["spec"]["scope"], "Namespaced");
  EXPECT_EQ(crd["spec"]["versions"][0]["subresources"], Json::parse(R"({"status":{}})"));
  const Json pool = AllCrds()[1];
  EXPECT_EQ(pool["spec"]["names"]["shortNames"], Json::parse(R"(["mcpp"])"));
}

// A column whose path leads nowhere is empty for ever, without an error.
TEST(CrdTest, PrinterColumnsShowFieldsOfTheirType) {
  for (const Json& crd : AllCrds()) {
    for (const Json& column : crd["spec"]["versions"][0]["additionalPrinterColumns"]) {
      const std::string path = column["jsonPath"];
      if (path == ".metadata.creationTimestamp") continue;
      std::string found;
      Walk("", Schema(crd), [&](const std::string& p, const Json& schema) {
        if (p == path) found = schema.value("type", "");
      });
      EXPECT_EQ(found, column["type"]) << path;
    }
  }
}

// The API server's bounds on memory and on the cost of validation rest on this.
TEST(CrdTest, EveryStringAndListIsBounded) {
  for (const Json& crd : AllCrds()) {
    Walk(crd["spec"]["names"]["kind"], Schema(crd), [](const std::string& path, const Json& schema) {
      if (absl::EndsWith(path, ".apiVersion") || absl::EndsWith(path, ".kind")) return;  // the API server's own
      if (schema.value("type", "") == "string") {
        EXPECT_TRUE(schema.contains("maxLength") || schema.contains("format")) << path;
      }
      if (schema.value("type", "") == "array") {
        EXPECT_TRUE(schema.contains("maxItems")) << path;
      }
      if (schema.contains("additionalProperties")) {
        EXPECT_TRUE(schema.contains("maxProperties")) << path;
      }
      if (schema.contains("pattern")) {
        // OpenAPI patterns match anywhere; FieldRules says the whole value.
        const std::string pattern = schema["pattern"];
        EXPECT_TRUE(absl::StartsWith(pattern, "^") && absl::EndsWith(pattern, "$")) << path;
      }
    });
  }
}

// Kubernetes refuses a CRD whose list key an entry may lack, or whose
// structure is not stated at every level.
TEST(CrdTest, SchemasAreStructural) {
  for (const Json& crd : AllCrds()) {
    Walk(crd["spec"]["names"]["kind"], Schema(crd), [](const std::string& path, const Json& schema) {
      EXPECT_NE(schema.contains("type"), schema.contains("x-kubernetes-int-or-string")) << path;
      EXPECT_FALSE(schema.contains("properties") && schema.contains("additionalProperties")) << path;
      if (!schema.contains("x-kubernetes-list-map-keys")) return;
      EXPECT_EQ(schema["x-kubernetes-list-type"], "map") << path;
      for (const Json& key : schema["x-kubernetes-list-map-keys"]) {
        EXPECT_TRUE(schema["items"]["properties"].contains(key.get<std::string>())) << path;
        const Json& required = schema["items"]["required"];
        EXPECT_NE(std::find(required.begin(), required.end(), key), required.end()) << path;
      }
    });
  }
}

TEST(CrdTest, FieldsFollowTheirRules) {
  const Json spec = ServerSchema()["properties"]["spec"]["properties"];
  EXPECT_EQ(spec["pool"], Json::parse(R"({"type":"string","maxLength":63,
      "pattern":"^[a-z]([-a-z0-9]*[a-z0-9])?$","default":"default"})"));
  EXPECT_EQ(spec["idleTimeout"],
            Json::parse(R"({"type":"integer","format":"int32","minimum":-1,"maximum":2592000})"));
  EXPECT_EQ(spec["command"], Json::parse(R"({"type":"array","maxItems":64,"items":{"type":"string","maxLength":4096}})"));
  EXPECT_EQ(spec["env"]["items"]["required"], Json::parse(R"(["name"])"));
  EXPECT_EQ(spec["env"]["items"]["properties"]["name"]["minLength"], 1);
  EXPECT_EQ(spec["transport"]["properties"]["type"]["enum"], Json::parse(R"(["stdio","sse","streamable-http"])"));
  EXPECT_EQ(spec["podTemplate"], Json::parse(R"({"type":"object","x-kubernetes-preserve-unknown-fields":true})"));
  EXPECT_EQ(spec["suspend"], Json::parse(R"({"type":"boolean"})"));
  const Json status = ServerSchema()["properties"]["status"]["properties"];
  EXPECT_EQ(status["startedAt"], Json::parse(R"({"type":"string","format":"date-time"})"));
  EXPECT_EQ(status["totalRequests"]["format"], "int64");
}

// kubectl users write memory: 1000000 as well as memory: 1M.
TEST(CrdTest, QuantitiesAreNumbersOrStrings) {
  const Json spec = ServerSchema()["properties"]["spec"]["properties"];
  const Json memory = spec["resources"]["properties"]["limits"]["properties"]["memory"];
  EXPECT_EQ(memory["anyOf"], Json::parse(R"([{"type":"integer"},{"type":"string"}])"));
  EXPECT_EQ(memory["x-kubernetes-int-or-string"], true);
  EXPECT_EQ(memory["pattern"], kQuantityPattern);
}

TEST(CrdTest, DerivedFieldsAreNotStored) {
  const Json status = ServerSchema()["properties"]["status"]["properties"];
  EXPECT_TRUE(status.contains("phase"));
  EXPECT_FALSE(status.contains("isRunning"));
  EXPECT_FALSE(status.contains("isIdle"));
}

TEST(CrdTest, NameFitsAServiceAndALabel) {
  for (const Json& schema : {ServerSchema(), PoolSchema()}) {
    const Json name = schema["properties"]["metadata"]["properties"]["name"];
    EXPECT_EQ(name["maxLength"], 63);
    EXPECT_EQ(name["pattern"], "^[a-z]([-a-z0-9]*[a-z0-9])?$");
  }
}

// The API server fills in a default only where its parent exists.
TEST(CrdTest, ObjectsWithDefaultsInsideAreDefaultedThemselves) {
  const Json server = ServerSchema()["properties"];
  EXPECT_EQ(server["spec"]["default"], Json::object());
  EXPECT_FALSE(server["spec"]["properties"]["transport"].contains("default"));
  EXPECT_FALSE(server["status"].contains("default"));
  EXPECT_EQ(PoolSchema()["properties"]["spec"]["properties"]["maxServersActive"]["default"], 100);
}

TEST(CrdTest, CommentsBecomeDescriptions) {
  const Json schema = Schema(AllCrds(/*described=*/true)[0]);
  EXPECT_THAT(schema["description"].get<std::string>(), HasSubstr("One MCP server"));
  const Json spec = schema["properties"]["spec"];
  EXPECT_EQ(spec["properties"]["pool"]["description"], "Name of the MCPPool that schedules this server.");
  EXPECT_EQ(spec["properties"]["env"]["items"]["description"], "An environment variable.");
  EXPECT_THAT(spec["properties"]["idleTimeout"]["description"].get<std::string>(),
              HasSubstr("subscription after which\nthe server"));
}

TEST(FillDefaultsTest, FillsWhatIsAbsentAndKeepsWhatIsThere) {
  Json spec = {{"maxServersActive", 3}};
  FillDefaults(v1::MCPPoolSpec::descriptor(), &spec);
  EXPECT_EQ(spec, Json::parse(R"({"maxServersActive":3,"maxServersLimit":100,"defaultIdleTimeout":60,
                                  "minServersWarm":0})"));
  // What servers inherit from their pool has to stay absent until then.
  Json server = Json::object();
  FillDefaults(v1::MCPServer::descriptor(), &server);
  EXPECT_EQ(server, Json::parse(R"({"spec":{"pool":"default"}})"));
  Json wrong = {{"spec", "stdio"}};
  FillDefaults(v1::MCPServer::descriptor(), &wrong);
  EXPECT_EQ(wrong["spec"], "stdio");
}

}  // namespace
}  // namespace unmcp
