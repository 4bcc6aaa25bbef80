// The serving end of the Link: exchanges that a Caller opened, given to an
// acceptor as session::Exchange objects.
#ifndef UNMCP_LINK_CALLEE_H_
#define UNMCP_LINK_CALLEE_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "session/exchange.h"

namespace grpc {
class ServerBuilder;
}

namespace unmcp {
class EventLoop;
}

namespace unmcp::link {

class CompletionDriver;

// Lives on one EventLoop, which drives its completion queue. The
// acceptor and every Exchange live on that loop too.
//
//   auto callee = Callee::Create({.loop = &loop, .acceptor = …});
//   callee->Register(&builder);
//   auto server = builder.BuildAndStart();
//   callee->Start();                 // then loop.Start()
//   …
//   server->Shutdown(deadline);      // while the loop still turns
//   loop.Stop();
//   callee->Finish();                // Callers on its queue are gone
//   server.reset();                  // then the callee, which is its service
class Callee {
 public:
  using Acceptor = absl::AnyInvocable<void(session::ExchangeRequest, std::unique_ptr<session::Exchange>)>;
  struct Options {
    EventLoop* loop = nullptr;
    Acceptor acceptor;
    // Callers are in other processes: see CompletionDriver.
    bool over_sockets = false;
  };
  static std::unique_ptr<Callee> Create(Options options);
  virtual ~Callee() = default;

  // Adds EdgeService and its completion queue to a server being built. The
  // server needs another service of the callback API, whose threads look after
  // listening sockets: the loop does not.
  virtual void Register(grpc::ServerBuilder* builder) = 0;
  // The driver of that queue, for a Caller on the same loop. After Register.
  virtual CompletionDriver* completions() = 0;
  // Begins to accept streams. After BuildAndStart, before the loop starts.
  virtual void Start() = 0;
  // Ends what is left of the streams, and the queue. After the loop has stopped
  // and the server was shut down, before the server is destroyed: what gRPC
  // still has to tell refers to it.
  virtual void Finish() = 0;
};

}  // namespace unmcp::link

#endif  // UNMCP_LINK_CALLEE_H_
