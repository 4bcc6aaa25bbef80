#include "cli/command_line.h"

#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Variables = std::map<std::string, std::string>;

absl::StatusOr<Command> Parse(const std::vector<std::string>& args, Variables variables = {{"HOME", "/home/me"}}) {
  return ParseCommandLine(args, [&](const char* name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional(it->second);
  });
}

UpOptions Up(const std::vector<std::string>& args, Variables variables = {{"HOME", "/home/me"}}) {
  const auto command = Parse(args, std::move(variables));
  EXPECT_TRUE(command.ok()) << command.status();
  EXPECT_TRUE(command.ok() && std::holds_alternative<UpOptions>(*command));
  return command.ok() && std::holds_alternative<UpOptions>(*command) ? std::get<UpOptions>(*command) : UpOptions();
}

std::string Printed(const std::vector<std::string>& args) {
  const auto command = Parse(args);
  EXPECT_TRUE(command.ok()) << command.status();
  EXPECT_TRUE(command.ok() && std::holds_alternative<PrintAndExit>(*command));
  return command.ok() && std::holds_alternative<PrintAndExit>(*command) ? std::get<PrintAndExit>(*command).text : "";
}

std::string UsageError(const std::vector<std::string>& args) {
  const auto command = Parse(args);
  EXPECT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(command.status().message());
}

TEST(OptionsTest, UpHasDefaults) {
  const UpOptions up = Up({"up"});
  EXPECT_EQ(up.host, "127.0.0.1");
  EXPECT_EQ(up.port, 8080);
  EXPECT_EQ(up.grpc_port, 9090);
  EXPECT_EQ(up.data_dir, "/home/me/.local/share/unmcp");
  EXPECT_EQ(up.ns, "default");
  EXPECT_TRUE(up.manifests.empty());
  EXPECT_EQ(up.log.level, LogLevel::kInfo);
  EXPECT_EQ(up.log.format, LogFormat::kText);
}

TEST(OptionsTest, UpTakesEveryFlag) {
  const UpOptions up =
      Up({"up", "--host", "0.0.0.0", "--port=0", "--grpc-port", "65535", "--data-dir", "d", "--namespace", "team-1",
          "-f", "a.yaml", "-f", "b/", "--log-level", "debug", "--log-format=json", "--allow-host", "a.test",
          "--allow-host", "b.test", "--allow-origin", "https://c.test"});
  EXPECT_EQ(up.host, "0.0.0.0");
  EXPECT_EQ(up.port, 0);
  EXPECT_EQ(up.grpc_port, 65535);
  EXPECT_EQ(up.data_dir, "d");
  EXPECT_EQ(up.ns, "team-1");
  EXPECT_THAT(up.manifests, ElementsAre("a.yaml", "b/"));
  EXPECT_EQ(up.log.level, LogLevel::kDebug);
  EXPECT_EQ(up.log.format, LogFormat::kJson);
  EXPECT_THAT(up.allowed_hosts, ElementsAre("a.test", "b.test"));
  EXPECT_THAT(up.allowed_origins, ElementsAre("https://c.test"));
}

TEST(OptionsTest, LogLevelsHaveTheirUsualNames) {
  EXPECT_EQ(Up({"up", "--log-level", "warn"}).log.level, LogLevel::kWarning);
  EXPECT_EQ(Up({"up", "--log-level", "warning"}).log.level, LogLevel::kWarning);
  EXPECT_EQ(Up({"up", "--log-level", "error"}).log.level, LogLevel::kError);
}

FleetOptions Fleet(const std::vector<std::string>& args) {
  const auto command = Parse(args, {});
  EXPECT_TRUE(command.ok()) << command.status();
  EXPECT_TRUE(command.ok() && std::holds_alternative<FleetOptions>(*command));
  return command.ok() && std::holds_alternative<FleetOptions>(*command) ? std::get<FleetOptions>(*command)
                                                                        : FleetOptions();
}

TEST(OptionsTest, OperatorAndServerHaveDefaults) {
  for (const char* command : {"operator", "server"}) {
    const FleetOptions fleet = Fleet({command});
    EXPECT_EQ(fleet.disable_operator, std::string(command) == "server");
    EXPECT_FALSE(fleet.disable_api);
    EXPECT_EQ(fleet.ns, "default");
    EXPECT_EQ(fleet.host, "127.0.0.1");
    EXPECT_EQ(fleet.port, 8080);
    EXPECT_EQ(fleet.kubeconfig, "");
    EXPECT_EQ(fleet.log.level, LogLevel::kInfo);
  }
}

TEST(OptionsTest, OperatorAndServerTakeEveryFlag) {
  for (const char* command : {"operator", "server"}) {
    const FleetOptions fleet = Fleet({command, "--namespace", "team", "--port", "3000", "--host", "0.0.0.0",
                                      "--disable-operator", "--log-level", "debug", "--kubeconfig", "k"});
    EXPECT_TRUE(fleet.disable_operator);
    EXPECT_FALSE(fleet.disable_api);
    EXPECT_EQ(fleet.ns, "team");
    EXPECT_EQ(fleet.port, 3000);
    EXPECT_EQ(fleet.host, "0.0.0.0");
    EXPECT_EQ(fleet.log.level, LogLevel::kDebug);
    EXPECT_EQ(fleet.kubeconfig, "k");
    EXPECT_THAT(Printed({command, "--help"}), AllOf(HasSubstr("Examples:"), HasSubstr("--disable-operator"),
                                                    HasSubstr("--disable-api"), HasSubstr("unmcp up")));
  }
  EXPECT_TRUE(Fleet({"operator", "--disable-api"}).disable_api);
  EXPECT_EQ(Fleet({"server", "--cluster", "unix:/run/c.sock"}).cluster_socket, "/run/c.sock");
  EXPECT_EQ(Fleet({"server", "--cluster", "/run/c.sock"}).cluster_socket, "/run/c.sock");
  EXPECT_EQ(Fleet({"server", "--data-dir", "d"}).data_dir, "d");
}

TEST(OptionsTest, SomethingHasToRun) {
  EXPECT_EQ(UsageError({"operator", "--disable-api", "--disable-operator"}),
            "--disable-api: with --disable-operator there is nothing left to run; leave one of them out; "
            "see unmcp operator --help");
  EXPECT_THAT(UsageError({"server", "--disable-api"}), StartsWith("--disable-api: there is nothing left to run"));
  EXPECT_THAT(UsageError({"server", "--port", "9090"}), StartsWith("--grpc-port: must differ from --port"));
}

TEST(OptionsTest, DataDirFollowsXdg) {
  EXPECT_EQ(Up({"up"}, {{"HOME", "/h"}, {"XDG_DATA_HOME", "/x"}}).data_dir, "/x/unmcp");
  EXPECT_EQ(Up({"up"}, {{"HOME", "/h"}, {"XDG_DATA_HOME", "relative"}}).data_dir, "/h/.local/share/unmcp");
  EXPECT_EQ(Up({"up"}, {{"HOME", "/h"}, {"XDG_DATA_HOME", ""}}).data_dir, "/h/.local/share/unmcp");
  EXPECT_THAT(std::string(Parse({"up"}, {}).status().message()), HasSubstr("give --data-dir"));
  EXPECT_EQ(Up({"up", "--data-dir", "d"}, {}).data_dir, "d");
}

TEST(OptionsTest, HelpSaysHowToBegin) {
  EXPECT_THAT(Printed({"--help"}), AllOf(HasSubstr("unmcp up -f examples/"), HasSubstr("Usage: unmcp")));
  EXPECT_EQ(Printed({}), Printed({"--help"}));
  const std::string up = Printed({"up", "--help"});
  for (const char* flag : {"--host", "--port", "--grpc-port", "--data-dir", "--namespace", "-f,--filename",
                           "--log-level", "--log-format", "8080", "Usage: unmcp up", "Examples:"}) {
    EXPECT_THAT(up, HasSubstr(flag));
  }
  EXPECT_EQ(Printed({"up", "-h"}), up);
}

TEST(OptionsTest, Version) { EXPECT_THAT(Printed({"--version"}), "unmcp 0.1.0\n"); }

TEST(OptionsTest, UnknownThingsAreNamed) {
  EXPECT_EQ(UsageError({"up", "--prot", "80"}), "unknown flag --prot; see unmcp up --help");
  EXPECT_EQ(UsageError({"up", "--prot=80"}), "unknown flag --prot; see unmcp up --help");
  EXPECT_EQ(UsageError({"up", "-x"}), "unknown flag -x; see unmcp up --help");
  EXPECT_EQ(UsageError({"up", "a.yaml"}), "unknown argument a.yaml; see unmcp up --help");
  EXPECT_EQ(UsageError({"up", "-f", "a.yaml", "b.yaml"}), "unknown argument b.yaml; see unmcp up --help");
  EXPECT_EQ(UsageError({"down"}), "unknown command down; see unmcp --help");
  EXPECT_EQ(UsageError({"--port", "80", "up"}), "unknown flag --port; see unmcp --help");
}

TEST(OptionsTest, WrongValuesAreNamed) {
  for (const char* port : {"65536", "-1", "http", "", "80x", "99999999999999999999"}) {
    EXPECT_THAT(UsageError({"up", std::string("--port=") + port}), StartsWith("--port: ")) << port;
  }
  EXPECT_EQ(UsageError({"up", "--grpc-port", "70000"}),
            "--grpc-port: must be a port from 0 to 65535 (0 picks a free one), not \"70000\"; see unmcp up --help");
  EXPECT_EQ(UsageError({"up", "--port", "9090"}), "--grpc-port: must differ from --port; see unmcp up --help");
  EXPECT_EQ(Up({"up", "--port", "0", "--grpc-port", "0"}).grpc_port, 0);
  EXPECT_THAT(UsageError({"up", "--namespace", "My_Space"}), StartsWith("--namespace: must be at most 63"));
  EXPECT_THAT(UsageError({"up", "--log-level", "loud"}), StartsWith("--log-level: must be debug, info"));
  EXPECT_THAT(UsageError({"up", "--log-format", "xml"}), StartsWith("--log-format: must be text or json"));
  EXPECT_THAT(UsageError({"up", "--port"}), HasSubstr("--port"));
  EXPECT_THAT(UsageError({"up", "-f"}), AllOf(HasSubstr("--filename"), HasSubstr("see unmcp up --help")));
  EXPECT_THAT(UsageError({"up", "--port", "1", "--port", "2"}), HasSubstr("--port"));
}

}  // namespace
}  // namespace unmcp
