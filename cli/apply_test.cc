#include "cli/apply.h"

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kube/await.h"
#include "kube/embedded/embedded_cluster.h"
#include "proto/schema/crd.h"

namespace unmcp {
namespace {

using kube::Json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

kube::ObjectRef ServerRef(const std::string& name) { return {kube::MCPServerKind(), "default", name}; }

kube::Object Make(const kube::Kind& kind, const std::string& name, const char* spec, Json metadata = Json::object()) {
  kube::Object object(kind, "default", name);
  object.json()["spec"] = Json::parse(spec);
  object.json()["metadata"].update(metadata);
  return object;
}

kube::Object Server(const std::string& name, const char* spec, Json metadata = Json::object()) {
  return Make(kube::MCPServerKind(), name, spec, std::move(metadata));
}

// A cluster with somebody else at work in it: `meanwhile` runs before a write
// that comes through here.
class Contended final : public kube::Cluster {
 public:
  explicit Contended(kube::Cluster* cluster) : cluster_(cluster) {}
  std::function<void(std::function<void()> go_on)> meanwhile;

  void Get(const kube::ObjectRef& ref, kube::Callback<kube::Object> done) override {
    cluster_->Get(ref, std::move(done));
  }
  void Create(const kube::Kind& kind, kube::Object object, kube::Callback<kube::Object> done) override {
    auto shared = std::make_shared<kube::Callback<kube::Object>>(std::move(done));
    meanwhile([this, kind, object, shared] { cluster_->Create(kind, object, std::move(*shared)); });
  }
  void Patch(const kube::ObjectRef& ref, Json patch, kube::PatchOptions options,
             kube::Callback<kube::Object> done) override {
    ++patches;
    auto shared = std::make_shared<kube::Callback<kube::Object>>(std::move(done));
    meanwhile([this, ref, patch, options, shared] { cluster_->Patch(ref, patch, options, std::move(*shared)); });
  }
  void List(const kube::Kind&, const std::string&, kube::ListOptions, kube::Callback<kube::ObjectList>) override {
    std::abort();
  }
  void Delete(const kube::ObjectRef&, kube::DeleteOptions, kube::DoneCallback) override { std::abort(); }
  std::unique_ptr<kube::Watch> StartWatch(const kube::Kind&, const std::string&, kube::WatchOptions,
                                          kube::WatchCallbacks) override {
    std::abort();
  }
  void Attach(const kube::ObjectRef&, kube::AttachOptions,
              kube::Callback<std::unique_ptr<kube::Attachment>>) override {
    std::abort();
  }
  void Logs(const kube::ObjectRef&, kube::LogOptions, kube::Callback<std::string>) override { std::abort(); }
  std::unique_ptr<kube::Watch> FollowLogs(const kube::ObjectRef&, kube::LogOptions, kube::LogCallbacks) override {
    std::abort();
  }

  int patches = 0;

 private:
  kube::Cluster* const cluster_;
};

class ApplyTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(dir_);
    auto cluster = kube::EmbeddedCluster::Create({.data_dir = dir_, .crds = AllCrds()});
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
  }
  void TearDown() override {
    cluster_.reset();
    std::filesystem::remove_all(dir_);
  }

  absl::StatusOr<std::vector<Applied>> Apply(std::vector<kube::Object> objects, kube::Cluster* cluster = nullptr) {
    return kube::Await<std::vector<Applied>>([&](kube::Callback<std::vector<Applied>> done) {
      ApplyAll(cluster == nullptr ? cluster_.get() : cluster, std::move(objects), std::move(done));
    });
  }

  // What became of each, as "name:created …".
  std::string Outcome(const absl::StatusOr<std::vector<Applied>>& applied) {
    if (!applied.ok()) return applied.status().ToString();
    std::string out;
    for (const Applied& one : *applied) {
      const char* words[] = {"created", "configured", "unchanged"};
      absl::StrAppend(&out, out.empty() ? "" : " ", one.ref.name, ":", words[static_cast<int>(one.change)]);
    }
    return out;
  }

  kube::Object Get(const kube::ObjectRef& ref) {
    auto object = kube::AwaitGet(*cluster_, ref);
    EXPECT_TRUE(object.ok()) << object.status();
    return object.ok() ? *object : kube::Object();
  }

  std::string dir_;
  std::unique_ptr<kube::EmbeddedCluster> cluster_;
};

TEST_F(ApplyTest, CreatesPoolsBeforeServers) {
  EXPECT_EQ(Outcome(Apply({Server("b", R"({"command":["x"],"pool":"p"})"), Server("a", R"({"command":["x"]})"),
                           Make(kube::MCPPoolKind(), "p", R"({"maxServersActive":1})")})),
            "p:created b:created a:created");
  EXPECT_EQ(Get(ServerRef("b")).spec()["pool"], "p");
  EXPECT_EQ(Get({kube::MCPPoolKind(), "default", "p"}).spec()["maxServersActive"], 1);
  EXPECT_EQ(Outcome(Apply({})), "");
}

TEST_F(ApplyTest, WritesNothingWhenNothingChanged) {
  const auto server = Server("a", R"({"command":["x"],"env":[{"name":"A","value":"1"}],"transport":{}})",
                             {{"labels", {{"team", "a"}}}});
  ASSERT_EQ(Outcome(Apply({server})), "a:created");
  const std::string before = Get(ServerRef("a")).resource_version();
  // Not even because of the defaults that the cluster filled in.
  EXPECT_EQ(Get(ServerRef("a")).spec()["pool"], "default");
  EXPECT_EQ(Outcome(Apply({server})), "a:unchanged");
  EXPECT_EQ(Get(ServerRef("a")).resource_version(), before);
}

TEST_F(ApplyTest, TheManifestIsTheWholeSpec) {
  ASSERT_EQ(Outcome(Apply({Server("a", R"({"command":["x"],"args":["1"],"idleTimeout":5,"startupTimeout":7,
                                           "env":[{"name":"A","value":"1"},{"name":"B","value":"2"}]})")})),
            "a:created");
  EXPECT_EQ(Outcome(Apply({Server("a", R"({"command":["y"],"env":[{"name":"B","value":"3"}]})")})), "a:configured");
  const kube::Object live = Get(ServerRef("a"));
  EXPECT_EQ(live.spec(), Json::parse(R"({"command":["y"],"env":[{"name":"B","value":"3"}],"pool":"default"})"));
  EXPECT_EQ(live.generation(), 2);
}

TEST_F(ApplyTest, OtherPeoplesLabelsStay) {
  ASSERT_EQ(Outcome(Apply({Server("a", R"({"command":["x"]})", {{"labels", {{"old", "1"}, {"both", "1"}}}})})),
            "a:created");
  EXPECT_EQ(Outcome(Apply({Server("a", R"({"command":["x"]})",
                                  {{"labels", {{"both", "2"}}}, {"annotations", {{"note", "n"}}}})})),
            "a:configured");
  const kube::Object live = Get(ServerRef("a"));
  EXPECT_EQ(live.labels(), (std::map<std::string, std::string>{{"old", "1"}, {"both", "2"}}));
  EXPECT_EQ(live.annotation("note"), "n");
  // The spec was left alone.
  EXPECT_EQ(live.generation(), 1);
}

TEST_F(ApplyTest, TheFirstErrorNamesItsObjectAndEndsIt) {
  const auto applied =
      Apply({Server("a", R"({"command":["x"]})"), Server("b", R"({"idleTimeout":-7})"), Server("c", "{}")});
  EXPECT_EQ(applied.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(applied.status().message()),
              testing::AllOf(StartsWith("MCPServer b: "), HasSubstr("idleTimeout")));
  EXPECT_EQ(Get(ServerRef("a")).name(), "a");
  EXPECT_TRUE(absl::IsNotFound(kube::AwaitGet(*cluster_, ServerRef("c")).status()));
}

TEST_F(ApplyTest, TakesAnotherWritersChangeIntoAccount) {
  Contended contended(cluster_.get());
  // Created by somebody else after we saw that it is not there, then changed
  // by somebody else after we read it.
  int writes = 0;
  contended.meanwhile = [&](std::function<void()> go_on) {
    if (++writes == 1) {
      cluster_->Create(kube::MCPServerKind(), Server("a", R"({"command":["theirs"]})"), [go_on](auto) { go_on(); });
    } else if (writes == 2) {
      cluster_->Patch(ServerRef("a"), {{"spec", {{"idleTimeout", 9}}}}, {}, [go_on](auto) { go_on(); });
    } else {
      go_on();
    }
  };
  EXPECT_EQ(Outcome(Apply({Server("a", R"({"command":["ours"]})")}, &contended)), "a:configured");
  const kube::Object live = Get(ServerRef("a"));
  EXPECT_EQ(live.spec()["command"], Json::array({"ours"}));
  EXPECT_FALSE(live.spec().contains("idleTimeout"));
}

TEST_F(ApplyTest, GivesUpAgainstAWriterThatNeverStops) {
  ASSERT_EQ(Outcome(Apply({Server("a", R"({"command":["x"]})")})), "a:created");
  Contended contended(cluster_.get());
  int version = 0;
  contended.meanwhile = [&](std::function<void()> go_on) {
    cluster_->Patch(ServerRef("a"), {{"spec", {{"idleTimeout", ++version}}}}, {}, [go_on](auto) { go_on(); });
  };
  const auto applied = Apply({Server("a", R"({"command":["y"]})")}, &contended);
  EXPECT_EQ(applied.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(contended.patches, kMaxApplyAttempts);
}

TEST(ApplyPatchTest, SaysOnlyWhatDiffers) {
  const auto live = Server("a", R"({"pool":"default","command":["x"],"suspend":true})");
  EXPECT_EQ(ApplyPatch(live, Server("a", R"({"command":["x","y"]})")),
            Json::parse(R"({"spec":{"command":["x","y"],"suspend":null}})"));
  EXPECT_EQ(ApplyPatch(live, Server("a", R"({"command":["x"],"suspend":true})")), Json::object());
}

}  // namespace
}  // namespace unmcp
