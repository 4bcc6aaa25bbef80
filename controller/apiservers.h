// The apiservers as the controller knows them: told of every server and pool,
// and heard from who wants what.
#ifndef UNMCP_CONTROLLER_APISERVERS_H_
#define UNMCP_CONTROLLER_APISERVERS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "controller/decide.h"
#include "unmcp/v1/state.pb.h"

namespace unmcp::controller {

// Thread safety: none; calls and handlers are on the controller's scheduler,
// and no handler is called from inside of a call.
class Apiservers {
 public:
  // All are required.
  struct Handlers {
    // Who is connected has changed.
    std::function<void(const ApiserverSet&)> on_apiservers;
    std::function<void(const std::string& process, const v1::Activity&)> on_activity;
    std::function<void(const std::string& server_uid)> on_demand;
    std::function<void(const v1::Discovery&)> on_discovery;
    // The end of a Drain: all apiservers are drained of it, or why not.
    std::function<void(const std::string& server_uid, int64_t incarnation, bool drained, const std::string& why)>
        on_drain;
  };

  virtual ~Apiservers() = default;

  // Begins to connect. Once; what is published before is the first snapshot.
  virtual void Start(Handlers handlers) = 0;

  virtual void Publish(const std::string& server_uid, v1::PublishedServer state) = 0;
  virtual void Remove(const std::string& server_uid) = 0;
  // Likewise for pools, as their objects are.
  virtual void PublishPool(const v1::MCPPool& pool) = 0;
  virtual void RemovePool(const std::string& pool_uid) = 0;

  // Asks every apiserver to let go of a server's life, and calls on_drain. A
  // refusal is withdrawn from all of them at once. One drain at a time per
  // server, and EndDrain before the next.
  virtual void Drain(const std::string& server_uid, int64_t incarnation) = 0;
  // After the drain of a life that has ended, or of one that goes on after all:
  // apiservers are then told to admit to it again. Without a drain in progress
  // it does nothing.
  virtual void EndDrain(const std::string& server_uid, bool goes_on) = 0;

  // Ends all streams, then calls `done`. No handler is called any more. Before
  // destruction.
  virtual void Shutdown(absl::AnyInvocable<void()> done) = 0;
};

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_APISERVERS_H_
