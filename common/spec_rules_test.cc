#include "common/spec_rules.h"

#include <string>

#include "common/annotations.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

template <class Spec>
Spec Read(const char* json) {
  Spec spec;
  const absl::Status status = FromJson(*ParseJson(json), UnknownFields::kReject, &spec);
  EXPECT_TRUE(status.ok()) << status;
  return spec;
}

std::string Error(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}
std::string ServerError(const char* json) { return Error(ValidateServerSpec(Read<v1::MCPServerSpec>(json))); }
std::string PoolError(const char* json) { return Error(ValidatePoolSpec(Read<v1::MCPPoolSpec>(json))); }

TEST(SpecRules, WhatIsRightIsAccepted) {
  for (const char* json :
       {R"({})", R"({"command":["x"],"args":["y"],"env":[{"name":"A"},{"name":"B","value":"b"}]})",
        R"({"url":"https://example.com/mcp"})", R"({"url":"https://example.com/sse","transport":{"type":"sse"}})",
        R"({"command":["x"],"transport":{"type":"streamable-http","port":3000,"path":"/mcp"}})",
        R"({"env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}}]})",
        R"({"headers":[{"name":"X-Key","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]})",
        R"({"podTemplate":{"metadata":{"labels":{"a":"b"}},"spec":null}})"}) {
    const absl::Status status = ValidateServerSpec(Read<v1::MCPServerSpec>(json));
    EXPECT_TRUE(status.ok()) << json << ": " << status;
  }
  EXPECT_TRUE(ValidatePoolSpec(Read<v1::MCPPoolSpec>(
                                   R"({"maxServersActive":3,"serverDefaults":{"transport":{"type":"sse"}}})"))
                  .ok());
}

TEST(SpecRules, DeclaredRulesAreToldWithTheWholePath) {
  EXPECT_EQ(ServerError(R"({"idleTimeout":-2})"), "spec.idleTimeout: must be at least -1");
  EXPECT_THAT(ServerError(R"({"env":[{"name":"A"},{"name":"B"},{"name":"1 2"}]})"), StartsWith("spec.env[2].name: "));
  EXPECT_EQ(PoolError(R"({"minServersWarm":-1})"), "spec.minServersWarm: must be at least 0");
}

TEST(SpecRules, AServerWithAUrlIsNotStarted) {
  for (const char* json : {R"({"url":"http://a","command":["x"]})", R"({"url":"http://a","image":"x"})",
                           R"({"url":"http://a","args":["x"]})"}) {
    EXPECT_THAT(ServerError(json), StartsWith("spec.url: cannot be given together with spec.")) << json;
  }
  EXPECT_THAT(ServerError(R"({"url":"http://a","transport":{"type":"stdio"}})"), StartsWith("spec.transport.type: "));
  EXPECT_THAT(ServerError(R"({"url":"http://a","transport":{"port":80}})"), StartsWith("spec.transport.port: "));
  EXPECT_THAT(ServerError(R"({"url":"http://a","transport":{"path":"/x"}})"), StartsWith("spec.transport.path: "));
}

TEST(SpecRules, AUrlRefersToVariablesThatThereAre) {
  EXPECT_TRUE(ValidateServerSpec(Read<v1::MCPServerSpec>(
                                     R"json({"url":"https://a/m?k=$(KEY)&x=$$(Y)&z=$(a%20b)","env":[{"name":"KEY",
                                             "valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]})json"))
                  .ok());
  EXPECT_THAT(ServerError(R"json({"url":"https://a/m?k=$(KEY)"})json"), StartsWith("spec.url: refers to $(KEY)"));
  EXPECT_THAT(ServerError(R"json({"url":"https://$(H)/m","env":[{"name":"H","value":"h"}]})json"),
              StartsWith("spec.url: may refer to variables, $(NAME), after its host only"));
  EXPECT_THAT(ServerError(R"json({"url":"https://a/$(P)","env":[{"name":"P","valueFrom":{"fieldRef":
                                  {"fieldPath":"metadata.name"}}}]})json"),
              StartsWith("spec.env[0].valueFrom.fieldRef: spec.url refers to it"));
}

TEST(SpecRules, AServerThatListensNeedsItsPort) {
  EXPECT_THAT(ServerError(R"({"command":["x"],"transport":{"type":"sse"}})"),
              StartsWith("spec.transport.port: is required for the type sse"));
}

TEST(SpecRules, AValueHasOneSource) {
  EXPECT_THAT(ServerError(R"({"env":[{"name":"A","value":"v","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]})"),
              StartsWith("spec.env[0].valueFrom: cannot be given together with value"));
  EXPECT_THAT(ServerError(R"({"env":[{"name":"A","valueFrom":{}}]})"), HasSubstr("has none"));
  EXPECT_THAT(ServerError(R"({"headers":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k"},
                                                                  "configMapKeyRef":{"name":"s","key":"k"}}}]})"),
              StartsWith("spec.headers[0].valueFrom: "));
  EXPECT_THAT(ServerError(R"({"headers":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]})"),
              StartsWith("spec.headers[0].valueFrom.fieldRef: "));
  EXPECT_THAT(ServerError(R"({"env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.secret"}}}]})"),
              StartsWith("spec.env[0].valueFrom.fieldRef.fieldPath: must be metadata.name"));
  EXPECT_THAT(PoolError(R"({"serverDefaults":{"env":[{"name":"A","valueFrom":{}}]}})"),
              StartsWith("spec.serverDefaults.env[0].valueFrom: "));
}

TEST(SpecRules, HeadersThatDifferInCaseAreOne) {
  EXPECT_THAT(ServerError(R"({"headers":[{"name":"X-Key","value":"a"},{"name":"x-key","value":"b"}]})"),
              StartsWith("spec.headers[1].name: \"x-key\" is already in spec.headers[0]"));
}

TEST(SpecRules, ErrorsDoNotRepeatWhatMayBeSecret) {
  EXPECT_EQ(ServerError(R"({"headers":[{"name":"Authorization","value":"hush\n"}]})"),
            "spec.headers[0].value: must not contain a line break");
  const std::string url = ServerError(R"({"url":"https://me:hush@example.com/mcp"})");
  EXPECT_THAT(url, StartsWith("spec.url: must not contain a user"));
  EXPECT_THAT(url, testing::Not(HasSubstr("hush")));
  EXPECT_EQ(ServerError(R"({"url":"https://example.com/mcp?token=hush x"})"),
            "spec.url: must not contain a space; write %20");
  EXPECT_EQ(ServerError(R"({"url":"ftp://example.com/?token=hush"})"),
            "spec.url: must begin with http:// or https:// and a host");
  EXPECT_TRUE(ValidateServerSpec(Read<v1::MCPServerSpec>(R"({"url":"https://example.com/@me"})")).ok());
}

TEST(SpecRules, APodTemplateHasMetadataAndSpec) {
  EXPECT_THAT(ServerError(R"({"podTemplate":{"containers":[]}})"), StartsWith("spec.podTemplate.containers: "));
  EXPECT_EQ(ServerError(R"({"podTemplate":{"spec":[]}})"), "spec.podTemplate.spec: must be an object");
  EXPECT_THAT(PoolError(R"({"serverDefaults":{"podTemplate":{"x":{}}}})"),
              StartsWith("spec.serverDefaults.podTemplate.x: "));
}

TEST(SpecRules, Names) {
  for (const char* name : {"a", "a-1", "time-service"}) EXPECT_TRUE(ValidateName(name).ok()) << name;
  EXPECT_TRUE(ValidateName(std::string(63, 'a')).ok());
  for (const char* name : {"", "A", "1a", "-a", "a-", "a_b", "a.b", "ä", "a/b", "../x"}) {
    EXPECT_THAT(Error(ValidateName(name)), StartsWith("name: ")) << name;
  }
  EXPECT_THAT(Error(ValidateName(std::string(64, 'a'))), HasSubstr("at most 63"));
}

TEST(Annotations, TimesHaveMilliseconds) {
  EXPECT_EQ(AnnotationTime(absl::FromUnixMillis(1746180930000)), "2025-05-02T10:15:30.000Z");
  EXPECT_EQ(AnnotationTime(absl::FromUnixMillis(1746180930042)), "2025-05-02T10:15:30.042Z");
}

}  // namespace
}  // namespace unmcp
