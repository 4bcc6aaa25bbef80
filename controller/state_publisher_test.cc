#include "controller/state_publisher.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/simulated_scheduler.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "unmcp/v1/state.grpc.pb.h"

namespace unmcp::controller {
namespace {

// Longer than any machine that is merely slow.
constexpr auto kPatience = std::chrono::seconds(30);

// Where the test waits for what gRPC's threads bring.
class Doorbell {
 public:
  void Ring() {
    std::lock_guard<std::mutex> lock(mutex_);
    ++rings_;
    condition_.notify_all();
  }
  int rings() {
    std::lock_guard<std::mutex> lock(mutex_);
    return rings_;
  }
  bool WaitForMoreThan(int rings) {
    std::unique_lock<std::mutex> lock(mutex_);
    return condition_.wait_for(lock, kPatience, [&] { return rings_ > rings; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  int rings_ = 0;
};

// Time moves when the test says so; other threads' tasks ring.
class RingingScheduler final : public Scheduler {
 public:
  explicit RingingScheduler(Doorbell* bell) : bell_(bell) {}
  absl::Time Now() const override { return time_.Now(); }
  void Post(Task task) override {
    time_.Post(std::move(task));
    bell_->Ring();
  }
  TimerId After(absl::Duration delay, Task task) override { return time_.After(delay, std::move(task)); }
  void Cancel(TimerId id) override { time_.Cancel(id); }

  SimulatedScheduler& time() { return time_; }

 private:
  SimulatedScheduler time_;
  Doorbell* const bell_;
};

// An apiserver whose every answer the test gives.
class FakeApiserver final : public v1::StateService::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::SyncResponse, v1::SyncRequest>;

  FakeApiserver(Doorbell* bell, std::string process) : bell_(bell), process_(std::move(process)) {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    writer_ = std::thread([this] { WriteQueued(); });
  }
  ~FakeApiserver() override {
    Resume();
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
      changed_.notify_all();
    }
    writer_.join();
  }
  std::shared_ptr<grpc::Channel> Channel() { return server_->InProcessChannel(grpc::ChannelArguments()); }

  grpc::Status Sync(grpc::ServerContext* context, Stream* stream) override {
    v1::SyncRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (request.hello().epoch() < epoch_) {
        return {grpc::StatusCode::FAILED_PRECONDITION, "a newer leader is followed"};
      }
      epoch_ = request.hello().epoch();
      requests_.clear();
      requests_.push_back(request);
      ++streams_;
      stream_ = stream;
      context_ = context;
      to_write_.emplace_back();
      to_write_.back().mutable_hello()->set_process(process_);
      changed_.notify_all();
    }
    bell_->Ring();
    while (true) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return !paused_; });
      }
      if (!stream->Read(&request)) break;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        requests_.push_back(request);
      }
      bell_->Ring();
    }
    context->TryCancel();  // for a write that is still under way
    std::lock_guard<std::mutex> writing(write_mutex_);
    std::lock_guard<std::mutex> lock(mutex_);
    stream_ = nullptr;
    context_ = nullptr;
    to_write_.clear();
    return grpc::Status::OK;
  }

  // What came on the present stream.
  std::vector<v1::SyncRequest> requests() {
    std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }
  int streams() {
    std::lock_guard<std::mutex> lock(mutex_);
    return streams_;
  }
  void Send(const v1::SyncResponse& response) {
    std::lock_guard<std::mutex> lock(mutex_);
    to_write_.push_back(response);
    changed_.notify_all();
  }
  void Cut() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }
  void Pause() {
    std::lock_guard<std::mutex> lock(mutex_);
    paused_ = true;
  }
  void Resume() {
    std::lock_guard<std::mutex> lock(mutex_);
    paused_ = false;
    changed_.notify_all();
  }
  void Follow(uint64_t epoch) {
    std::lock_guard<std::mutex> lock(mutex_);
    epoch_ = epoch;
  }
  void Rename(const std::string& process) {
    std::lock_guard<std::mutex> lock(mutex_);
    process_ = process;
  }

 private:
  // On a thread of its own: in process, a write waits for its reader, which may
  // be waiting for the test's thread.
  void WriteQueued() {
    while (true) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return ended_ || (stream_ != nullptr && !to_write_.empty()); });
      if (ended_) return;
      lock.unlock();
      std::lock_guard<std::mutex> writing(write_mutex_);
      lock.lock();
      if (stream_ == nullptr || to_write_.empty()) continue;
      Stream* const stream = stream_;
      const v1::SyncResponse response = std::move(to_write_.front());
      to_write_.pop_front();
      lock.unlock();
      stream->Write(response);
    }
  }

  Doorbell* const bell_;
  std::mutex write_mutex_;  // taken before mutex_: the stream lives meanwhile
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::SyncResponse> to_write_;
  bool ended_ = false;
  bool paused_ = false;
  std::string process_;
  uint64_t epoch_ = 0;
  int streams_ = 0;
  Stream* stream_ = nullptr;
  grpc::ServerContext* context_ = nullptr;
  std::vector<v1::SyncRequest> requests_;
  std::unique_ptr<grpc::Server> server_;
  std::thread writer_;
};

class NoJitter final : public Random {
 public:
  std::string Id128() override { return std::string(32, '0'); }
  double Uniform() override { return 0; }
};

v1::PublishedServer State(const std::string& uid, int64_t requests = 0) {
  v1::PublishedServer state;
  state.mutable_server()->set_uid(uid);
  state.mutable_server()->mutable_status()->set_total_requests(requests);
  state.mutable_route()->set_incarnation(1);
  return state;
}

class StatePublisherTest : public testing::Test {
 protected:
  ~StatePublisherTest() override {
    bool done = false;
    publisher_->Shutdown([&] { done = true; });
    EXPECT_TRUE(Until([&] { return done; }));
    publisher_.reset();
  }

  void Make(int apiservers, uint64_t epoch = 5) {
    std::vector<std::shared_ptr<grpc::Channel>> channels;
    for (int i = 0; i < apiservers; ++i) {
      apiservers_.emplace_back(&bell_, absl::StrCat("api-", i));
      channels.push_back(apiservers_.back().Channel());
    }
    publisher_ = std::make_unique<StatePublisher>(StatePublisher::Options{.scheduler = &scheduler_,
                                                                          .random = &random_,
                                                                          .channels = channels,
                                                                          .epoch = epoch,
                                                                          .identity = "controller-0",
                                                                          .ns = "default",
                                                                          .metrics = metrics_});
  }
  void Start() {
    publisher_->Start({.on_apiservers = [this](const ApiserverSet& set) { set_ = set; },
                       .on_activity = [this](const std::string& process, const v1::Activity& activity) {
                         heard_.push_back(absl::StrCat("activity ", process, " ", activity.server_uid(), " ",
                                                       activity.requests()));
                       },
                       .on_demand = [this](const std::string& uid) { heard_.push_back("demand " + uid); },
                       .on_discovery = [this](const v1::Discovery& discovery) {
                         heard_.push_back(
                             absl::StrCat("discovery ", discovery.server_uid(), " ", discovery.tool_count()));
                       },
                       .on_drain = [this](const std::string& uid, int64_t incarnation, bool drained,
                                          const std::string& why) {
                         heard_.push_back(absl::StrCat(drained ? "drained " : "refused ", uid, "/", incarnation,
                                                       why.empty() ? "" : ": ", why));
                       }});
  }
  void StartAndConnect() {
    Start();
    ASSERT_TRUE(Until([&] { return set_.complete; }));
  }
  // Runs tasks as they come until `met`.
  bool Until(const std::function<bool()>& met) {
    while (true) {
      const int rings = bell_.rings();
      scheduler_.time().RunUntilIdle();
      if (met()) return true;
      if (bell_.rings() == rings && !bell_.WaitForMoreThan(rings)) return false;
    }
  }
  FakeApiserver& api(int i = 0) { return *std::next(apiservers_.begin(), i); }
  // "hello change:a end drain:a/1 withdraw:a/1 deleted:b"
  std::string Told(int i = 0) {
    std::string text;
    for (const v1::SyncRequest& request : api(i).requests()) {
      if (request.has_hello()) absl::StrAppend(&text, "hello ");
      if (request.has_snapshot_end()) absl::StrAppend(&text, "end ");
      if (request.has_change() && request.change().has_server()) {
        const auto& server = request.change().server();
        absl::StrAppend(&text, server.has_route() ? "" : "un", "routed:", server.server().uid(), " ");
      }
      if (!request.change().server_deleted().empty()) {
        absl::StrAppend(&text, "deleted:", request.change().server_deleted(), " ");
      }
      if (request.change().has_pool()) absl::StrAppend(&text, "pool:", request.change().pool().uid(), " ");
      if (!request.change().pool_deleted().empty()) {
        absl::StrAppend(&text, "pool-deleted:", request.change().pool_deleted(), " ");
      }
      if (request.has_drain()) {
        absl::StrAppend(&text, request.drain().withdraw() ? "withdraw:" : "drain:", request.drain().server_uid(), "/",
                        request.drain().incarnation(), " ");
      }
      if (request.has_heartbeat()) absl::StrAppend(&text, "heartbeat ");
    }
    return text;
  }
  bool UntilTold(const std::string& what, int i = 0) {
    const bool told = Until([&] { return Told(i) == what; });
    EXPECT_TRUE(told) << "it was told: " << Told(i);
    return told;
  }
  bool UntilHeard(const std::string& what) {
    const bool heard = Until([&] { return !heard_.empty() && heard_.back() == what; });
    EXPECT_TRUE(heard) << (heard_.empty() ? "nothing was heard" : heard_.back());
    return heard;
  }
  void Answer(const std::string& uid, int64_t incarnation, bool drained, int i = 0) {
    v1::SyncResponse response;
    response.mutable_drain_answer()->set_server_uid(uid);
    response.mutable_drain_answer()->set_incarnation(incarnation);
    response.mutable_drain_answer()->set_drained(drained);
    if (!drained) response.mutable_drain_answer()->set_reason("busy");
    api(i).Send(response);
  }

  Doorbell bell_;
  RingingScheduler scheduler_{&bell_};
  NoJitter random_;
  std::list<FakeApiserver> apiservers_;
  std::function<std::string()> metrics_;
  std::unique_ptr<StatePublisher> publisher_;
  ApiserverSet set_;
  std::vector<std::string> heard_;
};

TEST_F(StatePublisherTest, AStreamIsHelloSnapshotThenChanges) {
  Make(1);
  publisher_->Publish("a", State("a"));
  StartAndConnect();
  ASSERT_TRUE(UntilTold("hello routed:a end "));
  const v1::Hello hello = api().requests()[0].hello();
  EXPECT_EQ(hello.epoch(), 5u);
  EXPECT_EQ(hello.identity(), "controller-0");
  EXPECT_EQ(hello.namespace_(), "default");
  publisher_->Publish("b", State("b"));
  publisher_->Publish("b", State("b"));  // nothing new
  publisher_->Remove("a");
  UntilTold("hello routed:a end routed:b deleted:a ");
  EXPECT_EQ(set_.connected, absl::flat_hash_set<std::string>{"api-0"});
}

TEST_F(StatePublisherTest, HearsWhatApiserversSay) {
  Make(1);
  StartAndConnect();
  v1::SyncResponse response;
  response.mutable_demand()->set_server_uid("a");
  api().Send(response);
  UntilHeard("demand a");
  response.mutable_activity()->set_server_uid("a");
  response.mutable_activity()->set_requests(7);
  api().Send(response);
  UntilHeard("activity api-0 a 7");
  response.mutable_discovery()->set_server_uid("a");
  response.mutable_discovery()->set_tool_count(13);
  api().Send(response);
  UntilHeard("discovery a 13");
}

TEST_F(StatePublisherTest, ACutStreamBeginsAgainWithASnapshotOfWhatIsTrueThen) {
  Make(1);
  publisher_->Publish("a", State("a"));
  publisher_->Publish("b", State("b"));
  StartAndConnect();
  ASSERT_TRUE(Until([&] { return api().requests().size() == 4; }));
  api().Cut();
  ASSERT_TRUE(Until([&] { return !set_.complete; }));
  EXPECT_TRUE(set_.connected.empty());
  publisher_->Remove("b");
  api().Rename("api-reborn");
  scheduler_.time().Advance(StatePublisher::kFirstBackoff);
  ASSERT_TRUE(Until([&] { return set_.complete; }));
  EXPECT_EQ(set_.connected, absl::flat_hash_set<std::string>{"api-reborn"});
  UntilTold("hello routed:a end ");
  EXPECT_EQ(api().streams(), 2);
}

TEST_F(StatePublisherTest, ASlowReaderGetsOneChangePerServerAndTheNewestLast) {
  Make(1);
  StartAndConnect();
  ASSERT_TRUE(UntilTold("hello end "));
  api().Pause();
  const std::string padding(100'000, 'x');
  // Far more than what fits into the transport.
  for (int i = 1; i <= 300; ++i) {
    v1::PublishedServer state = State("a", i);
    state.mutable_server()->set_name(padding);
    publisher_->Publish("a", state);
    publisher_->Publish("b", State("b", i));
    scheduler_.time().RunUntilIdle();
  }
  api().Resume();
  const auto newest = [&](const std::string& uid) {
    int64_t requests = 0;
    for (const v1::SyncRequest& request : api().requests()) {
      const v1::MCPServer& server = request.change().server().server();
      if (server.uid() == uid) requests = server.status().total_requests();
    }
    return requests;
  };
  EXPECT_TRUE(Until([&] { return newest("a") == 300 && newest("b") == 300; }));
  EXPECT_LT(api().requests().size(), 300u) << "what nobody read was not kept for him";
}

TEST_F(StatePublisherTest, SilenceIsFilledWithHeartbeats) {
  Make(1);
  StartAndConnect();
  ASSERT_TRUE(UntilTold("hello end "));
  scheduler_.time().RunUntilIdle();
  // The heartbeat's clock starts when the last write is known to be done.
  ASSERT_TRUE(Until([&] { return scheduler_.time().has_timers(); }));
  scheduler_.time().Advance(StatePublisher::kHeartbeat);
  UntilTold("hello end heartbeat ");
}

TEST_F(StatePublisherTest, HeartbeatsBringMetricsAtOnceAndGoOnWhileMuchHappens) {
  int asked = 0;
  metrics_ = [&] { return absl::StrCat("answer ", ++asked); };
  Make(1);
  StartAndConnect();
  ASSERT_TRUE(UntilTold("hello end heartbeat "));
  EXPECT_EQ(api().requests().back().heartbeat().metrics(), "answer 1");
  for (int i = 0; i < 2; ++i) {
    scheduler_.time().Advance(StatePublisher::kHeartbeat / 2);
    publisher_->Publish("a", State("a", i + 1));
  }
  EXPECT_TRUE(Until([&] { return asked == 2; })) << Told();
}

TEST_F(StatePublisherTest, MetricsThatAreTooLongStayAway) {
  metrics_ = [] { return std::string(StatePublisher::kMaxMetricsBytes + 1, 'x'); };
  Make(1);
  StartAndConnect();
  ASSERT_TRUE(UntilTold("hello end heartbeat "));
  EXPECT_EQ(api().requests().back().heartbeat().metrics(), "");
}

TEST_F(StatePublisherTest, PoolsAreInTheSnapshotAndFollowTheirChanges) {
  v1::MCPPool pool;
  pool.set_uid("p");
  pool.set_resource_version("1");
  Make(1);
  publisher_->PublishPool(pool);
  publisher_->Publish("a", State("a"));
  StartAndConnect();
  ASSERT_TRUE(UntilTold("hello pool:p routed:a end "));
  publisher_->PublishPool(pool);  // no change
  pool.set_resource_version("2");
  publisher_->PublishPool(pool);
  ASSERT_TRUE(UntilTold("hello pool:p routed:a end pool:p "));
  EXPECT_EQ(api().requests().back().change().pool().resource_version(), "2");
  publisher_->RemovePool("p");
  UntilTold("hello pool:p routed:a end pool:p pool-deleted:p ");
}

TEST_F(StatePublisherTest, ADrainNeedsEveryApiserversYes) {
  Make(2);
  publisher_->Publish("a", State("a"));
  StartAndConnect();
  publisher_->Drain("a", 1);
  ASSERT_TRUE(UntilTold("hello routed:a end drain:a/1 ", 0));
  ASSERT_TRUE(UntilTold("hello routed:a end drain:a/1 ", 1));
  Answer("a", 1, true, 0);
  Answer("a", 1, true, 1);
  UntilHeard("drained a/1");
  EXPECT_EQ(heard_.size(), 1u);
}

TEST_F(StatePublisherTest, OneNoIsANoAndIsWithdrawnFromAll) {
  Make(2);
  publisher_->Publish("a", State("a"));
  StartAndConnect();
  publisher_->Drain("a", 1);
  ASSERT_TRUE(UntilTold("hello routed:a end drain:a/1 ", 0));
  ASSERT_TRUE(UntilTold("hello routed:a end drain:a/1 ", 1));
  Answer("a", 1, true, 0);
  Answer("a", 1, false, 1);
  ASSERT_TRUE(UntilHeard("refused a/1: busy"));
  UntilTold("hello routed:a end drain:a/1 withdraw:a/1 ", 0);
}

TEST_F(StatePublisherTest, AnApiserverThatDoesNotAnswerIsBusy) {
  Make(1);
  publisher_->Publish("a", State("a"));
  StartAndConnect();
  publisher_->Drain("a", 1);
  ASSERT_TRUE(UntilTold("hello routed:a end drain:a/1 "));
  scheduler_.time().Advance(StatePublisher::kDrainTimeout);
  ASSERT_TRUE(UntilHeard("refused a/1: an apiserver did not answer in time"));
  Answer("a", 1, true);  // late
  UntilTold("hello routed:a end drain:a/1 heartbeat withdraw:a/1 ");
  EXPECT_EQ(heard_.size(), 1u);
}

TEST_F(StatePublisherTest, ABrokenStreamRefusesItsDrains) {
  Make(1);
  publisher_->Publish("a", State("a"));
  StartAndConnect();
  publisher_->Drain("a", 1);
  ASSERT_TRUE(UntilTold("hello routed:a end drain:a/1 "));
  api().Cut();
  ASSERT_TRUE(UntilHeard("refused a/1: the stream to an apiserver broke"));
  publisher_->Drain("a", 1);
  UntilHeard("refused a/1: an apiserver is not connected");
}

TEST_F(StatePublisherTest, AStreamThatBeginsDuringADrainIsNotToldTheRoute) {
  Make(2);
  publisher_->Publish("a", State("a"));
  StartAndConnect();
  publisher_->Drain("a", 1);
  ASSERT_TRUE(UntilTold("hello routed:a end drain:a/1 ", 0));
  Answer("a", 1, true, 0);
  // It has answered; then its stream breaks while the other one still thinks.
  v1::SyncResponse marker;
  marker.mutable_demand()->set_server_uid("marker");
  api(0).Send(marker);
  ASSERT_TRUE(UntilHeard("demand marker"));
  api(0).Cut();
  ASSERT_TRUE(Until([&] { return !set_.complete; }));
  scheduler_.time().Advance(StatePublisher::kFirstBackoff);
  ASSERT_TRUE(UntilTold("hello unrouted:a end ", 0));
  Answer("a", 1, false, 1);
  ASSERT_TRUE(UntilHeard("refused a/1: busy"));
  UntilTold("hello unrouted:a end withdraw:a/1 routed:a ", 0);
}

TEST_F(StatePublisherTest, ANewerLeaderEndsIt) {
  Make(2);
  StartAndConnect();
  api(0).Follow(6);
  api(0).Cut();
  ASSERT_TRUE(Until([&] { return set_.connected.size() == 1; }));
  scheduler_.time().Advance(StatePublisher::kFirstBackoff);
  // Refused by the one, it leaves the other alone too, and does not come back.
  ASSERT_TRUE(Until([&] { return set_.connected.empty(); }));
  EXPECT_FALSE(scheduler_.time().has_timers());
}

TEST_F(StatePublisherTest, WithoutApiserversEverythingIsKnownAndDrained) {
  Make(0);
  Start();
  EXPECT_TRUE(Until([&] { return set_.complete; }));
  publisher_->Drain("a", 1);
  UntilHeard("drained a/1");
}

}  // namespace
}  // namespace unmcp::controller
