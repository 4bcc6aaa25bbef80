#include "kube/socket/socket_cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "bridge/fd.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kube/await.h"
#include "kube/cluster_conformance.h"
#include "kube/embedded/embedded_cluster.h"
#include "kube/embedded/node_runtime.h"
#include "kube/embedded/pipe_attachment.h"
#include "kube/socket/cluster_server.h"

namespace unmcp::kube {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

// A controller's side of the socket: an embedded cluster, and its server, which
// can go away and come back.
class Host {
 public:
  Host() {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    cluster_ = *EmbeddedCluster::Create({.data_dir = directory_, .crds = {WidgetCrd()}});
    Serve();
  }
  ~Host() {
    server_.reset();
    cluster_->SetNode(nullptr);
    cluster_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string socket() const { return directory_ + "/run/cluster.sock"; }
  EmbeddedCluster& cluster() { return *cluster_; }
  void Serve() {
    auto server = ClusterServer::Create(cluster_.get(), socket());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void GoAway() { server_.reset(); }

 private:
  std::string directory_ = "/tmp/socket-XXXXXX";  // short: a socket's path is bounded
  std::unique_ptr<EmbeddedCluster> cluster_;
  std::unique_ptr<ClusterServer> server_;
};

class SocketUnderTest final : public ClusterUnderTest {
 public:
  Cluster& cluster() override { return cluster_; }
  std::string NewNamespace() override { return absl::StrCat("ns-", ++namespaces_); }

 private:
  Host host_;
  SocketCluster cluster_{host_.socket()};
  int namespaces_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Socket, ClusterConformance,
                         testing::Values(ClusterFactory([] { return std::make_unique<SocketUnderTest>(); })));

constexpr char kNs[] = "default";

Object Widget(const std::string& name) {
  Object widget(WidgetKind(), kNs, name);
  widget.json()["spec"]["size"] = 1;
  return widget;
}

// Until the client has found its way back, which is its own business.
absl::StatusOr<ObjectList> ListWhenBack(Cluster& cluster) {
  for (;;) {
    absl::StatusOr<ObjectList> list = AwaitList(cluster, WidgetKind(), kNs);
    if (list.status().code() != StatusCode::kUnavailable) return list;
  }
}

TEST(SocketCluster, OnlyItsUserMayOpenTheSocket) {
  Host host;
  struct stat info = {};
  ASSERT_EQ(stat(host.socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(ClusterServer::Create(&host.cluster(), host.socket()).status().code(), StatusCode::kFailedPrecondition);
}

TEST(SocketCluster, WithoutAControllerEverythingIsUnavailable) {
  SocketCluster cluster("/tmp/nobody-listens-here.sock");
  const absl::Status status = AwaitGet(cluster, {WidgetKind(), kNs, "w"}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is unmcp-controller running?"));
  EXPECT_EQ(WatchRecorder(cluster, WidgetKind(), kNs, {"", "1"}).WaitForEnd().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Await<std::unique_ptr<Attachment>>([&](Callback<std::unique_ptr<Attachment>> done) {
              cluster.Attach({PodKind(), kNs, "p"}, {}, std::move(done));
            }).status().code(),
            StatusCode::kUnavailable);
}

TEST(SocketCluster, ComesBackWithItsController) {
  Host host;
  SocketCluster cluster(host.socket());
  const std::string version = AwaitList(cluster, WidgetKind(), kNs)->resource_version;
  WatchRecorder watch(cluster, WidgetKind(), kNs, {"", version});
  ASSERT_TRUE(AwaitCreate(cluster, WidgetKind(), Widget("a")).ok());
  ASSERT_TRUE(watch.WaitForCount(1));
  host.GoAway();
  EXPECT_EQ(watch.WaitForEnd().code(), StatusCode::kUnavailable);
  EXPECT_EQ(AwaitList(cluster, WidgetKind(), kNs).status().code(), StatusCode::kUnavailable);
  host.Serve();
  const absl::StatusOr<ObjectList> list = ListWhenBack(cluster);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->items.size(), 1u);
}

TEST(SocketCluster, ErrorsAreTheClustersHoweverLong) {
  Host host;
  SocketCluster cluster(host.socket());
  Object many = Widget("many");
  for (int i = 0; i < 1000; ++i) many.json()["spec"][absl::StrCat("unknown-", i)] = "\xc3\xa4";
  many.json()["spec"]["tags"] = Json::array();
  for (int i = 0; i < 3; ++i) many.json()["spec"]["tags"].push_back(Json::object());
  many.json()["spec"]["color"] = std::string(100'000, 'x');
  const absl::Status status = AwaitCreate(cluster, WidgetKind(), many).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
  Object bytes = Widget("bytes");
  bytes.json()["spec"]["free"]["text"] = "\xff\xfe";
  EXPECT_EQ(AwaitCreate(cluster, WidgetKind(), bytes).status().code(), StatusCode::kInvalidArgument);
}

TEST(SocketCluster, LargeListsFit) {
  Host host;
  SocketCluster cluster(host.socket());
  for (int i = 0; i < 20; ++i) {
    Object widget = Widget(absl::StrCat("w", i));
    widget.json()["spec"]["free"]["text"] = std::string(500'000, 'x');
    ASSERT_TRUE(AwaitCreate(cluster, WidgetKind(), widget).ok());
  }
  EXPECT_EQ(AwaitList(cluster, WidgetKind(), kNs)->items.size(), 20u);
}

TEST(SocketCluster, CallsUnderWayEndWithIt) {
  Host host;
  Monitor<int> answers;
  {
    SocketCluster cluster(host.socket());
    for (int i = 0; i < 100; ++i) {
      cluster.Create(WidgetKind(), Widget(absl::StrCat("w", i)),
                     [&](absl::StatusOr<Object>) { answers.Update([](int& n) { ++n; }); });
    }
    WatchRecorder outlived(cluster, WidgetKind(), kNs, {"", "1"});
  }
  EXPECT_EQ(answers.Copy(), 100);
}

// --- Attachments ---

struct Heard {
  std::string output;
  int writable = 0;
  std::optional<absl::Status> closed;
};

class Listener final : public AttachHandler {
 public:
  void OnOutput(absl::string_view bytes) override {
    heard.Update([&](Heard& value) { value.output.append(bytes.data(), bytes.size()); });
  }
  void OnWritable() override {
    heard.Update([](Heard& value) { ++value.writable; });
  }
  void OnClosed(absl::Status why) override {
    heard.Update([&](Heard& value) { value.closed = std::move(why); });
  }
  bool WaitForOutput(size_t size) const {
    return heard.WaitFor([&](const Heard& value) { return value.output.size() >= size; });
  }
  absl::Status WaitForEnd() const {
    heard.WaitFor([](const Heard& value) { return value.closed.has_value(); });
    return heard.Copy().closed.value_or(absl::DeadlineExceededError("it was not closed"));
  }

  Monitor<Heard> heard;
};

// A node with one container, whose other ends the test has.
class OneContainer final : public NodeRuntime {
 public:
  OneContainer() {
    int in[2], out[2];
    signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    stdin_ = bridge::Fd(in[0]);
    stdout_ = bridge::Fd(out[1]);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    pipes = ContainerPipes::Create(bridge::Fd(in[1]), bridge::Fd(out[0]));
  }
  void Attach(const std::string&, AttachOptions options, Callback<std::unique_ptr<Attachment>> done) override {
    if (options.container_id != "process://1") return done(absl::NotFoundError("another life"));
    done(pipes->Attach());
  }
  void Logs(const std::string& pod_uid, LogOptions options, Callback<std::string> done) override {
    done(absl::StrCat(options.tail_lines, " lines of ", options.container, pod_uid.empty() ? "" : "!"));
  }
  void FollowLogs(const std::string&, LogOptions options, std::shared_ptr<LogSink> sink) override {
    sink->Append(absl::StrCat(options.container, " 1\n"));
    followers.Update([&](auto& all) { all.push_back(std::move(sink)); });
  }

  // Blocks for `size` bytes of stdin.
  std::string Read(size_t size) {
    std::string text(size, '\0');
    size_t got = 0;
    while (got < size) {
      const ssize_t n = read(stdin_.get(), text.data() + got, size - got);
      if (n <= 0) break;
      got += static_cast<size_t>(n);
    }
    text.resize(got);
    return text;
  }
  void Print(absl::string_view text) {
    ASSERT_EQ(write(stdout_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  int stdout_fd() const { return stdout_.get(); }
  // The process ends.
  void Exit(absl::Status why) {
    stdout_ = bridge::Fd();
    stdin_ = bridge::Fd();
    pipes->Close(std::move(why));
  }

  std::shared_ptr<ContainerPipes> pipes;
  Monitor<std::vector<std::shared_ptr<LogSink>>> followers;

 private:
  bridge::Fd stdin_, stdout_;
};

class SocketAttachTest : public testing::Test {
 protected:
  SocketAttachTest() : loop_("user"), cluster_(host_.socket()) {
    host_.cluster().SetNode(&node_);
    Object pod(PodKind(), kNs, "p");
    pod.json()["spec"] = R"({"containers": [{"name": "main"}]})"_json;
    EXPECT_TRUE(AwaitCreate(cluster_, PodKind(), pod).ok());
    loop_.Start();
  }
  ~SocketAttachTest() override {
    OnLoop([&] {
      first_.reset();
      second_.reset();
    });
    loop_.Stop();
  }

  absl::StatusOr<std::unique_ptr<Attachment>> Attach(const std::string& id = "process://1") {
    return Await<std::unique_ptr<Attachment>>([&](Callback<std::unique_ptr<Attachment>> done) {
      cluster_.Attach({PodKind(), kNs, "p"}, {"main", id}, std::move(done));
    });
  }
  // Runs on the loop, and waits for it.
  void OnLoop(absl::AnyInvocable<void()> function) {
    Notification done;
    loop_.Post([&] {
      function();
      done.Notify();
    });
    done.Wait();
  }

  EventLoop loop_;
  OneContainer node_;
  Host host_;
  SocketCluster cluster_;
  Listener listener_, second_listener_;
  std::unique_ptr<Attachment> first_, second_;
};

TEST_F(SocketAttachTest, CarriesBothWays) {
  EXPECT_EQ(Attach("process://0").status().code(), StatusCode::kNotFound);
  first_ = *Attach();
  first_->Start(&loop_, &listener_);
  OnLoop([&] {
    first_->Write("hello");
    EXPECT_EQ(first_->pending(), 5u);
  });
  EXPECT_EQ(node_.Read(5), "hello");
  ASSERT_TRUE(listener_.heard.WaitFor([](const Heard& heard) { return heard.writable == 1; }));
  OnLoop([&] { EXPECT_EQ(first_->pending(), 0u); });
  node_.Print("world");
  ASSERT_TRUE(listener_.WaitForOutput(5));
  EXPECT_EQ(listener_.heard.Copy().output, "world");
}

TEST_F(SocketAttachTest, SaysHowTheContainerEndedAfterItsLastOutput) {
  first_ = *Attach();
  first_->Start(&loop_, &listener_);
  node_.Print("last words");
  node_.Exit(absl::UnavailableError("exit code 3"));
  const absl::Status why = listener_.WaitForEnd();
  EXPECT_EQ(why, absl::UnavailableError("exit code 3"));
  EXPECT_EQ(listener_.heard.Copy().output, "last words");
}

TEST_F(SocketAttachTest, ANewAttachmentTakesOver) {
  first_ = *Attach();
  first_->Start(&loop_, &listener_);
  second_ = *Attach();
  second_->Start(&loop_, &second_listener_);
  EXPECT_EQ(listener_.WaitForEnd().code(), StatusCode::kAborted);
  node_.Print("x");
  EXPECT_TRUE(second_listener_.WaitForOutput(1));
}

TEST_F(SocketAttachTest, WhatWasWrittenBeforeItsEndIsDelivered) {
  first_ = *Attach();
  first_->Start(&loop_, &listener_);
  const std::string line(2'000'000, 'x');  // much more than a pipe holds
  OnLoop([&] {
    first_->Write(line);
    first_.reset();
  });
  EXPECT_EQ(node_.Read(1), "x");
  // What is not written by then is finished by the next.
  second_ = *Attach();
  second_->Start(&loop_, &second_listener_);
  EXPECT_EQ(node_.Read(line.size() - 1), line.substr(1));
}

// The container's pipe fills, and the memory here does not.
TEST_F(SocketAttachTest, APausedReaderHoldsTheContainerUp) {
  first_ = *Attach();
  OnLoop([&] {
    first_->Start(&loop_, &listener_);
    first_->PauseOutput();
  });
  const std::string output(8 << 20, 'x');
  std::atomic<bool> printed = false;
  std::thread container([&] {
    size_t at = 0;
    while (at < output.size()) {
      const ssize_t n = write(node_.stdout_fd(), output.data() + at, output.size() - at);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    printed = true;
  });
  // The other way is open, and what goes there and back gives the output time
  // enough to come if it could.
  for (int i = 1; i <= 200; ++i) {
    OnLoop([&] { first_->Write("x"); });
    ASSERT_EQ(node_.Read(1), "x");
    ASSERT_TRUE(listener_.heard.WaitFor([&](const Heard& heard) { return heard.writable == i; }));
  }
  EXPECT_FALSE(printed);
  EXPECT_EQ(listener_.heard.Copy().output.size(), 0u);
  OnLoop([&] { first_->ResumeOutput(); });
  container.join();
  EXPECT_TRUE(listener_.WaitForOutput(output.size()));
}

TEST_F(SocketAttachTest, MuchOutputComesWhole) {
  first_ = *Attach();
  first_->Start(&loop_, &listener_);
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string block(50'000, static_cast<char>('a' + i % 26));
    node_.Print(block);
    all += block;
  }
  ASSERT_TRUE(listener_.WaitForOutput(all.size()));
  EXPECT_EQ(listener_.heard.Copy().output, all);
}

TEST_F(SocketAttachTest, EndsWithItsController) {
  first_ = *Attach();
  first_->Start(&loop_, &listener_);
  host_.GoAway();
  EXPECT_EQ(listener_.WaitForEnd().code(), StatusCode::kUnavailable);
  OnLoop([&] {
    first_->Write("nobody");
    EXPECT_EQ(first_->pending(), 0u);
  });
}

TEST_F(SocketAttachTest, LogsComeOverTheSocket) {
  const auto logs = Await<std::string>(
      [&](Callback<std::string> done) { cluster_.Logs({PodKind(), kNs, "p"}, {"main", 3}, std::move(done)); });
  ASSERT_TRUE(logs.ok()) << logs.status();
  EXPECT_EQ(*logs, "3 lines of main!");
  EXPECT_EQ(Await<std::string>([&](Callback<std::string> done) {
              cluster_.Logs({PodKind(), kNs, "q"}, {"main", 3}, std::move(done));
            }).status().code(),
            StatusCode::kNotFound);
}

TEST_F(SocketAttachTest, LogsAreFollowedOverTheSocket) {
  struct Log {
    std::string text;
    std::optional<absl::Status> end;
  };
  Monitor<Log> log;
  const auto follow = [&] {
    return cluster_.FollowLogs({PodKind(), kNs, "p"}, {"main", 3},
                               {.on_text = [&](std::string text) { log.Update([&](Log& l) { l.text += text; }); },
                                .on_end = [&](absl::Status end) { log.Update([&](Log& l) { l.end = end; }); }});
  };
  const auto heard = [&](const std::string& text) {
    return log.WaitFor([&](const Log& value) { return value.text == text; });
  };
  auto watch = follow();
  ASSERT_TRUE(heard("main 1\n"));
  node_.followers.Copy()[0]->Append("main 2\n");
  ASSERT_TRUE(heard("main 1\nmain 2\n"));
  node_.followers.Copy()[0]->End(absl::OkStatus());
  ASSERT_TRUE(log.WaitFor([](const Log& value) { return value.end.has_value(); }));
  EXPECT_EQ(log.Copy().end, absl::OkStatus());
  // Who lets go is forgotten at the other end.
  watch = follow();
  ASSERT_TRUE(heard("main 1\nmain 2\nmain 1\n"));
  watch.reset();
  const auto follower = node_.followers.Copy().at(1);
  while (!follower->cancelled()) std::this_thread::yield();
}

}  // namespace
}  // namespace unmcp::kube
