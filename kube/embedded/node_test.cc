#include "kube/embedded/node.h"

#include <signal.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bridge/supervisor.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "glog/logging.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kube/await.h"
#include "kube/embedded/embedded_cluster.h"

namespace unmcp::kube {
namespace {

using testing::HasSubstr;

constexpr char kNs[] = "default";

ObjectRef PodRef(const std::string& name) { return {PodKind(), kNs, name}; }

const Json& Container(const Object& pod) {
  static const Json* const none = new Json(Json::object());
  auto statuses = pod.status().find("containerStatuses");
  return statuses != pod.status().end() && !statuses->empty() ? (*statuses)[0] : *none;
}
bool InState(const Object& pod, const char* state) {
  return Container(pod).contains("state") && Container(pod)["state"].contains(state);
}
bool Running(const Object& pod) { return InState(pod, "running"); }
std::string Id(const Object& pod) { return Container(pod).value("containerID", ""); }
std::string WaitingReason(const Object& pod) {
  return InState(pod, "waiting") ? Container(pod)["state"]["waiting"].value("reason", "") : "";
}
std::string WaitingMessage(const Object& pod) { return Container(pod)["state"]["waiting"].value("message", ""); }
std::string Phase(const Object& pod) { return pod.status().value("phase", ""); }
std::string Ready(const Object& pod) {
  for (const Json& condition : pod.status()["conditions"]) {
    if (condition["type"] == "Ready") return condition["status"];
  }
  return "";
}

// Who is attached to a container.
class Client : public AttachHandler {
 public:
  Client(EventLoop* loop, std::unique_ptr<Attachment> attachment) : loop_(loop), attachment_(std::move(attachment)) {
    attachment_->Start(loop_, this);
  }
  ~Client() override {
    Notification done;
    loop_->Post([&] {
      attachment_.reset();
      done.Notify();
    });
    done.Wait();
  }
  void Write(std::string bytes) {
    loop_->Post([this, bytes = std::move(bytes)] { attachment_->Write(bytes); });
  }
  // What comes up to the next newline, that not included.
  std::string Line() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || output_.find('\n') != std::string::npos; });
    const size_t newline = output_.find('\n');
    std::string line = output_.substr(0, newline);
    output_.erase(0, newline == std::string::npos ? newline : newline + 1);
    return line;
  }
  absl::Status Closed() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_.has_value(); });
    return *closed_;
  }

  void OnOutput(absl::string_view bytes) override {
    std::lock_guard<std::mutex> lock(mutex_);
    output_.append(bytes.data(), bytes.size());
    changed_.notify_all();
  }
  void OnWritable() override {}
  void OnClosed(absl::Status why) override {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = std::move(why);
    changed_.notify_all();
  }

 private:
  EventLoop* const loop_;
  std::unique_ptr<Attachment> attachment_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string output_;
  std::optional<absl::Status> closed_;
};

// One run of unmcp, as far as Pods are concerned.
struct Unmcp {
  explicit Unmcp(const std::string& dir)
      : supervisor(*bridge::Supervisor::Launch()), cluster(*EmbeddedCluster::Create({.data_dir = dir, .crds = {}})) {
    supervisor->Start(&loop);
    loop.Start();
    watch.emplace(*cluster, PodKind(), kNs,
                  WatchOptions{.label_selector = "",
                               .resource_version = AwaitList(*cluster, PodKind(), kNs)->resource_version});
    node = *EmbeddedNode::Create({.loop = &loop,
                                  .cluster = cluster.get(),
                                  .supervisor = supervisor.get(),
                                  .ns = kNs,
                                  .environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "INHERITED=yes"}});
    cluster->SetNode(node.get());
  }
  // As if killed: nothing is said to the node.
  ~Unmcp() {
    cluster->SetNode(nullptr);
    loop.Stop();
    watch.reset();
    cluster.reset();
    node.reset();
    supervisor.reset();
  }

  EventLoop loop{"node"};
  std::unique_ptr<bridge::Supervisor> supervisor;
  std::unique_ptr<EmbeddedCluster> cluster;
  std::optional<WatchRecorder> watch;
  std::unique_ptr<EmbeddedNode> node;
};

class NodeTest : public ::testing::Test {
 protected:
  NodeTest() {
    dir_ = absl::StrCat(getenv("TEST_TMPDIR"), "/node-XXXXXX");
    EXPECT_NE(mkdtemp(dir_.data()), nullptr);
    unmcp_.emplace(dir_);
  }
  ~NodeTest() override {
    unmcp_.reset();
    std::filesystem::remove_all(dir_);
  }
  void RestartUnmcp() {
    unmcp_.reset();
    unmcp_.emplace(dir_);
  }
  Cluster& cluster() { return *unmcp_->cluster; }

  void Create(const std::string& name, Json container, Json spec = Json::object()) {
    container["name"] = "server";
    container.emplace("image", "none");
    container.emplace("stdin", true);
    Object pod(PodKind(), kNs, name);
    pod.json()["spec"] = std::move(spec);
    pod.json()["spec"]["containers"] = Json::array({std::move(container)});
    const auto created = AwaitCreate(cluster(), PodKind(), pod);
    ASSERT_TRUE(created.ok()) << created.status();
  }
  // $$ stands for $ in a Pod's command, so $$$$ for the shell's pid.
  void CreateShell(const std::string& name, const std::string& script, Json spec = Json::object()) {
    Create(name, {{"command", {"/bin/sh", "-c", script}}}, std::move(spec));
  }

  // The first state of the Pod, since unmcp started, that is as wanted.
  Object WaitFor(const std::string& name, const std::function<bool(const Object&)>& wanted) {
    Object found;
    auto look = [&](const std::vector<WatchEvent>& events) {
      for (const WatchEvent& event : events) {
        if (event.object.name() != name || event.type == WatchEventType::kDeleted || !wanted(event.object)) continue;
        found = event.object;
        return true;
      }
      return false;
    };
    EXPECT_TRUE(unmcp_->watch->WaitFor(look)) << AwaitGet(cluster(), PodRef(name))->json().dump(1);
    return found;
  }
  void WaitUntilGone(const std::string& name) {
    EXPECT_TRUE(unmcp_->watch->WaitFor([&](const std::vector<WatchEvent>& events) {
      for (const WatchEvent& event : events) {
        if (event.object.name() == name && event.type == WatchEventType::kDeleted) return true;
      }
      return false;
    }));
  }

  absl::StatusOr<std::unique_ptr<Attachment>> TryAttach(const std::string& name, AttachOptions options = {}) {
    return Await<std::unique_ptr<Attachment>>([&](Callback<std::unique_ptr<Attachment>> done) {
      cluster().Attach(PodRef(name), options, std::move(done));
    });
  }
  std::unique_ptr<Client> Attach(const std::string& name, AttachOptions options = {}) {
    auto attachment = TryAttach(name, options);
    EXPECT_TRUE(attachment.ok()) << attachment.status();
    return std::make_unique<Client>(&unmcp_->loop, *std::move(attachment));
  }
  std::string Logs(const std::string& name, int lines = 0) {
    return Await<std::string>([&](Callback<std::string> done) {
             cluster().Logs(PodRef(name), {.container = "server", .tail_lines = lines}, std::move(done));
           })
        .value_or("none");
  }
  pid_t PidFrom(Client& client) {
    int pid = 0;
    const std::string line = client.Line();
    // 0 and -1 would be groups, to a kill.
    if (!absl::SimpleAtoi(line, &pid) || pid <= 1) LOG(FATAL) << "not a pid: " << line;
    return pid;
  }

  std::string dir_;
  std::optional<Unmcp> unmcp_;
};

TEST_F(NodeTest, RunsACommandWithStdinAndStdoutToAttach) {
  Create("echo", {{"command", {"sh", "-c", "echo \"$0 $INHERITED $OWN\"; exec cat"}},
                  {"args", {"$(OWN)"}},
                  {"env", {{{"name", "OWN"}, {"value", "mine"}}}}});
  const Object pod = WaitFor("echo", Running);
  EXPECT_EQ(Phase(pod), "Running");
  EXPECT_EQ(Ready(pod), "True");
  EXPECT_EQ(Container(pod)["restartCount"], 0);
  EXPECT_TRUE(absl::StartsWith(Id(pod), "process://"));

  auto client = Attach("echo", {.container = "server", .container_id = Id(pod)});
  EXPECT_EQ(client->Line(), "mine yes mine");
  client->Write("hello\n");
  EXPECT_EQ(client->Line(), "hello");

  auto second = Attach("echo");
  EXPECT_EQ(client->Closed().code(), absl::StatusCode::kAborted);
  second->Write("again\n");
  EXPECT_EQ(second->Line(), "again");
}

TEST_F(NodeTest, WhatCannotBeAttachedTo) {
  EXPECT_EQ(TryAttach("none").status().code(), absl::StatusCode::kNotFound);
  Create("echo", {{"command", {"cat"}}});
  WaitFor("echo", Running);
  EXPECT_EQ(TryAttach("echo", {.container = "other", .container_id = ""}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(TryAttach("echo", {.container = "server", .container_id = "process://other"}).status().code(),
            absl::StatusCode::kNotFound);
  Create("silent", {{"command", {"sleep", "1000"}}, {"stdin", false}});
  WaitFor("silent", Running);
  EXPECT_EQ(TryAttach("silent").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(NodeTest, LogsHoldStderrAndStdoutUnlessItIsTheProtocols) {
  CreateShell("stdio", "echo one >&2; echo two >&2; echo protocol; exec cat");
  WaitFor("stdio", Running);
  EXPECT_EQ(Attach("stdio")->Line(), "protocol");
  while (Logs("stdio") != "one\ntwo\n") {
  }
  EXPECT_EQ(Logs("stdio", 1), "two\n");

  Create("http", {{"command", {"sh", "-c", "cat; echo listening; exec sleep 1000"}}, {"stdin", false}});
  while (Logs("http") != "listening\n") {
  }
}

TEST_F(NodeTest, AContainerThatEndsIsStartedAgain) {
  CreateShell("flaky", "read line; echo \"bad input: $line\" >&2; exit 3");
  const Object first = WaitFor("flaky", Running);
  auto client = Attach("flaky");
  client->Write("xyz\n");
  EXPECT_EQ(client->Closed(), absl::UnavailableError("the container has ended: exit code 3; the end of its log: "
                                                     "bad input: xyz\n"));
  const Object second = WaitFor("flaky", [&](const Object& pod) { return Running(pod) && Id(pod) != Id(first); });
  EXPECT_EQ(Container(second)["restartCount"], 1);
  const Json& last = Container(second)["lastState"]["terminated"];
  EXPECT_EQ(last["exitCode"], 3);
  EXPECT_EQ(last["reason"], "Error");
  EXPECT_EQ(last["message"], "bad input: xyz\n");
  EXPECT_EQ(last["containerID"], Id(first));
  EXPECT_EQ(TryAttach("flaky", {.container = "server", .container_id = Id(first)}).status().code(),
            absl::StatusCode::kNotFound);
  Attach("flaky", {.container = "server", .container_id = Id(second)})->Write("\n");

  // The second time it has to wait.
  const Object waiting = WaitFor("flaky", [](const Object& pod) { return !WaitingReason(pod).empty(); });
  EXPECT_EQ(WaitingReason(waiting), "CrashLoopBackOff");
  EXPECT_EQ(Ready(waiting), "False");
  EXPECT_EQ(Phase(waiting), "Running");
  EXPECT_EQ(Logs("flaky"), "bad input: xyz\nbad input: \n");  // of both lives
  WaitFor("flaky", [](const Object& pod) { return Running(pod) && Container(pod)["restartCount"] == 2; });
}

TEST_F(NodeTest, AKilledProcessSaysSo) {
  CreateShell("victim", "echo $$$$; exec cat");
  const Object first = WaitFor("victim", Running);
  auto client = Attach("victim");
  kill(PidFrom(*client), SIGKILL);
  EXPECT_THAT(std::string(client->Closed().message()), HasSubstr("killed by signal 9 (SIGKILL)"));
  const Object second = WaitFor("victim", [&](const Object& pod) { return Running(pod) && Id(pod) != Id(first); });
  EXPECT_EQ(Container(second)["lastState"]["terminated"]["exitCode"], 137);
}

TEST_F(NodeTest, RestartPolicies) {
  CreateShell("job", "exit 0", {{"restartPolicy", "OnFailure"}});
  const Object job = WaitFor("job", [](const Object& pod) { return InState(pod, "terminated"); });
  EXPECT_EQ(Phase(job), "Succeeded");
  EXPECT_EQ(Container(job)["state"]["terminated"]["reason"], "Completed");
  CreateShell("once", "exit 4", {{"restartPolicy", "Never"}});
  const Object once = WaitFor("once", [](const Object& pod) { return InState(pod, "terminated"); });
  EXPECT_EQ(Phase(once), "Failed");
  CreateShell("retried", "exit 4", {{"restartPolicy", "OnFailure"}});
  WaitFor("retried", [](const Object& pod) { return Container(pod).value("restartCount", 0) == 1; });
}

TEST_F(NodeTest, WhatCannotBeRunSaysWhatToDo) {
  Create("image", {{"image", "mcp/time"}});
  const Object image = WaitFor("image", [](const Object& pod) { return !WaitingReason(pod).empty(); });
  EXPECT_EQ(WaitingReason(image), "ImageNotRunnable");
  EXPECT_THAT(WaitingMessage(image), HasSubstr("give spec.command"));
  EXPECT_EQ(Phase(image), "Pending");

  Create("typo", {{"command", {"no-such-program"}}});
  const Object typo = WaitFor("typo", [](const Object& pod) { return !WaitingReason(pod).empty(); });
  EXPECT_EQ(WaitingReason(typo), "CreateContainerError");
  EXPECT_EQ(WaitingMessage(typo), "spec.command[0]: 'no-such-program' was not found in "
                                  "PATH=/usr/local/bin:/usr/bin:/bin; install it or give an absolute path; next start "
                                  "in 1s");
  for (const char* name : {"image", "typo"}) {
    EXPECT_EQ(TryAttach(name).status().code(), absl::StatusCode::kNotFound);
    // It is not in the way of its own deletion.
    EXPECT_TRUE(AwaitDelete(cluster(), PodRef(name)).ok());
    WaitUntilGone(name);
  }
}

TEST_F(NodeTest, AProgramThatIsInstalledLaterIsStarted) {
  const std::string program = dir_ + "/program";
  Create("late", {{"command", {program}}});
  WaitFor("late", [](const Object& pod) { return !WaitingReason(pod).empty(); });
  std::filesystem::create_symlink("/bin/cat", program);
  const Object pod = WaitFor("late", Running);
  EXPECT_EQ(Container(pod)["restartCount"], 0);
}

TEST_F(NodeTest, DeletionLetsTheContainerEnd) {
  CreateShell("polite", "trap 'echo bye; exit 0' TERM; echo ready; cat; echo eof; while :; do sleep 0.01; done");
  WaitFor("polite", Running);
  auto client = Attach("polite");
  EXPECT_EQ(client->Line(), "ready");
  EXPECT_TRUE(AwaitDelete(cluster(), PodRef("polite")).ok());
  WaitUntilGone("polite");
  EXPECT_THAT(std::string(client->Closed().message()), HasSubstr("exit code 0"));
}

TEST_F(NodeTest, WhatDoesNotEndInItsGracePeriodIsKilled) {
  CreateShell("stubborn", "trap '' TERM; echo $$$$; while :; do sleep 0.01; done", {{"terminationGracePeriodSeconds", 300}});
  WaitFor("stubborn", Running);
  auto client = Attach("stubborn");
  const pid_t pid = PidFrom(*client);
  EXPECT_TRUE(AwaitDelete(cluster(), PodRef("stubborn")).ok());
  const Object deleting = WaitFor("stubborn", [](const Object& pod) { return pod.deleting(); });
  EXPECT_EQ(kill(pid, 0), 0);
  // Somebody has no patience.
  DeleteOptions now;
  now.grace_period_seconds = 1;
  EXPECT_TRUE(AwaitDelete(cluster(), PodRef("stubborn"), now).ok());
  WaitUntilGone("stubborn");
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_THAT(std::string(client->Closed().message()), HasSubstr("SIGKILL"));
}

TEST_F(NodeTest, ForcedDeletionKillsToo) {
  CreateShell("forced", "trap '' TERM; echo $$$$; exec sleep 1000");
  WaitFor("forced", Running);
  auto client = Attach("forced");
  const pid_t pid = PidFrom(*client);
  DeleteOptions force;
  force.grace_period_seconds = 0;
  EXPECT_TRUE(AwaitDelete(cluster(), PodRef("forced"), force).ok());
  WaitUntilGone("forced");
  EXPECT_THAT(std::string(client->Closed().message()), HasSubstr("SIGKILL"));
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(NodeTest, ANameUsedAgainIsAnotherPod) {
  CreateShell("same", "echo first; exec cat");
  const Object first = WaitFor("same", Running);
  EXPECT_TRUE(AwaitDelete(cluster(), PodRef("same")).ok());
  WaitUntilGone("same");
  CreateShell("same", "echo second; exec cat");
  const Object second = WaitFor("same", [&](const Object& pod) { return Running(pod) && pod.uid() != first.uid(); });
  EXPECT_EQ(Container(second)["restartCount"], 0);
  EXPECT_EQ(Attach("same")->Line(), "second");
}

TEST_F(NodeTest, AfterUnmcpWasKilledItsPodsGoOn) {
  CreateShell("server", "echo $$$$; exec cat");
  CreateShell("once", "echo $$$$; exec cat", {{"restartPolicy", "Never"}});
  CreateShell("leaving", "trap '' TERM; echo $$$$; cat; exec sleep 1000", {{"terminationGracePeriodSeconds", 300}});
  const Object before = WaitFor("server", Running);
  WaitFor("once", Running);
  WaitFor("leaving", Running);
  EXPECT_TRUE(AwaitDelete(cluster(), PodRef("leaving")).ok());
  WaitFor("leaving", [](const Object& pod) { return pod.deleting(); });

  RestartUnmcp();
  const Object after = WaitFor("server", [&](const Object& pod) { return Running(pod) && Id(pod) != Id(before); });
  EXPECT_EQ(after.uid(), before.uid());
  EXPECT_EQ(Container(after)["restartCount"], 1);
  EXPECT_EQ(Container(after)["lastState"]["terminated"]["exitCode"], 255);
  EXPECT_EQ(Container(after)["lastState"]["terminated"]["containerID"], Id(before));
  Attach("server");
  const Object once = WaitFor("once", [](const Object& pod) { return InState(pod, "terminated"); });
  EXPECT_EQ(Phase(once), "Failed");
  EXPECT_EQ(Container(once)["lastState"], Json::object());
  WaitUntilGone("leaving");
}

TEST_F(NodeTest, ShutdownEndsProcessesAndKeepsPods) {
  CreateShell("polite", "echo $$$$; exec cat");
  CreateShell("busy", "trap 'exit 0' TERM; echo $$$$; while :; do sleep 0.01; done");
  Create("image", {{"image", "mcp/time"}});
  WaitFor("image", [](const Object& pod) { return !WaitingReason(pod).empty(); });
  std::vector<pid_t> pids;
  std::vector<Object> before;
  for (const char* name : {"polite", "busy"}) {
    before.push_back(WaitFor(name, Running));
    pids.push_back(PidFrom(*Attach(name)));
  }
  Notification stopped;
  unmcp_->loop.Post([&] { unmcp_->node->Shutdown([&] { stopped.Notify(); }); });
  stopped.Wait();
  for (pid_t pid : pids) EXPECT_NE(kill(pid, 0), 0);
  for (const Object& pod : before) {
    EXPECT_EQ(AwaitGet(cluster(), PodRef(pod.name()))->resource_version(), pod.resource_version());
  }
  RestartUnmcp();
  for (const Object& pod : before) {
    WaitFor(pod.name(), [&](const Object& now) { return Running(now) && Id(now) != Id(pod); });
  }
}

}  // namespace
}  // namespace unmcp::kube
