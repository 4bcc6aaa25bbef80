// The serving end of the state stream (proto/unmcp/v1/state.proto).
#ifndef UNMCP_APISERVER_STATE_SERVICE_H_
#define UNMCP_APISERVER_STATE_SERVICE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/event_loop.h"
#include "unmcp/v1/state.grpc.pb.h"

namespace unmcp::apiserver {

// What a stream brings, on the loop, in order. One stream speaks at a time.
class StateListener {
 public:
  virtual ~StateListener() = default;
  // A stream was accepted; a snapshot follows. What is still wanted has to be
  // said again.
  virtual void OnControllerUp(const v1::Hello& hello) = 0;
  virtual void OnChange(v1::Change change) = 0;
  virtual void OnSnapshotEnd() = 0;
  virtual void OnDrain(const v1::Drain& drain) = 0;
  virtual void OnHeartbeat(v1::Heartbeat heartbeat) = 0;
  // The stream has ended; the state stays as it is.
  virtual void OnControllerDown() = 0;
};

// Takes streams from controllers, newest leader first: one that bears a lower
// epoch than has been seen is refused with FAILED_PRECONDITION, a newer or
// equal one replaces the present one.
//
// Lives on one EventLoop, but for the gRPC callbacks, which post to it.
class StateService final : public v1::StateService::CallbackService {
 public:
  // `process` identifies this apiserver process. `listener` outlives this.
  StateService(EventLoop* loop, std::string process, StateListener* listener);
  ~StateService() override;

  // On the loop. Queued in order; dropped when no controller is connected.
  void Send(v1::SyncResponse response);
  bool connected() const { return current_ != nullptr; }

 private:
  class Reactor;
  friend class Reactor;

  grpc::ServerBidiReactor<v1::SyncRequest, v1::SyncResponse>* Sync(grpc::CallbackServerContext* context) override;
  void OnRequest(const std::shared_ptr<Reactor>& reactor, v1::SyncRequest request);
  void OnEnd(const std::shared_ptr<Reactor>& reactor);

  EventLoop* const loop_;
  const std::string process_;
  StateListener* const listener_;
  std::shared_ptr<Reactor> current_;
  uint64_t epoch_ = 0;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_STATE_SERVICE_H_
