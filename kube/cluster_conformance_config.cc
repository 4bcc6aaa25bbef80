// Secrets and ConfigMaps.
#include <string>

#include "gmock/gmock.h"
#include "kube/cluster_conformance.h"

namespace unmcp::kube {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_P(ClusterConformance, SecretsHoldTheirPlainTextEncoded) {
  Object secret(SecretKind(), ns_, "keys");
  secret.json()["data"] = {{"old", "b2xk"}, {"both", "b2xk"}};
  secret.json()["stringData"] = {{"plain", "hello"}, {"both", "new"}};
  absl::StatusOr<Object> created = AwaitCreate(cluster_, SecretKind(), secret);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->json()["type"], "Opaque");
  EXPECT_EQ(created->json()["data"], (Json{{"old", "b2xk"}, {"plain", "aGVsbG8="}, {"both", "bmV3"}}));
  EXPECT_FALSE(created->json().contains("stringData"));

  const ObjectRef ref{SecretKind(), ns_, "keys"};
  absl::StatusOr<Object> patched =
      AwaitPatch(cluster_, ref, R"({"stringData": {"plain": "bye"}, "data": {"old": null}})"_json);
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(patched->json()["data"], (Json{{"plain", "Ynll"}, {"both", "bmV3"}}));
  EXPECT_FALSE(AwaitGet(cluster_, ref)->json().contains("stringData"));
}

TEST_P(ClusterConformance, SecretsThatCannotBe) {
  const std::pair<const char*, Json> cases[] = {
      {"not base64", R"({"data": {"a": "hunter2!"}})"_json},
      {"no padding", R"({"data": {"a": "aGVsbG8"}})"_json},
      {"a number", R"({"data": {"a": 7}})"_json},
      {"a number as text", R"({"stringData": {"a": 7}})"_json},
      {"no map", R"({"stringData": "hunter2!"})"_json},
      {"a key with a slash", R"({"stringData": {"a/b": "hunter2!"}})"_json},
      {"an empty key", R"({"stringData": {"": "hunter2!"}})"_json},
      {"a key that is a way up", R"({"stringData": {"..a": "hunter2!"}})"_json},
      {"immutable as text", R"({"immutable": "yes"})"_json},
  };
  for (const auto& [what, content] : cases) {
    Object secret(SecretKind(), ns_, "s");
    secret.json().update(content);
    const absl::Status refused = AwaitCreate(cluster_, SecretKind(), secret).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << what;
    EXPECT_THAT(Message(refused), Not(HasSubstr("hunter2"))) << what;
  }
  Object large(SecretKind(), ns_, "large");
  large.json()["stringData"] = {{"a", std::string(1 << 20, 'x')}};
  EXPECT_TRUE(AwaitCreate(cluster_, SecretKind(), large).ok());
  large = Object(SecretKind(), ns_, "larger");
  large.json()["stringData"] = {{"a", std::string((1 << 20) + 1, 'x')}};
  EXPECT_EQ(AwaitCreate(cluster_, SecretKind(), large).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(ClusterConformance, ASecretKeepsItsType) {
  Object secret(SecretKind(), ns_, "typed");
  secret.json()["type"] = "unmcp.dev/keys";
  ASSERT_TRUE(AwaitCreate(cluster_, SecretKind(), secret).ok());
  const ObjectRef ref{SecretKind(), ns_, "typed"};
  EXPECT_EQ(AwaitPatch(cluster_, ref, R"({"type": "Opaque"})"_json).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(AwaitGet(cluster_, ref)->json()["type"], "unmcp.dev/keys");
}

TEST_P(ClusterConformance, WhatIsImmutableStays) {
  for (const Kind& kind : {SecretKind(), ConfigMapKind()}) {
    Object object(kind, ns_, "fixed");
    object.json()["data"] = {{"a", "b2xk"}};
    ASSERT_TRUE(AwaitCreate(cluster_, kind, object).ok());
    const ObjectRef ref{kind, ns_, "fixed"};
    ASSERT_TRUE(AwaitPatch(cluster_, ref, R"({"data": {"a": "bmV3"}})"_json).ok());
    ASSERT_TRUE(AwaitPatch(cluster_, ref, R"({"immutable": true})"_json).ok());
    for (const Json& change : {R"({"data": {"a": "b2xk"}})"_json, R"({"data": {"b": "b2xk"}})"_json,
                               R"({"immutable": false})"_json, R"({"immutable": null})"_json}) {
      const absl::Status refused = AwaitPatch(cluster_, ref, change).status();
      EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << kind.kind << " " << change;
      EXPECT_THAT(Message(refused), HasSubstr("immutable")) << kind.kind << " " << change;
    }
    EXPECT_EQ(AwaitGet(cluster_, ref)->json()["data"], (Json{{"a", "bmV3"}}));
    EXPECT_TRUE(AwaitPatch(cluster_, ref, R"({"metadata": {"labels": {"app": "x"}}})"_json).ok());
    EXPECT_TRUE(AwaitDelete(cluster_, ref).ok());
  }
}

TEST_P(ClusterConformance, ConfigMapsHoldText) {
  Object map(ConfigMapKind(), ns_, "settings");
  map.json()["data"] = {{"mode", "fast"}, {"some.file", "a\nb\n"}};
  map.json()["binaryData"] = {{"logo", "AAEC"}};
  absl::StatusOr<Object> created = AwaitCreate(cluster_, ConfigMapKind(), map);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->json()["data"], map.json()["data"]);
  EXPECT_EQ(created->json()["binaryData"], map.json()["binaryData"]);

  const std::pair<const char*, Json> cases[] = {
      {"a number", R"({"data": {"a": 7}})"_json},
      {"a boolean", R"({"data": {"a": true}})"_json},
      {"a key twice", R"({"data": {"a": "x"}, "binaryData": {"a": "AAEC"}})"_json},
      {"not base64", R"({"binaryData": {"a": "x!"}})"_json},
      {"a key with a space", R"({"data": {"a b": "x"}})"_json},
      {"too large", {{"data", {{"a", std::string((1 << 20) + 1, 'x')}}}}},
  };
  for (const auto& [what, content] : cases) {
    Object wrong(ConfigMapKind(), ns_, "wrong");
    wrong.json().update(content);
    EXPECT_EQ(AwaitCreate(cluster_, ConfigMapKind(), wrong).status().code(), absl::StatusCode::kInvalidArgument)
        << what;
  }
}

}  // namespace
}  // namespace unmcp::kube
