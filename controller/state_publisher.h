// The controller's end of StateService.Sync over gRPC.
#ifndef UNMCP_CONTROLLER_STATE_PUBLISHER_H_
#define UNMCP_CONTROLLER_STATE_PUBLISHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "common/scheduler.h"
#include "controller/apiservers.h"
#include "grpcpp/channel.h"
#include "unmcp/v1/state.pb.h"

namespace unmcp::controller {

// Example:
//
//   StatePublisher publisher({.scheduler = loop, .random = random, .channels = {channel}, .epoch = 7,
//                             .identity = "unmcp-controller-0", .ns = "default"});
//   publisher.Publish(uid, state);         // all that is known so far …
//   publisher.Start(handlers);             // … is the first snapshot
//
// What waits for a slow apiserver is bounded by the number of servers and
// pools: each has at most one change and one drain in a queue, and a change
// carries what is true when it is sent, not when it was queued.
//
// A broken stream is opened anew with back-off, and begins with a snapshot.
// When an apiserver refuses our epoch there is a newer leader: publishing
// stops for good.
//
// Thread safety: none; everything on the scheduler, handlers too.
class StatePublisher final : public Apiservers {
 public:
  // Silence for much longer than this means a broken stream; and so old may
  // the controller's metrics be where an apiserver shows them.
  static constexpr absl::Duration kHeartbeat = absl::Seconds(5);
  // Of the metrics in a heartbeat, far more than the controller's own families
  // make, and far less than what gRPC takes (4 MB). What exceeds it is left out.
  static constexpr size_t kMaxMetricsBytes = 256 * 1024;
  // What an apiserver has to answer a drain; it only looks at its own tables.
  // After this it counts as busy.
  static constexpr absl::Duration kDrainTimeout = absl::Seconds(5);
  // Opening a stream anew. Wakes need the stream: the cap is low, and jitter up
  // to twice the delay keeps controllers and apiservers from marching in step.
  static constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
  static constexpr absl::Duration kMaxBackoff = absl::Seconds(5);

  struct Options {
    Scheduler* scheduler = nullptr;
    Random* random = nullptr;
    // One per apiserver process, in-process ones included.
    std::vector<std::shared_ptr<grpc::Channel>> channels;
    uint64_t epoch = 0;
    std::string identity;
    std::string ns;
    // The controller's metrics, in Prometheus text format; may be empty.
    std::function<std::string()> metrics;
  };

  explicit StatePublisher(Options options);
  ~StatePublisher() override;

  void Start(Handlers handlers) override;
  void Publish(const std::string& server_uid, v1::PublishedServer state) override;
  void Remove(const std::string& server_uid) override;
  void PublishPool(const v1::MCPPool& pool) override;
  void RemovePool(const std::string& pool_uid) override;
  void Drain(const std::string& server_uid, int64_t incarnation) override;
  void EndDrain(const std::string& server_uid, bool goes_on) override;
  void Shutdown(absl::AnyInvocable<void()> done) override;

 private:
  class Stream;
  struct Peer;
  struct DrainState;

  void Connect(Peer* peer);
  void Retry(Peer* peer);
  void Enqueue(Peer* peer, const std::string& server_uid);
  void EnqueuePool(Peer* peer, const std::string& pool_uid);
  void EnqueuePoolAll(const std::string& pool_uid);
  void EnqueueHeartbeat(Peer* peer);
  void Beat(Peer* peer);
  void FillChange(Peer* peer, const std::string& server_uid, v1::Change* change);
  void FillPoolChange(const std::string& pool_uid, v1::Change* change) const;
  std::string Metrics() const;
  void EnqueueAll(const std::string& server_uid);
  // Tells the streams from which a route was kept during a drain.
  void EnqueueUnrouted(const std::string& server_uid);
  void SendDrain(const std::string& server_uid, int64_t incarnation, bool withdraw);
  void WriteNext(Peer* peer);
  void OnRead(Peer* peer, const v1::SyncResponse& response);
  void OnClosed(Peer* peer, const std::string& error, bool deposed);
  void OnDrainAnswer(Peer* peer, const v1::DrainAnswer& answer);
  void RefuseDrain(const std::string& server_uid, const std::string& why);
  void SetApiservers();
  void FinishShutdown();

  Options options_;
  Handlers handlers_;
  bool started_ = false;
  bool stopped_ = false;
  std::vector<std::unique_ptr<Peer>> peers_;
  absl::flat_hash_map<std::string, v1::PublishedServer> state_;
  absl::flat_hash_map<std::string, v1::MCPPool> pools_;
  absl::flat_hash_map<std::string, std::unique_ptr<DrainState>> drains_;
  ApiserverSet apiservers_;
  absl::AnyInvocable<void()> shutdown_done_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_STATE_PUBLISHER_H_
