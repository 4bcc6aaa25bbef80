// Caller and Callee over a real gRPC server, both on one EventLoop: over an
// in-process channel, as `unmcp up` runs them, and over a socket.

#include <unistd.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "link/callee.h"
#include "link/caller.h"
#include "link/completion.h"
#include "link/limits.h"
#include "unmcp/v1/edge.pb.h"
#include "unmcp/v1/server_service.grpc.pb.h"

namespace unmcp::link {
namespace {

// The answering side of one exchange, as a test scripts it.
struct Served : session::ExchangeHandler {
  session::ExchangeRequest request;
  std::unique_ptr<session::Exchange> exchange;
  std::string message;
  bool has_message = false, drained = false, closed = false;
  absl::AnyInvocable<void(Served&)> on_message = [](Served&) {};
  absl::AnyInvocable<void(Served&)> on_closed = [](Served&) {};

  void OnMessage(std::string text) override {
    message = std::move(text);
    has_message = true;
    on_message(*this);
  }
  void OnDrained() override { drained = true; }
  void OnClosed() override {
    closed = true;
    on_closed(*this);
  }
};

// The asking side.
struct Asked : CallHandler {
  Caller* caller = nullptr;
  Caller::ExchangeId id = 0;
  bool consume = true;
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::string> messages{""};
  std::vector<std::string> events;
  size_t received = 0;
  size_t largest_piece = 0;
  bool closed = false, cut_off = false;
  absl::AnyInvocable<void(Asked&)> on_data = [](Asked&) {};
  absl::AnyInvocable<void(Asked&)> on_close = [](Asked&) {};

  void OnHead(int code, std::vector<std::pair<std::string, std::string>> with) override {
    status = code;
    headers = std::move(with);
  }
  void OnData(std::string bytes, absl::string_view event, absl::string_view, bool final) override {
    if (messages.back().empty()) events.push_back(std::string(event));
    messages.back() += bytes;
    received += bytes.size();
    largest_piece = std::max(largest_piece, bytes.size());
    if (final) messages.emplace_back();
    if (consume) caller->Consumed(id, bytes.size());
    on_data(*this);
  }
  void OnClose(bool cut, absl::string_view) override {
    closed = true;
    cut_off = cut;
    on_close(*this);
  }
};

// Within one process, and as it is between two: over a socket, with a thread
// for each completion queue.
enum class Where { kInProcess, kOverSocket };

class LinkTest : public ::testing::TestWithParam<Where> {
 protected:
  LinkTest() { StartServer(); }
  ~LinkTest() override {
    Run([this] { caller_->Shutdown(); });
    StopServer();
  }

  void StartServer() {
    loop_ = std::make_unique<EventLoop>("link");
    callee_ = Callee::Create({loop_.get(), [this](session::ExchangeRequest request,
                                                  std::unique_ptr<session::Exchange> exchange) {
                                auto served = std::make_unique<Served>();
                                served->request = std::move(request);
                                served->exchange = std::move(exchange);
                                Served* raw = served.get();
                                served_.push_back(std::move(served));
                                on_accept_(*raw);
                                if (raw->exchange) raw->exchange->SetHandler(raw);
                              },
                              over_socket()});
    grpc::ServerBuilder builder;
    if (over_socket()) builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(&other_service_);
    callee_->Register(&builder);
    server_ = builder.BuildAndStart();
    callee_->Start();
    Notification connected;
    std::shared_ptr<grpc::Channel> channel;
    if (over_socket()) {
      channel = grpc::CreateChannel(address_, grpc::InsecureChannelCredentials());
      completions_ = std::make_unique<CompletionDriver>(loop_.get(), std::make_unique<grpc::CompletionQueue>());
      completions_->StartThread();
    } else {
      channel = server_->InProcessChannel({});
    }
    caller_ = Caller::Create({loop_.get(), channel, over_socket() ? completions_.get() : callee_->completions(),
                              [&, first = true](bool up) mutable {
                                if (up && std::exchange(first, false)) connected.Notify();
                              }});
    loop_->Start();
    connected.Wait();
  }

  void StopServer() {
    server_->Shutdown(std::chrono::system_clock::now());
    loop_->Stop();
    served_.clear();
    caller_.reset();
    completions_.reset();
    callee_->Finish();
    server_.reset();
    callee_.reset();
  }

  bool over_socket() const { return GetParam() == Where::kOverSocket; }

  // Runs `step` on the loop and waits for it.
  void Run(absl::AnyInvocable<void()> step) {
    Notification done;
    loop_->Post([&] {
      step();
      done.Notify();
    });
    done.Wait();
  }

  // Waits until `condition` holds; it is looked at on the loop.
  void Until(absl::AnyInvocable<bool()> condition) {
    bool holds = false;
    while (!holds) Run([&] { holds = condition(); });
  }

  // A handler lives until its exchange ends: for the fixture's life.
  Asked& New() { return asked_.emplace_back(); }

  void Open(Asked& asked, v1::ExchangeKind kind, std::string message = "") {
    ++opened_;
    Run([&] {
      v1::Open open;
      open.set_kind(kind);
      open.set_server("time");
      open.set_session("s1");
      asked.caller = caller_.get();
      asked.id = caller_->Open(std::move(open), std::move(message), &asked);
      ASSERT_NE(asked.id, 0u);
    });
    Until([&] { return served_.size() == opened_; });
  }

  std::unique_ptr<EventLoop> loop_;
  // gRPC's own threads serve the server's other services, as in the apiserver.
  v1::ServerService::CallbackService other_service_;
  std::unique_ptr<Callee> callee_;
  std::unique_ptr<grpc::Server> server_;
  // The caller's, where it is not the callee's.
  std::unique_ptr<CompletionDriver> completions_;
  std::unique_ptr<Caller> caller_;
  const std::string address_ = absl::StrCat("unix-abstract:unmcp-link-test-", getpid());
  absl::AnyInvocable<void(Served&)> on_accept_ = [](Served&) {};
  std::deque<std::unique_ptr<Served>> served_;
  std::deque<Asked> asked_;
  size_t opened_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, LinkTest, ::testing::Values(Where::kInProcess, Where::kOverSocket),
                         [](const auto& where) {
                           return where.param == Where::kInProcess ? "InProcess" : "OverSocket";
                         });

TEST_P(LinkTest, AMessageGoesOneWayAndAStatusTheOther) {
  on_accept_ = [](Served& served) {
    served.on_message = [](Served& s) {
      s.exchange->SendHead(202, {{"x-a", "1"}});
      s.exchange->Close();
    };
  };
  Asked& asked = New();
  Open(asked, v1::EXCHANGE_KIND_SSE_MESSAGE, R"({"id":1})");
  Until([&] { return asked.closed; });
  EXPECT_EQ(asked.status, 202);
  EXPECT_EQ(asked.headers.at(0).first, "x-a");
  EXPECT_FALSE(asked.cut_off);
  EXPECT_EQ(served_[0]->message, R"({"id":1})");
  EXPECT_EQ(served_[0]->request.server, "time");
  EXPECT_EQ(served_[0]->request.session, "s1");
}

TEST_P(LinkTest, AnEmptyMessageIsDeliveredAsOne) {
  Asked& asked = New();
  Open(asked, v1::EXCHANGE_KIND_SSE_MESSAGE, "");
  Until([&] { return !served_.empty() && served_[0]->has_message; });
  Run([&] { caller_->Cancel(asked.id); });
}

TEST_P(LinkTest, LargeMessagesPassWholeBothWaysInPieces) {
  const std::string up(10'000'001, 'u'), down(20'000'003, 'd');
  on_accept_ = [&](Served& served) {
    served.on_message = [&](Served& s) {
      s.exchange->SendHead(200, {});
      s.exchange->Send(down);
      s.exchange->Send("next", "note");
      s.exchange->Close();
    };
  };
  Asked& asked = New();
  Open(asked, v1::EXCHANGE_KIND_SSE_MESSAGE, up);
  Until([&] { return asked.closed; });
  EXPECT_EQ(served_[0]->message, up);
  ASSERT_EQ(asked.messages.size(), 3u);
  EXPECT_EQ(asked.messages[0], down);
  EXPECT_EQ(asked.messages[1], "next");
  EXPECT_EQ(asked.events, (std::vector<std::string>{"", "note"}));
  EXPECT_LE(asked.largest_piece, kPieceBytes);
  EXPECT_FALSE(asked.cut_off);
}

TEST_P(LinkTest, AReaderThatStopsHoldsBackItsOwnExchangeOnly) {
  on_accept_ = [](Served& served) { served.exchange->SendHead(200, {}); };
  Asked& slow = New();
  Asked& quick = New();
  slow.consume = false;
  Open(slow, v1::EXCHANGE_KIND_SSE_STREAM);
  Open(quick, v1::EXCHANGE_KIND_SSE_STREAM);
  Run([&] {
    for (int i = 0; i < 40; ++i) served_[0]->exchange->Send(std::string(kPieceBytes, 's'));
    for (int i = 0; i < 40; ++i) served_[1]->exchange->Send(std::string(kPieceBytes, 'q'));
  });
  Until([&] { return quick.received == 40 * kPieceBytes; });
  Run([&] {
    EXPECT_EQ(slow.received, static_cast<size_t>(kInitialCredit));
    EXPECT_EQ(served_[0]->exchange->queued(), 40 * kPieceBytes - kInitialCredit);
    EXPECT_FALSE(served_[0]->drained);
    EXPECT_EQ(served_[1]->exchange->queued(), 0u);
    slow.consume = true;
    caller_->Consumed(slow.id, kInitialCredit);
  });
  Until([&] { return slow.received == 40 * kPieceBytes; });
  Run([&] { EXPECT_TRUE(served_[0]->drained); });
}

TEST_P(LinkTest, ACancelledExchangeTellsTheOtherSideAndNobodyElse) {
  on_accept_ = [](Served& served) {
    served.exchange->SendHead(200, {});
    served.on_closed = [](Served& s) { s.exchange.reset(); };
  };
  Asked& asked = New();
  Asked& other = New();
  Open(asked, v1::EXCHANGE_KIND_SSE_STREAM);
  Open(other, v1::EXCHANGE_KIND_SSE_STREAM);
  Run([&] { caller_->Cancel(asked.id); });
  Until([&] { return served_[0]->closed; });
  Run([&] { served_[1]->exchange->Send("still here"); });
  Until([&] { return other.messages[0] == "still here"; });
  EXPECT_FALSE(asked.closed);
  EXPECT_FALSE(other.closed);
}

TEST_P(LinkTest, AnExchangeThatIsDroppedIsCutOff) {
  on_accept_ = [](Served& served) { served.exchange.reset(); };
  Asked& asked = New();
  Open(asked, v1::EXCHANGE_KIND_SSE_STREAM);
  Until([&] { return asked.closed; });
  EXPECT_TRUE(asked.cut_off);
}

TEST_P(LinkTest, WhenTheServerStopsEveryExchangeEndsOnBothSides) {
  on_accept_ = [](Served& served) {
    served.exchange->SendHead(200, {});
    served.on_closed = [](Served& s) { s.exchange.reset(); };
  };
  for (int i = 0; i < 50; ++i) Open(New(), v1::EXCHANGE_KIND_SSE_STREAM);
  Until([&] { return served_.size() == 50; });
  server_->Shutdown(std::chrono::system_clock::now());
  Until([&] { return asked_[0].closed && asked_[49].closed; });
  Run([&] {
    EXPECT_FALSE(caller_->connected());
    v1::Open open;
    EXPECT_EQ(caller_->Open(open, "", &asked_[0]), 0u);
  });
  for (const Asked& a : asked_) EXPECT_TRUE(a.cut_off);
  for (const auto& s : served_) EXPECT_TRUE(s->closed);
}

TEST_P(LinkTest, AThousandExchangesEachGetTheirOwnAnswer) {
  on_accept_ = [](Served& served) {
    served.on_message = [](Served& s) {
      s.exchange->SendHead(200, {});
      s.exchange->Send("answer to " + s.message);
      s.exchange->Close();
    };
  };
  Run([&] {
    for (size_t i = 0; i < 1000; ++i) {
      New();
      v1::Open open;
      open.set_kind(v1::EXCHANGE_KIND_SSE_MESSAGE);
      asked_[i].caller = caller_.get();
      asked_[i].id = caller_->Open(open, std::to_string(i), &asked_[i]);
    }
  });
  Until([&] {
    for (const Asked& a : asked_) {
      if (!a.closed) return false;
    }
    return true;
  });
  for (size_t i = 0; i < 1000; ++i) EXPECT_EQ(asked_[i].messages[0], "answer to " + std::to_string(i));
}

// A callee in another process is killed and started again.
TEST(LinkRedialTest, ACallerFindsTheNextCallee) {
  const std::string address = absl::StrCat("unix-abstract:unmcp-redial-test-", getpid());
  EventLoop loop("caller");
  CompletionDriver completions(&loop, std::make_unique<grpc::CompletionQueue>());
  completions.StartThread();
  Notification up[3], down[3];
  int ups = 0, downs = 0;
  auto caller = Caller::Create({&loop, grpc::CreateChannel(address, grpc::InsecureChannelCredentials()), &completions,
                                [&](bool connected) { connected ? up[ups++].Notify() : down[downs++].Notify(); }});
  loop.Start();
  for (int life = 0; life < 3; ++life) {
    EventLoop callee_loop("callee");
    v1::ServerService::CallbackService other_service;
    auto callee = Callee::Create({.loop = &callee_loop, .acceptor = {}, .over_sockets = true});
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(&other_service);
    callee->Register(&builder);
    auto server = builder.BuildAndStart();
    callee->Start();
    callee_loop.Start();
    up[life].Wait();
    server->Shutdown(std::chrono::system_clock::now());
    down[life].Wait();
    callee_loop.Stop();
    callee->Finish();
  }
  loop.Stop();
  caller.reset();
}

}  // namespace
}  // namespace unmcp::link
