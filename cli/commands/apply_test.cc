#include "cli/commands/apply.h"

#include <string>
#include <vector>

#include "cli/commands/fake_api.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kManifests[] = R"(
apiVersion: unmcp.dev/v1
kind: MCPServer
metadata: {name: time}
spec: {command: [uvx], args: [mcp-server-time], env: [{name: TZ, value: UTC}]}
---
apiVersion: unmcp.dev/v1
kind: MCPPool
metadata: {name: team}
spec: {maxServersActive: 3}
)";

class ApplyTest : public testing::Test {
 protected:
  ApplyTest() {
    fake_.on_apply = [this](const v1::ApplyRequest& request, v1::ApplyResponse* response) {
      const nlohmann::json manifest = ToJson(request)["manifest"];
      applied_.push_back(manifest);
      response->set_kind(manifest["kind"].get<std::string>());
      response->set_name(manifest["metadata"]["name"].get<std::string>());
      response->set_change("created");
      if (response->name() == "team") return team_;
      return grpc::Status::OK;
    };
  }
  absl::Status Apply(const std::string& text, ApplyOptions options = {}) {
    options.filenames = {"-"};
    test_.in.clear();  // what was read before has ended
    test_.in.str(text);
    return RunApply(options, test_.context);
  }

  FakeApi fake_;
  TestContext test_{fake_};
  std::vector<nlohmann::json> applied_;
  grpc::Status team_;
};

TEST_F(ApplyTest, SaysWhatBecameOfEach) {
  EXPECT_TRUE(Apply(kManifests).ok());
  EXPECT_EQ(test_.out.str(), "mcppool.unmcp.dev/team created\nmcpserver.unmcp.dev/time created\n");
  ASSERT_EQ(applied_.size(), 2u);
  EXPECT_EQ(applied_[1]["spec"], nlohmann::json::parse(
      R"({"command":["uvx"],"args":["mcp-server-time"],"env":[{"name":"TZ","value":"UTC"}]})"));
}

TEST_F(ApplyTest, OneThatFailsDoesNotKeepTheOthers) {
  team_ = {grpc::StatusCode::INVALID_ARGUMENT, "spec.maxServersActive: no"};
  const absl::Status status = Apply(kManifests);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.message(), "");  // all has been said
  EXPECT_EQ(test_.out.str(), "mcpserver.unmcp.dev/time created\n");
  EXPECT_THAT(test_.err.str(), HasSubstr("MCPPool \"team\": Error from server (Invalid): spec.maxServersActive"));
}

TEST_F(ApplyTest, NothingToApplyIsAnError) {
  EXPECT_THAT(std::string(Apply(R"({"mcpServers":{}})").message()), HasSubstr("nothing to apply"));
}

TEST_F(ApplyTest, AFileThatIsWrongAppliesNothing) {
  EXPECT_FALSE(Apply(std::string(kManifests) + "---\nkind: Pod\n").ok());
  EXPECT_TRUE(applied_.empty());
}

TEST_F(ApplyTest, ConfigurationsOfClientsAndTheirNotes) {
  ApplyOptions options;
  options.inputs = {"key=k-1"};
  EXPECT_TRUE(Apply(R"({"inputs":[{"id":"key","type":"promptString","password":true}],
                        // comment
                        "servers":{"My Api":{"type":"http","url":"https://x.example/",
                                             "headers":{"X-Key":"${input:key}"}}}})",
                    options)
                  .ok());
  EXPECT_EQ(test_.out.str(), "mcpserver.unmcp.dev/my-api created\n");
  EXPECT_THAT(test_.err.str(), HasSubstr("\"My Api\" is declared as \"my-api\""));
  EXPECT_EQ(applied_[0]["spec"]["headers"][0]["value"], "k-1");
  EXPECT_EQ(applied_[0]["metadata"]["annotations"]["unmcp.dev/secret-values"], "headers/X-Key");
}

TEST_F(ApplyTest, ADryRunShowsNoSecrets) {
  ApplyOptions options;
  options.dry_run = true;
  options.inputs = {"key=k-1"};
  EXPECT_TRUE(Apply(R"({"inputs":[{"id":"key","type":"promptString","password":true}],
                        "servers":{"a":{"command":"x","args":["--token=t-3","--word=${input:key}"],
                                         "env":{"A":"${input:key}","API_TOKEN":"t-2","B":"shown"}}}})",
                    options)
                  .ok());
  EXPECT_TRUE(applied_.empty());
  EXPECT_THAT(test_.out.str(), HasSubstr("value: shown"));
  EXPECT_THAT(test_.out.str(), Not(HasSubstr("k-1")));
  EXPECT_THAT(test_.out.str(), Not(HasSubstr("t-2")));
  EXPECT_THAT(test_.out.str(), Not(HasSubstr("t-3")));
  EXPECT_THAT(test_.out.str(), HasSubstr("--token=$(UNMCP_ARG_0)"));
  test_.out.str("");
  EXPECT_TRUE(Apply("apiVersion: unmcp.dev/v1\nkind: MCPPool\nmetadata: {name: p}\n"
                    "spec: {serverDefaults: {env: [{name: API_KEY, value: hidden}]}}\n",
                    options)
                  .ok());
  EXPECT_THAT(test_.out.str(), Not(HasSubstr("hidden")));
  test_.out.str("");
  EXPECT_TRUE(Apply("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hidden}\n", options).ok());
  EXPECT_THAT(test_.out.str(), Not(HasSubstr("hidden")));
}

TEST_F(ApplyTest, WaitsUntilServersAreKnown) {
  v1::MCPServer time = FakeApi::Server("time", "Starting");
  time.set_generation(2);
  fake_.Put(time);
  fake_.on_watching = [&] {
    time.mutable_status()->set_phase("Asleep");
    time.mutable_status()->set_observed_generation(2);
    v1::Condition* discovered = time.mutable_status()->add_conditions();
    discovered->set_type("Discovered");
    discovered->set_status("True");
    fake_.Put(time);
  };
  ApplyOptions options;
  options.wait = true;
  EXPECT_TRUE(Apply(kManifests, options).ok()) << test_.err.str();
}

TEST_F(ApplyTest, WaitingEndsWithTheReasonWhyAServerCannotBeUsed) {
  v1::MCPServer time = FakeApi::Server("time", "Degraded");
  v1::Condition* ready = time.mutable_status()->add_conditions();
  ready->set_type("Ready");
  ready->set_status("False");
  ready->set_reason("CrashLoopBackOff");
  ready->set_message("uvx: command not found");
  fake_.Put(time);
  ApplyOptions options;
  options.wait = true;
  EXPECT_FALSE(Apply(kManifests, options).ok());
  EXPECT_THAT(test_.err.str(), HasSubstr("uvx: command not found"));
}

TEST_F(ApplyTest, InputsAreIdAndValue) {
  ApplyOptions options;
  options.inputs = {"key"};
  EXPECT_EQ(Apply(kManifests, options).message(), "--input: must be ID=VALUE");
}

}  // namespace
}  // namespace unmcp
