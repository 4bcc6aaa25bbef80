#include "apiserver/secret_values.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp::apiserver {
namespace {

using ::testing::ElementsAre;

TEST(LooksSecret, ByItsName) {
  for (const char* name : {"OPENAI_API_KEY", "TOKEN", "GITHUB_TOKEN", "X-Auth-Token", "Authorization", "Cookie",
                           "db_password", "apiKey", "APIKEY", "AWS_SECRET_ACCESS_KEY", "MY_CREDENTIALS", "BEARER",
                           "passwd", "client-secret", "Proxy-Authorization"}) {
    EXPECT_TRUE(LooksSecret(name, "abcdef")) << name;
  }
  for (const char* name : {"MONKEY", "KEYBOARD", "TOKENIZERS_PARALLELISM", "AUTHOR", "SECRETARY", "PATH", "HOME",
                           "KEYCLOAK_REALM", "Accept", "KEY_FILE", "TOKEN_URL", "AUTH_TYPE", "COOKIECUTTER", ""}) {
    EXPECT_FALSE(LooksSecret(name, "abcdef")) << name;
  }
}

TEST(LooksSecret, NumbersAndBooleansAreNotUnlessTheyArePasswords) {
  EXPECT_FALSE(LooksSecret("MAX_TOKENS", "4096"));
  EXPECT_FALSE(LooksSecret("USE_AUTH", "true"));
  EXPECT_FALSE(LooksSecret("SHOW_PASSWORD", "false"));
  EXPECT_FALSE(LooksSecret("TOKEN", ""));
  EXPECT_TRUE(LooksSecret("PASSWORD", "123456"));
}

TEST(LooksSecret, ByItsForm) {
  const std::string twenty(20, 'a');
  for (const std::string& value :
       {"sk-" + twenty, "sk-proj-" + twenty, "ghp_" + twenty, "github_pat_" + twenty, std::string("xoxb-123456789"),
        std::string("AKIAABCDEFGHIJKLMNOP"), std::string("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
        std::string("Bearer abcdefghi"), std::string("-----BEGIN RSA PRIVATE KEY-----\nabc"),
        std::string("postgres://me:hush@db:5432/x"), "--token=ghp_" + twenty}) {
    EXPECT_TRUE(LooksSecret("X", value)) << value;
  }
  for (const char* value : {"sk-short", "task-with-a-long-name-in-it", "https://example.com/", "user@example.com",
                            "https://example.com:8080/@me", "http://user@host/", "bearer of news", "eyJ", "$(OTHER)",
                            "-----BEGIN CERTIFICATE-----"}) {
    EXPECT_FALSE(LooksSecret("X", value)) << value;
  }
  EXPECT_FALSE(LooksSecret("API_KEY", "$(OTHER)"));
}

TEST(LooksSecret, LongValuesAreNoMatter) {
  EXPECT_FALSE(LooksSecret("X", std::string(131072, 'a')));
  std::string dots;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&dots, "eyJ.sk-://");
  EXPECT_FALSE(LooksSecret("X", dots));
}

Spec ServerSpec(const char* json) {
  v1::MCPServerSpec spec;
  EXPECT_TRUE(FromJson(*ParseJson(json), UnknownFields::kReject, &spec).ok());
  return spec;
}

TEST(SecretValues, AreTakenOutAndReferredTo) {
  Spec spec = ServerSpec(R"({"env":[{"name":"A","value":"1"},{"name":"API_KEY","value":"hush"}],
                             "headers":[{"name":"X-Tok!en","value":"x"},{"name":"Authorization","value":"hush2"}]})");
  const auto values = TakeSecretValues(&spec);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0].key, "env.API_KEY");
  EXPECT_EQ(values[0].value, "hush");
  EXPECT_EQ(values[1].key, "header.Authorization");
  ReferTo(values[0], "s-1", &spec);
  ReferTo(values[1], "s-2", &spec);
  EXPECT_EQ(JsonText(ToJson(std::get<v1::MCPServerSpec>(spec))),
            R"({"env":[{"name":"A","value":"1"},{"name":"API_KEY","valueFrom":{"secretKeyRef":{"key":"env.API_KEY",)"
            R"("name":"s-1"}}}],"headers":[{"name":"X-Tok!en","value":"x"},{"name":"Authorization","valueFrom":)"
            R"({"secretKeyRef":{"key":"header.Authorization","name":"s-2"}}}]})");
  EXPECT_THAT(ReferredSecrets(spec), ElementsAre("s-1", "s-2"));
  EXPECT_TRUE(TakeSecretValues(&spec).empty());
}

TEST(SecretValues, KeysAreDistinctAndWhatASecretTakes) {
  Spec spec = ServerSpec(R"({"headers":[{"name":"a~key","value":"v1"},{"name":"a|key","value":"v2"}]})");
  const auto values = TakeSecretValues(&spec);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0].key, "header.a_key");
  EXPECT_EQ(values[1].key, "header.a_key.2");
}

TEST(SecretValues, OfAPoolToo) {
  v1::MCPPoolSpec pool;
  Spec none = pool;
  EXPECT_TRUE(TakeSecretValues(&none).empty());
  EXPECT_FALSE(std::get<v1::MCPPoolSpec>(none).has_server_defaults());
  auto* variable = pool.mutable_server_defaults()->add_env();
  variable->set_name("TOKEN");
  variable->set_value("hush");
  Spec spec = pool;
  EXPECT_EQ(TakeSecretValues(&spec).size(), 1u);
}

}  // namespace
}  // namespace unmcp::apiserver
