#include "apiserver/resource_writer.h"

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "apiserver/contended_cluster.h"
#include "common/annotations.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kube/await.h"
#include "kube/embedded/embedded_cluster.h"
#include "proto/schema/crd.h"

namespace unmcp::apiserver {
namespace {

using kube::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

kube::ObjectRef ServerRef(const std::string& name) { return {kube::MCPServerKind(), "default", name}; }
kube::ObjectRef PoolRef(const std::string& name) { return {kube::MCPPoolKind(), "default", name}; }

v1::MCPServerSpec ServerSpec(const std::string& json) {
  v1::MCPServerSpec spec;
  EXPECT_TRUE(FromJson(*ParseJson(json), UnknownFields::kReject, &spec).ok()) << json;
  return spec;
}

Json Manifest(const std::string& kind, const std::string& name, const std::string& spec,
              Json metadata = Json::object()) {
  metadata["name"] = name;
  return {{"apiVersion", "unmcp.dev/v1"}, {"kind", kind}, {"metadata", metadata}, {"spec", Json::parse(spec)}};
}
Json Server(const std::string& name, const std::string& spec, Json metadata = Json::object()) {
  return Manifest("MCPServer", name, spec, std::move(metadata));
}

class ResourceWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(dir_);
    auto cluster =
        kube::EmbeddedCluster::Create({.data_dir = dir_, .crds = AllCrds(), .now = [this] { return now_; }});
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    contended_ = std::make_unique<ContendedCluster>(cluster_.get());
    MakeWriter(true);
  }
  void TearDown() override {
    cluster_.reset();
    std::filesystem::remove_all(dir_);
  }
  void MakeWriter(bool allow_pod_template) {
    writer_ = std::make_unique<ResourceWriter>(ResourceWriter::Options{.cluster = contended_.get(),
                                                                       .random = Random::System(),
                                                                       .now = [this] { return now_; },
                                                                       .allow_pod_template = allow_pod_template});
  }

  absl::StatusOr<kube::Object> Create(const std::string& name, Spec spec) {
    return kube::Await<kube::Object>(
        [&](kube::Callback<kube::Object> done) { writer_->Create("default", name, std::move(spec), std::move(done)); });
  }
  absl::StatusOr<kube::Object> Update(const kube::ObjectRef& ref, ResourceWriter::Precondition precondition,
                                      Spec spec) {
    return kube::Await<kube::Object>([&](kube::Callback<kube::Object> done) {
      writer_->Update(ref, std::move(precondition), std::move(spec), std::move(done));
    });
  }
  absl::Status Delete(const kube::ObjectRef& ref, ResourceWriter::Precondition precondition = {}) {
    return kube::Await<bool>([&](kube::Callback<bool> done) {
             writer_->Delete(ref, std::move(precondition), [done = std::move(done)](absl::Status status) mutable {
               if (status.ok()) {
                 done(true);
               } else {
                 done(std::move(status));
               }
             });
           }).status();
  }
  // "created", "configured", "unchanged", or the error.
  std::string Apply(const Json& manifest) {
    const auto applied = kube::Await<ResourceWriter::Applied>(
        [&](kube::Callback<ResourceWriter::Applied> done) { writer_->Apply("default", manifest, std::move(done)); });
    if (!applied.ok()) return applied.status().ToString();
    const char* words[] = {"created", "configured", "unchanged"};
    return words[static_cast<int>(applied->change)];
  }

  kube::Object Get(const kube::ObjectRef& ref) {
    auto object = kube::AwaitGet(*cluster_, ref);
    EXPECT_TRUE(object.ok()) << object.status();
    return object.ok() ? *object : kube::Object();
  }
  std::vector<kube::Object> Secrets() { return kube::AwaitList(*cluster_, kube::SecretKind(), "default")->items; }
  // "NAME=SECRET/KEY" of each variable and header with a reference; "NAME:VALUE" of the others.
  std::string Values(const std::string& server) {
    std::string out;
    for (const char* list : {"env", "headers"}) {
      for (const Json& entry : Get(ServerRef(server)).spec().value(list, Json::array())) {
        const Json ref = entry.value("valueFrom", Json::object()).value("secretKeyRef", Json::object());
        absl::StrAppend(&out, out.empty() ? "" : " ", std::string(entry["name"]),
                        ref.empty() ? ":" : "=", ref.empty() ? entry.value("value", "") : SecretText(ref));
      }
    }
    return out;
  }
  std::string SecretText(const Json& ref) {
    auto secret = kube::AwaitGet(*cluster_, {kube::SecretKind(), "default", ref["name"]});
    if (!secret.ok()) return "missing";
    std::string text;
    absl::Base64Unescape(std::string(secret->json()["data"].value(std::string(ref["key"]), "")), &text);
    return text;
  }

  absl::Time now_ = absl::FromUnixMillis(1746180930042);
  std::string dir_;
  std::unique_ptr<kube::EmbeddedCluster> cluster_;
  std::unique_ptr<ContendedCluster> contended_;
  std::unique_ptr<ResourceWriter> writer_;
};

// ---- create, update, delete ----------------------------------------------------------

TEST_F(ResourceWriterTest, CreatesUpdatesAndDeletes) {
  const auto made = Create("a", ServerSpec(R"({"command":["x"]})"));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->spec()["pool"], "default");
  EXPECT_TRUE(absl::IsAlreadyExists(Create("a", ServerSpec("{}")).status()));

  const auto updated = Update(ServerRef("a"), {}, ServerSpec(R"({"args":["y"],"idleTimeout":5})"));
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->spec(), Json::parse(R"({"args":["y"],"idleTimeout":5,"pool":"default"})"));
  EXPECT_EQ(updated->generation(), 2);
  // The same again is no write.
  EXPECT_EQ(Update(ServerRef("a"), {}, ServerSpec(R"({"args":["y"],"idleTimeout":5})"))->resource_version(),
            updated->resource_version());

  EXPECT_TRUE(Delete(ServerRef("a")).ok());
  EXPECT_TRUE(absl::IsNotFound(Delete(ServerRef("a"))));
  EXPECT_TRUE(absl::IsNotFound(Update(ServerRef("a"), {}, ServerSpec("{}")).status()));
}

TEST_F(ResourceWriterTest, AStaleVersionIsRefused) {
  const std::string first = Create("a", ServerSpec("{}"))->resource_version();
  ASSERT_TRUE(Update(ServerRef("a"), {.resource_version = first}, ServerSpec(R"({"suspend":true})")).ok());
  const absl::Status stale = Update(ServerRef("a"), {.resource_version = first}, ServerSpec("{}")).status();
  EXPECT_TRUE(absl::IsAborted(stale)) << stale;
  EXPECT_THAT(std::string(stale.message()), HasSubstr("read it again"));
  EXPECT_TRUE(absl::IsAborted(Delete(ServerRef("a"), {.resource_version = first})));
  EXPECT_EQ(Get(ServerRef("a")).spec()["suspend"], true);
}

TEST_F(ResourceWriterTest, AnotherServerOfTheNameIsNotTheOneThatWasMeant) {
  ASSERT_TRUE(Create("a", ServerSpec("{}")).ok());
  EXPECT_TRUE(absl::IsNotFound(Update(ServerRef("a"), {.uid = "other"}, ServerSpec("{}")).status()));
}

TEST_F(ResourceWriterTest, WhatBreaksARuleIsNotWritten) {
  const absl::Status named = Create("A", ServerSpec("{}")).status();
  EXPECT_THAT(std::string(named.message()), StartsWith("name: "));
  const absl::Status broken = Create("a", ServerSpec(R"({"env":[{"name":"1 2"}]})")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(broken));
  EXPECT_THAT(std::string(broken.message()), StartsWith("spec.env[0].name: "));
  EXPECT_TRUE(absl::IsNotFound(kube::AwaitGet(*cluster_, ServerRef("a")).status()));
}

TEST_F(ResourceWriterTest, ADeletedPoolTakesItsServersAlong) {
  ASSERT_TRUE(Create("p", v1::MCPPoolSpec()).ok());
  ASSERT_TRUE(Create("a", ServerSpec(R"({"pool":"p"})")).ok());
  const std::string version = Get(ServerRef("a")).resource_version();
  kube::WatchRecorder watch(*cluster_, kube::MCPServerKind(), "default", {.resource_version = version});
  ASSERT_TRUE(Delete(PoolRef("p")).ok());
  EXPECT_TRUE(watch.WaitFor([](const std::vector<kube::WatchEvent>& events) {
    return !events.empty() && events.back().type == kube::WatchEventType::kDeleted;
  }));
}

TEST_F(ResourceWriterTest, UpdatesAgainWhenSomebodyElseHasWrittenMeanwhile) {
  ASSERT_TRUE(Create("a", ServerSpec("{}")).ok());
  int writes = 0;
  contended_->meanwhile = [&](std::function<void()> go_on) {
    if (++writes > 1) return go_on();
    cluster_->Patch(ServerRef("a"), {{"spec", {{"idleTimeout", 9}}}}, {}, [go_on](auto) { go_on(); });
  };
  ASSERT_TRUE(Update(ServerRef("a"), {}, ServerSpec(R"({"command":["ours"]})")).ok());
  EXPECT_EQ(Get(ServerRef("a")).spec(), Json::parse(R"({"command":["ours"],"pool":"default"})"));
  EXPECT_EQ(writes, 2);
}

TEST_F(ResourceWriterTest, PodTemplatesNeedPermission) {
  MakeWriter(false);
  const std::string spec = R"({"podTemplate":{"spec":{"hostPID":true}}})";
  const absl::Status refused = Create("a", ServerSpec(spec)).status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--allow-pod-template"));
  v1::MCPPoolSpec pool;
  *pool.mutable_server_defaults()->mutable_pod_template() = ServerSpec(spec).pod_template();
  EXPECT_TRUE(absl::IsPermissionDenied(Create("p", pool).status()));

  // What somebody who may has put there stays when other fields are written.
  MakeWriter(true);
  ASSERT_TRUE(Create("a", ServerSpec(spec)).ok());
  MakeWriter(false);
  EXPECT_TRUE(Update(ServerRef("a"), {}, ServerSpec(R"({"suspend":true,"podTemplate":{"spec":{"hostPID":true}}})")).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(Update(ServerRef("a"), {}, ServerSpec("{}")).status()));
}

TEST_F(ResourceWriterTest, StartsAndStopsByAnnotation) {
  ASSERT_TRUE(Create("a", ServerSpec(R"({"suspend":true})")).ok());
  const auto started = kube::Await<kube::Object>(
      [&](kube::Callback<kube::Object> done) { writer_->Start(ServerRef("a"), {}, "me", std::move(done)); });
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_EQ(started->annotation(kStartedAtAnnotation), "2025-05-02T10:15:30.042Z");
  EXPECT_EQ(started->annotation(kStartedByAnnotation), "me");
  EXPECT_FALSE(started->spec().contains("suspend"));
  const auto stop = [&](bool suspend) {
    return *kube::Await<kube::Object>([&](kube::Callback<kube::Object> done) {
      writer_->Stop(ServerRef("a"), {}, "you", suspend, std::move(done));
    });
  };
  const kube::Object stopped = stop(false);
  EXPECT_EQ(stopped.annotation(kStoppedAtAnnotation), "2025-05-02T10:15:30.042Z");
  EXPECT_EQ(stopped.annotation(kStoppedByAnnotation), "you");
  EXPECT_FALSE(stopped.spec().contains("suspend"));
  EXPECT_EQ(stop(true).spec()["suspend"], true);
}

// ---- apply ---------------------------------------------------------------------------

TEST_F(ResourceWriterTest, WritesNothingWhenNothingChanged) {
  const auto server = Server("a", R"({"command":["x"],"env":[{"name":"A","value":"1"}],"transport":{}})",
                             {{"labels", {{"team", "a"}}}});
  ASSERT_EQ(Apply(server), "created");
  const std::string before = Get(ServerRef("a")).resource_version();
  // Not even because of the defaults that the cluster filled in.
  EXPECT_EQ(Get(ServerRef("a")).spec()["pool"], "default");
  EXPECT_EQ(Apply(server), "unchanged");
  EXPECT_EQ(Get(ServerRef("a")).resource_version(), before);
}

TEST_F(ResourceWriterTest, TheManifestIsTheWholeSpec) {
  ASSERT_EQ(Apply(Server("a", R"({"command":["x"],"args":["1"],"idleTimeout":5,"startupTimeout":7,
                                  "env":[{"name":"A","value":"1"},{"name":"B","value":"2"}]})")),
            "created");
  EXPECT_EQ(Apply(Server("a", R"({"command":["y"],"env":[{"name":"B","value":"3"}]})")), "configured");
  const kube::Object live = Get(ServerRef("a"));
  EXPECT_EQ(live.spec(), Json::parse(R"({"command":["y"],"env":[{"name":"B","value":"3"}],"pool":"default"})"));
  EXPECT_EQ(live.generation(), 2);
}

TEST_F(ResourceWriterTest, OtherPeoplesLabelsStay) {
  ASSERT_EQ(Apply(Server("a", R"({"command":["x"]})", {{"labels", {{"old", "1"}, {"both", "1"}}}})), "created");
  EXPECT_EQ(Apply(Server("a", R"({"command":["x"]})", {{"labels", {{"both", "2"}}}, {"annotations", {{"note", "n"}}}})),
            "configured");
  const kube::Object live = Get(ServerRef("a"));
  EXPECT_EQ(live.labels(), (std::map<std::string, std::string>{{"old", "1"}, {"both", "2"}}));
  EXPECT_EQ(live.annotation("note"), "n");
  // The spec was left alone.
  EXPECT_EQ(live.generation(), 1);
}

TEST_F(ResourceWriterTest, TakesAnotherWritersChangeIntoAccount) {
  // Created by somebody else after we saw that it is not there, then changed
  // by somebody else after we read it.
  int writes = 0;
  contended_->meanwhile = [&](std::function<void()> go_on) {
    if (++writes == 1) {
      kube::Object theirs(kube::MCPServerKind(), "default", "a");
      theirs.json()["spec"] = {{"command", {"theirs"}}};
      cluster_->Create(kube::MCPServerKind(), theirs, [go_on](auto) { go_on(); });
    } else if (writes == 2) {
      cluster_->Patch(ServerRef("a"), {{"spec", {{"idleTimeout", 9}}}}, {}, [go_on](auto) { go_on(); });
    } else {
      go_on();
    }
  };
  EXPECT_EQ(Apply(Server("a", R"({"command":["ours"]})")), "configured");
  const kube::Object live = Get(ServerRef("a"));
  EXPECT_EQ(live.spec()["command"], Json::array({"ours"}));
  EXPECT_FALSE(live.spec().contains("idleTimeout"));
}

TEST_F(ResourceWriterTest, GivesUpAgainstAWriterThatNeverStops) {
  ASSERT_EQ(Apply(Server("a", R"({"command":["x"]})")), "created");
  int version = 0;
  contended_->meanwhile = [&](std::function<void()> go_on) {
    cluster_->Patch(ServerRef("a"), {{"spec", {{"idleTimeout", ++version}}}}, {}, [go_on](auto) { go_on(); });
  };
  EXPECT_THAT(Apply(Server("a", R"({"command":["y"]})")), StartsWith("ABORTED"));
  EXPECT_EQ(contended_->patches, kMaxWriteAttempts);
}

TEST_F(ResourceWriterTest, AppliesSecretsAndConfigMaps) {
  const Json secret = {{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", "keys"}}},
                       {"stringData", {{"k", "hush"}}}, {"data", {{"l", "aHVzaA=="}}}};
  EXPECT_EQ(Apply(secret), "created");
  EXPECT_EQ(Get({kube::SecretKind(), "default", "keys"}).json()["data"],
            Json::parse(R"({"k":"aHVzaA==","l":"aHVzaA=="})"));
  EXPECT_EQ(Apply(secret), "unchanged");
  Json less = secret;
  less.erase("data");
  EXPECT_EQ(Apply(less), "configured");
  EXPECT_EQ(Get({kube::SecretKind(), "default", "keys"}).json()["data"], Json::parse(R"({"k":"aHVzaA=="})"));
  EXPECT_EQ(Apply({{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", "c"}}}, {"data", {{"a", "b"}}}}),
            "created");
  EXPECT_EQ(Get({kube::ConfigMapKind(), "default", "c"}).json()["data"]["a"], "b");
}

TEST_F(ResourceWriterTest, ManifestsThatAreWrongSayWhere) {
  const auto with = [](Json manifest, const char* pointer, Json value) {
    manifest[Json::json_pointer(pointer)] = std::move(value);
    return manifest;
  };
  const Json good = Server("a", "{}");
  EXPECT_THAT(Apply(with(good, "/kind", "Pod")), HasSubstr("kind: must be MCPServer, MCPPool, Secret or ConfigMap"));
  EXPECT_THAT(Apply(with(good, "/apiVersion", "v1")), HasSubstr("apiVersion: must be unmcp.dev/v1"));
  EXPECT_THAT(Apply(with(good, "/sepc", 1)), HasSubstr("sepc: is not a field of a MCPServer"));
  EXPECT_THAT(Apply(with(good, "/metadata/name", "A")), HasSubstr("metadata.name: "));
  EXPECT_THAT(Apply(with(good, "/metadata/namespace", "other")), HasSubstr("metadata.namespace: must be default"));
  EXPECT_THAT(Apply(with(good, "/metadata/labels", {{"a", 1}})), HasSubstr("metadata.labels.a: must be text"));
  EXPECT_THAT(Apply(with(good, "/spec/comand", {"x"})), HasSubstr("spec.comand"));
  EXPECT_THAT(Apply(with(good, "/spec/command", "x")), HasSubstr("spec.command: "));
  EXPECT_THAT(Apply(Json::array()), HasSubstr("a manifest is an object"));
  const std::string secret = Apply({{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", "s"}}},
                                    {"data", {{"k", "hush!"}}}});
  EXPECT_THAT(secret, AllOf(HasSubstr("data.k: must be base64"), Not(HasSubstr("hush"))));
}

TEST_F(ResourceWriterTest, WhatKubectlAndTheClusterAddIsLeftOut) {
  EXPECT_EQ(Apply(Server("a", "{}", {{"uid", "1"}, {"resourceVersion", "7"}, {"managedFields", Json::array()},
                                     {"annotations", {{"kubectl.kubernetes.io/last-applied-configuration", "hush"}}}})),
            "created");
  EXPECT_EQ(Get(ServerRef("a")).annotation("kubectl.kubernetes.io/last-applied-configuration"), "");
}

// ---- secret values ---------------------------------------------------------------------

TEST_F(ResourceWriterTest, SecretValuesAreKeptInASecretOfTheServer) {
  const auto made = Create("a", ServerSpec(R"({"env":[{"name":"API_KEY","value":"hush"},{"name":"TZ","value":"UTC"}],
                                               "headers":[{"name":"Authorization","value":"Bearer hush2"}]})"));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(made->json().dump(), Not(HasSubstr("hush")));
  EXPECT_EQ(Values("a"), "API_KEY=hush TZ:UTC Authorization=Bearer hush2");
  ASSERT_EQ(Secrets().size(), 1u);
  const kube::Object secret = Secrets()[0];
  EXPECT_THAT(secret.name(), StartsWith("a-"));
  EXPECT_EQ(secret.labels().at("unmcp.dev/server"), "a");
  ASSERT_EQ(secret.owners().size(), 1u);
  EXPECT_EQ(secret.owners()[0].uid, made->uid());
  // It goes with the server.
  kube::WatchRecorder watch(*cluster_, kube::SecretKind(), "default", {.resource_version = secret.resource_version()});
  ASSERT_TRUE(Delete(ServerRef("a")).ok());
  EXPECT_TRUE(watch.WaitForCount(1));
  EXPECT_TRUE(Secrets().empty());
}

TEST_F(ResourceWriterTest, TheSameValueKeepsItsReferenceAndAnotherGetsANewOne) {
  const Json first = Server("a", R"({"env":[{"name":"API_KEY","value":"hush"}]})");
  ASSERT_EQ(Apply(first), "created");
  const std::string name = Secrets().at(0).name();
  EXPECT_EQ(Apply(first), "unchanged");
  EXPECT_EQ(Secrets().at(0).name(), name);

  EXPECT_EQ(Apply(Server("a", R"({"env":[{"name":"API_KEY","value":"other"}]})")), "configured");
  EXPECT_EQ(Get(ServerRef("a")).generation(), 2);
  EXPECT_EQ(Values("a"), "API_KEY=other");
  ASSERT_EQ(Secrets().size(), 1u);
  EXPECT_NE(Secrets()[0].name(), name);
}

TEST_F(ResourceWriterTest, SecretsInArgumentsAreKeptLikeThoseOfVariables) {
  const Json first = Server("a", R"({"command":["x"],"args":["--api-key=hush","--token","hush2"]})");
  ASSERT_EQ(Apply(first), "created");
  EXPECT_EQ(Get(ServerRef("a")).spec()["args"],
            Json::array({"--api-key=$(UNMCP_ARG_0)", "--token", "$(UNMCP_ARG_2)"}));
  EXPECT_EQ(Values("a"), "UNMCP_ARG_0=hush UNMCP_ARG_2=hush2");
  EXPECT_THAT(Get(ServerRef("a")).json().dump(), Not(HasSubstr("hush")));
  EXPECT_EQ(Apply(first), "unchanged");
  // So is what was read and written again.
  const kube::Object before = Get(ServerRef("a"));
  const auto again = Update(ServerRef("a"), {}, ServerSpec(before.spec().dump()));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->resource_version(), before.resource_version());

  // Another secret is another Secret, so another spec.
  EXPECT_EQ(Apply(Server("a", R"({"command":["x"],"args":["--api-key=other","--token","hush2"]})")), "configured");
  EXPECT_EQ(Values("a"), "UNMCP_ARG_0=other UNMCP_ARG_2=hush2");
  EXPECT_EQ(Get(ServerRef("a")).generation(), 2);
}

TEST_F(ResourceWriterTest, SecretsInAUrlAreKeptLikeThoseOfVariables) {
  const Json first = Server("a", R"({"url":"https://x.example/mcp?tavilyApiKey=hush&q=1"})");
  ASSERT_EQ(Apply(first), "created");
  EXPECT_EQ(Get(ServerRef("a")).spec()["url"], "https://x.example/mcp?tavilyApiKey=$(UNMCP_URL_0)&q=1");
  EXPECT_EQ(Values("a"), "UNMCP_URL_0=hush");
  EXPECT_EQ(Apply(first), "unchanged");
  EXPECT_TRUE(Update(ServerRef("a"), {}, ServerSpec(Get(ServerRef("a")).spec().dump())).ok());
  EXPECT_THAT(Apply(Server("b", R"json({"args":["postgres://me:hush@$(HOST)/"]})json")),
              AllOf(HasSubstr("spec.args[0]: holds a secret beside"), Not(HasSubstr("hush"))));
}

TEST_F(ResourceWriterTest, WhatAnAnnotationNamesIsSecretWhateverItLooksLike) {
  Json manifest = Server("a", R"({"env":[{"name":"WORD","value":"hush"},{"name":"TZ","value":"UTC"}],
                                  "headers":[{"name":"X-A","value":"hush2"}]})");
  manifest["metadata"]["annotations"]["unmcp.dev/secret-values"] = "env/WORD,headers/X-A";
  ASSERT_EQ(Apply(manifest), "created");
  EXPECT_EQ(Values("a"), "WORD=hush TZ:UTC X-A=hush2");
  EXPECT_THAT(Get(ServerRef("a")).json().dump(), Not(HasSubstr("hush")));
  EXPECT_EQ(Apply(manifest), "unchanged");
  // And stays one for whoever writes it next.
  ASSERT_TRUE(Update(ServerRef("a"), {}, ServerSpec(R"({"env":[{"name":"WORD","value":"hush3"}]})")).ok());
  EXPECT_EQ(Values("a"), "WORD=hush3");
}

TEST_F(ResourceWriterTest, ReferencesThatAreWrittenBackStayGood) {
  ASSERT_TRUE(Create("a", ServerSpec(R"({"env":[{"name":"API_KEY","value":"hush"}]})")).ok());
  v1::MCPServerSpec read = ServerSpec(Get(ServerRef("a")).spec().dump());
  auto* added = read.add_env();
  added->set_name("TOKEN");
  added->set_value("hush2");
  ASSERT_TRUE(Update(ServerRef("a"), {}, read).ok());
  EXPECT_EQ(Values("a"), "API_KEY=hush TOKEN=hush2");
  EXPECT_EQ(Secrets().size(), 2u);
  for (const auto& secret : Secrets()) EXPECT_EQ(secret.owners().size(), 1u);
  // Without a value there is nothing to keep.
  ASSERT_TRUE(Update(ServerRef("a"), {}, ServerSpec("{}")).ok());
  EXPECT_TRUE(Secrets().empty());
}

TEST_F(ResourceWriterTest, SecretsOfUsersAreLeftAlone) {
  ASSERT_EQ(Apply({{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", "mine"}}},
                   {"stringData", {{"k", "hush"}}}}),
            "created");
  const char* spec = R"({"env":[{"name":"API_KEY","valueFrom":{"secretKeyRef":{"name":"mine","key":"k"}}}]})";
  ASSERT_TRUE(Create("a", ServerSpec(spec)).ok());
  ASSERT_TRUE(Update(ServerRef("a"), {}, ServerSpec("{}")).ok());
  ASSERT_EQ(Secrets().size(), 1u);
  EXPECT_TRUE(Secrets()[0].owners().empty());
}

TEST_F(ResourceWriterTest, AFailedWriteLeavesNoSecret) {
  ASSERT_TRUE(Create("a", ServerSpec("{}")).ok());
  const absl::Status taken = Create("a", ServerSpec(R"({"env":[{"name":"API_KEY","value":"hush"}]})")).status();
  EXPECT_TRUE(absl::IsAlreadyExists(taken)) << taken;
  EXPECT_TRUE(Secrets().empty());
}

TEST_F(ResourceWriterTest, LostAttemptsLeaveOneSecret) {
  ASSERT_TRUE(Create("a", ServerSpec("{}")).ok());
  int writes = 0;
  contended_->meanwhile = [&](std::function<void()> go_on) {
    if (++writes > 2) return go_on();
    cluster_->Patch(ServerRef("a"), {{"spec", {{"idleTimeout", writes}}}}, {}, [go_on](auto) { go_on(); });
  };
  ASSERT_TRUE(Update(ServerRef("a"), {}, ServerSpec(R"({"env":[{"name":"API_KEY","value":"hush"}]})")).ok());
  EXPECT_EQ(Values("a"), "API_KEY=hush");
  ASSERT_EQ(Secrets().size(), 1u);
  EXPECT_EQ(Secrets()[0].owners().size(), 1u);
}

TEST_F(ResourceWriterTest, SecretsWithoutAServerAreClearedAwayLater) {
  // What a process that ended between two writes leaves.
  kube::Object stray(kube::SecretKind(), "default", "a-stray");
  stray.json()["metadata"]["labels"] = {{kSecretServerLabel, "a"}};
  stray.json()["type"] = kValuesSecretType;
  stray.json()["data"] = {{"env.API_KEY", "eA=="}};
  ASSERT_TRUE(kube::AwaitCreate(*cluster_, kube::SecretKind(), stray).ok());
  const char* spec = R"({"env":[{"name":"API_KEY","value":"hush"}]})";
  ASSERT_EQ(Apply(Server("a", spec)), "created");
  EXPECT_EQ(Secrets().size(), 2u);  // it might be another writer's, who is about to refer to it
  now_ += kStraySecretAge + absl::Seconds(1);
  ASSERT_EQ(Apply(Server("a", spec)), "unchanged");
  EXPECT_EQ(Secrets().size(), 1u);
  EXPECT_EQ(Values("a"), "API_KEY=hush");
}

TEST_F(ResourceWriterTest, WhereSecretsAreForbiddenItSaysWhatToDo) {
  contended_->refuse = [](const kube::Kind& kind) {
    return kind == kube::SecretKind() ? absl::PermissionDeniedError("no") : absl::OkStatus();
  };
  const absl::Status refused = Create("a", ServerSpec(R"({"env":[{"name":"API_KEY","value":"hush"}]})")).status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused));
  EXPECT_THAT(std::string(refused.message()), AllOf(HasSubstr("valueFrom.secretKeyRef"), Not(HasSubstr("hush"))));
  EXPECT_TRUE(absl::IsNotFound(kube::AwaitGet(*cluster_, ServerRef("a")).status()));
  EXPECT_TRUE(Create("a", ServerSpec("{}")).ok());
}

TEST_F(ResourceWriterTest, APoolsSecretValuesToo) {
  v1::MCPPoolSpec spec;
  auto* variable = spec.mutable_server_defaults()->add_env();
  variable->set_name("API_KEY");
  variable->set_value("hush");
  const auto made = Create("p", spec);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(made->json().dump(), Not(HasSubstr("hush")));
  ASSERT_EQ(Secrets().size(), 1u);
  EXPECT_EQ(Secrets()[0].labels().at("unmcp.dev/pool"), "p");
  EXPECT_EQ(Secrets()[0].owners()[0].uid, made->uid());
}

TEST(DifferenceTest, SaysOnlyWhatDiffers) {
  EXPECT_EQ(Difference(Json::parse(R"({"a":1,"b":{"c":2,"d":3},"e":[1]})"), Json::parse(R"({"a":1,"b":{"c":2},"e":[2]})")),
            Json::parse(R"({"b":{"d":null},"e":[2]})"));
  EXPECT_EQ(Difference(Json::parse(R"({"a":1})"), Json::parse(R"({"a":1,"b":null})")), Json::object());
}

}  // namespace
}  // namespace unmcp::apiserver
