// What those who operate unmcp ask: whether it is ready, and its figures.
#ifndef UNMCP_GATEWAY_PROBE_EXCHANGE_H_
#define UNMCP_GATEWAY_PROBE_EXCHANGE_H_

#include <string>

#include "gateway/api_caller.h"
#include "gateway/gateway_metrics.h"
#include "gateway/http_server.h"
#include "nlohmann/json.hpp"

namespace unmcp::gateway {

// GET /ready: 200 when everything that clients need is there, else 503; either
// way with what is known. A controller that is missing is named, and no reason
// to send clients elsewhere: what runs is served on.
class ReadyExchange final : public HttpExchange {
 public:
  ReadyExchange(ApiCaller* caller, HttpResponder* responder, bool serving, bool link_connected);
  ~ReadyExchange() override;
  void OnRequest(std::string body) override;

 private:
  void Check(const char* name, bool ok, const std::string& otherwise);
  void OnAnswer();

  ApiCaller* const caller_;
  HttpResponder* const responder_;
  nlohmann::json checks_;
  bool ready_ = true;
  ApiCaller::CallId health_ = 0;
  ApiCaller::CallId metrics_ = 0;
};

// GET /metrics: the gateway's own figures, then the apiserver's and its
// controller's, when the apiserver answers.
class MetricsExchange final : public HttpExchange {
 public:
  MetricsExchange(ApiCaller* caller, HttpResponder* responder, GatewayMetrics* metrics);
  ~MetricsExchange() override;
  void OnRequest(std::string body) override;

 private:
  ApiCaller* const caller_;
  HttpResponder* const responder_;
  GatewayMetrics* const metrics_;
  ApiCaller::CallId call_ = 0;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_PROBE_EXCHANGE_H_
