// Client commands on the command line; those that run servers are in options_test.
#include "cli/command_line.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

using Args = std::vector<std::string>;

absl::StatusOr<Command> Parse(const Args& args) {
  return ParseCommandLine(args, [](const char*) { return std::nullopt; });
}

TEST(CommandLineTest, ClientCommandsAreTaken) {
  for (const Args& args : std::vector<Args>{{"get", "servers"},
                                            {"get", "mcp", "a", "b", "-o", "wide", "-w", "--no-headers"},
                                            {"get", "server/a", "pool/b", "-o=json", "--server", "unix:/x"},
                                            {"describe", "pool", "a", "--data-dir", "d"},
                                            {"delete", "server", "a", "--wait=false", "--ignore-not-found"},
                                            {"delete", "-f", "a.yaml", "-f", "b.yaml", "--timeout", "90"},
                                            {"logs", "server/a", "-f", "--tail=5"},
                                            {"start", "a", "b", "--no-wait"},
                                            {"stop", "a", "--suspend", "--timeout", "1m30s"},
                                            {"call", "a"},
                                            {"call", "a", "t", "--arg", "x=-1", "--arg", "y=[1,2]", "-o", "json"},
                                            {"call", "--json", R"({"a":1})", "a", "t"},
                                            {"connect", "a"},
                                            {"config", "vscode"},
                                            {"config", "claude-code", "a", "b", "--url", "https://x"}}) {
    const auto command = Parse(args);
    ASSERT_TRUE(command.ok()) << command.status();
    const auto* client = std::get_if<ClientCommand>(&*command);
    ASSERT_NE(client, nullptr) << args[0];
    EXPECT_TRUE(client->run) << args[0];
  }
  EXPECT_EQ(std::get<ClientCommand>(*Parse({"get", "servers", "--server", "box:1"})).connection.server, "box:1");
}

TEST(CommandLineTest, WhatIsWrongIsNamedAndWhereHelpIs) {
  const std::vector<std::pair<Args, std::string>> wrong = {
      {{"get"}, "RESOURCE"},
      {{"get", "pods"}, "\"pods\""},
      {{"get", "servers", "-o", "xml"}, "--output: must be one of json, name, wide, yaml, not \"xml\""},
      {{"get", "servers,pools", "-w"}, "--watch"},
      {{"get", "servers", "--server", "http://box"}, "--server: must be HOST:PORT"},
      {{"get", "servers", "--frobnicate"}, "--frobnicate"},
      {{"delete"}, "-f"},
      {{"delete", "servers"}, "name which ones"},
      {{"delete", "server", "a", "-f", "b"}, "RESOURCE"},
      {{"logs"}, "SERVER"},
      {{"logs", "pool/a"}, "\"pool/a\" is a pool"},
      {{"logs", "a", "--tail", "0"}, "--tail: must be a number from 1"},
      {{"start"}, "SERVER"},
      {{"stop", "a", "--timeout", "soon"}, "--timeout: must be a duration"},
      {{"stop", "a", "--timeout", "-1s"}, "--timeout"},
      {{"call", "a", "--arg", "x=1"}, "TOOL"},
      {{"call", "a", "t", "-o", "yaml"}, "--output: must be json"},
      {{"connect", "a", "b"}, "unknown argument b"},
      {{"config", "emacs"}, "CLIENT: must be claude"},
  };
  for (const auto& [args, message] : wrong) {
    const absl::Status status = Parse(args).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << args[0];
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(message), EndsWith("; see unmcp " + args[0] + " --help")));
  }
}

TEST(CommandLineTest, TheListHasOneLineForEachCommand) {
  const std::string help = std::get<PrintAndExit>(*Parse({"--help"})).text;
  EXPECT_THAT(help, HasSubstr("\n  connect     Is an MCP server on standard input and output, which is in truth one "
                              "that unmcp runs.\n  config      Prints"));
  for (const char* command : {"up", "operator", "server", "get", "describe", "apply", "delete", "logs", "start", "stop"}) {
    const size_t at = help.find(std::string("\n  ") + command + " ");
    ASSERT_NE(at, std::string::npos) << command;
    EXPECT_THAT(help.substr(at + 1, help.find('\n', at + 1) - at - 1), EndsWith(".")) << "a whole sentence";
  }
  EXPECT_THAT(std::get<PrintAndExit>(*Parse({"connect", "--help"})).text,
              AllOf(HasSubstr("For clients that can only run a command."), HasSubstr("Examples:")));
}

}  // namespace
}  // namespace unmcp
