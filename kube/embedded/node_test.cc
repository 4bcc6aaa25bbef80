#include "kube/embedded/node.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bridge/fd.h"
#include "bridge/supervisor.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "glog/logging.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kube/await.h"
#include "kube/cluster_conformance.h"
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
Json Condition(const Object& pod, const std::string& type) {
  for (const Json& condition : pod.status().value("conditions", Json::array())) {
    if (condition["type"] == type) return condition;
  }
  return Json::object();
}
std::string Ready(const Object& pod) { return Condition(pod, "Ready").value("status", ""); }

// Listens on 127.0.0.1 and answers nobody.
class Listener {
 public:
  explicit Listener(int port = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_port = htons(static_cast<uint16_t>(port));
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(fd_.get(), 16), 0);
    EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
    port_ = ntohs(name.sin_port);
  }
  int port() const { return port_; }
  void Close() { fd_ = bridge::Fd(); }

 private:
  bridge::Fd fd_;
  int port_ = 0;
};

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

// A place without cgroups, whatever this machine has.
Cgroups::Options NoCgroups() { return {.root = "/no/such/directory", .own_cgroup = "/", .own_processes = {}}; }

// One run of unmcp, as far as Pods are concerned.
struct Unmcp {
  explicit Unmcp(const std::string& dir, Cgroups::Options cgroups = NoCgroups())
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
                                  .environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "INHERITED=yes"},
                                  .data_dir = dir,
                                  .cgroups = std::move(cgroups)});
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
  void RestartUnmcp(Cgroups::Options cgroups = NoCgroups()) {
    unmcp_.reset();
    unmcp_.emplace(dir_, std::move(cgroups));
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

  // Both streams go to one log, and no line is cut by one of the other.
  Create("mixed", {{"command", {"sh", "-c", "printf begin; echo between >&2; sleep 0.1; echo -end; printf last"}},
                   {"stdin", false}},
         {{"restartPolicy", "Never"}});
  WaitFor("mixed", [](const Object& pod) { return InState(pod, "terminated"); });
  const std::vector<std::string> lines = absl::StrSplit(Logs("mixed"), '\n', absl::SkipEmpty());
  EXPECT_THAT(lines, testing::UnorderedElementsAre("between", "begin-end", "last"));
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

TEST_F(NodeTest, WhatSurvivedUnmcpAndItsSupervisorEndsAtTheNextStart) {
  Create("server", {{"command", {"sh", "-c", "echo UNMCP_NODE=$UNMCP_NODE; exec cat"}}});
  WaitFor("server", Running);
  std::string marker = Attach("server")->Line();
  std::string other = marker + "0";
  // As the server could have left them, had both been killed at once: its own,
  // and one of a server over another directory.
  std::vector<pid_t> pids;
  for (std::string* variable : {&marker, &other}) {
    pids.push_back(fork());
    if (pids.back() == 0) {
      setsid();
      char program[] = "/bin/sleep", time[] = "1000";
      char* argv[] = {program, time, nullptr};
      char* env[] = {variable->data(), nullptr};
      execve(program, argv, env);
      _exit(1);
    }
  }
  // Until exec it has our environment.
  for (pid_t pid : pids) {
    std::string name;
    while (name != "sleep") std::getline(std::ifstream(absl::StrCat("/proc/", pid, "/comm")), name);
  }
  RestartUnmcp();
  int status = 0;
  EXPECT_EQ(waitpid(pids[0], &status, 0), pids[0]);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(kill(pids[1], 0), 0);
  kill(pids[1], SIGKILL);
  waitpid(pids[1], &status, 0);
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

// --- Limits ---

// Doubles a text until somebody says no.
constexpr char kGreedy[] = "read go; a=xxxxxxxx; while :; do a=$$a$$a || exit 7; done";

TEST_F(NodeTest, WithoutCgroupsMemoryIsLimitedForEachProcess) {
  Create("limited", {{"command", {"sh", "-c", "ulimit -d; exec cat"}},
                     {"resources", {{"limits", {{"memory", "64Mi"}, {"cpu", "500m"}}}}}});
  const Object pod = WaitFor("limited", Running);
  EXPECT_EQ(Attach("limited")->Line(), "65536");
  const Json condition = Condition(pod, "unmcp.dev/LimitsEnforced");
  EXPECT_EQ(condition["status"], "True");
  EXPECT_EQ(condition["reason"], "Rlimit");
  EXPECT_THAT(condition["message"], HasSubstr("memory \"64Mi\" for each process"));
  EXPECT_THAT(condition["message"], HasSubstr("cpu \"500m\" is not enforced"));

  Create("cpu", {{"command", {"cat"}}, {"resources", {{"limits", {{"cpu", 1}}}}}});
  const Json cpu = Condition(WaitFor("cpu", Running), "unmcp.dev/LimitsEnforced");
  EXPECT_EQ(cpu["status"], "False");
  EXPECT_EQ(cpu["reason"], "NotEnforced");

  Create("wish", {{"command", {"cat"}}, {"resources", {{"requests", {{"memory", "1Gi"}}}}}});
  const Json wish = Condition(WaitFor("wish", Running), "unmcp.dev/LimitsEnforced");
  EXPECT_EQ(wish["status"], "False");
  EXPECT_THAT(wish["message"], HasSubstr("give resources.limits"));

  Create("free", {{"command", {"cat"}}});
  EXPECT_EQ(Condition(WaitFor("free", Running), "unmcp.dev/LimitsEnforced"), Json::object());

  Create("wrong", {{"command", {"cat"}}, {"resources", {{"limits", {{"memory", "a lot"}}}}}});
  const Object wrong = WaitFor("wrong", [](const Object& pod) { return !WaitingReason(pod).empty(); });
  EXPECT_EQ(WaitingReason(wrong), "CreateContainerConfigError");
  EXPECT_THAT(WaitingMessage(wrong), HasSubstr("spec.containers[0].resources.limits.memory"));
}

// With what this machine has, be it cgroups or not.
TEST_F(NodeTest, AMemoryLimitBites) {
  RestartUnmcp({});
  Create("greedy", {{"command", {"sh", "-c", kGreedy}}, {"resources", {{"limits", {{"memory", "32Mi"}}}}}},
         {{"restartPolicy", "Never"}});
  const Object running = WaitFor("greedy", Running);
  const Json condition = Condition(running, "unmcp.dev/LimitsEnforced");
  EXPECT_EQ(condition["status"], "True") << condition;
  Attach("greedy")->Write("go\n");
  const Object ended = WaitFor("greedy", [](const Object& pod) { return InState(pod, "terminated"); });
  const Json& state = Container(ended)["state"]["terminated"];
  EXPECT_EQ(state["reason"], condition["reason"] == "Cgroup" ? "OOMKilled" : "Error") << state;
  EXPECT_NE(state["exitCode"], 0);
}

TEST_F(NodeTest, WithCgroupsAContainerIsInOneOfItsOwn) {
  // A directory in the kernel's place, with what the kernel would have in it.
  const std::string own = dir_ + "/cgroup/own", mine = absl::StrCat(own, "/unmcp.", getpid());
  for (const std::string& path : {own, mine}) {
    std::filesystem::create_directories(path);
    std::ofstream(path + "/cgroup.controllers") << "cpu memory\n";
    std::ofstream(path + "/cgroup.subtree_control") << "cpu memory\n";
  }
  RestartUnmcp({.root = dir_ + "/cgroup", .own_cgroup = "/own", .own_processes = {}, .remove = [](const std::string& path) {
                  return std::filesystem::remove_all(path) > 0;
                }});
  const auto cgroup_of = [&](const Object& pod) {
    for (const auto& entry : std::filesystem::directory_iterator(mine)) {
      if (absl::StartsWith(entry.path().filename().string(), pod.uid())) return entry.path().string();
    }
    return std::string();
  };
  const auto read = [](const std::string& path) {
    std::string text;
    std::getline(std::ifstream(path), text);
    return text;
  };
  Create("limited", {{"command", {"sh", "-c", "echo $$$$; exec cat"}},
                     {"resources", {{"limits", {{"memory", "64Mi"}, {"cpu", "1500m"}}}}}});
  const Object pod = WaitFor("limited", Running);
  const Json condition = Condition(pod, "unmcp.dev/LimitsEnforced");
  EXPECT_EQ(condition["status"], "True");
  EXPECT_EQ(condition["reason"], "Cgroup");
  const std::string cgroup = cgroup_of(pod);
  EXPECT_EQ(read(cgroup + "/memory.max"), absl::StrCat(64 << 20));
  EXPECT_EQ(read(cgroup + "/cpu.max"), "150000 100000");
  EXPECT_EQ(read(cgroup + "/cgroup.procs"), "0");  // it has moved itself

  // What the kernel does when it is too much.
  std::ofstream(cgroup + "/memory.events") << "oom 1\noom_kill 1\n";
  auto client = Attach("limited");
  kill(PidFrom(*client), SIGKILL);
  EXPECT_THAT(std::string(client->Closed().message()), HasSubstr("memory limit"));
  const Object again = WaitFor("limited", [&](const Object& now) { return Running(now) && Id(now) != Id(pod); });
  const Json& last = Container(again)["lastState"]["terminated"];
  EXPECT_EQ(last["reason"], "OOMKilled");
  EXPECT_EQ(last["exitCode"], 137);
  EXPECT_THAT(last["message"], HasSubstr("raise resources.limits.memory"));
  EXPECT_FALSE(std::filesystem::exists(cgroup));
  EXPECT_NE(cgroup_of(again), "");
}

// --- Servers that listen ---

TEST_F(NodeTest, AContainerIsReadyWhenItsProbeSaysSo) {
  Listener listener;
  Create("web", {{"command", {"sleep", "1000"}},
                 {"stdin", false},
                 {"readinessProbe",
                  {{"tcpSocket", {{"port", listener.port()}}}, {"periodSeconds", 1}, {"failureThreshold", 1}}}});
  const Object ready = WaitFor("web", [](const Object& pod) { return Ready(pod) == "True"; });
  EXPECT_TRUE(Running(ready));
  EXPECT_EQ(Container(ready)["ready"], true);
  EXPECT_EQ(ready.status()["podIP"], "127.0.0.1");
  listener.Close();
  const Object deaf = WaitFor("web", [](const Object& pod) {
    return Running(pod) && absl::StrContains(Condition(pod, "Ready").value("message", ""), "refused");
  });
  EXPECT_EQ(Ready(deaf), "False");
  EXPECT_EQ(Container(deaf)["restartCount"], 0);
}

TEST_F(NodeTest, APortThatSomebodyHasIsWaitedFor) {
  Listener listener;
  Create("web", {{"command", {"sleep", "1000"}},
                 {"stdin", false},
                 {"ports", {{{"containerPort", listener.port()}}}}});
  const Object waiting = WaitFor("web", [](const Object& pod) { return !WaitingReason(pod).empty(); });
  EXPECT_EQ(WaitingReason(waiting), "PortInUse");
  EXPECT_THAT(WaitingMessage(waiting), HasSubstr(absl::StrCat("127.0.0.1:", listener.port(), " is in use by process ",
                                                              getpid(), " (")));
  listener.Close();
  WaitFor("web", Running);
}

TEST_F(NodeTest, FieldsWithoutEffectAreNamed) {
  Create("plain", {{"command", {"cat"}}});
  EXPECT_EQ(Condition(WaitFor("plain", Running), "unmcp.dev/PodHonored"), Json::object());
  Create("rich", {{"command", {"cat"}}, {"livenessProbe", {{"tcpSocket", {{"port", 1}}}}}},
         {{"volumes", {{{"name", "v"}}}}, {"initContainers", {{{"name", "first"}, {"image", "x"}}}}});
  const Json condition = Condition(WaitFor("rich", Running), "unmcp.dev/PodHonored");
  EXPECT_EQ(condition["status"], "False");
  EXPECT_EQ(condition["reason"], "FieldsNotSupported");
  for (const char* path : {"spec.volumes", "spec.initContainers", "spec.containers[0].livenessProbe"}) {
    EXPECT_THAT(condition["message"], HasSubstr(path));
  }
}

// --- Conformance ---

class NodeUnderTest final : public ClusterUnderTest {
 public:
  NodeUnderTest() : dir_(absl::StrCat(getenv("TEST_TMPDIR"), "/conformance-XXXXXX")) {
    EXPECT_NE(mkdtemp(dir_.data()), nullptr);
    unmcp_.emplace(dir_);
  }
  ~NodeUnderTest() override {
    unmcp_.reset();
    std::filesystem::remove_all(dir_);
  }
  Cluster& cluster() override { return *unmcp_->cluster; }
  std::string NewNamespace() override { return kNs; }  // the one that the node serves

 private:
  std::string dir_;
  std::optional<Unmcp> unmcp_;
};

INSTANTIATE_TEST_SUITE_P(EmbeddedNode, PodConformance,
                         testing::Values(ClusterFactory([] { return std::make_unique<NodeUnderTest>(); })));

}  // namespace
}  // namespace unmcp::kube
