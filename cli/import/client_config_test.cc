#include "cli/import/client_config.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "common/annotations.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace unmcp {
namespace {

using Json = nlohmann::json;

absl::StatusOr<Imported> Import(const std::string& text, const std::string& path = "/home/u/app/config.json",
                                std::map<std::string, std::string> given = {}) {
  InputValues inputs({.given = std::move(given)});
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "HOME") return "/home/u";
    if (name == "GITHUB_TOKEN") return "gh-1";
    return std::nullopt;
  };
  return ImportClientConfig(Json::parse(text),
                            {.path = path, .ns = "default", .environment = environment, .inputs = &inputs});
}
Json SpecOf(const std::string& text, const std::string& path = "/home/u/app/config.json",
            std::map<std::string, std::string> given = {}) {
  const auto imported = Import(text, path, std::move(given));
  EXPECT_TRUE(imported.ok()) << imported.status();
  return imported.ok() && !imported->servers.empty() ? imported->servers[0].spec() : Json();
}
std::string ErrorOf(const std::string& text) { return std::string(Import(text).status().message()); }
std::string NotesOf(const std::string& text) { return absl::StrJoin(Import(text)->notes, "\n"); }

TEST(ClientConfigTest, KnowsSuchFilesByTheirContent) {
  EXPECT_TRUE(IsClientConfig(Json::parse(R"({"mcpServers":{}})")));
  EXPECT_TRUE(IsClientConfig(Json::parse(R"({"servers":{},"inputs":[]})")));
  EXPECT_TRUE(IsClientConfig(Json::parse(R"({"editor.fontSize":12,"mcp":{"servers":{}}})")));
  EXPECT_FALSE(IsClientConfig(Json::parse(R"({"apiVersion":"unmcp.dev/v1","kind":"MCPServer","servers":{}})")));
  EXPECT_FALSE(IsClientConfig(Json::parse(R"({"mcpServers":[]})")));
  EXPECT_FALSE(IsClientConfig(Json::parse("[1]")));
}

TEST(ClientConfigTest, ClaudeDesktop) {
  const auto imported = Import(R"({"globalShortcut":"x","mcpServers":{"My Files":{"command":"npx",
      "args":["-y","@modelcontextprotocol/server-filesystem","~/Desktop"],"env":{"DEBUG":"1","LEVEL":2,"GONE":null}}}})");
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->servers[0].json(), Json::parse(R"({"apiVersion":"unmcp.dev/v1","kind":"MCPServer",
      "metadata":{"name":"my-files","namespace":"default"},
      "spec":{"command":["npx"],"args":["-y","@modelcontextprotocol/server-filesystem","~/Desktop"],
              "env":[{"name":"DEBUG","value":"1"},{"name":"LEVEL","value":"2"}]}})"));
  ASSERT_EQ(imported->notes.size(), 1u);
  EXPECT_TRUE(absl::StrContains(imported->notes[0], "\"My Files\" is declared as \"my-files\"")) << imported->notes[0];
}

TEST(ClientConfigTest, VisualStudioCode) {
  const std::string text = R"json({"inputs":[{"id":"key","type":"promptString","password":true}],
      "servers":{"api":{"type":"http","url":"https://x.example/mcp","headers":{"Authorization":"Bearer ${input:key}"}},
                 "local":{"type":"stdio","command":"${workspaceFolder}/bin/s","args":["--key=${input:key}","$(x) $$"],
                          "env":{"KEY":"${input:key}","T":"${env:GITHUB_TOKEN}"},"cwd":"${workspaceFolder}/sub",
                          "dev":{"watch":"x"}}}})json";
  const auto imported = Import(text, "/home/u/app/.vscode/mcp.json", {{"key", "k-1"}});
  ASSERT_TRUE(imported.ok()) << imported.status();
  ASSERT_EQ(imported->servers.size(), 2u);
  EXPECT_EQ(imported->servers[0].spec(),
            Json::parse(R"({"url":"https://x.example/mcp","transport":{"type":"streamable-http"},
                            "headers":[{"name":"Authorization","value":"Bearer k-1"}]})"));
  EXPECT_EQ(imported->servers[0].annotation(kSecretValuesAnnotation), "headers/Authorization");
  EXPECT_EQ(imported->servers[1].spec(),
            Json::parse(R"json({"transport":{"type":"stdio"},"command":["/home/u/app/bin/s"],
                            "args":["--key=k-1","$$(x) $$$$"],
                            "env":[{"name":"KEY","value":"k-1"},{"name":"T","value":"gh-1"}],
                            "podTemplate":{"spec":{"containers":[{"name":"server",
                                                                  "workingDir":"/home/u/app/sub"}]}}})json"));
  EXPECT_EQ(imported->servers[1].annotation(kSecretValuesAnnotation), "args/0,env/KEY,env/T");
}

TEST(ClientConfigTest, ASecretInAUrlIsMarkedAndMayNotBeItsHost) {
  const std::string inputs = R"({"inputs":[{"id":"key","type":"promptString","password":true}],"servers":)";
  const auto imported = Import(inputs + R"({"a":{"url":"https://x.example/mcp?k=${input:key}"}}})", "/home/u/app/config.json",
                               {{"key", "$(k)"}});
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->servers[0].spec()["url"], "https://x.example/mcp?k=$$(k)");
  EXPECT_EQ(imported->servers[0].annotation(kSecretValuesAnnotation), "url");
  const auto host = Import(inputs + R"({"a":{"url":"https://${input:key}/mcp"}}})", "/home/u/app/config.json", {{"key", "k"}});
  EXPECT_EQ(host.status().message(),
            "servers.a.url: a secret cannot be part of this; use it in args, env, headers, or after the host of a URL");
}

TEST(ClientConfigTest, SettingsWithServersInside) {
  EXPECT_EQ(SpecOf(R"({"editor.tabSize":2,"mcp":{"inputs":[],"servers":{"a":{"command":"x"}}}})"),
            Json::parse(R"({"command":["x"]})"));
}

TEST(ClientConfigTest, OtherClientsWords) {
  EXPECT_EQ(SpecOf(R"({"mcpServers":{"a":{"serverUrl":"https://x.example/sse","disabled":true,"autoApprove":["t"]}}})"),
            Json::parse(R"({"url":"https://x.example/sse","transport":{"type":"sse"},"suspend":true})"));
  EXPECT_EQ(SpecOf(R"({"mcpServers":{"a":{"httpUrl":"https://x.example/sse"}}})"),
            Json::parse(R"({"url":"https://x.example/sse","transport":{"type":"streamable-http"}})"));
  EXPECT_EQ(SpecOf(R"({"mcpServers":{"a":{"url":"https://x.example/mcp","type":"streamableHttp"}}})"),
            Json::parse(R"({"url":"https://x.example/mcp","transport":{"type":"streamable-http"}})"));
  EXPECT_TRUE(absl::StrContains(NotesOf(R"({"mcpServers":{"a":{"command":"x","autoApprove":[],"timeout":60}}})"),
                                "left out: autoApprove, timeout"));
  EXPECT_TRUE(absl::StrContains(NotesOf(R"({"mcpServers":{"a":{"command":"x","colour":"red"}}})"),
                                "mcpServers.a.colour: is not known here"));
}

TEST(ClientConfigTest, EnvironmentFiles) {
  const std::string folder = ::testing::TempDir();
  std::ofstream(folder + "/test.env") << "# a comment\nA=1\nexport B=\"two words\"\n\nC='x=y'\nD=\n";
  EXPECT_EQ(SpecOf(R"({"mcpServers":{"a":{"command":"x","envFile":"test.env","env":{"A":"own"}}}})",
                   folder + "/mcp.json")["env"],
            Json::parse(R"([{"name":"A","value":"own"},{"name":"B","value":"two words"},
                            {"name":"C","value":"x=y"},{"name":"D","value":""}])"));
  EXPECT_TRUE(absl::StrContains(ErrorOf(R"({"mcpServers":{"a":{"command":"x","envFile":"/no/such.env"}}})"),
                                "mcpServers.a.envFile: /no/such.env cannot be read"));
}

TEST(ClientConfigTest, ErrorsNameTheField) {
  EXPECT_EQ(ErrorOf(R"({"mcpServers":{"a":7}})"), "mcpServers.a: must be an object");
  EXPECT_EQ(ErrorOf(R"({"mcpServers":{"a":{"command":["x"]}}})"), "mcpServers.a.command: must be the name of a program");
  EXPECT_EQ(ErrorOf(R"({"mcpServers":{"a":{"command":"x","args":["a",{}]}}})"), "mcpServers.a.args[1]: must be a string");
  EXPECT_EQ(ErrorOf(R"({"servers":{"a":{"command":"x","type":"tcp"}}})"),
            "servers.a.type: must be stdio, sse or http");
  EXPECT_TRUE(absl::StrContains(ErrorOf(R"({"mcpServers":{"a":{}}})"), "neither a command nor a url"));
  EXPECT_TRUE(absl::StrContains(ErrorOf(R"({"mcpServers":{"a":{"command":"x","url":"http://x"}}})"), "both a command"));
  EXPECT_TRUE(absl::StrContains(ErrorOf(R"({"mcpServers":{"a":{"command":"${NOT_SET}"}}})"),
                                "mcpServers.a.command: the environment variable NOT_SET is not set"));
}

TEST(FitNameTest, WhatKubernetesTakes) {
  EXPECT_EQ(FitName("time"), "time");
  EXPECT_EQ(FitName("My Server_2"), "my-server-2");
  EXPECT_EQ(FitName("@scope/pkg.name"), "scope-pkg-name");
  EXPECT_EQ(FitName("21st"), "mcp-21st");
  EXPECT_EQ(FitName("---"), "mcp");
  EXPECT_EQ(FitName("día"), "d-a");
  EXPECT_EQ(FitName(std::string(100, 'A')), std::string(63, 'a'));
}

TEST(ClientConfigTest, NamesThatBecomeTheSameAreKeptApart) {
  const auto imported = Import(R"({"mcpServers":{"A b":{"command":"x"},"a-b":{"command":"y"}}})");
  ASSERT_TRUE(imported.ok());
  EXPECT_EQ(imported->servers[0].name(), "a-b-2");
  EXPECT_EQ(imported->servers[1].name(), "a-b") << "one that fits is never changed";
}

TEST(ClientConfigTest, WhatComesFromASecretVariableIsASecret) {
  const auto imported = Import(R"({"mcpServers":{"a":{"command":"x","args":["${GITHUB_TOKEN}"],
      "env":{"GH":"${env:GITHUB_TOKEN}","PLACE":"${HOME}"}}}})");
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->servers[0].annotation(kSecretValuesAnnotation), "args/0,env/GH");
}

TEST(ClientConfigTest, ServersOfAProjectRunInItWhenTheyNeedItsFiles) {
  const std::string folder = ::testing::TempDir();
  std::ofstream(folder + "/server.js") << "";
  const auto working_directory = [&](const std::string& server, const std::string& file) {
    const Json spec = SpecOf(R"({"mcpServers":{"a":)" + server + "}}", folder + file);
    if (!spec.contains("podTemplate")) return std::string();
    return spec["podTemplate"]["spec"]["containers"][0]["workingDir"].get<std::string>();
  };
  const std::string project = std::filesystem::path(folder + "/x").parent_path().lexically_normal();
  for (const char* file : {"/.mcp.json", "/.vscode/mcp.json"}) {
    EXPECT_EQ(working_directory(R"({"command":"node","args":["server.js"]})", file), project);
    EXPECT_EQ(working_directory(R"({"command":"./server.js"})", file), project);
    EXPECT_EQ(working_directory(R"({"command":"x","args":["--main=server.js"]})", file), project);
    EXPECT_EQ(working_directory(R"({"command":"npx","args":["-y","pkg"]})", file), "");
    EXPECT_EQ(working_directory(R"({"command":"node","args":["server.js"],"cwd":"/srv"})", file), "/srv");
  }
  EXPECT_EQ(working_directory(R"({"command":"node","args":["server.js"]})", "/claude_desktop_config.json"), "");
}

TEST(ClientConfigTest, ADollarAloneIsText) {
  const std::string text = R"({"mcpServers":{"a":{"command":"x","env":{"A":"$MY_KEY","B":"$9.99 each"}}}})";
  EXPECT_EQ(SpecOf(text)["env"][0]["value"], "$MY_KEY");
  EXPECT_EQ(NotesOf(text), "mcpServers.a.env.A: is the text \"$MY_KEY\"; for the environment variable write ${MY_KEY}");
}

}  // namespace
}  // namespace unmcp
