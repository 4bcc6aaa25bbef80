// The calling end of a Link (proto/unmcp/v1/edge.proto): opens exchanges on one
// standing gRPC stream.
//
// Lives on one EventLoop, which drives its completion queue: with an in-process
// channel no other thread is ever involved.
#ifndef UNMCP_LINK_CALLER_H_
#define UNMCP_LINK_CALLER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"

namespace grpc {
class Channel;
}

namespace unmcp {
class EventLoop;
}

namespace unmcp::v1 {
class Open;
}

namespace unmcp::link {

class CompletionDriver;

// What comes back on one exchange, on the loop.
class CallHandler {
 public:
  virtual ~CallHandler() = default;
  // The answer's status and headers. Once, first.
  virtual void OnHead(int status, std::vector<std::pair<std::string, std::string>> headers) = 0;
  // A piece of a message. `event` and `event_id` come with the first piece,
  // `final` is true on the last. Give the bytes' credit back with
  // Caller::Consumed when they have left this process.
  virtual void OnData(std::string bytes, absl::string_view event, absl::string_view event_id, bool final) = 0;
  // The exchange has ended: `cut_off` when not in good order (the stream
  // broke, or the other side gave up). Nothing follows.
  virtual void OnClose(bool cut_off, absl::string_view reason) = 0;
};

class Caller {
 public:
  // 0 is never an exchange.
  using ExchangeId = uint64_t;

  struct Options {
    EventLoop* loop = nullptr;
    std::shared_ptr<grpc::Channel> channel;
    // Of the same loop; outlives the Caller. For an in-process channel, the
    // Callee's (Callee::completions).
    CompletionDriver* completions = nullptr;
    // Called on the loop when the stream comes up or breaks (it is dialled
    // again, with back-off).
    absl::AnyInvocable<void(bool connected)> on_state;
  };

  // Before the loop starts. Connecting begins when it runs.
  static std::unique_ptr<Caller> Create(Options options);
  // The loop has stopped. Calls nobody.
  virtual ~Caller() = default;

  // Whether exchanges can be opened now.
  virtual bool connected() const = 0;

  // Opens an exchange with the request's message (may be empty). `handler`
  // lives until OnClose or Cancel. Returns 0 when not connected: nothing will
  // be called. Never calls the handler from within.
  virtual ExchangeId Open(v1::Open open, std::string message, CallHandler* handler) = 0;

  // `bytes` of what OnData brought have left this process.
  virtual void Consumed(ExchangeId id, size_t bytes) = 0;

  // The client is gone: tells the other side, and calls the handler no more.
  virtual void Cancel(ExchangeId id) = 0;

  // Ends the stream; every open exchange is cut off. Idempotent.
  virtual void Shutdown() = 0;
};

}  // namespace unmcp::link

#endif  // UNMCP_LINK_CALLER_H_
