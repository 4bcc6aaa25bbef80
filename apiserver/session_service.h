// SessionService: MCP sessions over gRPC, for programs.
#ifndef UNMCP_APISERVER_SESSION_SERVICE_H_
#define UNMCP_APISERVER_SESSION_SERVICE_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "common/event_loop.h"
#include "session/exchange.h"
#include "unmcp/v1/session_service.grpc.pb.h"

namespace unmcp::apiserver {

// Each stream is a client session like that of an HTTP+SSE client, and goes the
// same way: an exchange that stays open for what the server sends, and one for
// each message of the client. So whatever holds for sessions holds for these.
//
// A message is taken from a client when the one before it has been answered for;
// what a client does not read is bounded by the session library, as for any
// exchange.
//
// Lives on one EventLoop, but for the gRPC callbacks, which post to it.
class SessionService final : public v1::SessionService::CallbackService {
 public:
  using Acceptor = absl::AnyInvocable<void(session::ExchangeRequest, std::unique_ptr<session::Exchange>)>;

  // `accept` is called on the loop (see DataPath::Accept).
  SessionService(EventLoop* loop, Acceptor accept) : loop_(loop), accept_(std::move(accept)) {}

 private:
  class Stream;

  grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* Connect(
      grpc::CallbackServerContext* context) override;

  EventLoop* const loop_;
  Acceptor accept_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SESSION_SERVICE_H_
