#include "kube/embedded/embedded_cluster.h"

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kube/await.h"
#include "kube/cluster_conformance.h"
#include "sqlite3.h"

namespace unmcp::kube {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A directory that is gone with its owner.
class TempDir {
 public:
  TempDir() {
    const char* base = getenv("TEST_TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/cluster-XXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<EmbeddedCluster> Open(const std::string& dir) {
  absl::StatusOr<std::unique_ptr<EmbeddedCluster>> cluster =
      EmbeddedCluster::Create({.data_dir = dir, .crds = {WidgetCrd()}});
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  return cluster.ok() ? *std::move(cluster) : nullptr;
}

class EmbeddedUnderTest final : public ClusterUnderTest {
 public:
  EmbeddedUnderTest() : cluster_(Open(dir_.path())) {}
  Cluster& cluster() override { return *cluster_; }
  std::string NewNamespace() override { return absl::StrCat("ns-", ++namespaces_); }

 private:
  TempDir dir_;
  int namespaces_ = 0;
  const std::unique_ptr<EmbeddedCluster> cluster_;
};

INSTANTIATE_TEST_SUITE_P(Embedded, ClusterConformance,
                         testing::Values(ClusterFactory([] { return std::make_unique<EmbeddedUnderTest>(); })));

constexpr char kNs[] = "default";

Object Widget(const std::string& name) {
  Object widget(WidgetKind(), kNs, name);
  widget.json()["spec"]["size"] = 1;
  return widget;
}

ObjectRef Ref(const std::string& name) { return {WidgetKind(), kNs, name}; }

Object Pod(const std::string& name) {
  Object pod(PodKind(), kNs, name);
  pod.json()["spec"] = R"({"containers": [{"name": "main"}]})"_json;
  return pod;
}

absl::Status CreateError(const EmbeddedCluster::Options& options) { return EmbeddedCluster::Create(options).status(); }

// --- Durability ---

TEST(EmbeddedCluster, EverythingIsThereAfterReopening) {
  TempDir dir;
  auto cluster = Open(dir.path());
  const Object kept = *AwaitCreate(*cluster, WidgetKind(), Widget("kept"));
  const Object patched = *AwaitPatch(*cluster, Ref("kept"), R"({"spec": {"size": 2}})"_json);
  ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget("deleted")).ok());
  ASSERT_TRUE(AwaitDelete(*cluster, Ref("deleted")).ok());
  const std::string version = AwaitList(*cluster, WidgetKind(), kNs)->resource_version;
  cluster.reset();

  cluster = Open(dir.path());
  absl::StatusOr<ObjectList> list = AwaitList(*cluster, WidgetKind(), kNs);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->items.size(), 1u);
  EXPECT_EQ(list->items[0].json(), patched.json());
  EXPECT_EQ(list->resource_version, version);
  // A watcher that was up to date goes on; one that was not lists again.
  WatchRecorder current(*cluster, WidgetKind(), kNs, {"", version});
  WatchRecorder stale(*cluster, WidgetKind(), kNs, {"", kept.resource_version()});
  ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget("new")).ok());
  ASSERT_TRUE(current.WaitForCount(1));
  EXPECT_EQ(stale.WaitForEnd().code(), absl::StatusCode::kOutOfRange);
}

TEST(EmbeddedCluster, WhatWasAnsweredSurvivesSigkill) {
  TempDir dir;
  constexpr int kWidgets = 50;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto cluster = Open(dir.path());
    for (int i = 0; i < kWidgets; ++i) {
      if (!AwaitCreate(*cluster, WidgetKind(), Widget(absl::StrCat("w", i))).ok()) _exit(1);
    }
    (void)!write(ready[1], "x", 1);
    while (true) pause();
  }
  close(ready[1]);
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1) << "the child failed";
  close(ready[0]);
  // While it lives, its directory is taken, and the error says by whom.
  const absl::Status taken = CreateError({.data_dir = dir.path()});
  EXPECT_EQ(taken.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(taken.message()),
              AllOf(HasSubstr(dir.path()), HasSubstr(absl::StrCat("process ", child)), HasSubstr("--data-dir")));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);

  auto cluster = Open(dir.path());
  EXPECT_EQ(AwaitList(*cluster, WidgetKind(), kNs)->items.size(), static_cast<size_t>(kWidgets));
}

TEST(EmbeddedCluster, GarbageLeftByACrashIsCollectedAtStart) {
  TempDir dir;
  auto cluster = Open(dir.path());
  const Object owner = *AwaitCreate(*cluster, WidgetKind(), Widget("owner"));
  Object dependent = Widget("dependent");
  dependent.AddOwner({owner.api_version(), owner.kind(), owner.name(), owner.uid()});
  ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), dependent).ok());
  cluster.reset();
  // As after a crash between the owner's end and its dependent's.
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((dir.path() + "/state.db").c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "DELETE FROM objects WHERE name = 'owner'", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);

  cluster = Open(dir.path());
  const std::string version = AwaitList(*cluster, WidgetKind(), kNs)->resource_version;
  WatchRecorder watch(*cluster, WidgetKind(), kNs, {"", version});
  ASSERT_TRUE(!AwaitGet(*cluster, Ref("dependent")).ok() || watch.WaitForCount(1));
  EXPECT_EQ(AwaitGet(*cluster, Ref("dependent")).status().code(), absl::StatusCode::kNotFound);
}

TEST(EmbeddedCluster, ObjectsAreReadUnderTheNewSchema) {
  TempDir dir;
  auto cluster = Open(dir.path());
  ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget("a")).ok());
  cluster.reset();
  Json crd = WidgetCrd();
  crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["added"] = {
      {"type", "string"}, {"default", "new"}};
  absl::StatusOr<std::unique_ptr<EmbeddedCluster>> upgraded =
      EmbeddedCluster::Create({.data_dir = dir.path(), .crds = {crd}});
  ASSERT_TRUE(upgraded.ok()) << upgraded.status();
  EXPECT_EQ(AwaitGet(**upgraded, Ref("a"))->spec()["added"], "new");
}

TEST(EmbeddedCluster, OldEventsAreForgotten) {
  TempDir dir;
  const ObjectRef old{EventKind(), kNs, "old"};
  std::atomic<int64_t> seconds = 1'750'000'000;
  const EmbeddedCluster::Options options{.data_dir = dir.path(),
                                         .now = [&] { return absl::FromUnixSeconds(seconds.load()); }};
  auto cluster = *EmbeddedCluster::Create(options);
  ASSERT_TRUE(AwaitCreate(*cluster, EventKind(), Object(EventKind(), kNs, "old")).ok());
  cluster.reset();
  seconds += absl::ToInt64Seconds(kEventLifetime) - 1;
  cluster = *EmbeddedCluster::Create(options);
  ASSERT_TRUE(AwaitCreate(*cluster, EventKind(), Object(EventKind(), kNs, "young")).ok());
  EXPECT_TRUE(AwaitGet(*cluster, old).ok());
  cluster.reset();
  seconds += 2;
  cluster = *EmbeddedCluster::Create(options);
  const std::string version = AwaitList(*cluster, EventKind(), kNs)->resource_version;
  WatchRecorder watch(*cluster, EventKind(), kNs, {"", version});
  ASSERT_TRUE(!AwaitGet(*cluster, old).ok() || watch.WaitForCount(1));
  EXPECT_EQ(AwaitGet(*cluster, old).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(AwaitGet(*cluster, {EventKind(), kNs, "young"}).ok());
}

// --- What can be wrong at start ---

TEST(EmbeddedCluster, ADirectoryThatCannotBeMadeIsNamed) {
  TempDir dir;
  const std::string file = dir.path() + "/file";
  std::ofstream(file) << "not a directory";
  const absl::Status error = CreateError({.data_dir = file + "/data"});
  EXPECT_THAT(std::string(error.message()),
              AllOf(HasSubstr(file + "/data"), HasSubstr("Not a directory"), HasSubstr("--data-dir")));
  EXPECT_EQ(CreateError({.data_dir = ""}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(EmbeddedCluster, ADirectoryThatCannotBeWrittenIsNamed) {
  TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0555), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Root may write everywhere, by its capabilities: without them, then.
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capset, &header, none) != 0) _exit(2);
    const absl::Status error = CreateError({.data_dir = dir.path()});
    const bool told = absl::IsPermissionDenied(error) && absl::StrContains(error.message(), dir.path()) &&
                      absl::StrContains(error.message(), "Permission denied");
    _exit(told ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(EmbeddedCluster, MissingDirectoriesAreMadeForOneUserAlone) {
  TempDir dir;
  const std::string path = dir.path() + "/a/b";
  EXPECT_NE(Open(path), nullptr);
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(EmbeddedCluster, NobodyElseReadsItsFiles) {
  const mode_t mask = umask(0);
  {
    TempDir dir;
    ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
    auto cluster = Open(dir.path());
    ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget("a")).ok());
    EXPECT_EQ(ModeOf(dir.path()), 0700u);
    for (const char* file : {"/state.db", "/state.db-wal", "/lock"}) EXPECT_EQ(ModeOf(dir.path() + file), 0600u) << file;
    cluster.reset();
    // As an earlier version left them.
    for (const char* file : {"", "/state.db"}) ASSERT_EQ(chmod((dir.path() + file).c_str(), 0755), 0);
    cluster = Open(dir.path());
    ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget("b")).ok());
    EXPECT_EQ(ModeOf(dir.path()), 0700u);
    for (const char* file : {"/state.db", "/state.db-wal"}) EXPECT_EQ(ModeOf(dir.path() + file), 0600u) << file;
  }
  {
    // Somebody's directory, with other things in it: only our files are private.
    TempDir dir;
    std::ofstream(dir.path() + "/notes.txt") << "x";
    ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
    const auto cluster = Open(dir.path());
    EXPECT_EQ(ModeOf(dir.path()), 0755u);
    EXPECT_EQ(ModeOf(dir.path() + "/state.db"), 0600u);
  }
  umask(mask);
}

TEST(EmbeddedCluster, ADamagedDatabaseIsNotTouched) {
  TempDir dir;
  const std::string path = dir.path() + "/state.db";
  const std::string garbage(10'000, 'x');
  std::ofstream(path) << garbage;
  const absl::Status error = CreateError({.data_dir = dir.path()});
  EXPECT_EQ(error.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(error.message()), AllOf(HasSubstr(path), HasSubstr("damaged")));
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), garbage);
}

TEST(EmbeddedCluster, ADatabaseOfANewerVersionIsRefused) {
  TempDir dir;
  Open(dir.path()).reset();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((dir.path() + "/state.db").c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  const absl::Status error = CreateError({.data_dir = dir.path()});
  EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(error.message()), HasSubstr("newer unmcp"));
}

TEST(EmbeddedCluster, AWrongCrdIsNamed) {
  TempDir dir;
  Json crd = WidgetCrd();
  crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["code"]["pattern"] = "(";
  const absl::Status error = CreateError({.data_dir = dir.path(), .crds = {crd}});
  EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(error.message()),
              AllOf(HasSubstr("widgets.conformance.unmcp.dev"), HasSubstr("spec.code"), HasSubstr("pattern")));
}

// --- Room ---

TEST(EmbeddedCluster, WithoutRoomWritesFailAndWithRoomTheyGoOn) {
  TempDir dir;
  auto cluster =
      *EmbeddedCluster::Create({.data_dir = dir.path(), .crds = {WidgetCrd()}, .max_database_bytes = 200 << 10});
  Object large = Widget("");
  large.json()["spec"]["free"]["text"] = std::string(20 << 10, 'x');
  absl::Status full;
  int created = 0;
  while (full.ok() && created < 100) {
    large.json()["metadata"]["name"] = absl::StrCat("w", created);
    full = AwaitCreate(*cluster, WidgetKind(), large).status();
    if (full.ok()) ++created;
  }
  ASSERT_GT(created, 1);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), AllOf(HasSubstr(dir.path()), HasSubstr("room")));
  // Nothing has changed in memory, and reads go on.
  const std::string last = absl::StrCat("w", created);
  EXPECT_EQ(AwaitGet(*cluster, Ref(last)).status().code(), absl::StatusCode::kNotFound);
  absl::StatusOr<ObjectList> list = AwaitList(*cluster, WidgetKind(), kNs);
  EXPECT_EQ(list->items.size(), static_cast<size_t>(created));
  WatchRecorder watch(*cluster, WidgetKind(), kNs, {"", list->resource_version});
  EXPECT_EQ(AwaitCreate(*cluster, WidgetKind(), large).status().code(), absl::StatusCode::kResourceExhausted);

  ASSERT_TRUE(AwaitDelete(*cluster, Ref("w0")).ok());
  EXPECT_TRUE(AwaitCreate(*cluster, WidgetKind(), large).ok());
  ASSERT_TRUE(watch.WaitForCount(2));
  EXPECT_EQ(watch.events()[0].type, WatchEventType::kDeleted);
  cluster.reset();
  cluster = Open(dir.path());
  EXPECT_TRUE(AwaitGet(*cluster, Ref(last)).ok());
  EXPECT_FALSE(AwaitGet(*cluster, Ref("w0")).ok());
}

// In a file system of its own, in a child. What failed is the exit code; kNoMount
// where users may not mount.
constexpr int kNoMount = 99;

int FillTheDisk(const std::string& dir) {
  const std::string uid = absl::StrCat("0 ", geteuid(), " 1"), gid = absl::StrCat("0 ", getegid(), " 1");
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kNoMount;
  // Who has no name in a user namespace may mount in it, and not make files.
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << uid;
  std::ofstream("/proc/self/gid_map") << gid;
  if (mount("tmpfs", dir.c_str(), "tmpfs", 0, "size=900k") != 0) return kNoMount;
  const std::string ballast = dir + "/ballast";
  std::ofstream(ballast) << std::string(300 << 10, 'x');
  auto cluster = Open(dir + "/data");
  if (cluster == nullptr) return 1;
  Object large = Widget("");
  large.json()["spec"]["free"]["text"] = std::string(20 << 10, 'x');
  absl::Status last;
  int i = 0;
  for (; last.ok() && i < 100; ++i) {
    large.json()["metadata"]["name"] = absl::StrCat("w", i);
    last = AwaitCreate(*cluster, WidgetKind(), large).status();
  }
  if (last.code() != absl::StatusCode::kResourceExhausted) return 2;
  if (!AwaitGet(*cluster, Ref("w0")).ok() || AwaitGet(*cluster, Ref(large.name())).ok()) return 3;
  std::filesystem::remove(ballast);
  if (!AwaitCreate(*cluster, WidgetKind(), large).ok()) return 4;
  cluster.reset();
  cluster = Open(dir + "/data");
  return cluster != nullptr && AwaitList(*cluster, WidgetKind(), kNs)->items.size() == static_cast<size_t>(i) ? 0 : 5;
}

TEST(EmbeddedCluster, OnAFullDiskWritesFailUntilThereIsRoom) {
  TempDir dir;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(FillTheDisk(dir.path()));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kNoMount) GTEST_SKIP() << "this user may not mount a small file system";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Calls that are queued together share a transaction, not a fate.
TEST(EmbeddedCluster, OneCallWithoutRoomDoesNotFailItsNeighbours) {
  TempDir dir;
  auto cluster =
      *EmbeddedCluster::Create({.data_dir = dir.path(), .crds = {WidgetCrd()}, .max_database_bytes = 400 << 10});
  Object huge = Widget("huge");
  huge.json()["spec"]["free"]["text"] = std::string(1 << 20, 'x');
  using absl::StatusCode;
  using Answers = std::map<int, StatusCode>;
  Monitor<Answers> answers;
  const auto answer = [&](int i) {
    return [&, i](absl::StatusOr<Object> result) {
      answers.Update([&](Answers& value) { value[i] = result.status().code(); });
    };
  };
  // From the cluster's own thread, so that they do wait together.
  cluster->Get(Ref("none"), [&](absl::StatusOr<Object>) {
    cluster->Create(WidgetKind(), Widget("a"), answer(0));
    cluster->Create(WidgetKind(), huge, answer(1));
    cluster->Get(Ref("a"), answer(2));
    cluster->Get(Ref("huge"), answer(3));
    cluster->Create(WidgetKind(), Widget("b"), answer(4));
  });
  ASSERT_TRUE(answers.WaitFor([](const Answers& value) { return value.size() == 5; }));
  EXPECT_EQ(answers.Copy(), (Answers{{0, StatusCode::kOk},
                                     {1, StatusCode::kResourceExhausted},
                                     {2, StatusCode::kOk},
                                     {3, StatusCode::kNotFound},
                                     {4, StatusCode::kOk}}));
}

TEST(EmbeddedCluster, ObjectsAreBoundedAndText) {
  TempDir dir;
  auto cluster = Open(dir.path());
  Object large = Widget("large");
  large.json()["spec"]["free"]["text"] = std::string(kMaxObjectBytes, 'x');
  EXPECT_EQ(AwaitCreate(*cluster, WidgetKind(), large).status().code(), absl::StatusCode::kInvalidArgument);
  Object bytes = Widget("bytes");
  bytes.json()["spec"]["free"]["text"] = "\xff\xfe";
  EXPECT_EQ(AwaitCreate(*cluster, WidgetKind(), bytes).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget("fine")).ok());
}

// --- History ---

TEST(EmbeddedCluster, WhoIsTooFarBehindListsAgain) {
  TempDir dir;
  auto cluster = Open(dir.path());
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget(name)).ok());
  const ObjectList page = *AwaitList(*cluster, WidgetKind(), kNs, {.limit = 1});
  for (size_t i = 0; i < kMaxHistoryEvents; ++i) {
    cluster->Patch(Ref("a"), {{"status", {{"count", i}}}}, {"status"}, [](absl::StatusOr<Object>) {});
  }
  const std::string inside = AwaitGet(*cluster, Ref("a"))->resource_version();
  ASSERT_TRUE(AwaitPatch(*cluster, Ref("b"), R"({"spec": {"size": 2}})"_json).ok());

  WatchRecorder late(*cluster, WidgetKind(), kNs, {"", page.resource_version});
  const absl::Status gone = late.WaitForEnd();
  EXPECT_EQ(gone.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(gone.message()), HasSubstr("410 Gone"));
  EXPECT_TRUE(late.events().empty());
  EXPECT_EQ(AwaitList(*cluster, WidgetKind(), kNs, {.continue_token = page.continue_token}).status().code(),
            absl::StatusCode::kOutOfRange);
  WatchRecorder near(*cluster, WidgetKind(), kNs, {"", inside});
  EXPECT_TRUE(near.WaitForCount(1));
  EXPECT_EQ(near.events()[0].object.name(), "b");
}

TEST(EmbeddedCluster, AWatchNeedsAPlaceToStart) {
  TempDir dir;
  auto cluster = Open(dir.path());
  EXPECT_EQ(WatchRecorder(*cluster, WidgetKind(), kNs, {"", ""}).WaitForEnd().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(WatchRecorder(*cluster, WidgetKind(), kNs, {"", "999"}).WaitForEnd().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(WatchRecorder(*cluster, WidgetKind(), kNs, {"a in b", "0"}).WaitForEnd().code(),
            absl::StatusCode::kInvalidArgument);
}

// --- Calls ---

TEST(EmbeddedCluster, CallsMadeBeforeItsEndAreFinished) {
  TempDir dir;
  auto cluster = Open(dir.path());
  std::atomic<int> created = 0;
  for (int i = 0; i < 100; ++i) {
    cluster->Create(WidgetKind(), Widget(absl::StrCat("w", i)),
                    [&](absl::StatusOr<Object> object) { created += object.ok(); });
  }
  cluster.reset();
  EXPECT_EQ(created, 100);
  EXPECT_EQ(AwaitList(*Open(dir.path()), WidgetKind(), kNs)->items.size(), 100u);
}

TEST(EmbeddedCluster, AWatchMayEndItselfAndOutliveTheCluster) {
  TempDir dir;
  auto cluster = Open(dir.path());
  struct Own {
    std::unique_ptr<Watch> watch;
    int heard = 0;
  };
  Monitor<Own> own;
  WatchCallbacks callbacks;
  callbacks.on_event = [&](WatchEvent) {
    own.Update([](Own& value) {
      ++value.heard;
      value.watch.reset();
    });
  };
  callbacks.on_end = [](absl::Status) {};
  const std::string version = AwaitList(*cluster, WidgetKind(), kNs)->resource_version;
  own.Update([&](Own& value) {
    value.watch = cluster->StartWatch(WidgetKind(), kNs, {"", version}, std::move(callbacks));
  });
  WatchRecorder outliving(*cluster, WidgetKind(), kNs, {"", version});
  ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget("a")).ok());
  ASSERT_TRUE(AwaitCreate(*cluster, WidgetKind(), Widget("b")).ok());
  ASSERT_TRUE(outliving.WaitForCount(2));
  cluster.reset();
  EXPECT_EQ(own.Read([](const Own& value) { return value.heard; }), 1);
}

// --- The node ---

class FakeNode final : public NodeRuntime {
 public:
  void Attach(const std::string& pod_uid, AttachOptions, Callback<std::unique_ptr<Attachment>> done) override {
    done(absl::NotFoundError(absl::StrCat("asked to attach to ", pod_uid)));
  }
  void Logs(const std::string& pod_uid, LogOptions options, Callback<std::string> done) override {
    done(absl::StrCat(options.tail_lines, " lines of ", pod_uid));
  }
  void FollowLogs(const std::string& pod_uid, LogOptions, std::shared_ptr<LogSink> sink) override {
    sink->Append(absl::StrCat(pod_uid, "\nto be "));
    followed = std::move(sink);
  }

  std::shared_ptr<LogSink> followed;
};

absl::StatusOr<std::string> AwaitLogs(Cluster& cluster, const ObjectRef& pod) {
  return Await<std::string>(
      [&](Callback<std::string> done) { cluster.Logs(pod, {.container = "main", .tail_lines = 3}, std::move(done)); });
}

TEST(EmbeddedCluster, TheNodeIsAskedForLogsAndAttachments) {
  TempDir dir;
  auto cluster = Open(dir.path());
  const Object pod = *AwaitCreate(*cluster, PodKind(), Pod("p"));
  const ObjectRef ref{PodKind(), kNs, "p"};
  EXPECT_EQ(AwaitLogs(*cluster, ref).status().code(), absl::StatusCode::kFailedPrecondition);
  FakeNode node;
  cluster->SetNode(&node);
  EXPECT_EQ(*AwaitLogs(*cluster, ref), absl::StrCat("3 lines of ", pod.uid()));
  EXPECT_EQ(AwaitLogs(*cluster, {PodKind(), kNs, "q"}).status().code(), absl::StatusCode::kNotFound);
  const absl::Status attached = Await<std::unique_ptr<Attachment>>([&](Callback<std::unique_ptr<Attachment>> done) {
                                  cluster->Attach(ref, {}, std::move(done));
                                }).status();
  EXPECT_THAT(std::string(attached.message()), HasSubstr(pod.uid()));
  cluster->SetNode(nullptr);
  EXPECT_EQ(AwaitLogs(*cluster, ref).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(EmbeddedCluster, LogsAreFollowedThroughTheNode) {
  struct Heard {
    std::string text;
    std::optional<absl::Status> end;
  };
  TempDir dir;
  auto cluster = Open(dir.path());
  FakeNode node;
  cluster->SetNode(&node);
  const Object pod = *AwaitCreate(*cluster, PodKind(), Pod("p"));
  auto heard = std::make_shared<Monitor<Heard>>();
  const auto callbacks = [&] {
    return LogCallbacks{.on_text = [heard](std::string text) { heard->Update([&](Heard& now) { now.text += text; }); },
                        .on_end = [heard](absl::Status why) { heard->Update([&](Heard& now) { now.end = why; }); }};
  };
  auto follow = cluster->FollowLogs({PodKind(), kNs, "p"}, {}, callbacks());
  ASSERT_TRUE(heard->WaitFor([&](const Heard& now) { return now.text == pod.uid() + "\n"; }));
  node.followed->Append("continued\n");
  node.followed->End(absl::OkStatus());
  ASSERT_TRUE(heard->WaitFor([](const Heard& now) { return now.end.has_value(); }));
  EXPECT_EQ(heard->Copy().text, pod.uid() + "\nto be continued\n");
  EXPECT_TRUE(heard->Copy().end->ok());

  auto missing = std::make_shared<Monitor<Heard>>();
  follow = cluster->FollowLogs(
      {PodKind(), kNs, "q"}, {},
      {.on_text = {}, .on_end = [missing](absl::Status why) { missing->Update([&](Heard& now) { now.end = why; }); }});
  ASSERT_TRUE(missing->WaitFor([](const Heard& now) { return now.end.has_value(); }));
  EXPECT_EQ(missing->Copy().end->code(), absl::StatusCode::kNotFound);

  // The node and the follower may both be there longer than the cluster.
  follow = cluster->FollowLogs({PodKind(), kNs, "p"}, {}, callbacks());
  ASSERT_TRUE(heard->WaitFor([&](const Heard& now) { return now.text.size() > 2 * pod.uid().size(); }));
  cluster->SetNode(nullptr);
  cluster.reset();
  node.followed->Append("more\n");
  node.followed->End(absl::OkStatus());
  follow.reset();
}

class PodDeletion : public testing::Test {
 protected:
  PodDeletion() : cluster_(Open(dir_.path())) {
    cluster_->SetNode(&node_);
    EXPECT_TRUE(AwaitCreate(*cluster_, PodKind(), Pod("p")).ok());
    EXPECT_TRUE(AwaitPatch(*cluster_, ref_, R"({"spec": {"nodeName": "here"}})"_json).ok());
  }
  ~PodDeletion() override { cluster_->SetNode(nullptr); }

  absl::Status Delete(DeleteOptions options = {}) { return AwaitDelete(*cluster_, ref_, options); }
  absl::StatusOr<Object> Get() { return AwaitGet(*cluster_, ref_); }

  TempDir dir_;
  FakeNode node_;
  const std::unique_ptr<EmbeddedCluster> cluster_;
  const ObjectRef ref_{PodKind(), kNs, "p"};
};

TEST_F(PodDeletion, WaitsForTheNode) {
  ASSERT_TRUE(Delete().ok());
  absl::StatusOr<Object> pod = Get();
  ASSERT_TRUE(pod.ok()) << pod.status();
  EXPECT_TRUE(pod->deleting());
  EXPECT_EQ(pod->json()["metadata"]["deletionGracePeriodSeconds"], 30);
  // The node reports on it meanwhile, and then finishes it.
  ASSERT_TRUE(AwaitPatch(*cluster_, ref_, R"({"status": {"phase": "Running"}})"_json, {"status"}).ok());
  ASSERT_TRUE(Delete({.uid = pod->uid(), .grace_period_seconds = 0}).ok());
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PodDeletion, TheGracePeriodIsTheCallersAndOnlyGetsShorter) {
  ASSERT_TRUE(Delete({.grace_period_seconds = 10}).ok());
  const Object first = *Get();
  EXPECT_EQ(first.json()["metadata"]["deletionGracePeriodSeconds"], 10);
  ASSERT_TRUE(Delete({.grace_period_seconds = 20}).ok());
  EXPECT_EQ(Get()->resource_version(), first.resource_version());
  ASSERT_TRUE(Delete({.grace_period_seconds = 5}).ok());
  EXPECT_EQ(Get()->json()["metadata"]["deletionGracePeriodSeconds"], 5);
}

TEST_F(PodDeletion, AFinishedPodGoesAtOnce) {
  ASSERT_TRUE(AwaitPatch(*cluster_, ref_, R"({"status": {"phase": "Succeeded"}})"_json, {"status"}).ok());
  ASSERT_TRUE(Delete().ok());
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PodDeletion, AFinalizerHoldsItEvenFromTheNode) {
  ASSERT_TRUE(AwaitPatch(*cluster_, ref_, R"({"metadata": {"finalizers": ["unmcp.dev/test"]}})"_json).ok());
  ASSERT_TRUE(Delete().ok());
  ASSERT_TRUE(Delete({.grace_period_seconds = 0}).ok());
  EXPECT_TRUE(Get().ok());
  ASSERT_TRUE(AwaitPatch(*cluster_, ref_, R"({"metadata": {"finalizers": null}})"_json).ok());
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PodDeletion, ABoundPodStaysOnItsNode) {
  EXPECT_EQ(AwaitPatch(*cluster_, ref_, R"({"spec": {"nodeName": "elsewhere"}})"_json).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace unmcp::kube
