// get, describe, start, stop, delete, logs and config, against stand-ins for
// the services.
#include <fstream>
#include <string>

#include "absl/strings/str_split.h"
#include "cli/commands/config.h"
#include "cli/commands/describe.h"
#include "cli/commands/fake_api.h"
#include "cli/commands/get.h"
#include "cli/commands/lifecycle.h"
#include "cli/commands/logs.h"
#include "cli/commands/resource.h"
#include "cli/manifest_loader.h"
#include "cli/yaml.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const Resources kServers = {ResourceKind::kServer, {}};

class ResourceCommandsTest : public testing::Test {
 protected:
  ResourceCommandsTest() {
    v1::MCPServer time = FakeApi::Server("time", "Ready");
    time.mutable_status()->set_tool_count(2);
    time.mutable_status()->set_total_requests(1234567);
    v1::Condition* condition = time.mutable_status()->add_conditions();
    condition->set_type("Ready");
    condition->set_status("True");
    condition->set_reason("ProcessReady");
    condition->mutable_last_transition_time()->set_seconds(FakeApi::kNow - 10);
    fake_.Put(time);
    fake_.Put(FakeApi::Server("weather", "Asleep"));
    v1::MCPPool pool;
    pool.set_name("default");
    pool.set_uid("uid-pool");
    pool.set_namespace_("team");
    pool.mutable_spec()->set_max_servers_active(7);
    pool.mutable_created_at()->set_seconds(FakeApi::kNow - 3600 * 50);
    fake_.PutPool(pool);
  }

  std::string Out() { return test_.out.str(); }
  std::string Err() { return test_.err.str(); }

  FakeApi fake_;
  TestContext test_{fake_};
};

TEST(ResourceTest, FormsOfKubectl) {
  for (const char* word : {"servers", "server", "MCPServer", "mcpservers", "mcp", "mcpservers.unmcp.dev"}) {
    const auto parsed = ParseResources({word, "a", "b"});
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ((*parsed)[0].kind, ResourceKind::kServer);
    EXPECT_THAT((*parsed)[0].names, ElementsAre("a", "b"));
  }
  for (const char* word : {"pools", "pool", "mcppool", "mcppools", "mcpp", "mcppool.unmcp.dev"}) {
    EXPECT_EQ(ParseResources({word}).value()[0].kind, ResourceKind::kPool);
  }
  const auto mixed = ParseResources({"server/a", "pool/b", "mcp/c"}).value();
  ASSERT_EQ(mixed.size(), 2u);
  EXPECT_THAT(mixed[0].names, ElementsAre("a", "c"));
  EXPECT_THAT(mixed[1].names, ElementsAre("b"));
  EXPECT_EQ(ParseResources({"servers,pools"}).value().size(), 2u);
  EXPECT_EQ(ParseResources({"all"}).value().size(), 2u);
  EXPECT_THAT(ParseResources({"pods"}).status().message(), AllOf(HasSubstr("\"pods\""), HasSubstr("servers")));
  EXPECT_FALSE(ParseResources({"server/a", "b"}).ok());
  EXPECT_FALSE(ParseResources({"server/"}).ok());
  EXPECT_FALSE(ParseResources({"server", "pool/b"}).ok());
  EXPECT_EQ(ParseServerName("a").value(), "a");
  EXPECT_EQ(ParseServerName("mcp/a").value(), "a");
  EXPECT_FALSE(ParseServerName("pool/a").ok());
}

TEST_F(ResourceCommandsTest, GetPrintsATable) {
  ASSERT_TRUE(RunGet({.resources = {kServers}}, test_.context).ok());
  EXPECT_EQ(Out(),
            "NAME      POOL      PHASE    TOOLS       CLIENTS   AGE\n"
            "time      default   Ready    2           0         5m3s\n"
            "weather   default   Asleep   <unknown>   0         5m3s\n");
  EXPECT_THAT(Err(), IsEmpty());
}

TEST_F(ResourceCommandsTest, WideHasMore) {
  ASSERT_TRUE(RunGet({.resources = {kServers}, .format = Format::kWide, .headers = false}, test_.context).ok());
  EXPECT_THAT(Out(), AllOf(HasSubstr("1234567"), HasSubstr("run-time"), HasSubstr("stdio"), Not(HasSubstr("NAME"))));
}

TEST_F(ResourceCommandsTest, SeveralKindsAreTwoTables) {
  ASSERT_TRUE(RunGet({.resources = ParseResources({"all"}).value()}, test_.context).ok());
  EXPECT_THAT(Out(), HasSubstr("5m3s\n\nNAME      ACTIVE   PENDING   SERVERS   AGE\ndefault   0        0         0         2d2h\n"));
}

TEST_F(ResourceCommandsTest, YamlCanBeAppliedAgain) {
  ASSERT_TRUE(
      RunGet({.resources = {{ResourceKind::kServer, {"time"}}}, .format = Format::kYaml}, test_.context).ok());
  const std::string path = testing::TempDir() + "/again.yaml";
  std::ofstream(path) << Out();
  const auto objects = LoadManifests({path}, {.ns = "default"});
  ASSERT_TRUE(objects.ok()) << objects.status();
  ASSERT_EQ(objects->size(), 1u);
  EXPECT_EQ((*objects)[0].name(), "time");
  EXPECT_EQ((*objects)[0].spec()["command"][0], "run-time");
  const auto document = ParseYaml(Out()).value()[0].json;
  EXPECT_EQ(document["status"]["totalRequests"], 1234567);
  EXPECT_EQ(document["metadata"]["uid"], "uid-time");
}

TEST_F(ResourceCommandsTest, SeveralAreAList) {
  ASSERT_TRUE(RunGet({.resources = {kServers}, .format = Format::kJson}, test_.context).ok());
  const auto list = ParseJson(Out());
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ((*list)["kind"], "List");
  EXPECT_EQ((*list)["items"].size(), 2u);
}

TEST_F(ResourceCommandsTest, NamesForOtherCommands) {
  ASSERT_TRUE(RunGet({.resources = {kServers}, .format = Format::kName}, test_.context).ok());
  EXPECT_EQ(Out(), "mcpserver.unmcp.dev/time\nmcpserver.unmcp.dev/weather\n");
}

TEST_F(ResourceCommandsTest, NothingIsSaidBesideTheOutput) {
  ASSERT_TRUE(RunGet({.resources = {kServers}, .pool = "empty"}, test_.context).ok());
  EXPECT_THAT(Out(), IsEmpty());
  EXPECT_EQ(Err(), "No resources found in team namespace.\n");
}

TEST_F(ResourceCommandsTest, WhatIsThereIsShownThoughOthersAreNot) {
  const absl::Status status =
      RunGet({.resources = {{ResourceKind::kServer, {"nobody", "time"}}}, .headers = false}, test_.context);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), IsEmpty());
  EXPECT_EQ(Err(), "Error from server (NotFound): server \"nobody\" not found\n");
  EXPECT_THAT(Out(), HasSubstr("time"));
}

TEST_F(ResourceCommandsTest, AWatchShowsWhatIsThereAndThenEachChange) {
  fake_.on_watching = [this] {
    fake_.Put(FakeApi::Server("weather", "Starting"));
    fake_.Put(FakeApi::Server("time", "Stopping"));
    fake_.Remove("weather");
    fake_.EndWatches();
  };
  const absl::Status status = RunGet({.resources = {{ResourceKind::kServer, {"weather"}}}, .watch = true}, test_.context);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(Out(),
            "NAME      POOL      PHASE    TOOLS       CLIENTS   AGE\n"
            "weather   default   Asleep   <unknown>   0         5m3s\n"
            "weather   default   Starting   <unknown>   0         5m3s\n"
            "weather   default   Starting   <unknown>   0         5m3s\n");
}

TEST_F(ResourceCommandsTest, AWatchOfSomethingThatIsNotThereFailsAtOnce) {
  EXPECT_TRUE(absl::IsNotFound(
      RunGet({.resources = {{ResourceKind::kServer, {"nobody"}}}, .watch = true}, test_.context)));
}

TEST_F(ResourceCommandsTest, DescribeTellsAll) {
  v1::ServerEvent event;
  event.set_type("Warning");
  event.set_reason("BackOff");
  event.set_message("it ended\nwith \033[31mcode 3");
  event.set_count(4);
  event.mutable_last_seen()->set_seconds(FakeApi::kNow - 60);
  fake_.events.push_back(event);
  ASSERT_TRUE(RunDescribe({{{ResourceKind::kServer, {"time"}}}}, test_.context).ok());
  EXPECT_THAT(Out(), AllOf(HasSubstr("Name:          time\n"), HasSubstr("(5m3s ago)"), HasSubstr("  command:\n  - run-time"),
                           HasSubstr("\nConditions:\n  TYPE    STATUS   REASON         SINCE   MESSAGE\n"),
                           HasSubstr("ProcessReady"), HasSubstr("\nEvents:\n  TYPE"), HasSubstr("60s (x4)"), HasSubstr("it ended with  [31mcode 3")));
}

TEST_F(ResourceCommandsTest, DescribeOfAPoolShowsItsMembers) {
  ASSERT_TRUE(RunDescribe({{{ResourceKind::kPool, {"default"}}}}, test_.context).ok());
  EXPECT_THAT(Out(), AllOf(HasSubstr("0 of 7"), HasSubstr("Members:\n"), HasSubstr("weather")));
  EXPECT_FALSE(RunDescribe({{{ResourceKind::kPool, {"nobody"}}}}, test_.context).ok());
  EXPECT_EQ(Err(), "Error from server (NotFound): pool \"nobody\" not found\n");
}

TEST_F(ResourceCommandsTest, StartWaitsUntilItIsReady) {
  fake_.on_watching = [this] {
    fake_.Put(FakeApi::Server("weather", "Starting"));
    fake_.Put(FakeApi::Server("weather", "Ready"));
  };
  test_.context.terminal.progress = true;
  ASSERT_TRUE(RunStart({.servers = {"weather"}}, test_.context).ok()) << Err();
  EXPECT_EQ(Out(), "mcpserver.unmcp.dev/weather started\n");
  EXPECT_THAT(Err(), HasSubstr("waiting for server \"weather\" to be Ready (Starting)"));
}

TEST_F(ResourceCommandsTest, ThereIsNoProgressWithoutATerminal) {
  fake_.on_watching = [this] { fake_.Put(FakeApi::Server("weather", "Ready")); };
  ASSERT_TRUE(RunStart({.servers = {"weather"}}, test_.context).ok());
  EXPECT_THAT(Err(), IsEmpty());
}

TEST_F(ResourceCommandsTest, AStartThatFailsSaysWhy) {
  v1::MCPServer broken = FakeApi::Server("weather", "Degraded");
  v1::Condition* condition = broken.mutable_status()->add_conditions();
  condition->set_type("Ready");
  condition->set_status("False");
  condition->set_message("it ended with code 3");
  fake_.Put(broken);  // it was so before: that is no answer yet
  fake_.on_watching = [this, broken]() mutable {
    fake_.Put(FakeApi::Server("weather", "Starting"));
    broken.mutable_status()->mutable_conditions(0)->set_message("it ended with code 4");
    fake_.Put(broken);
  };
  EXPECT_FALSE(RunStart({.servers = {"weather", "nobody"}}, test_.context).ok());
  EXPECT_THAT(Err(), AllOf(HasSubstr("error: server \"weather\" does not start: Degraded: it ended with code 4"),
                           HasSubstr("Error from server (NotFound): server \"nobody\"")));
  EXPECT_THAT(Out(), IsEmpty());
}

TEST_F(ResourceCommandsTest, AWaitEnds) {
  EXPECT_FALSE(RunStart({.servers = {"weather"}, .timeout = absl::Milliseconds(20)}, test_.context).ok());
  EXPECT_THAT(Err(), AllOf(HasSubstr("server \"weather\" to be Ready"), HasSubstr("it is Asleep"), HasSubstr("--timeout")));
}

TEST_F(ResourceCommandsTest, StartNeedNotWait) {
  ASSERT_TRUE(RunStart({.servers = {"weather"}, .wait = false}, test_.context).ok());
  EXPECT_EQ(Out(), "mcpserver.unmcp.dev/weather is starting\n");
}

TEST_F(ResourceCommandsTest, StopWaitsUntilTheProcessIsGone) {
  bool suspended = false;
  fake_.on_stop = [&](const std::string&, bool suspend) { suspended = suspend; };
  fake_.on_watching = [this] {
    fake_.Put(FakeApi::Server("time", "Stopping"));
    fake_.Put(FakeApi::Server("time", "Asleep"));
  };
  ASSERT_TRUE(RunStop({.servers = {"time"}, .suspend = true}, test_.context).ok()) << Err();
  EXPECT_TRUE(suspended);
  EXPECT_EQ(Out(), "mcpserver.unmcp.dev/time stopped, suspended\n");
}

TEST_F(ResourceCommandsTest, WhatDoesNotStartCanBeStopped) {
  v1::MCPServer broken = FakeApi::Server("time", "Degraded");
  v1::Condition* condition = broken.mutable_status()->add_conditions();
  condition->set_type("Started");
  condition->set_status("True");
  fake_.Put(broken);
  fake_.on_watching = [this, broken]() mutable {
    broken.mutable_status()->mutable_conditions(0)->set_status("False");
    fake_.Put(broken);
  };
  EXPECT_TRUE(RunStop({.servers = {"time"}}, test_.context).ok()) << Err();
}

TEST_F(ResourceCommandsTest, DeleteWaitsUntilItIsGone) {
  fake_.on_delete = [](const std::string&) {};
  fake_.on_watching = [this] { fake_.Remove("time"); };
  ASSERT_TRUE(RunDelete({.resources = {{ResourceKind::kServer, {"time"}}}}, test_.context).ok()) << Err();
  EXPECT_EQ(Out(), "mcpserver.unmcp.dev \"time\" deleted\n");
}

TEST_F(ResourceCommandsTest, DeleteGoesOnAfterAnError) {
  DeleteOptions options = {.resources = {{ResourceKind::kServer, {"nobody", "time"}}}};
  EXPECT_FALSE(RunDelete(options, test_.context).ok());
  EXPECT_EQ(Out(), "mcpserver.unmcp.dev \"time\" deleted\n");
  EXPECT_EQ(Err(), "Error from server (NotFound): server \"nobody\" not found\n");
  options.ignore_not_found = true;
  EXPECT_TRUE(RunDelete(options, test_.context).ok());
}

TEST_F(ResourceCommandsTest, DeleteTakesFiles) {
  const std::string path = testing::TempDir() + "/delete.json";
  std::ofstream(path) << R"({"mcpServers": {"Time": {"command": "x", "env": {"A": "${env:NOT_SET}"}}}})";
  ASSERT_TRUE(RunDelete({.filenames = {path}}, test_.context).ok()) << Err();
  EXPECT_EQ(Out(), "mcpserver.unmcp.dev \"time\" deleted\n");
}

TEST_F(ResourceCommandsTest, DeleteOfAPoolWaitsForItsServers) {
  fake_.on_watching = [this] {
    fake_.Remove("time");
    fake_.Remove("weather");
  };
  ASSERT_TRUE(RunDelete({.resources = {{ResourceKind::kPool, {"default"}}}}, test_.context).ok()) << Err();
  EXPECT_EQ(Out(), "mcppool.unmcp.dev \"default\" deleted\n");
}

TEST_F(ResourceCommandsTest, Logs) {
  fake_.logs = "last words\n";
  ASSERT_TRUE(RunLogs({.server = "time", .tail = 3}, test_.context).ok());
  EXPECT_EQ(Out(), "last words\ntail 3\n");
  EXPECT_TRUE(absl::IsNotFound(RunLogs({.server = "nobody"}, test_.context)));
}

TEST_F(ResourceCommandsTest, LogsAreFollowedToTheirEnd) {
  ASSERT_TRUE(RunLogs({.server = "time", .follow = true}, test_.context).ok());
  EXPECT_EQ(Out(), "one\ntwo\n");
}

TEST_F(ResourceCommandsTest, ConfigOfClaudeRunsThisCommand) {
  ASSERT_TRUE(RunConfig({.host = McpHost::kClaude, .servers = {"time"}}, test_.context).ok());
  EXPECT_EQ(ParseJson(Out()).value(),
            ParseJson(R"({"mcpServers":{"time":{"command":"/opt/unmcp","args":["connect","time","--server","box:1"]}}})")
                .value());
  EXPECT_THAT(Err(), AllOf(HasSubstr("claude_desktop_config.json"),
                           HasSubstr("claude mcp add --transport sse time http://box:2/api/v1/servers/time/sse")));
}

TEST_F(ResourceCommandsTest, ConfigOfOthersHasUrls) {
  ASSERT_TRUE(RunConfig({.host = McpHost::kCursor}, test_.context).ok());
  const auto cursor = ParseJson(Out()).value();
  EXPECT_EQ(cursor["mcpServers"]["time"], ParseJson(R"({"url":"http://box:2/api/v1/servers/time/sse"})").value());
  EXPECT_TRUE(cursor["mcpServers"].contains("weather"));
  test_.out.str("");
  ASSERT_TRUE(RunConfig({.host = McpHost::kVsCode, .servers = {"time"}, .url = "https://x/"}, test_.context).ok());
  EXPECT_EQ(ParseJson(Out()).value(),
            ParseJson(R"({"servers":{"time":{"type":"sse","url":"https://x/api/v1/servers/time/sse"}}})").value());
  EXPECT_TRUE(absl::IsNotFound(RunConfig({.servers = {"nobody"}}, test_.context)));
}

TEST(ApiClientTest, NobodyThereIsSaidAtOnceAndWhatToDo) {
  ApiClient api({.addresses = {"127.0.0.1:1"}});
  const absl::Time begin = absl::Now();
  const absl::Status status = api.Connect();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(3));
  EXPECT_EQ(status.message(),
            "unmcp is not running at 127.0.0.1:1: start it with `unmcp up`, or name another with --server");
  EXPECT_EQ(ErrorText(status).substr(0, 12), "error: unmcp");
}

TEST(ApiClientTest, TheFirstThatAnswersIsTaken) {
  FakeApi fake;
  ApiClient api({.addresses = {"127.0.0.1:1", fake.address()}});
  ASSERT_TRUE(api.Connect().ok());
  EXPECT_EQ(api.address(), fake.address());
}

}  // namespace
}  // namespace unmcp
