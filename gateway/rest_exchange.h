// Requests that become unary gRPC calls: REST routes, and /ready, which asks
// the apiserver for its health.
#ifndef UNMCP_GATEWAY_REST_EXCHANGE_H_
#define UNMCP_GATEWAY_REST_EXCHANGE_H_

#include <string>
#include <vector>

#include "gateway/http_server.h"
#include "gateway/transcoder.h"
#include "gateway/unary_caller.h"
#include "nlohmann/json.hpp"

namespace unmcp::gateway {

// One REST request. Destroying it cancels its call.
class RestExchange final : public HttpExchange {
 public:
  // `caller`, `responder` and `route` outlive this.
  RestExchange(UnaryCaller* caller, HttpResponder* responder, const RestRoute* route,
               std::vector<std::string> path_values, std::string query);
  ~RestExchange() override;
  void OnRequest(std::string body) override;

 private:
  UnaryCaller* const caller_;
  HttpResponder* const responder_;
  const RestRoute* const route_;
  const std::vector<std::string> path_values_;
  const std::string query_;
  UnaryCaller::CallId call_ = 0;
};

// GET /ready: 200 when everything is, else 503; either way with what is known.
class ReadyExchange final : public HttpExchange {
 public:
  ReadyExchange(UnaryCaller* caller, HttpResponder* responder, bool serving, bool link_connected);
  ~ReadyExchange() override;
  void OnRequest(std::string body) override;

 private:
  UnaryCaller* const caller_;
  HttpResponder* const responder_;
  nlohmann::json checks_;
  bool ready_ = true;
  UnaryCaller::CallId call_ = 0;

  void Check(const char* name, bool ok, const std::string& otherwise);
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_REST_EXCHANGE_H_
