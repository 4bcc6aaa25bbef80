// REST requests, as gRPC calls.
#ifndef UNMCP_GATEWAY_REST_EXCHANGE_H_
#define UNMCP_GATEWAY_REST_EXCHANGE_H_

#include <string>
#include <vector>

#include "common/scheduler.h"
#include "gateway/api_caller.h"
#include "gateway/http_server.h"
#include "gateway/transcoder.h"
#include "prometheus/gauge.h"

namespace unmcp::gateway {

// What a REST request says beside its body.
struct RestTarget {
  const RestRoute* route = nullptr;  // from SelectMethod
  std::vector<std::string> path_values;
  std::string query;
};

// A unary method. Destroying it cancels its call.
class RestExchange final : public HttpExchange {
 public:
  // `caller`, `responder` and the route outlive this.
  RestExchange(ApiCaller* caller, HttpResponder* responder, RestTarget target);
  ~RestExchange() override;
  void OnRequest(std::string body) override;

 private:
  ApiCaller* const caller_;
  HttpResponder* const responder_;
  const RestTarget target_;
  ApiCaller::CallId call_ = 0;
};

// The head's fields of an event stream that is made here.
const Headers& EventStreamHeaders();

// A method that answers with a stream: each message is an event, its data the
// message as JSON. A call that fails at once is answered with its error and no
// stream; one that fails later ends the stream with the event "error", whose
// data is what the body would have been.
//
// What the client has not read yet is bounded: until it reads, the next message
// is not asked for. Destroying this cancels the call.
class RestStreamExchange final : public HttpExchange {
 public:
  // All outlive this. `streams` counts open event streams.
  RestStreamExchange(Scheduler* scheduler, ApiCaller* caller, HttpResponder* responder, RestTarget target,
                     prometheus::Gauge* streams);
  ~RestStreamExchange() override;
  void OnRequest(std::string body) override;
  void OnWritten(size_t credit) override;
  void OnStreamIdle() override;
  void OnShutdown() override;

 private:
  void Begin();
  void OnMessage(const google::protobuf::Message& message);
  void OnEnd(const grpc::Status& status);
  void WriteEvent(absl::string_view name, absl::string_view data);
  void Finish();

  ApiCaller* const caller_;
  HttpResponder* const responder_;
  const RestTarget target_;
  prometheus::Gauge* const streams_;
  Timer quiet_;  // until the head is sent without a first message
  ApiCaller::CallId call_ = 0;
  bool begun_ = false;
  bool ended_ = false;
  bool waiting_ = false;  // the next message is not asked for yet
  size_t unread_ = 0;     // bytes that the client's socket has not taken
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_REST_EXCHANGE_H_
