// The Scheduler that real processes use: one thread around an asio io_context.
#ifndef UNMCP_COMMON_EVENT_LOOP_H_
#define UNMCP_COMMON_EVENT_LOOP_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "common/scheduler.h"

namespace boost::asio {
class io_context;
}

namespace unmcp {

// Example:
//
//   EventLoop loop("data");
//   loop.Start();                       // its own thread from here on
//   loop.Post([] { … });
//   loop.Stop();                        // joins; what is still queued is dropped
//
// Thread safety: Post, Now, Stop and io() from any thread; the rest on the
// loop's own thread, or before Start.
class EventLoop final : public Scheduler {
 public:
  // `name` becomes the thread's name (15 characters are shown).
  explicit EventLoop(std::string name);
  ~EventLoop() override;

  absl::Time Now() const override;
  void Post(Task task) override;
  TimerId After(absl::Duration delay, Task task) override;
  void Cancel(TimerId id) override;

  // For sockets and pipes that live on this loop.
  boost::asio::io_context& io();

  // Called after each batch of events, until no poller has work left, and at
  // least every kTick. A poller drives what asio does not know of, such as a
  // gRPC completion queue; it returns whether it did anything. Before Start.
  using Poller = absl::AnyInvocable<bool()>;
  void AddPoller(Poller poller);

  // Runs the loop on a thread of its own.
  void Start();
  // Ends the thread after the current batch and waits for it. Idempotent.
  void Stop();
  // Whether the calling thread is the loop's.
  bool OnLoop() const;

 private:
  void Run();
  bool Poll();

  struct Impl;
  const std::string name_;
  std::unique_ptr<Impl> impl_;
  std::vector<Poller> pollers_;
  std::thread thread_;
};

}  // namespace unmcp

#endif  // UNMCP_COMMON_EVENT_LOOP_H_
