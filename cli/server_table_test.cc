#include "cli/server_table.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;

constexpr char kBase[] = "http://127.0.0.1:8080";

kube::Object Server(const std::string& name, const char* status) {
  Json json = {{"metadata", {{"name", name}, {"uid", "uid-" + name}, {"generation", 2}}},
               {"status", Json::parse(status)}};
  return kube::Object(std::move(json));
}

TEST(ServerTableTest, LinesAreAlignedForTheServersExpected) {
  ServerTable table(kBase, {"everything", "fs", "broken"});
  EXPECT_EQ(table.Observe(Server("everything", R"({"phase":"Asleep","observedGeneration":2,
                                                   "conditions":[{"type":"Discovered","status":"True"}],"toolCount":13})")),
            "  everything   Asleep     13 tools    http://127.0.0.1:8080/api/v1/servers/everything/sse");
  EXPECT_EQ(table.Observe(Server("fs", R"({"phase":"Ready","observedGeneration":2,
                                           "toolCount":1,"conditions":[{"type":"Discovered","status":"True"},{"type":"Requested","status":"True","reason":"Clients"}]})")),
            "  fs           Ready      1 tool      http://127.0.0.1:8080/api/v1/servers/fs/sse");
  EXPECT_EQ(table.Observe(Server("broken", R"({"phase":"Degraded","observedGeneration":2,"conditions":[
                {"type":"Ready","status":"False","reason":"CrashLoopBackOff","message":"npx: not found\nexit 127\n"}]})")),
            "  broken       Degraded   npx: not found exit 127");
}

TEST(ServerTableTest, AServerIsPrintedOnceWhenItIsKnown) {
  ServerTable table(kBase, {"a"});
  EXPECT_EQ(table.Observe(Server("a", "{}")), std::nullopt);
  EXPECT_EQ(table.Observe(Server("a", R"({"phase":"Asleep","observedGeneration":2})")), std::nullopt);
  EXPECT_EQ(table.Observe(Server("a", R"({"phase":"Starting","observedGeneration":2})")), std::nullopt);
  // What is known of an older spec says nothing of this one.
  EXPECT_EQ(table.Observe(Server("a", R"({"phase":"Asleep","observedGeneration":2,
                                          "conditions":[{"type":"Discovered","status":"Unknown"}],"toolCount":3})")),
            std::nullopt);
  EXPECT_EQ(table.Observe(Server("a", R"({"phase":"Asleep","observedGeneration":1,
                                          "conditions":[{"type":"Discovered","status":"True"}],"toolCount":3})")),
            std::nullopt);
  // On its way to the phase that it will have.
  EXPECT_EQ(table.Observe(Server("a", R"({"phase":"Stopping","observedGeneration":2,
                                          "conditions":[{"type":"Discovered","status":"True"}]})")),
            std::nullopt);
  EXPECT_EQ(table.Observe(Server("a", R"({"phase":"Ready","observedGeneration":2,
                                          "conditions":[{"type":"Discovered","status":"True"},{"type":"Requested","status":"True","reason":"Discovery"}]})")),
            std::nullopt);
  const auto known = Server("a", R"({"phase":"Asleep","observedGeneration":2,
                                          "conditions":[{"type":"Discovered","status":"True"}]})");
  EXPECT_EQ(table.Observe(known), "  a   Asleep     no tools    http://127.0.0.1:8080/api/v1/servers/a/sse");
  EXPECT_EQ(table.Observe(known), std::nullopt);
}

TEST(ServerTableTest, RefusedServersSayWhy) {
  ServerTable table(kBase, {"a", "b", "c"});
  EXPECT_EQ(table.Observe(Server("a", R"({"phase":"Asleep","observedGeneration":2,"conditions":[
                {"type":"Ready","status":"False","message":"asleep"},
                {"type":"Accepted","status":"False","message":"image needs a command here"}]})")),
            "  a   Asleep     image needs a command here");
  EXPECT_EQ(table.Observe(Server("b", R"({"phase":"Ignored","observedGeneration":2})")),
            "  b   Ignored    over the pool's maxServersLimit");
  EXPECT_EQ(table.Observe(Server("c", R"({"phase":"Degraded","observedGeneration":2})")),
            "  c   Degraded   it does not start; the log says why");
}

TEST(ServerTableTest, WhatAServerWroteCannotSteerTheTerminal) {
  ServerTable table(kBase, {"a"});
  Json status = {{"phase", "Degraded"},
                 {"observedGeneration", 2},
                 {"conditions", Json::array({{{"type", "Ready"}, {"status", "False"},
                                              {"message", absl::StrCat("\x1b[31m", std::string(299, 'x'), "äöü")}}})}};
  const auto line = table.Observe(Server("a", status.dump().c_str()));
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->find('\x1b'), std::string::npos);
  EXPECT_EQ(*line, absl::StrCat("  a   Degraded   [31m", std::string(296, 'x'), "…"));
}

}  // namespace
}  // namespace unmcp
