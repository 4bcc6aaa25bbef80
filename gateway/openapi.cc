#include "gateway/openapi.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "gateway/http_status.h"
#include "google/protobuf/descriptor.h"
#include "proto/schema/api_schema.h"
#include "proto/schema/described.h"

namespace unmcp::gateway {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using nlohmann::json;

constexpr char kIntroduction[] =
    "Runs MCP servers as a managed fleet. Every answer that is not a success has the form of the schema Error. "
    "The same API is gRPC, with reflection. Event streams are server-sent events: the data of each is JSON; a stream "
    "that fails ends with the event `error`, whose data is an Error.";

// The routes that are no gRPC method: "METHOD path" → operation.
constexpr char kByHand[] = R"json({
  "GET /health": {
    "operationId": "GetHealth", "tags": ["Operation"],
    "summary": "Whether the gateway turns.",
    "responses": {"200": {"description": "It does.", "content": {"application/json": {"schema": {
      "type": "object", "required": ["status", "version"],
      "properties": {"status": {"type": "string", "enum": ["ok"]}, "version": {"type": "string"}}}}}}}
  },
  "GET /ready": {
    "operationId": "GetReady", "tags": ["Operation"],
    "summary": "Whether clients should be sent here, and if not, why.",
    "responses": {
      "200": {"description": "They should.",
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Readiness"}}}},
      "503": {"description": "They should not.",
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Readiness"}}}}}
  },
  "GET /metrics": {
    "operationId": "GetMetricsText", "tags": ["Operation"],
    "summary": "The figures of the gateway, the apiserver and its controller, for Prometheus.",
    "responses": {"200": {"description": "Prometheus text format.",
                          "content": {"text/plain": {"schema": {"type": "string"}}}}}
  },
  "GET /openapi.json": {
    "operationId": "GetOpenApi", "tags": ["Operation"],
    "summary": "This document.",
    "responses": {"200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}}
  },
  "GET /api/v1/servers/{uid}/sse": {
    "operationId": "OpenSseSession", "tags": ["MCP"],
    "summary": "An MCP session over HTTP+SSE (MCP 2024-11-05): the stream.",
    "description": "The first event, `endpoint`, has the URL to which the session's messages are posted; after it the server's messages come. The server is started by the first message that needs it.",
    "parameters": [
      {"name": "uid", "in": "path", "required": true, "description": "The server's uid, or its name.",
       "schema": {"type": "string"}},
      {"name": "MCP-Protocol-Version", "in": "header", "schema": {"type": "string", "maxLength": 64}}],
    "responses": {
      "200": {"description": "The stream.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
      "400": {"$ref": "#/components/responses/400"}, "403": {"$ref": "#/components/responses/403"},
      "404": {"$ref": "#/components/responses/404"}, "503": {"$ref": "#/components/responses/503"}}
  },
  "POST /api/v1/servers/{uid}/message": {
    "operationId": "PostSseMessage", "tags": ["MCP"],
    "summary": "A message of an MCP session over HTTP+SSE.",
    "description": "What the server answers comes on the session's stream.",
    "parameters": [
      {"name": "uid", "in": "path", "required": true, "description": "The server's uid, or its name.",
       "schema": {"type": "string"}},
      {"name": "sessionId", "in": "query", "required": true, "description": "As in the URL that the stream gave.",
       "schema": {"type": "string", "minLength": 1}},
      {"name": "MCP-Protocol-Version", "in": "header", "schema": {"type": "string", "maxLength": 64}}],
    "requestBody": {"required": true, "content": {"application/json": {"schema": {
      "description": "A JSON-RPC 2.0 message.", "type": "object", "required": ["jsonrpc"],
      "properties": {"jsonrpc": {"const": "2.0"}}}}}},
    "responses": {
      "202": {"description": "Taken."},
      "400": {"$ref": "#/components/responses/400"}, "403": {"$ref": "#/components/responses/403"},
      "404": {"$ref": "#/components/responses/404"}, "413": {"$ref": "#/components/responses/413"},
      "415": {"$ref": "#/components/responses/415"}, "429": {"$ref": "#/components/responses/429"},
      "503": {"$ref": "#/components/responses/503"}}
  }
})json";

constexpr char kSchemasByHand[] = R"json({
  "Error": {
    "type": "object", "required": ["error"],
    "properties": {"error": {
      "type": "object", "required": ["code", "status", "message"],
      "properties": {
        "code": {"type": "integer", "description": "The HTTP status code."},
        "status": {"type": "string", "description": "The name of the gRPC code."},
        "message": {"type": "string", "description": "What is wrong, and what to do about it."},
        "details": {"type": "array", "items": {"type": "object"}, "description": "As in google.rpc.Status."}}}}
  },
  "Readiness": {
    "type": "object", "required": ["status", "checks"],
    "properties": {
      "status": {"type": "string", "enum": ["ready", "not ready"]},
      "checks": {"type": "object", "additionalProperties": {"type": "string"},
                 "description": "For each part `ok`, or what is wrong with it."}}
  }
})json";

// A field's path in a template, without "=**".
std::string PlainPath(absl::string_view path_template) { return absl::StrReplaceAll(path_template, {{"=**", ""}}); }

json ErrorResponseReference(int code) { return {{"$ref", absl::StrCat("#/components/responses/", code)}}; }

// Up to the first full stop at the end of a line or before a blank.
std::string FirstSentence(const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool ends = i + 1 == text.size() || absl::ascii_isspace(text[i + 1]);
    if (text[i] == '.' && ends) return absl::StrReplaceAll(text.substr(0, i + 1), {{"\n", " "}});
  }
  return absl::StrReplaceAll(text, {{"\n", " "}});
}

class Writer {
 public:
  json Operation(const RestRoute& route) {
    const MethodDescriptor* method = MethodOf(route);
    const std::string comment = CommentOf(method);
    json operation = {{"operationId", method->name()},
                      {"tags", json::array({method->service()->name()})},
                      {"parameters", Parameters(route)},
                      {"responses", Responses(route)}};
    std::string description = comment;
    for (const RestRoute& stream : route.streams) {
      absl::StrAppend(&description, description.empty() ? "" : "\n\n", "With `", stream.stream_when,
                      "=true`, as an event stream: ", CommentOf(MethodOf(stream)));
    }
    if (!comment.empty()) operation["summary"] = FirstSentence(comment);
    if (!description.empty()) operation["description"] = description;
    if (!route.body.empty()) {
      operation["requestBody"] = {{"required", true}, {"content", Content("application/json", schemas_.Of(Body(route)))}};
    }
    services_.insert(method->service());
    return operation;
  }

  // The components, and the tags of the services seen.
  void Finish(json* document) {
    json schemas = schemas_.Take();
    schemas.update(json::parse(kSchemasByHand));
    (*document)["components"]["schemas"] = std::move(schemas);
    for (const int code : {400, 403, 404, 409, 413, 415, 429, 503, 504}) {
      json response = {{"description", ReasonPhrase(code)},
                       {"content", Content("application/json", {{"$ref", "#/components/schemas/Error"}})}};
      if (code == 503) {
        response["headers"]["Retry-After"] = {{"description", "Seconds after which asking again makes sense."},
                                              {"schema", {{"type", "integer"}}}};
      }
      (*document)["components"]["responses"][std::to_string(code)] = std::move(response);
    }
    (*document)["tags"] = json::array({{{"name", "MCP"}, {"description", "The Model Context Protocol itself."}},
                                       {{"name", "Operation"}, {"description", "For those who operate unmcp."}}});
    for (const auto* service : services_) {
      (*document)["tags"].push_back({{"name", service->name()}, {"description", CommentOf(service)}});
    }
  }

 private:
  struct ByName {
    bool operator()(const google::protobuf::ServiceDescriptor* a, const google::protobuf::ServiceDescriptor* b) const {
      return a->full_name() < b->full_name();
    }
  };

  static const MethodDescriptor* MethodOf(const RestRoute& route) {
    return DescriptorPool::generated_pool()->FindMethodByName(
        absl::StrReplaceAll(absl::StripPrefix(route.grpc_method, "/"), {{"/", "."}}));
  }

  static json Content(const char* type, json schema) { return {{type, {{"schema", std::move(schema)}}}}; }

  static const google::protobuf::Descriptor* Body(const RestRoute& route) {
    return route.body == "*" ? route.request : route.request->FindFieldByName(route.body)->message_type();
  }

  // The fields that are given in the query, by JSON name.
  static std::vector<const FieldDescriptor*> QueryFields(const RestRoute& route) {
    std::vector<const FieldDescriptor*> fields;
    if (route.body == "*") return fields;
    for (int i = 0; i < route.request->field_count(); ++i) {
      const FieldDescriptor* field = route.request->field(i);
      const bool in_path = std::find(route.variables.begin(), route.variables.end(), field->name()) !=
                           route.variables.end();
      const bool scalar = field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE;
      if (!in_path && scalar && field->name() != route.body) fields.push_back(field);
    }
    return fields;
  }

  json Parameter(const FieldDescriptor* field, const char* in, const std::string& name, const std::string& remark) {
    json schema = schemas_.Of(field);
    json parameter = {{"name", name}, {"in", in}};
    if (in == std::string("path")) parameter["required"] = true;
    std::string description = schema.value("description", "");
    if (!remark.empty()) absl::StrAppend(&description, description.empty() ? "" : " ", remark);
    if (!description.empty()) parameter["description"] = description;
    schema.erase("description");
    parameter["schema"] = std::move(schema);
    return parameter;
  }

  json Parameters(const RestRoute& route) {
    json parameters = json::array();
    for (const std::string& name : route.variables) {
      if (const FieldDescriptor* field = route.request->FindFieldByName(name)) {
        parameters.push_back(Parameter(field, "path", name, ""));
      } else {  // a field within a field
        parameters.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
      }
    }
    std::set<std::string> seen;
    const auto add = [&](const RestRoute& method, const RestRoute* other, const std::string& remark) {
      for (const FieldDescriptor* field : QueryFields(method)) {
        if (!seen.insert(field->json_name()).second) continue;
        const bool shared = other == nullptr || other->request->FindFieldByName(field->name()) != nullptr;
        parameters.push_back(Parameter(field, "query", field->json_name(), shared ? "" : remark));
      }
    };
    const RestRoute* stream = route.streams.empty() ? nullptr : &route.streams[0];
    add(route, stream, stream == nullptr ? "" : absl::StrCat("Not with `", stream->stream_when, "=true`."));
    for (const RestRoute& each : route.streams) add(each, nullptr, "");
    return parameters;
  }

  json Responses(const RestRoute& route) {
    json responses = json::object();
    json& success = responses[std::to_string(route.success_status)];
    success["description"] = ReasonPhrase(route.success_status);
    if (route.success_status != 204) success["content"] = Content("application/json", schemas_.Of(route.response));
    if (!route.location.empty()) {
      success["headers"]["Location"] = {{"description", "The path of what was made."},
                                        {"schema", {{"type", "string"}}}};
    }
    std::set<int> codes = {400, 403, 503, 504};
    if (!route.body.empty()) codes.insert({413, 415});
    ReadErrors(CommentOf(MethodOf(route)), &codes);
    for (const RestRoute& stream : route.streams) {
      const std::string name = stream.response->name();
      success["content"]["text/event-stream"]["schema"] = {
          {"type", "string"}, {"description", absl::StrCat("Events; the data of each is a ", name, ".")}};
      success["content"]["text/event-stream"]["x-event-data"] = schemas_.Of(stream.response);
      ReadErrors(CommentOf(MethodOf(stream)), &codes);
    }
    for (const int code : codes) responses[std::to_string(code)] = ErrorResponseReference(code);
    return responses;
  }

  // The comments' "Errors:" name gRPC codes.
  static void ReadErrors(const std::string& comment, std::set<int>* codes) {
    constexpr std::pair<const char*, grpc::StatusCode> kNamed[] = {
        {"NOT_FOUND", grpc::StatusCode::NOT_FOUND},
        {"ALREADY_EXISTS", grpc::StatusCode::ALREADY_EXISTS},
        {"ABORTED", grpc::StatusCode::ABORTED},
        {"FAILED_PRECONDITION", grpc::StatusCode::FAILED_PRECONDITION},
        {"RESOURCE_EXHAUSTED", grpc::StatusCode::RESOURCE_EXHAUSTED}};
    for (const auto& [name, code] : kNamed) {
      if (absl::StrContains(comment, name)) codes->insert(HttpStatusOf(code));
    }
  }

  ApiSchemas schemas_;
  std::set<const google::protobuf::ServiceDescriptor*, ByName> services_;
};

}  // namespace

absl::StatusOr<json> OpenApiDocument(const std::vector<ApiRoute>& routes, absl::string_view version) {
  json document = {{"openapi", "3.1.0"},
                   {"info",
                    {{"title", "unmcp"},
                     {"version", version.empty() ? "0" : std::string(version)},
                     {"description", kIntroduction}}},
                   {"servers", json::array({{{"url", "/"}}})},
                   {"paths", json::object()}};
  const json by_hand = json::parse(kByHand);
  Writer writer;
  for (const ApiRoute& route : routes) {
    json& operation = document["paths"][PlainPath(route.path)][absl::AsciiStrToLower(route.http_method)];
    if (route.rest != nullptr) {
      operation = writer.Operation(*route.rest);
      continue;
    }
    const auto described = by_hand.find(absl::StrCat(route.http_method, " ", route.path));
    if (described == by_hand.end()) {
      return absl::NotFoundError(absl::StrCat(route.http_method, " ", route.path, " is described nowhere"));
    }
    operation = *described;
  }
  writer.Finish(&document);
  return document;
}

}  // namespace unmcp::gateway
