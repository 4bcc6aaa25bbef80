#include "gateway/openapi.h"

#include <functional>
#include <regex>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp::gateway {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;

json Document() {
  static const std::vector<RestRoute>* const rest = [] {
    auto routes = LoadRestRoutes("unmcp.v1");
    EXPECT_TRUE(routes.ok()) << routes.status();
    return new std::vector<RestRoute>(*std::move(routes));
  }();
  std::vector<ApiRoute> routes = {{"GET", "/health"}, {"GET", "/ready"}, {"POST", "/api/v1/servers/{uid}/message"}};
  for (const RestRoute& route : *rest) routes.push_back({route.http_method, route.path_template, &route});
  auto document = OpenApiDocument(routes, "1.2.3");
  EXPECT_TRUE(document.ok()) << document.status();
  return *std::move(document);
}

// Every object in the document, with its place.
void Walk(const std::string& place, const json& node, const std::function<void(const std::string&, const json&)>& visit) {
  if (node.is_object()) {
    visit(place, node);
    for (const auto& [key, child] : node.items()) Walk(absl::StrCat(place, "/", key), child, visit);
  } else if (node.is_array()) {
    for (size_t i = 0; i < node.size(); ++i) Walk(absl::StrCat(place, "/", i), node[i], visit);
  }
}

json Parameter(const json& operation, const std::string& name) {
  for (const json& parameter : operation["parameters"]) {
    if (parameter["name"] == name) return parameter;
  }
  return nullptr;
}

// The rules of the specification that a document made by a program breaks first;
// tests/e2e has a validator look at the whole.
TEST(OpenApiTest, IsWellFormed) {
  const json document = Document();
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_EQ(document["info"]["version"], "1.2.3");
  std::set<std::string> ids;
  for (const auto& [path, operations] : document["paths"].items()) {
    std::set<std::string> in_path;
    const std::regex variable("\\{([^}]+)\\}");
    for (std::sregex_iterator it(path.begin(), path.end(), variable), end; it != end; ++it) in_path.insert((*it)[1]);
    for (const auto& [method, operation] : operations.items()) {
      const std::string where = method + " " + path;
      EXPECT_TRUE(ids.insert(operation["operationId"]).second) << where;
      EXPECT_FALSE(operation["responses"].empty()) << where;
      EXPECT_TRUE(operation.contains("summary")) << where << ": a method without a comment";
      std::set<std::pair<std::string, std::string>> names;
      std::set<std::string> declared;
      for (const json& parameter : operation.value("parameters", json::array())) {
        EXPECT_TRUE(names.emplace(parameter["in"], parameter["name"]).second) << where << " " << parameter;
        EXPECT_TRUE(parameter.contains("schema")) << where << " " << parameter;
        if (parameter["in"] != "path") continue;
        declared.insert(parameter["name"].get<std::string>());
        EXPECT_EQ(parameter["required"], true) << where;
      }
      EXPECT_EQ(declared, in_path) << where;
      for (const auto& [code, response] : operation["responses"].items()) {
        EXPECT_TRUE(response.contains("$ref") || response.contains("description")) << where << " " << code;
      }
    }
  }
  Walk("#", document, [&](const std::string& place, const json& node) {
    if (!node.contains("$ref")) return;
    const std::string target = node["$ref"];
    ASSERT_TRUE(absl::StartsWith(target, "#/")) << place;
    EXPECT_TRUE(document.contains(json::json_pointer(target.substr(1)))) << place << ": " << target;
  });
}

TEST(OpenApiTest, SaysWhatAMethodTakesAndGives) {
  const json document = Document();
  const json create = document["paths"]["/api/v1/servers"]["post"];
  EXPECT_EQ(create["operationId"], "CreateServer");
  EXPECT_EQ(create["summary"], "Declares a server: name and spec.");
  EXPECT_EQ(create["requestBody"]["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/MCPServer");
  EXPECT_EQ(create["responses"]["201"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/MCPServer");
  EXPECT_TRUE(create["responses"]["201"]["headers"].contains("Location"));
  for (const char* code : {"400", "403", "409", "413", "415", "503"}) EXPECT_TRUE(create["responses"].contains(code));
  EXPECT_FALSE(create["responses"].contains("404"));

  const json remove = document["paths"]["/api/v1/servers/{uid}"]["delete"];
  EXPECT_FALSE(remove["responses"]["204"].contains("content"));
  EXPECT_EQ(Parameter(remove, "uid")["in"], "path");
  EXPECT_EQ(Parameter(remove, "resourceVersion")["in"], "query");
  EXPECT_TRUE(remove["responses"].contains("404"));
}

TEST(OpenApiTest, AStreamIsAnotherFormOfTheAnswer) {
  const json list = Document()["paths"]["/api/v1/servers"]["get"];
  const json content = list["responses"]["200"]["content"];
  EXPECT_EQ(content["application/json"]["schema"]["$ref"], "#/components/schemas/ListServersResponse");
  EXPECT_EQ(content["text/event-stream"]["x-event-data"]["$ref"], "#/components/schemas/ServerChange");
  EXPECT_EQ(Parameter(list, "watch")["schema"]["type"], "boolean");
  EXPECT_THAT(std::string(Parameter(list, "pageSize")["description"]), HasSubstr("Not with `watch=true`."));
  EXPECT_THAT(std::string(Parameter(list, "pool")["description"]), ::testing::Not(HasSubstr("Not with")));
  EXPECT_THAT(std::string(list["description"]), HasSubstr("BOOKMARK"));
}

TEST(OpenApiTest, SchemasHaveTheFieldsRules) {
  const json schemas = Document()["components"]["schemas"];
  const json spec = schemas["MCPServerSpec"]["properties"];
  EXPECT_EQ(spec["idleTimeout"]["format"], "int32");
  EXPECT_EQ(spec["idleTimeout"]["minimum"], -1);
  EXPECT_THAT(std::string(spec["idleTimeout"]["description"]), HasSubstr("Seconds without a request"));
  EXPECT_EQ(spec["command"]["maxItems"], 64);
  EXPECT_EQ(spec["command"]["items"]["maxLength"], 4096);
  EXPECT_EQ(spec["pool"]["default"], "default");
  EXPECT_EQ(spec["env"]["items"]["$ref"], "#/components/schemas/EnvVar");
  EXPECT_EQ(schemas["EnvVar"]["required"], json::array({"name"}));
  EXPECT_EQ(schemas["EnvVar"]["properties"]["name"]["minLength"], 1);
  // An answer's unset words are "": what GET gives, PUT takes.
  EXPECT_THAT(schemas["Transport"]["properties"]["type"]["enum"].get<std::vector<std::string>>(), Contains(""));
  EXPECT_TRUE(absl::StartsWith(std::string(spec["url"]["pattern"]), "^$|^https?:"));
  const json server = schemas["MCPServer"]["properties"];
  EXPECT_EQ(server["status"]["readOnly"], true);
  EXPECT_EQ(server["createdAt"]["format"], "date-time");
  EXPECT_EQ(schemas["MCPServerStatus"]["properties"]["totalRequests"]["format"], "int64");
  const json cpu = schemas["ResourceAmounts"]["properties"]["cpu"];
  EXPECT_EQ(cpu["oneOf"][0]["type"], "string");
  EXPECT_EQ(cpu["oneOf"][1]["type"], "number");
  EXPECT_EQ(schemas["Error"]["properties"]["error"]["required"], json::parse(R"(["code","status","message"])"));
}

TEST(OpenApiTest, ARouteThatNobodyDescribesIsAnError) {
  EXPECT_EQ(OpenApiDocument({{"GET", "/new"}}, "").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace unmcp::gateway
