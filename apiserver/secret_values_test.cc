#include "apiserver/secret_values.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/proto_json.h"
#include "common/references.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp::apiserver {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

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

TEST(LooksSecret, ByWhatIsInside) {
  for (const char* value : {R"({"apiKey":"x","n":1})", R"("{\"a\":{\"authToken\" : \"x\"}}")",
                            "https://example.com/mcp?tavilyApiKey=x", "https://example.com/s/sk-abcdefghijklmnopq/mcp"}) {
    EXPECT_TRUE(LooksSecret("X", value)) << value;
  }
  for (const char* value : {R"({"maxTokens":4096,"keys":{},"token":"","author":"x"})", "https://example.com/?max_tokens=5",
                            "https://example.com/?q=token", "a?token=x"}) {
    EXPECT_FALSE(LooksSecret("X", value)) << value;
  }
}

TEST(LooksSecret, ReferencesHoldNothing) {
  for (const char* value : {"Bearer $(TOKEN)", "postgres://me:$(PASSWORD)@$(HOST)/db", R"json({"apiKey":"$(KEY)"})json"}) {
    EXPECT_FALSE(LooksSecret("AUTHORIZATION", value)) << value;
  }
  EXPECT_TRUE(LooksSecret("X", "postgres://me:hush@$(HOST)/db"));
  EXPECT_TRUE(LooksSecret("PASSWORD", "$$(hush)"));
}

// What is secret of a word, "" for nothing.
std::string Secret(absl::string_view word, absl::string_view flag = "") {
  return absl::StrJoin(SecretParts(flag, word), "|");
}

TEST(SecretParts, OfArguments) {
  EXPECT_EQ(Secret("--api-key=abc"), "abc");
  EXPECT_EQ(Secret("abc", "--api-key"), "abc");
  EXPECT_EQ(Secret("abc", "-token"), "abc");
  EXPECT_EQ(Secret("GITHUB_PERSONAL_ACCESS_TOKEN=abc", "-e"), "abc");
  EXPECT_EQ(Secret("--env=API_KEY=abc=="), "abc==");
  EXPECT_EQ(Secret("Authorization: Bearer abc", "--header"), "Bearer abc");
  EXPECT_EQ(Secret("--header=X-Api-Key: abc"), "abc");
  EXPECT_EQ(Secret("https://x/mcp?tavilyApiKey=abc&a=1&token=def#x"), "abc|def");
  EXPECT_EQ(Secret("--url=https://x/mcp?token=abc"), "abc");
  EXPECT_EQ(Secret("postgres://me:hush@db/x"), "postgres://me:hush@db/x");
  EXPECT_EQ(Secret(R"({"apiKey":"abc"})", "--config"), R"({"apiKey":"abc"})");
  EXPECT_EQ(Secret("sk-abcdefghijklmnopq"), "sk-abcdefghijklmnopq");
  for (const char* word : {"-y", "@scope/auth-server", "--api-key", "--max-tokens=4096", "--key-file=/k", "--port=80",
                           "https://example.com/mcp?q=x", "--api-key=$(KEY)", "Bearer $(KEY)", "", "=", "a:b",
                           "--token="}) {
    EXPECT_EQ(Secret(word), "") << word;
  }
  EXPECT_EQ(Secret("4096", "--max-tokens"), "");
  std::string names;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&names, "a=");
  EXPECT_EQ(Secret(names), "");
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
  const auto values = *TakeSecretValues(&spec);
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
  EXPECT_TRUE(TakeSecretValues(&spec)->empty());
}

TEST(SecretValues, KeysAreDistinctAndWhatASecretTakes) {
  Spec spec = ServerSpec(R"({"headers":[{"name":"a~key","value":"v1"},{"name":"a|key","value":"v2"}]})");
  const auto values = *TakeSecretValues(&spec);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0].key, "header.a_key");
  EXPECT_EQ(values[1].key, "header.a_key.2");
}

// Takes the secrets out, and refers to the Secret "s" in their places.
std::string Taken(Spec* spec, const std::set<std::string>& named = {}) {
  const auto values = TakeSecretValues(spec, named);
  if (!values.ok()) return std::string(values.status().message());
  std::string out;
  for (const SecretValue& value : *values) {
    ReferTo(value, "s", spec);
    absl::StrAppend(&out, out.empty() ? "" : " ", value.path, " ", value.key, "=", value.value);
  }
  return out;
}
std::string Text(const Spec& spec) { return JsonText(ToJson(std::get<v1::MCPServerSpec>(spec))); }

TEST(SecretValues, OfTheCommandAndItsArguments) {
  Spec spec = ServerSpec(R"({"command":["token=x","run","--token=a"],
                             "args":["--api-key","b","-y","X-Key: c","https://x/?key=d&token=e"]})");
  EXPECT_EQ(Taken(&spec),
            "spec.command[2] env.UNMCP_COMMAND_2=a spec.args[1] env.UNMCP_ARG_1=b spec.args[3] env.UNMCP_ARG_3=c "
            "spec.args[4] env.UNMCP_ARG_4=d spec.args[4] env.UNMCP_ARG_4_2=e");
  const auto& server = std::get<v1::MCPServerSpec>(spec);
  EXPECT_THAT(server.command(), ElementsAre("token=x", "run", "--token=$(UNMCP_COMMAND_2)"));
  EXPECT_THAT(server.args(), ElementsAre("--api-key", "$(UNMCP_ARG_1)", "-y", "X-Key: $(UNMCP_ARG_3)",
                                         "https://x/?key=$(UNMCP_ARG_4)&token=$(UNMCP_ARG_4_2)"));
  EXPECT_EQ(server.env(0).value_from().secret_key_ref().name(), "s");
  // What was written is written again as it is.
  const std::string before = Text(spec);
  EXPECT_EQ(Taken(&spec), "");
  EXPECT_EQ(Text(spec), before);
}

TEST(SecretValues, AFlagAtTheEndOfTheCommandIsBeforeTheArguments) {
  Spec spec = ServerSpec(R"({"command":["x","--token"],"args":["a","--token","--verbose","b"]})");
  EXPECT_EQ(Taken(&spec), "spec.args[0] env.UNMCP_ARG_0=a");
}

TEST(SecretValues, TheProcessGetsTheBytesThatItWouldHaveGot) {
  // What a container's arguments become, by the rules of Kubernetes.
  const auto process = [](const v1::MCPServerSpec& spec, const std::map<std::string, std::string>& secret) {
    std::vector<std::string> words;
    for (const std::string& word : spec.args()) {
      words.push_back(ExpandReferences(word, [&](absl::string_view name) -> std::optional<std::string> {
        auto it = secret.find(absl::StrCat("env.", name));
        return it == secret.end() ? std::nullopt : std::optional(it->second);
      }));
    }
    return words;
  };
  Spec spec = ServerSpec(R"json({"args":["--token=a$$b","--token=$$(x)","--token=$(a b)$","$(a b --token=c)",
                                         "https://x/$(?key=d)","--token=$(NONE)"]})json");
  const std::vector<std::string> before = process(std::get<v1::MCPServerSpec>(spec), {});
  EXPECT_THAT(before, ElementsAre("--token=a$b", "--token=$(x)", "--token=$(a b)$", "$(a b --token=c)",
                                  "https://x/$(?key=d)", "--token=$(NONE)"));
  std::map<std::string, std::string> secret;
  const auto values = *TakeSecretValues(&spec);
  for (const SecretValue& value : values) secret[value.key] = value.value;
  EXPECT_EQ(secret.size(), 4u);
  EXPECT_EQ(process(std::get<v1::MCPServerSpec>(spec), secret), before);

  Spec env = ServerSpec(R"({"env":[{"name":"TOKEN","value":"a$$b"}],"headers":[{"name":"X-Token","value":"a$$b"}]})");
  EXPECT_EQ(Taken(&env), "spec.env[0] env.TOKEN=a$b spec.headers[0] header.X-Token=a$$b");
}

TEST(SecretValues, VariablesAreUsedAgainWhenNothingRefersToThem) {
  Spec spec = ServerSpec(R"json({"args":["--token=new","--token=newer","--token=$(UNMCP_ARG_1)"],
      "env":[{"name":"UNMCP_ARG_0","valueFrom":{"secretKeyRef":{"name":"old","key":"k"}}},
             {"name":"UNMCP_ARG_1","valueFrom":{"secretKeyRef":{"name":"kept","key":"k"}}}]})json");
  EXPECT_EQ(Taken(&spec), "spec.args[0] env.UNMCP_ARG_0=new spec.args[1] env.UNMCP_ARG_1_2=newer");
  EXPECT_THAT(ReferredSecrets(spec), ElementsAre("kept", "s"));
}

TEST(SecretValues, OfAUrl) {
  Spec spec = ServerSpec(R"({"url":"https://x/mcp?tavilyApiKey=a%20b&q=1&token=c"})");
  EXPECT_EQ(Taken(&spec), "spec.url env.UNMCP_URL_0=a%20b spec.url env.UNMCP_URL_1=c");
  EXPECT_EQ(std::get<v1::MCPServerSpec>(spec).url(), "https://x/mcp?tavilyApiKey=$(UNMCP_URL_0)&q=1&token=$(UNMCP_URL_1)");
  EXPECT_EQ(Taken(&spec), "");
}

TEST(SecretValues, NamedOnesAreTakenWhole) {
  Spec spec = ServerSpec(R"json({"args":["--word=x","$(A)","--word=y"],"env":[{"name":"A","value":"$(B)"}]})json");
  EXPECT_EQ(Taken(&spec, {"args/0", "args/1", "env/A", "url"}), "spec.args[0] env.UNMCP_ARG_0=--word=x");
  Spec url = ServerSpec(R"({"url":"https://x/a/b?c=d"})");
  EXPECT_EQ(Taken(&url, {"url"}), "spec.url env.UNMCP_URL_0=a/b?c=d");
  EXPECT_EQ(std::get<v1::MCPServerSpec>(url).url(), "https://x/$(UNMCP_URL_0)");
  EXPECT_EQ(Taken(&url, {"url"}), "");
}

TEST(SecretValues, ASecretBesideAReferenceIsRefused) {
  for (const char* json : {R"json({"args":["x","postgres://me:hush@$(HOST)/"]})json",
                           R"json({"env":[{"name":"A"},{"name":"URL","value":"postgres://me:hush@$(HOST)/"}]})json"}) {
    Spec spec = ServerSpec(json);
    EXPECT_THAT(Taken(&spec), AllOf(HasSubstr("[1]: holds a secret beside the reference $(HOST)"),
                                    Not(HasSubstr("hush"))));
  }
}

TEST(SecretValues, OfAPoolToo) {
  v1::MCPPoolSpec pool;
  Spec none = pool;
  EXPECT_TRUE(TakeSecretValues(&none)->empty());
  EXPECT_FALSE(std::get<v1::MCPPoolSpec>(none).has_server_defaults());
  auto* variable = pool.mutable_server_defaults()->add_env();
  variable->set_name("TOKEN");
  variable->set_value("hush");
  Spec spec = pool;
  EXPECT_EQ(TakeSecretValues(&spec)->size(), 1u);
}

}  // namespace
}  // namespace unmcp::apiserver
