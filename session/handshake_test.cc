#include "session/handshake.h"

#include "gtest/gtest.h"
#include "session/envelope.h"

namespace unmcp::session {
namespace {

TEST(Handshake, ParsesWhatTheServerSaysOfItself) {
  const auto hello = ServerHello::Parse(
      R"({"serverInfo":{"version":"2","name":"n\u00e9"},"capabilities":{"logging":{},"prompts":{"tools":{}}},)"
      R"("protocolVersion":"2025-03-26"})",
      false);
  ASSERT_TRUE(hello.ok());
  EXPECT_EQ(hello->name, "n\xC3\xA9");
  EXPECT_EQ(hello->version, "2");
  EXPECT_EQ(hello->protocol_version, "2025-03-26");
  EXPECT_TRUE(hello->logging);
  EXPECT_FALSE(hello->tools);
}

TEST(Handshake, OnlyTheVersionOfTheResultChanges) {
  const auto hello =
      ServerHello::Parse("{ \"a\":1.50,\r\"protocolVersion\" : \"2025-11-25\" , \"b\":\"2025-11-25\"}", true);
  ASSERT_TRUE(hello.ok());
  EXPECT_EQ(hello->ResultFor("2024-11-05"),
            "{ \"a\":1.50, \"protocolVersion\" : \"2024-11-05\" , \"b\":\"2025-11-25\"}");
  EXPECT_EQ(hello->ResultFor(""), hello->result);
  EXPECT_EQ(hello->ResultFor("2026-07-28"), hello->result);
}

TEST(Handshake, AnAnswerWithoutAVersionIsNotMcp) {
  for (const char* result :
       {"{}", "null", "[]", "\"protocolVersion\"", R"({"protocolVersion":1})", R"({"x":{"protocolVersion":"v"}})"}) {
    EXPECT_EQ(ServerHello::Parse(result, false).status().code(), absl::StatusCode::kFailedPrecondition) << result;
  }
}

TEST(Handshake, ParamsAreJsonWhateverTheVersion) {
  Envelope e;
  EXPECT_EQ(Scan(InitializeParams(kLatestVersion, "1.0\"\n"), &e), Envelope::Kind::kInvalid);  // JSON, and no message
}

}  // namespace
}  // namespace unmcp::session
