#include "controller/state_publisher.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "glog/logging.h"
#include "google/protobuf/util/message_differencer.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/client_callback.h"
#include "unmcp/v1/state.grpc.pb.h"

namespace unmcp::controller {

// One attempt at a stream. gRPC calls it on threads of its own, where it only
// posts to the scheduler: the one place where it acts, so that it needs no
// mutex. It keeps itself alive until OnDone.
class StatePublisher::Stream final : public grpc::ClientBidiReactor<v1::SyncRequest, v1::SyncResponse>,
                                     public std::enable_shared_from_this<Stream> {
 public:
  struct Events {
    std::function<void(const v1::SyncResponse&)> on_read;
    std::function<void()> on_written;
    std::function<void(const grpc::Status&)> on_closed;
  };

  Stream(Scheduler* scheduler, Events events) : scheduler_(scheduler), events_(std::move(events)) {}

  void Open(v1::StateService::Stub* stub) {
    self_ = shared_from_this();
    stub->async()->Sync(&context_, this);
    // Reads and writes begin outside of reactions: without the hold gRPC might
    // call OnDone between two of them.
    AddHold();
    StartCall();
    StartRead(&response_);
  }
  // One at a time: until on_written there must not be another.
  void Write(v1::SyncRequest request) {
    if (closing_) return;
    request_ = std::move(request);
    StartWrite(&request_);
  }
  void Cancel() {
    context_.TryCancel();
    Close();
  }

  void OnReadDone(bool ok) override {
    scheduler_->Post([self = shared_from_this(), ok] {
      if (!ok) return self->Cancel();
      self->events_.on_read(self->response_);
      if (!self->closing_) self->StartRead(&self->response_);
    });
  }
  void OnWriteDone(bool ok) override {
    scheduler_->Post([self = shared_from_this(), ok] {
      if (!ok) return self->Cancel();
      if (!self->closing_) self->events_.on_written();
    });
  }
  void OnDone(const grpc::Status& status) override {
    // With the last reference: what this destroys may hold the last one to the
    // channel, and a gRPC thread that ends its own channel waits for itself.
    scheduler_->Post([self = std::move(self_), status] { self->events_.on_closed(status); });
  }

 private:
  void Close() {
    if (std::exchange(closing_, true)) return;
    RemoveHold();
  }

  Scheduler* const scheduler_;
  Events events_;
  grpc::ClientContext context_;
  v1::SyncRequest request_;
  v1::SyncResponse response_;
  bool closing_ = false;
  std::shared_ptr<Stream> self_;
};

struct StatePublisher::Peer {
  explicit Peer(Scheduler* scheduler) : retry(scheduler), heartbeat(scheduler) {}

  struct Item {
    enum Kind { kHello, kChange, kPool, kSnapshotEnd, kDrain, kHeartbeat };
    Kind kind;
    std::string uid = {};
  };

  std::unique_ptr<v1::StateService::Stub> stub;
  std::shared_ptr<Stream> stream;
  // "" until it has said hello on this stream.
  std::string process;
  std::deque<Item> outbox;
  // Servers and pools with a change in the outbox.
  absl::flat_hash_set<std::string> queued;
  // Servers whose route was kept from this stream, since they are draining.
  absl::flat_hash_set<std::string> unrouted;
  // Servers with a drain in the outbox, and what it is by now.
  absl::flat_hash_map<std::string, v1::Drain> queued_drains;
  bool heartbeat_queued = false;
  bool writing = false;
  absl::Duration backoff = kFirstBackoff;
  Timer retry;
  Timer heartbeat;
};

struct StatePublisher::DrainState {
  explicit DrainState(Scheduler* scheduler) : timeout(scheduler) {}
  int64_t incarnation = 0;
  // Who has not answered. Empty: drained.
  absl::flat_hash_set<Peer*> waiting;
  Timer timeout;
};

StatePublisher::StatePublisher(Options options) : options_(std::move(options)) {
  for (const auto& channel : options_.channels) {
    auto peer = std::make_unique<Peer>(options_.scheduler);
    peer->stub = v1::StateService::NewStub(channel);
    peers_.push_back(std::move(peer));
  }
}

StatePublisher::~StatePublisher() {
  for (const auto& peer : peers_) {
    if (peer->stream != nullptr) peer->stream->Cancel();
  }
}

void StatePublisher::Start(Handlers handlers) {
  handlers_ = std::move(handlers);
  started_ = true;
  for (const auto& peer : peers_) Connect(peer.get());
  if (peers_.empty()) {
    options_.scheduler->Post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired() && !stopped_) SetApiservers();
    });
  }
}

void StatePublisher::Connect(Peer* peer) {
  peer->outbox.clear();
  peer->queued.clear();
  peer->unrouted.clear();
  peer->queued_drains.clear();
  peer->heartbeat_queued = false;
  peer->writing = false;
  peer->outbox.push_back({.kind = Peer::Item::kHello});
  for (const auto& [uid, pool] : pools_) EnqueuePool(peer, uid);
  for (const auto& [uid, state] : state_) Enqueue(peer, uid);
  peer->outbox.push_back({.kind = Peer::Item::kSnapshotEnd});
  if (options_.metrics) EnqueueHeartbeat(peer);
  // What an earlier stream still has to say is told by its closing_, and what
  // comes after our end by `alive`.
  std::weak_ptr<bool> alive = alive_;
  peer->stream = std::make_shared<Stream>(
      options_.scheduler,
      Stream::Events{.on_read =
                         [this, alive, peer](const v1::SyncResponse& response) {
                           if (!alive.expired() && !stopped_) OnRead(peer, response);
                         },
                     .on_written =
                         [this, alive, peer] {
                           if (alive.expired()) return;
                           peer->writing = false;
                           WriteNext(peer);
                         },
                     .on_closed =
                         [this, alive, peer](const grpc::Status& status) {
                           if (alive.expired()) return;
                           OnClosed(peer, status.error_message(),
                                    status.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
                         }});
  peer->stream->Open(peer->stub.get());
  WriteNext(peer);
  Beat(peer);
}

void StatePublisher::Beat(Peer* peer) {
  peer->heartbeat.Set(kHeartbeat, [this, peer] {
    EnqueueHeartbeat(peer);
    WriteNext(peer);
    Beat(peer);
  });
}

void StatePublisher::EnqueueHeartbeat(Peer* peer) {
  if (std::exchange(peer->heartbeat_queued, true)) return;
  peer->outbox.push_back({.kind = Peer::Item::kHeartbeat});
}

void StatePublisher::Publish(const std::string& server_uid, v1::PublishedServer state) {
  auto [it, added] = state_.try_emplace(server_uid);
  if (!added && google::protobuf::util::MessageDifferencer::Equals(it->second, state)) return;
  it->second = std::move(state);
  EnqueueAll(server_uid);
}

void StatePublisher::Remove(const std::string& server_uid) {
  drains_.erase(server_uid);
  if (state_.erase(server_uid) > 0) EnqueueAll(server_uid);
}

void StatePublisher::PublishPool(const v1::MCPPool& pool) {
  auto [it, added] = pools_.try_emplace(pool.uid());
  if (!added && google::protobuf::util::MessageDifferencer::Equals(it->second, pool)) return;
  it->second = pool;
  EnqueuePoolAll(pool.uid());
}

void StatePublisher::RemovePool(const std::string& pool_uid) {
  if (pools_.erase(pool_uid) > 0) EnqueuePoolAll(pool_uid);
}

void StatePublisher::EnqueuePoolAll(const std::string& pool_uid) {
  for (const auto& peer : peers_) {
    if (peer->stream == nullptr) continue;
    EnqueuePool(peer.get(), pool_uid);
    WriteNext(peer.get());
  }
}

void StatePublisher::EnqueuePool(Peer* peer, const std::string& pool_uid) {
  if (peer->queued.insert(pool_uid).second) {
    peer->outbox.push_back({.kind = Peer::Item::kPool, .uid = pool_uid});
  }
}

void StatePublisher::EnqueueAll(const std::string& server_uid) {
  for (const auto& peer : peers_) {
    if (peer->stream == nullptr) continue;
    Enqueue(peer.get(), server_uid);
    WriteNext(peer.get());
  }
}

void StatePublisher::Enqueue(Peer* peer, const std::string& server_uid) {
  if (peer->queued.insert(server_uid).second) {
    peer->outbox.push_back({.kind = Peer::Item::kChange, .uid = server_uid});
  }
}

void StatePublisher::SendDrain(const std::string& server_uid, int64_t incarnation, bool withdraw) {
  v1::Drain drain;
  drain.set_server_uid(server_uid);
  drain.set_incarnation(incarnation);
  drain.set_withdraw(withdraw);
  for (const auto& peer : peers_) {
    if (peer->stream == nullptr) continue;
    if (peer->queued_drains.insert_or_assign(server_uid, drain).second) {
      peer->outbox.push_back({.kind = Peer::Item::kDrain, .uid = server_uid});
    }
    WriteNext(peer.get());
  }
}

void StatePublisher::WriteNext(Peer* peer) {
  if (peer->writing || peer->stream == nullptr || stopped_) return;
  if (peer->outbox.empty()) return;
  Peer::Item item = std::move(peer->outbox.front());
  peer->outbox.pop_front();
  v1::SyncRequest request;
  switch (item.kind) {
    case Peer::Item::kHello:
      request.mutable_hello()->set_epoch(options_.epoch);
      request.mutable_hello()->set_identity(options_.identity);
      request.mutable_hello()->set_namespace_(options_.ns);
      break;
    case Peer::Item::kChange:
      peer->queued.erase(item.uid);
      FillChange(peer, item.uid, request.mutable_change());
      break;
    case Peer::Item::kPool:
      peer->queued.erase(item.uid);
      FillPoolChange(item.uid, request.mutable_change());
      break;
    case Peer::Item::kSnapshotEnd:
      request.mutable_snapshot_end();
      break;
    case Peer::Item::kDrain:
      *request.mutable_drain() = std::move(peer->queued_drains.extract(item.uid).mapped());
      break;
    case Peer::Item::kHeartbeat:
      peer->heartbeat_queued = false;
      request.mutable_heartbeat()->set_metrics(Metrics());
      break;
  }
  peer->writing = true;
  peer->stream->Write(std::move(request));
}

void StatePublisher::FillChange(Peer* peer, const std::string& server_uid, v1::Change* change) {
  auto it = state_.find(server_uid);
  if (it == state_.end()) return change->set_server_deleted(server_uid);
  *change->mutable_server() = it->second;
  // A stream that begins during a drain must not be told where the server is:
  // nobody would ask this apiserver to let go of it.
  auto drain = drains_.find(server_uid);
  if (drain != drains_.end() && !drain->second->waiting.contains(peer)) {
    change->mutable_server()->clear_route();
    peer->unrouted.insert(server_uid);
  }
}

void StatePublisher::FillPoolChange(const std::string& pool_uid, v1::Change* change) const {
  auto it = pools_.find(pool_uid);
  if (it == pools_.end()) return change->set_pool_deleted(pool_uid);
  *change->mutable_pool() = it->second;
}

std::string StatePublisher::Metrics() const {
  std::string text = options_.metrics ? options_.metrics() : "";
  if (text.size() <= kMaxMetricsBytes) return text;
  LOG_FIRST_N(WARNING, 1) << "the controller's metrics are " << text.size() << " bytes, more than "
                          << kMaxMetricsBytes << ": apiservers do not get them";
  return "";
}

void StatePublisher::OnRead(Peer* peer, const v1::SyncResponse& response) {
  if (response.message_case() == v1::SyncResponse::kHello) {
    LOG(INFO) << "apiserver " << response.hello().process() << " is connected";
    peer->process = response.hello().process();
    peer->backoff = kFirstBackoff;
    return SetApiservers();
  }
  if (peer->process.empty()) {
    LOG(WARNING) << "an apiserver spoke before its hello; its stream is opened anew";
    return peer->stream->Cancel();
  }
  switch (response.message_case()) {
    case v1::SyncResponse::kActivity:
      return handlers_.on_activity(peer->process, response.activity());
    case v1::SyncResponse::kDemand:
      return handlers_.on_demand(response.demand().server_uid());
    case v1::SyncResponse::kDrainAnswer:
      return OnDrainAnswer(peer, response.drain_answer());
    case v1::SyncResponse::kDiscovery:
      return handlers_.on_discovery(response.discovery());
    case v1::SyncResponse::kHello:
    case v1::SyncResponse::MESSAGE_NOT_SET:
      return;  // the latter: from a newer apiserver
  }
}

void StatePublisher::OnClosed(Peer* peer, const std::string& error, bool deposed) {
  peer->stream = nullptr;
  peer->heartbeat.Cancel();
  if (stopped_) return FinishShutdown();
  if (deposed) {
    LOG(ERROR) << "an apiserver follows a newer leader (" << error << "): this controller stops publishing";
    for (const auto& other : peers_) {
      other->retry.Cancel();
      if (other->stream != nullptr) other->stream->Cancel();
    }
    started_ = false;
  }
  const bool was_connected = !std::exchange(peer->process, "").empty();
  if (was_connected) {
    LOG(WARNING) << "the stream to an apiserver broke: " << (error.empty() ? "it was closed" : error);
    SetApiservers();
  }
  // One that does not answer counts as busy.
  std::vector<std::string> refused;
  for (const auto& [uid, drain] : drains_) {
    if (drain->waiting.contains(peer)) refused.push_back(uid);
  }
  for (const std::string& uid : refused) RefuseDrain(uid, "the stream to an apiserver broke");
  if (started_) Retry(peer);
}

void StatePublisher::Retry(Peer* peer) {
  const absl::Duration delay = peer->backoff * (1 + options_.random->Uniform());
  peer->backoff = std::min(kMaxBackoff, peer->backoff * 2);
  peer->retry.Set(delay, [this, peer] { Connect(peer); });
}

void StatePublisher::SetApiservers() {
  apiservers_.connected.clear();
  apiservers_.complete = true;
  for (const auto& peer : peers_) {
    if (peer->process.empty()) {
      apiservers_.complete = false;
    } else {
      apiservers_.connected.insert(peer->process);
    }
  }
  handlers_.on_apiservers(apiservers_);
}

void StatePublisher::Drain(const std::string& server_uid, int64_t incarnation) {
  auto& drain = drains_[server_uid];
  drain = std::make_unique<DrainState>(options_.scheduler);
  drain->incarnation = incarnation;
  bool all_there = true;
  for (const auto& peer : peers_) {
    all_there &= peer->stream != nullptr && !peer->process.empty();
    drain->waiting.insert(peer.get());
  }
  // Answered later even when the answer is known: handlers are not called from
  // inside of calls.
  if (!all_there || peers_.empty()) {
    options_.scheduler->Post([this, alive = std::weak_ptr<bool>(alive_), server_uid, incarnation, all_there] {
      if (alive.expired() || stopped_) return;
      auto it = drains_.find(server_uid);
      if (it == drains_.end() || it->second->incarnation != incarnation) return;
      if (!all_there) return RefuseDrain(server_uid, "an apiserver is not connected");
      handlers_.on_drain(server_uid, incarnation, true, "");
    });
    return;
  }
  SendDrain(server_uid, incarnation, /*withdraw=*/false);
  drain->timeout.Set(kDrainTimeout,
                     [this, server_uid] { RefuseDrain(server_uid, "an apiserver did not answer in time"); });
}

void StatePublisher::OnDrainAnswer(Peer* peer, const v1::DrainAnswer& answer) {
  auto it = drains_.find(answer.server_uid());
  if (it == drains_.end() || it->second->incarnation != answer.incarnation() ||
      !it->second->waiting.contains(peer)) {
    return;  // late
  }
  if (!answer.drained()) return RefuseDrain(answer.server_uid(), answer.reason());
  it->second->waiting.erase(peer);
  if (!it->second->waiting.empty()) return;
  it->second->timeout.Cancel();
  handlers_.on_drain(answer.server_uid(), answer.incarnation(), true, "");
}

void StatePublisher::RefuseDrain(const std::string& server_uid, const std::string& why) {
  auto it = drains_.find(server_uid);
  const int64_t incarnation = it->second->incarnation;
  const std::string uid = server_uid;  // the argument may belong to what goes now
  drains_.erase(it);
  SendDrain(uid, incarnation, /*withdraw=*/true);  // those that had said yes admit again
  EnqueueUnrouted(uid);
  handlers_.on_drain(uid, incarnation, false, why);
}

void StatePublisher::EndDrain(const std::string& server_uid, bool goes_on) {
  auto it = drains_.find(server_uid);
  if (it == drains_.end()) return;
  const int64_t incarnation = it->second->incarnation;
  drains_.erase(it);
  if (goes_on) SendDrain(server_uid, incarnation, /*withdraw=*/true);
  EnqueueUnrouted(server_uid);
}

void StatePublisher::EnqueueUnrouted(const std::string& server_uid) {
  for (const auto& peer : peers_) {
    if (peer->unrouted.erase(server_uid) == 0) continue;
    Enqueue(peer.get(), server_uid);
    WriteNext(peer.get());
  }
}

void StatePublisher::Shutdown(absl::AnyInvocable<void()> done) {
  stopped_ = true;
  drains_.clear();
  shutdown_done_ = std::move(done);
  for (const auto& peer : peers_) {
    peer->retry.Cancel();
    peer->heartbeat.Cancel();
    if (peer->stream != nullptr) peer->stream->Cancel();
  }
  FinishShutdown();
}

void StatePublisher::FinishShutdown() {
  for (const auto& peer : peers_) {
    if (peer->stream != nullptr) return;
  }
  if (shutdown_done_) std::exchange(shutdown_done_, nullptr)();
}

}  // namespace unmcp::controller
