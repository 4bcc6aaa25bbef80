#include "gateway/gateway.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "gateway/access_policy.h"
#include "gateway/api_caller.h"
#include "gateway/gateway_metrics.h"
#include "gateway/http_status.h"
#include "gateway/mcp_exchange.h"
#include "gateway/openapi.h"
#include "gateway/path_matcher.h"
#include "gateway/probe_exchange.h"
#include "gateway/rest_exchange.h"
#include "gateway/transcoder.h"
#include "gateway/uri.h"

namespace unmcp::gateway {
namespace {

// A uid has 36 characters and a name at most 63: what is longer names nothing,
// and need not travel further.
constexpr size_t kMaxServerRefBytes = 128;
// Ours have 32.
constexpr size_t kMaxSessionIdBytes = 128;
// Revisions are dates of 10 characters.
constexpr size_t kMaxProtocolVersionBytes = 64;

// What pages may do, beyond what is always allowed: what the API has, and what
// MCP clients in browsers send and read.
constexpr absl::string_view kCorsMethods = "GET, POST, PUT, DELETE";
constexpr absl::string_view kCorsRequestFields =
    "Accept, Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id";
constexpr absl::string_view kCorsAnswerFields =
    "Location, MCP-Protocol-Version, Mcp-Session-Id, Retry-After, WWW-Authenticate";
constexpr absl::string_view kCorsMaxAgeSeconds = "7200";  // the most that Chromium keeps

constexpr absl::string_view kUnmatchedRoute = "unmatched";

struct Route {
  enum class Kind { kHealth, kReady, kMetrics, kOpenApi, kSseStream, kSseMessage, kRest };
  Kind kind = Kind::kRest;
  std::string method;
  std::string path;
  RestRoute rest;  // kRest only
};

bool TakesJson(const Route& route) { return route.kind == Route::Kind::kSseMessage || !route.rest.body.empty(); }

// HEAD on an event stream would have to open one to know.
bool TakesHead(const Route& route) { return route.method == "GET" && route.kind != Route::Kind::kSseStream; }

// A browser's question whether a page may do something (Fetch, 3.2.2).
bool IsPreflight(const RequestHead& head) {
  return head.method() == "OPTIONS" && head.Find("Origin") && head.Find("Access-Control-Request-Method");
}

bool IsJson(absl::string_view content_type) {
  return absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';'))),
                                "application/json");
}

}  // namespace

struct Gateway::Impl final : public HttpHandler {
  explicit Impl(Options given)
      : options(std::move(given)),
        policy({options.host, options.allowed_hosts, options.allowed_origins}),
        metrics(options.registry),
        api(options.loop, options.channel) {}

  absl::Status LoadRoutes() {
    routes = {{Route::Kind::kHealth, "GET", "/health", {}},
              {Route::Kind::kReady, "GET", "/ready", {}},
              {Route::Kind::kMetrics, "GET", "/metrics", {}},
              {Route::Kind::kOpenApi, "GET", "/openapi.json", {}},
              {Route::Kind::kSseStream, "GET", "/api/v1/servers/{uid}/sse", {}},
              {Route::Kind::kSseMessage, "POST", "/api/v1/servers/{uid}/message", {}}};
    UNMCP_ASSIGN_OR_RETURN(auto rest_routes, LoadRestRoutes(options.proto_package));
    for (RestRoute& rest : rest_routes) {
      routes.push_back({Route::Kind::kRest, rest.http_method, rest.path_template, std::move(rest)});
    }
    std::vector<ApiRoute> described;
    for (const Route& route : routes) {
      described.push_back({route.method, route.path, route.kind == Route::Kind::kRest ? &route.rest : nullptr});
    }
    UNMCP_ASSIGN_OR_RETURN(openapi, OpenApiDocument(described, options.version));
    for (size_t i = 0; i < routes.size(); ++i) {
      UNMCP_RETURN_IF_ERROR(matcher.Add(routes[i].method, routes[i].path, static_cast<int>(i)));
    }
    return absl::OkStatus();
  }

  // --- HttpHandler ---

  void OnAnswered(absl::string_view route, absl::string_view method, int status) override {
    metrics.CountRequest(route.empty() ? kUnmatchedRoute : route, method, status);
  }
  void OnRejected(absl::string_view reason) override { metrics.CountRejected(reason); }
  void OnConnectionCount(size_t count) override { metrics.connections().Set(static_cast<double>(count)); }

  std::unique_ptr<HttpExchange> OnHead(const RequestHead& head, HttpResponder* responder) override {
    const auto target = ParseTarget(head.target());
    const absl::string_view authority = target.ok() ? target->authority : "";
    if (!CheckHost(head, authority, responder) || !CheckOrigin(head, responder)) return nullptr;
    if (IsPreflight(head)) return AnswerPreflight(head, responder);
    if (head.method() == "OPTIONS" && head.target() == "*") return AnswerOptions({"GET", "POST"}, responder);
    if (!target.ok()) return Refuse(responder, 400, target.status().message());

    const bool is_head = head.method() == "HEAD";
    PathMatcher::Result match = matcher.Match(is_head ? "GET" : head.method(), target->path);
    if (match.route == PathMatcher::kNoRoute && match.methods.empty()) {
      return Refuse(responder, 404, absl::StrCat("there is nothing at ", target->path.substr(0, 256)));
    }
    if (match.route == PathMatcher::kNoRoute) return AnswerOtherMethod(head.method(), target->path, match, responder);
    const Route& route = routes[match.route];
    responder->SetRoute(route.path);
    if (is_head && !TakesHead(route)) return AnswerOtherMethod("HEAD", target->path, match, responder);
    if (TakesJson(route) && !IsJson(head.Find("Content-Type").value_or(""))) {
      return Refuse(responder, 415, "the body has to be JSON; send Content-Type: application/json");
    }
    return Begin(route, *target, match, head, responder);
  }

  // --- the checks; each answers when it fails ---

  bool CheckHost(const RequestHead& head, absl::string_view authority, HttpResponder* responder) {
    const int count = head.Count("Host");
    if (count > 1 || (count == 0 && head.version() == 11)) {
      Reject(responder, 400, "an HTTP/1.1 request has exactly one Host field", "malformed");
      return false;
    }
    // A client of HTTP/1.0 need not send one, and no browser is one.
    if (authority.empty() && count == 0) return true;
    const absl::string_view host = authority.empty() ? *head.Find("Host") : authority;
    if (policy.AllowsHost(host)) return true;
    Reject(responder, 403,
           absl::StrCat("Host \"", host.substr(0, 256), "\" is not allowed; use localhost or the address that --host ",
                        "names, or start unmcp with --allow-host"),
           "host");
    return false;
  }

  bool CheckOrigin(const RequestHead& head, HttpResponder* responder) {
    const auto origin = head.Find("Origin");
    if (!origin) return true;
    if (head.Count("Origin") > 1 || !policy.AllowsOrigin(*origin)) {
      Reject(responder, 403,
             absl::StrCat("Origin \"", origin->substr(0, 256), "\" is not allowed; start unmcp with --allow-origin to let it in"),
             "origin");
      return false;
    }
    responder->AddHeader("Access-Control-Allow-Origin", *origin);
    responder->AddHeader("Access-Control-Expose-Headers", kCorsAnswerFields);
    responder->AddHeader("Vary", "Origin");
    return true;
  }

  void Reject(HttpResponder* responder, int status, absl::string_view message, absl::string_view reason) {
    metrics.CountRejected(reason);
    responder->Respond(ErrorResponse(status, message));
  }

  std::unique_ptr<HttpExchange> Refuse(HttpResponder* responder, int status, absl::string_view message) {
    responder->Respond(ErrorResponse(status, message));
    return nullptr;
  }

  // The path is there, under other methods.
  std::unique_ptr<HttpExchange> AnswerOtherMethod(absl::string_view method, absl::string_view path,
                                                  const PathMatcher::Result& match, HttpResponder* responder) {
    std::vector<std::string> allowed = match.methods;
    if (match.route != PathMatcher::kNoRoute) allowed = {routes[match.route].method};
    const PathMatcher::Result get = matcher.Match("GET", path);
    if (get.route != PathMatcher::kNoRoute && TakesHead(routes[get.route])) allowed.push_back("HEAD");
    if (method == "OPTIONS") return AnswerOptions(std::move(allowed), responder);
    HttpResponse response = ErrorResponse(
        405, absl::StrCat(method.substr(0, 32), " is not possible here; this takes ", absl::StrJoin(allowed, ", ")));
    allowed.push_back("OPTIONS");
    response.headers.emplace_back("Allow", absl::StrJoin(allowed, ", "));
    responder->Respond(std::move(response));
    return nullptr;
  }

  std::unique_ptr<HttpExchange> AnswerOptions(std::vector<std::string> methods, HttpResponder* responder) {
    methods.push_back("OPTIONS");
    responder->Respond({204, {{"Allow", absl::StrJoin(methods, ", ")}}, ""});
    return nullptr;
  }

  // The same for every path: what a page then does wrong it learns from the
  // answer, which it could not read if it were refused here.
  std::unique_ptr<HttpExchange> AnswerPreflight(const RequestHead& head, HttpResponder* responder) {
    Headers headers = {{"Access-Control-Allow-Methods", std::string(kCorsMethods)},
                       {"Access-Control-Allow-Headers", std::string(kCorsRequestFields)},
                       {"Access-Control-Max-Age", std::string(kCorsMaxAgeSeconds)}};
    // A public page that is let in may reach a server in a private network.
    if (head.Find("Access-Control-Request-Private-Network") == "true") {
      headers.emplace_back("Access-Control-Allow-Private-Network", "true");
    }
    responder->Respond({204, std::move(headers), ""});
    return nullptr;
  }

  // --- the routes ---

  std::unique_ptr<HttpExchange> Begin(const Route& route, const Target& target, const PathMatcher::Result& match,
                                      const RequestHead& head, HttpResponder* responder) {
    switch (route.kind) {
      case Route::Kind::kHealth:
        responder->Respond(JsonResponse(200, {{"status", "ok"}, {"version", options.version}}));
        return nullptr;
      case Route::Kind::kMetrics:
        return std::make_unique<MetricsExchange>(&api, responder, &metrics);
      case Route::Kind::kOpenApi:
        responder->Respond(JsonResponse(200, openapi));
        return nullptr;
      case Route::Kind::kReady:
        return std::make_unique<ReadyExchange>(&api, responder, serving, options.caller->connected());
      case Route::Kind::kSseStream:
      case Route::Kind::kSseMessage:
        return BeginMcp(route, target, match.values[0], head, responder);
      case Route::Kind::kRest:
        return BeginRest(route, target, match, head, responder);
    }
    return nullptr;
  }

  std::unique_ptr<HttpExchange> BeginRest(const Route& route, const Target& target, const PathMatcher::Result& match,
                                          const RequestHead& head, HttpResponder* responder) {
    RestTarget rest{.query = std::string(target.query)};
    for (absl::string_view value : match.values) {
      auto decoded = PercentDecode(value);
      if (!decoded.ok()) return Refuse(responder, 400, decoded.status().message());
      rest.path_values.push_back(*std::move(decoded));
    }
    const auto selected = SelectMethod(route.rest, target.query);
    if (!selected.ok()) return Refuse(responder, 400, selected.status().message());
    rest.route = *selected;
    if (rest.route->stream_when.empty()) return std::make_unique<RestExchange>(&api, responder, std::move(rest));
    if (head.method() == "HEAD") {
      responder->Respond({200, EventStreamHeaders(), ""});
      return nullptr;
    }
    responder->EndOnHalfClose();
    return std::make_unique<RestStreamExchange>(options.loop, &api, responder, std::move(rest),
                                                &metrics.sse_streams());
  }

  std::unique_ptr<HttpExchange> BeginMcp(const Route& route, const Target& target, absl::string_view server,
                                         const RequestHead& head, HttpResponder* responder) {
    v1::Open open;
    auto name = PercentDecode(server);
    if (!name.ok()) return Refuse(responder, 400, name.status().message());
    if (name->size() > kMaxServerRefBytes) return Refuse(responder, 404, "no server has a uid or name that long");
    open.set_server(*std::move(name));

    const absl::string_view version = head.Find("MCP-Protocol-Version").value_or("");
    if (version.size() > kMaxProtocolVersionBytes) {
      return Refuse(responder, 400, "MCP-Protocol-Version is not a revision of MCP");
    }
    open.set_protocol_version(std::string(version));

    if (route.kind == Route::Kind::kSseStream) {
      open.set_kind(v1::EXCHANGE_KIND_SSE_STREAM);
      responder->EndOnHalfClose();
    } else {
      open.set_kind(v1::EXCHANGE_KIND_SSE_MESSAGE);
      auto parameters = ParseQuery(target.query);
      if (!parameters.ok()) return Refuse(responder, 400, parameters.status().message());
      for (auto& [key, value] : *parameters) {
        if (key == "sessionId") open.set_session(std::move(value));
      }
      if (open.session().empty()) {
        return Refuse(responder, 400, "sessionId is missing; post to the URL that the endpoint event gave");
      }
      if (open.session().size() > kMaxSessionIdBytes) return Refuse(responder, 404, "no session has an id that long");
    }
    return std::make_unique<McpExchange>(options.caller, responder, std::move(open), &metrics.sse_streams());
  }

  const Options options;
  const AccessPolicy policy;
  GatewayMetrics metrics;
  std::vector<Route> routes;  // not changed after LoadRoutes: labels and exchanges point into it
  PathMatcher matcher;
  nlohmann::json openapi;
  bool serving = false;
  ApiCaller api;
  std::unique_ptr<HttpServer> server;  // last: its exchanges use all of the above
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Create(Options options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  UNMCP_RETURN_IF_ERROR(impl->LoadRoutes());
  const Options& given = impl->options;
  UNMCP_ASSIGN_OR_RETURN(impl->server, HttpServer::Create({given.loop, given.host, given.port, impl.get(),
                                                           given.limits}));
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

int Gateway::port() const { return impl_->server->port(); }
void Gateway::SetServing(bool serving) { impl_->serving = serving; }
void Gateway::Shutdown(absl::Duration grace, absl::AnyInvocable<void()> done) {
  impl_->server->Shutdown(grace, std::move(done));
}

}  // namespace unmcp::gateway
