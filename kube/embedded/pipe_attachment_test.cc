#include "kube/embedded/pipe_attachment.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "common/event_loop.h"
#include "common/mutex.h"
#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

using bridge::Fd;

// Remembers what it hears; waits for it.
class Listener : public AttachHandler {
  auto Locked(auto get) {
    std::lock_guard<std::mutex> lock(mutex_);
    return get();
  }

 public:
  void OnOutput(absl::string_view bytes) override {
    std::lock_guard<std::mutex> lock(mutex_);
    output_.append(bytes.data(), bytes.size());
    changed_.notify_all();
    if (on_output) on_output();
  }
  void OnWritable() override {
    std::lock_guard<std::mutex> lock(mutex_);
    ++writable_;
    changed_.notify_all();
  }
  void OnClosed(absl::Status why) override {
    std::lock_guard<std::mutex> lock(mutex_);
    EXPECT_FALSE(closed_) << "OnClosed twice";
    closed_ = std::move(why);
    changed_.notify_all();
  }

  std::string Output(size_t size) {
    Wait([&] { return output_.size() >= size || closed_; });
    return Locked([&] { return output_; });
  }
  absl::Status Closed() {
    Wait([&] { return closed_.has_value(); });
    return Locked([&] { return *closed_; });
  }
  void AwaitWritable() {
    Wait([&] { return writable_ > 0; });
  }
  std::string SoFar() {
    return Locked([&] { return output_; });
  }
  bool IsClosed() {
    return Locked([&] { return closed_.has_value(); });
  }

  std::function<void()> on_output;

 private:
  void Wait(auto condition) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string output_;
  int writable_ = 0;
  std::optional<absl::Status> closed_;
};

// An attachment on a loop: every call is made there.
class Client {
 public:
  Client(EventLoop* loop, ContainerPipes& pipes) : loop_(loop), attachment_(*pipes.Attach()) {
    attachment_->Start(loop_, &listener);
  }
  ~Client() { Detach(); }

  void On(auto call) {
    Notification done;
    loop_->Post([&] {
      call(*attachment_);
      done.Notify();
    });
    done.Wait();
  }
  void Write(std::string bytes) {
    On([&](Attachment& attachment) { attachment.Write(std::move(bytes)); });
  }
  size_t Pending() {
    size_t pending = 0;
    On([&](Attachment& attachment) { pending = attachment.pending(); });
    return pending;
  }
  void Detach() {
    On([&](Attachment&) { attachment_.reset(); });
  }

  Listener listener;

 private:
  EventLoop* const loop_;
  std::unique_ptr<Attachment> attachment_;
};

class PipeAttachmentTest : public ::testing::Test {
 protected:
  PipeAttachmentTest() : loop_("attached"), other_loop_("other") {
    signal(SIGPIPE, SIG_IGN);
    int in[2], out[2];
    EXPECT_EQ(pipe(in), 0);
    EXPECT_EQ(pipe(out), 0);
    process_in_ = Fd(in[0]);
    process_out_ = Fd(out[1]);
    for (int fd : {in[1], out[0]}) fcntl(fd, F_SETFL, O_NONBLOCK | fcntl(fd, F_GETFL));
    pipes_ = ContainerPipes::Create(Fd(in[1]), Fd(out[0]));
    loop_.Start();
    other_loop_.Start();
  }

  // What the process does.
  void Print(const std::string& text) {
    size_t at = 0;
    while (at < text.size()) {
      const ssize_t n = write(process_out_.get(), text.data() + at, text.size() - at);
      ASSERT_GT(n, 0);
      at += n;
    }
  }
  std::string Take(size_t size) {
    std::string text(size, '\0');
    size_t at = 0;
    while (at < size) {
      const ssize_t n = read(process_in_.get(), text.data() + at, size - at);
      if (n <= 0) break;
      at += n;
    }
    text.resize(at);
    return text;
  }

  Fd process_in_, process_out_;
  std::shared_ptr<ContainerPipes> pipes_;
  EventLoop loop_, other_loop_;
};

TEST_F(PipeAttachmentTest, BytesGoBothWays) {
  Client client(&loop_, *pipes_);
  client.Write("hello");
  EXPECT_EQ(client.Pending(), 0u);
  EXPECT_EQ(Take(5), "hello");
  Print("there");
  EXPECT_EQ(client.listener.Output(5), "there");
}

TEST_F(PipeAttachmentTest, WhatWasPrintedBeforeAnybodyAttachedIsThere) {
  Print("early");
  Client client(&loop_, *pipes_);
  EXPECT_EQ(client.listener.Output(5), "early");
}

TEST_F(PipeAttachmentTest, WhatDoesNotFitWaits) {
  Client client(&loop_, *pipes_);
  const std::string large(1'000'000, 'x');
  client.Write(large);
  client.Write("tail");
  EXPECT_GT(client.Pending(), 500'000u);
  EXPECT_EQ(Take(large.size()), large);
  EXPECT_EQ(Take(4), "tail");
  client.listener.AwaitWritable();
  EXPECT_EQ(client.Pending(), 0u);
}

TEST_F(PipeAttachmentTest, LargeOutputArrivesWhole) {
  Client client(&loop_, *pipes_);
  std::string large;
  for (int i = 0; large.size() < 20'000'000; ++i) large += std::to_string(i) + "\n";
  std::thread process([&] { Print(large); });
  EXPECT_TRUE(client.listener.Output(large.size()) == large);
  process.join();
}

TEST_F(PipeAttachmentTest, PausedItReadsNothing) {
  Client client(&loop_, *pipes_);
  client.On([](Attachment& attachment) { attachment.PauseOutput(); });
  Print("later");
  for (int i = 0; i < 10; ++i) client.On([](Attachment&) {});  // its loop had every chance
  EXPECT_EQ(client.listener.SoFar(), "");
  client.On([](Attachment& attachment) { attachment.ResumeOutput(); });
  EXPECT_EQ(client.listener.Output(5), "later");
}

TEST_F(PipeAttachmentTest, TheEndComesAfterTheLastOutput) {
  Client client(&loop_, *pipes_);
  client.On([](Attachment& attachment) { attachment.PauseOutput(); });
  Print("last words");
  process_out_ = Fd();
  pipes_->Close(absl::UnavailableError("exit code 1"));
  client.On([](Attachment&) {});
  EXPECT_FALSE(client.listener.IsClosed());
  client.On([](Attachment& attachment) { attachment.ResumeOutput(); });
  EXPECT_EQ(client.listener.Closed(), absl::UnavailableError("exit code 1"));
  EXPECT_EQ(client.listener.SoFar(), "last words");
  EXPECT_TRUE(absl::IsNotFound(pipes_->Attach().status()));
}

TEST_F(PipeAttachmentTest, TheEndIsHeardThoughSomebodyElseStillHoldsStdout) {
  Client client(&loop_, *pipes_);
  Print("last words");
  pipes_->Close(absl::UnavailableError("exit code 1"));  // process_out_ stays open
  EXPECT_EQ(client.listener.Closed(), absl::UnavailableError("exit code 1"));
  EXPECT_EQ(client.listener.SoFar(), "last words");
}

TEST_F(PipeAttachmentTest, HowItEndedIsWaitedFor) {
  Client client(&loop_, *pipes_);
  client.On([&](Attachment& attachment) {
    process_out_ = Fd();
    process_in_ = Fd();
    attachment.Write("to nobody");
    EXPECT_EQ(attachment.pending(), 0u);
    pipes_->Close(absl::UnavailableError("exit code 1"));
  });
  EXPECT_EQ(client.listener.Closed(), absl::UnavailableError("exit code 1"));
}

TEST_F(PipeAttachmentTest, AProcessThatOnlyClosesItsEndsIsClosedToo) {
  {
    Client client(&loop_, *pipes_);
    process_in_ = Fd();
    client.Write("to nobody");
    EXPECT_EQ(client.listener.Closed(), absl::UnavailableError("the process has closed its stdin"));
  }
  Client again(&loop_, *pipes_);
  EXPECT_EQ(again.listener.Closed().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PipeAttachmentTest, AnotherAttachmentReplacesTheFirst) {
  Client first(&loop_, *pipes_);
  Print("one");
  EXPECT_EQ(first.listener.Output(3), "one");
  Client second(&other_loop_, *pipes_);
  EXPECT_EQ(first.listener.Closed().code(), absl::StatusCode::kAborted);
  Print("two");
  EXPECT_EQ(second.listener.Output(3), "two");
  EXPECT_EQ(first.listener.SoFar(), "one");
  first.Write("dropped");
  second.Write("kept");
  EXPECT_EQ(Take(4), "kept");
}

TEST_F(PipeAttachmentTest, AttachedAgainAfterItDetached) {
  auto first = std::make_unique<Client>(&loop_, *pipes_);
  Print("one");
  EXPECT_EQ(first->listener.Output(3), "one");
  first.reset();
  Print("two");
  Client second(&other_loop_, *pipes_);
  EXPECT_EQ(second.listener.Output(3), "two");
  second.Write("hello");
  EXPECT_EQ(Take(5), "hello");
}

TEST_F(PipeAttachmentTest, APartialWriteIsFinishedByTheNext) {
  const std::string message = std::string(300'000, 'a') + "\n";
  auto first = std::make_unique<Client>(&loop_, *pipes_);
  first->Write(message);
  EXPECT_GT(first->Pending(), 0u);
  first.reset();
  Client second(&other_loop_, *pipes_);
  second.Write("next\n");
  EXPECT_TRUE(Take(message.size()) == message);
  EXPECT_EQ(Take(5), "next\n");
}

TEST_F(PipeAttachmentTest, OneThatNeverStartsIsInNobodysWay) {
  auto idle = *pipes_->Attach();
  Print("hello");
  Client client(&loop_, *pipes_);
  EXPECT_EQ(client.listener.Output(5), "hello");
  Listener listener;
  idle->Start(&other_loop_, &listener);
  EXPECT_EQ(listener.Closed().code(), absl::StatusCode::kAborted);
  Notification done;
  other_loop_.Post([&] {
    idle.reset();
    done.Notify();
  });
  done.Wait();
}

TEST_F(PipeAttachmentTest, ClosedInputIsTheEndOfStdin) {
  Client client(&loop_, *pipes_);
  client.Write("before");
  pipes_->CloseInput();
  client.Write("after");
  EXPECT_EQ(Take(100), "before");
  Print("still heard");
  EXPECT_EQ(client.listener.Output(11), "still heard");
}

TEST_F(PipeAttachmentTest, ClosedInputWithNobodyAttached) {
  pipes_->CloseInput();
  EXPECT_EQ(Take(1), "");
  Client client(&loop_, *pipes_);
  client.Write("dropped");
  EXPECT_EQ(client.Pending(), 0u);
  Print("still heard");
  EXPECT_EQ(client.listener.Output(11), "still heard");
}

TEST_F(PipeAttachmentTest, AHandlerMayDetachWhileItIsCalled) {
  Listener listener;
  auto attachment = *pipes_->Attach();
  Notification gone;
  listener.on_output = [&] {
    if (attachment == nullptr) return;
    attachment.reset();
    gone.Notify();
  };
  attachment->Start(&loop_, &listener);
  Print(std::string(10, 'x'));
  gone.Wait();
  Client next(&other_loop_, *pipes_);
  Print("next");
  EXPECT_EQ(next.listener.Output(4), "next");
  EXPECT_EQ(listener.SoFar(), "xxxxxxxxxx");
}

// The node drops a container while others attach, write and go: run under
// ThreadSanitizer and AddressSanitizer.
TEST_F(PipeAttachmentTest, ManyHandsAtOnce) {
  fcntl(process_in_.get(), F_SETFL, O_NONBLOCK);
  std::thread node([&] {
    char buffer[4096];
    for (int i = 0; i < 200; ++i) {
      while (read(process_in_.get(), buffer, sizeof(buffer)) > 0) {
      }
      if (write(process_out_.get(), "x", 1) < 0) break;
    }
    pipes_->CloseInput();
    pipes_->Close(absl::UnavailableError("exit code 1"));
  });
  for (int i = 0; i < 100; ++i) {
    auto attachment = pipes_->Attach();
    if (!attachment.ok()) break;
    Listener listener;
    EventLoop* loop = i % 2 == 0 ? &loop_ : &other_loop_;
    (*attachment)->Start(loop, &listener);
    Notification done;
    loop->Post([&] {
      (*attachment)->Write(std::string(i * 100, 'y'));
      if (i % 3 == 0) attachment->reset();
      done.Notify();
    });
    done.Wait();
    Notification gone;
    loop->Post([&] {
      attachment->reset();
      gone.Notify();
    });
    gone.Wait();
  }
  node.join();
}

}  // namespace
}  // namespace unmcp::kube
