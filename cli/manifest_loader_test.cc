#include "cli/manifest_loader.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class ManifestLoaderTest : public testing::Test {
 protected:
  ManifestLoaderTest() {
    dir_ = absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  ~ManifestLoaderTest() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(dir_, "/", name);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::vector<kube::Object> Load(const std::vector<std::string>& paths) {
    auto objects = LoadManifests(paths, {.ns = "default"});
    EXPECT_TRUE(objects.ok()) << objects.status();
    return objects.ok() ? *objects : std::vector<kube::Object>();
  }

  // What loading `text` as a.yaml says, from the file's name on.
  std::string LoadError(const std::string& text, const std::string& name = "a.yaml") {
    const auto objects = LoadManifests({Write(name, text)}, {.ns = "default"});
    EXPECT_EQ(objects.status().code(), absl::StatusCode::kInvalidArgument) << objects.status() << "\n" << text;
    const std::string message(objects.status().message());
    return message.size() > dir_.size() ? message.substr(dir_.size() + 1) : message;
  }

  std::string dir_;
};

// A server's manifest whose spec is `spec`, indented by two.
std::string Server(const std::string& name, const std::string& spec) {
  return absl::StrCat("apiVersion: unmcp.dev/v1\nkind: MCPServer\nmetadata:\n  name: ", name, "\nspec:\n", spec);
}

std::vector<std::string> Names(const std::vector<kube::Object>& objects) {
  std::vector<std::string> names;
  for (const auto& object : objects) names.push_back(object.name());
  return names;
}

TEST_F(ManifestLoaderTest, ReadsAServer) {
  const auto objects = Load({Write("a.yaml", R"(
apiVersion: unmcp.dev/v1
kind: MCPServer
metadata:
  name: everything
  labels: {team: "a"}
spec:
  command: [npx]
  args:
  - -y
  - "@modelcontextprotocol/server-everything"
  env:
  - name: MODE
    value: "on"
  idleTimeout: 30
  image:
)")});
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].json(), Json::parse(R"({
    "apiVersion": "unmcp.dev/v1", "kind": "MCPServer",
    "metadata": {"name": "everything", "namespace": "default", "labels": {"team": "a"}},
    "spec": {"command": ["npx"], "args": ["-y", "@modelcontextprotocol/server-everything"],
             "env": [{"name": "MODE", "value": "on"}], "idleTimeout": 30}})"));
}

TEST_F(ManifestLoaderTest, ReadsFilesAndDirectoriesInOrder) {
  Write("b.yml", Server("b1", "  command: [x]\n") + "---\n" + Server("b2", "  command: [x]\n"));
  Write("a.yaml", "apiVersion: unmcp.dev/v1\nkind: MCPPool\nmetadata: {name: pool}\n");
  Write("c.json", R"({"apiVersion":"unmcp.dev/v1","kind":"MCPServer","metadata":{"name":"c"},"spec":{}})");
  Write(".hidden.yaml", "not: [read");
  Write("notes.txt", "not read");
  std::filesystem::create_directories(dir_ + "/sub.yaml");
  EXPECT_THAT(Names(Load({dir_})), testing::ElementsAre("pool", "b1", "b2", "c"));
  EXPECT_THAT(Names(Load({dir_ + "/c.json", dir_ + "/a.yaml"})), testing::ElementsAre("pool", "c"));
  EXPECT_TRUE(Load({}).empty());
}

TEST_F(ManifestLoaderTest, TakesListsApart) {
  const auto objects = Load({Write("list.yaml", R"(
apiVersion: v1
kind: List
items:
- apiVersion: unmcp.dev/v1
  kind: MCPPool
  metadata: {name: p}
- apiVersion: unmcp.dev/v1
  kind: MCPServer
  metadata: {name: s}
  spec: {pool: p, command: [x]}
)")});
  EXPECT_THAT(Names(objects), testing::ElementsAre("p", "s"));
  EXPECT_EQ(LoadError(R"(apiVersion: v1
kind: List
items:
- apiVersion: unmcp.dev/v1
  kind: MCPServer
  metadata: {name: s}
  spec:
    comand: [x]
)"),
            "a.yaml:8: items[0].spec.comand: unknown field; did you mean \"command\"?");
}

// What kubectl get -o yaml prints can be moved from a cluster to a machine.
TEST_F(ManifestLoaderTest, DropsWhatAnApiServerAdded) {
  const auto objects = Load({Write("a.yaml", R"(
apiVersion: unmcp.dev/v1
kind: MCPServer
metadata:
  name: a
  namespace: default
  uid: u-1
  resourceVersion: "5"
  generation: 2
  creationTimestamp: "2025-01-31T12:00:00Z"
  managedFields: [{manager: kubectl}]
  ownerReferences: [{kind: MCPPool, name: default}]
  annotations: {note: kept}
spec: {command: [x]}
status: {phase: Ready}
)")});
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].json()["metadata"],
            Json::parse(R"({"name":"a","namespace":"default","annotations":{"note":"kept"}})"));
  EXPECT_FALSE(objects[0].json().contains("status"));
}

TEST_F(ManifestLoaderTest, ErrorsNameFileLineDocumentAndField) {
  EXPECT_EQ(LoadError(Server("a", "  comand: [x]\n")),
            "a.yaml:6: spec.comand: unknown field; did you mean \"command\"?");
  EXPECT_EQ(LoadError(Server("a", "  command: [x]\n") + "---\n" + Server("b", "  command: [x]\n  env:\n  - name: 1\n")),
            "a.yaml:15: document 2: spec.env[0].name: must be a string, not a number");
  EXPECT_EQ(LoadError(Server("a", "  idleTimeout: -2\n")), "a.yaml:6: spec.idleTimeout: must be at least -1");
  EXPECT_EQ(LoadError(Server("a", "  env:\n  - value: x\n")), "a.yaml:7: spec.env[0].name: is required");
  EXPECT_EQ(LoadError("a: 1\n  b: 2\n"), "a.yaml:2: illegal map value");
  EXPECT_EQ(LoadError("- 1\n"), "a.yaml:1: must be an object with apiVersion, kind, …");
  EXPECT_EQ(LoadError(R"({"kind": "MCPServer", "kind": "x"})", "a.json"),
            "a.json: the key \"kind\" is there twice in one object");
}

TEST_F(ManifestLoaderTest, RefusesOtherKinds) {
  EXPECT_EQ(LoadError("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"),
            "a.yaml:2: kind: Deployment of apps/v1 is not a kind that unmcp reads; it reads MCPServer and MCPPool of "
            "unmcp.dev/v1, and Secret and ConfigMap of v1");
  EXPECT_THAT(LoadError("apiVersion: unmcp.dev/v2\nkind: MCPServer\n"), HasSubstr("MCPServer of unmcp.dev/v2 is not"));
  EXPECT_EQ(LoadError("kind: MCPServer\n"), "a.yaml:1: apiVersion: is required");
  EXPECT_EQ(LoadError("apiVersion: unmcp.dev/v1\nkind: 5\n"), "a.yaml:2: kind: must be a string");
}

TEST_F(ManifestLoaderTest, ChecksMetadata) {
  EXPECT_THAT(LoadError(Server("Everything", "  command: [x]\n")),
              HasSubstr("a.yaml:4: metadata.name: \"Everything\" must consist of lower-case letters"));
  for (const std::string& name : {std::string(64, 'a'), std::string("1a"), std::string("a-"), std::string("-a"),
                                  std::string("a.b"), std::string("a_b"), std::string("''"), std::string("a\xC3\xA4")}) {
    EXPECT_THAT(LoadError(Server(name, "  command: [x]\n")), HasSubstr("a.yaml:4: metadata.name: ")) << name;
  }
  EXPECT_EQ(Load({Write("a.yaml", Server(std::string(61, 'a') + "-1", "  command: [x]\n"))}).size(), 1u);
  EXPECT_EQ(LoadError(Server("12", "  command: [x]\n")), "a.yaml:4: metadata.name: must be a string; put it in quotes");
  const std::string head = "apiVersion: unmcp.dev/v1\nkind: MCPPool\n";
  EXPECT_EQ(LoadError(head), "a.yaml:1: metadata.name: is required");
  EXPECT_EQ(LoadError(head + "metadata: {namespace: default}\n"), "a.yaml:3: metadata.name: is required");
  EXPECT_EQ(LoadError(head + "metadata: {name: a, namespace: other}\n"),
            "a.yaml:3: metadata.namespace: is \"other\", but this unmcp serves \"default\"; leave it out, or give "
            "--namespace");
  EXPECT_THAT(LoadError(head + "metadata: {name: a, lables: {}}\n"), HasSubstr("metadata.lables: unknown field"));
  EXPECT_EQ(LoadError(head + "metadata:\n  name: a\n  labels:\n    n: 5\n"),
            "a.yaml:6: metadata.labels.n: must be a string; write \"5\"");
  EXPECT_EQ(LoadError(head + "metadata: {name: a}\nmaxServersActive: 3\n"),
            "a.yaml:4: maxServersActive: unknown field; it may belong under spec");
}

TEST_F(ManifestLoaderTest, TheSameObjectTwiceIsAnError) {
  const std::string first = Write("1.yaml", Server("a", "  command: [x]\n"));
  const std::string second = Write("2.yaml", Server("a", "  command: [y]\n"));
  const auto objects = LoadManifests({dir_}, {.ns = "default"});
  EXPECT_EQ(objects.status().message(),
            absl::StrCat(second, ":4: MCPServer a is already in ", first, ":4; keep one of the two"));
  // A pool and a server may share a name.
  Write("2.yaml", "apiVersion: unmcp.dev/v1\nkind: MCPPool\nmetadata: {name: a}\n");
  EXPECT_EQ(Load({dir_}).size(), 2u);
}

TEST_F(ManifestLoaderTest, SaysWhatIsNotThere) {
  const auto missing = LoadManifests({dir_ + "/none.yaml"}, {.ns = "default"});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("none.yaml: cannot be read: No such file"));
  const auto empty = LoadManifests({dir_}, {.ns = "default"});
  EXPECT_EQ(empty.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(empty.status().message()), HasSubstr("has no *.yaml, *.yml or *.json file"));
}

TEST_F(ManifestLoaderTest, RulesBetweenFieldsAreChecked) {
  EXPECT_THAT(LoadError(Server("a", "  transport: {type: sse}\n  command: [x]\n")),
              HasSubstr("a.yaml:6: spec.transport.port: "));
  EXPECT_THAT(LoadError(Server("a", "  url: http://x/mcp\n  command: [x]\n")), HasSubstr("spec.command"));
}

TEST_F(ManifestLoaderTest, WhatIsReferredToComesFirst) {
  const auto objects = Load({Write("a.yaml", Server("s", "  command: [x]\n") + R"(
---
apiVersion: unmcp.dev/v1
kind: MCPPool
metadata: {name: p}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {token: t}
)")});
  EXPECT_THAT(Names(objects), testing::ElementsAre("keys", "p", "s"));
  EXPECT_EQ(objects[0].json()["stringData"], Json::parse(R"({"token":"t"})"));
  EXPECT_EQ(LoadError("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {port: 80}\n"),
            "a.yaml:4: data.port: must be a string; put it in quotes");
  EXPECT_EQ(LoadError("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nspec: {}\n"),
            "a.yaml:4: spec: unknown field of a ConfigMap");
}

TEST_F(ManifestLoaderTest, ReadsConfigurationsOfClients) {
  std::vector<std::string> notes;
  InputValues inputs({.given = {{"key", "k-1"}}});
  const auto objects = LoadManifests(
      {Write("claude_desktop_config.json", R"({
  // what I use
  "mcpServers": {"My Time": {"command": "uvx", "args": ["mcp-server-time"],}},
})"),
       Write("mcp", R"({"inputs":[{"id":"key","type":"promptString","password":true}],
                       "servers":{"api":{"type":"http","url":"https://x.example/","headers":{"X-Key":"${input:key}"}}}})")},
      {.ns = "default", .inputs = &inputs, .note = [&](const std::string& note) { notes.push_back(note); }});
  ASSERT_TRUE(objects.ok()) << objects.status();
  EXPECT_THAT(Names(*objects), testing::ElementsAre("my-time", "api"));
  EXPECT_EQ((*objects)[1].spec()["headers"][0]["value"], "k-1");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr("claude_desktop_config.json: \"My Time\" is declared as \"my-time\""));
}

TEST_F(ManifestLoaderTest, ErrorsOfClientsConfigurationsNameServerAndField) {
  EXPECT_EQ(LoadError(R"({"mcpServers": {"a": {"command": "x", "args": "y"}}})", "a.json"),
            "a.json: mcpServers.a.args: must be a list");
  EXPECT_THAT(LoadError(R"({"mcpServers": {"a": {"command": "x", "env": {"A=B": "y"}}}})", "a.json"),
              HasSubstr("a.json: a: spec.env[0].name: "));
  EXPECT_THAT(LoadError(R"({"inputs":[{"id":"k","type":"promptString"}],"servers":{"a":{"command":"${input:k}"}}})"),
              HasSubstr("give it with --input k=VALUE"));
}

TEST_F(ManifestLoaderTest, ErrorsOfJsonNameTheLine) {
  EXPECT_THAT(LoadError("{\n \"mcpServers\": {\n  \"a\": {} \"b\": {}\n }\n}", "a.json"),
              HasSubstr("a.json:3: not JSON, near '\"b\"'"));
  EXPECT_THAT(LoadError("", "a.json"), HasSubstr("a.json:1: not JSON"));
}

TEST_F(ManifestLoaderTest, AFileOfNeitherKindIsToldSo) {
  EXPECT_THAT(LoadError(R"({"context_servers": {}})", "a.json"), HasSubstr("a.json: is neither a manifest"));
  EXPECT_EQ(LoadError(R"({"mcpServers": []})", "a.json"), "a.json: mcpServers: must be an object of servers by their names");
}

TEST_F(ManifestLoaderTest, ReadsStandardInput) {
  std::istringstream in(Server("a", "  command: [x]\n"));
  const auto objects = LoadManifests({"-"}, {.ns = "default", .standard_input = &in});
  ASSERT_TRUE(objects.ok()) << objects.status();
  EXPECT_THAT(Names(*objects), testing::ElementsAre("a"));
}

TEST_F(ManifestLoaderTest, SizeIsBounded) {
  EXPECT_EQ(LoadError(std::string(kMaxManifestBytes + 1, '#')),
            "a.yaml: is larger than 16 MiB; split it into several files");
}

}  // namespace
}  // namespace unmcp
