#include "gateway/transcoder.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/proto_json.h"
#include "common/status_macros.h"
#include "gateway/http_status.h"
#include "gateway/path_matcher.h"
#include "gateway/uri.h"
#include "google/api/annotations.pb.h"
#include "google/protobuf/descriptor_database.h"
#include "unmcp/v1/options.pb.h"

namespace unmcp::gateway {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using nlohmann::json;

// A field by the name in the schema or the one in JSON; null when there is none.
const FieldDescriptor* FindField(const Descriptor* type, absl::string_view name) {
  const std::string text(name);
  if (const FieldDescriptor* field = type->FindFieldByName(text)) return field;
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->json_name() == text) return type->field(i);
  }
  return nullptr;
}

// "spec.idleTimeout" → the fields along the way; empty when one is missing, or
// one before the last is not a single message.
std::vector<const FieldDescriptor*> FindPath(const Descriptor* type, absl::string_view path) {
  std::vector<const FieldDescriptor*> fields;
  for (absl::string_view name : absl::StrSplit(path, '.')) {
    const FieldDescriptor* field = type == nullptr ? nullptr : FindField(type, name);
    if (field == nullptr) return {};
    fields.push_back(field);
    const bool single_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated();
    type = single_message ? field->message_type() : nullptr;
  }
  return fields;
}

// The type of scalar that a field holds in JSON: its own, a wrapper's, or a
// string for messages that are written as one. 0: none; a parameter cannot be
// bound to it.
int ScalarType(const FieldDescriptor* field) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return field->cpp_type();
  switch (field->message_type()->well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_TIMESTAMP:
    case Descriptor::WELLKNOWNTYPE_DURATION:
      return FieldDescriptor::CPPTYPE_STRING;
    case Descriptor::WELLKNOWNTYPE_BOOLVALUE:
    case Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
    case Descriptor::WELLKNOWNTYPE_FLOATVALUE:
    case Descriptor::WELLKNOWNTYPE_INT32VALUE:
    case Descriptor::WELLKNOWNTYPE_INT64VALUE:
    case Descriptor::WELLKNOWNTYPE_UINT32VALUE:
    case Descriptor::WELLKNOWNTYPE_UINT64VALUE:
    case Descriptor::WELLKNOWNTYPE_STRINGVALUE:
      return field->message_type()->FindFieldByNumber(1)->cpp_type();
    default:
      return 0;
  }
}

// The JSON value that `text` stands for in a field of this type. FromJson
// then checks its range. A discarded value: not one.
json ParseScalar(int cpp_type, const std::string& text) {
  const json bad(json::value_t::discarded);
  switch (cpp_type) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return text == "true" ? json(true) : text == "false" ? json(false) : bad;
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t number;
      return absl::SimpleAtoi(text, &number) ? json(number) : bad;
    }
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t number;
      return absl::SimpleAtoi(text, &number) ? json(number) : bad;
    }
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double number;
      return absl::SimpleAtod(text, &number) ? json(number) : bad;
    }
    default:  // strings, words of enums, times; bytes are base64
      return text;
  }
}

absl::Status NoSuchParameter(absl::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": there is no such parameter"));
}

// Puts one parameter at its place in `object`, where FromJson looks for it.
absl::Status Bind(const Descriptor* type, const std::string& name, const std::string& value, json* object) {
  const std::vector<const FieldDescriptor*> path = FindPath(type, name);
  if (path.empty()) return NoSuchParameter(name);
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    object = &(*object)[path[i]->json_name()];
    // "?a=1&a.b=2" where a is written as a scalar.
    if (!object->is_null() && !object->is_object()) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": clashes with another parameter"));
    }
  }
  const FieldDescriptor* field = path.back();
  const int scalar = ScalarType(field);
  if (scalar == 0 || field->is_map()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": cannot be given as a parameter; name one of its fields"));
  }
  json parsed = ParseScalar(scalar, value);
  if (parsed.is_discarded()) {
    const bool is_bool = scalar == FieldDescriptor::CPPTYPE_BOOL;
    return absl::InvalidArgumentError(absl::StrCat(name, ": must be ", is_bool ? "true or false" : "a number"));
  }
  json& slot = (*object)[field->json_name()];
  if (field->is_repeated()) {
    slot.push_back(std::move(parsed));
  } else if (slot.is_null()) {
    slot = std::move(parsed);
  } else {
    return absl::InvalidArgumentError(absl::StrCat(name, ": is given more than once"));
  }
  return absl::OkStatus();
}

// The verb and template of one binding.
absl::Status ReadPattern(const google::api::HttpRule& rule, RestRoute* route) {
  switch (rule.pattern_case()) {
    case google::api::HttpRule::kGet:
      route->http_method = "GET", route->path_template = rule.get();
      break;
    case google::api::HttpRule::kPut:
      route->http_method = "PUT", route->path_template = rule.put();
      break;
    case google::api::HttpRule::kPost:
      route->http_method = "POST", route->path_template = rule.post();
      break;
    case google::api::HttpRule::kDelete:
      route->http_method = "DELETE", route->path_template = rule.delete_();
      break;
    case google::api::HttpRule::kPatch:
      route->http_method = "PATCH", route->path_template = rule.patch();
      break;
    default:
      return absl::InvalidArgumentError("has to name get, put, post, delete or patch");
  }
  return absl::OkStatus();
}

absl::StatusOr<RestRoute> ReadBinding(const MethodDescriptor* method, const google::api::HttpRule& rule) {
  const v1::RestOptions& options = method->options().GetExtension(v1::rest);
  RestRoute route;
  UNMCP_RETURN_IF_ERROR(ReadPattern(rule, &route));
  route.grpc_method = absl::StrCat("/", method->service()->full_name(), "/", method->name());
  route.request = method->input_type();
  route.response = method->output_type();
  route.variables = PathMatcher::Variables(route.path_template);
  route.body = rule.body();
  if (options.success_status() != 0) route.success_status = options.success_status();
  route.location = options.location();
  route.stream_when = options.stream_when();
  if (method->client_streaming()) return absl::InvalidArgumentError("a stream of requests cannot be served as REST");
  if (method->server_streaming() != !route.stream_when.empty()) {
    return absl::InvalidArgumentError("rest.stream_when belongs to a method that answers with a stream, and to it only");
  }
  if (!route.stream_when.empty()) {
    const FieldDescriptor* when = FindField(route.request, route.stream_when);
    if (when == nullptr || when->is_repeated() || when->cpp_type() != FieldDescriptor::CPPTYPE_BOOL) {
      return absl::InvalidArgumentError(
          absl::StrCat("stream_when: \"", route.stream_when, "\" is not a boolean field of the request"));
    }
  }
  for (const std::string& name : route.variables) {
    const auto path = FindPath(route.request, name);
    if (path.empty() || path.back()->is_repeated() || ScalarType(path.back()) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("{", name, "} is not a scalar field of the request"));
    }
  }
  for (const std::string& name : PathMatcher::Variables(route.location)) {
    const auto path = FindPath(route.response, name);
    if (path.empty() || path.back()->is_repeated() || path.back()->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
      return absl::InvalidArgumentError(absl::StrCat("location: {", name, "} is not a string field of the answer"));
    }
  }
  if (!route.body.empty() && route.body != "*") {
    const FieldDescriptor* body = FindField(route.request, route.body);
    if (body == nullptr || body->is_repeated() || body->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return absl::InvalidArgumentError(absl::StrCat("body: \"", route.body, "\" is not a message in the request"));
    }
  }
  return route;
}

absl::Status ReadMethod(const MethodDescriptor* method, std::vector<RestRoute>* routes) {
  if (!method->options().HasExtension(google::api::http)) return absl::OkStatus();
  const google::api::HttpRule& rule = method->options().GetExtension(google::api::http);
  std::vector<const google::api::HttpRule*> rules = {&rule};
  for (const google::api::HttpRule& more : rule.additional_bindings()) rules.push_back(&more);
  for (const google::api::HttpRule* each : rules) {
    auto route = ReadBinding(method, *each);
    if (!route.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("google.api.http of ", method->full_name(), ": ", route.status().message()));
    }
    routes->push_back(*std::move(route));
  }
  return absl::OkStatus();
}

// Puts each stream to the unary route with the same HTTP method and path.
absl::StatusOr<std::vector<RestRoute>> Joined(std::vector<RestRoute> routes) {
  std::vector<RestRoute> joined;
  for (RestRoute& route : routes) {
    if (route.stream_when.empty()) joined.push_back(std::move(route));
  }
  for (RestRoute& stream : routes) {
    if (stream.stream_when.empty()) continue;
    const auto unary = std::find_if(joined.begin(), joined.end(), [&](const RestRoute& route) {
      return route.http_method == stream.http_method && route.path_template == stream.path_template;
    });
    if (unary == joined.end()) {
      return absl::InvalidArgumentError(absl::StrCat("google.api.http of ", stream.grpc_method,
                                                     ": no unary method has this route, too"));
    }
    unary->streams.push_back(std::move(stream));
  }
  return joined;
}

// Whether the parameter is one that only says that no stream is meant.
bool ChoosesTheRouteItself(const RestRoute& route, absl::string_view name) {
  return std::any_of(route.streams.begin(), route.streams.end(),
                     [&](const RestRoute& stream) { return stream.stream_when == name; });
}

// What is in the body is not in the query (google/api/http.proto says so, too).
bool IsInBody(const RestRoute& route, absl::string_view name) {
  if (route.body.empty() || route.body == "*") return !route.body.empty();
  const std::vector<const FieldDescriptor*> path = FindPath(route.request, name);
  return !path.empty() && path.front() == FindField(route.request, route.body);
}

absl::Status ReadBody(const RestRoute& route, absl::string_view body, Message* message) {
  if (route.body.empty()) {
    // Clients send {} with every POST. A GET's body means nothing (RFC 9110, 9.3.1).
    if (body.empty() || route.http_method == "GET" || route.http_method == "DELETE") return absl::OkStatus();
    const absl::StatusOr<json> document = ParseJson(body);
    if (document.ok() && *document == json::object()) return absl::OkStatus();
    return absl::InvalidArgumentError("there is no body here but {}; what can be said is said in the query");
  }
  UNMCP_ASSIGN_OR_RETURN(const json document, ParseJson(body));
  if (route.body != "*") {
    message = message->GetReflection()->MutableMessage(message, FindField(route.request, route.body));
  }
  return FromJson(document, UnknownFields::kReject, message);
}

// "/api/v1/servers/{uid}" with the answer's uid.
std::string FillLocation(const RestRoute& route, const json& answer) {
  std::string out;
  for (absl::string_view segment : absl::StrSplit(absl::string_view(route.location).substr(1), '/')) {
    out += '/';
    const std::vector<std::string> variable = PathMatcher::Variables(segment);
    if (variable.empty()) {
      absl::StrAppend(&out, segment);
      continue;
    }
    const json* value = &answer;
    for (const FieldDescriptor* field : FindPath(route.response, variable[0])) {
      const auto found = value->find(field->json_name());
      if (found == value->end()) return "";  // the answer does not say where
      value = &*found;
    }
    out += PercentEncode(value->get_ref<const std::string&>());
  }
  return out;
}

std::unique_ptr<Message> NewMessage(const Descriptor* type) {
  return std::unique_ptr<Message>(google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

}  // namespace

absl::StatusOr<std::vector<RestRoute>> LoadRestRoutes(absl::string_view proto_package) {
  // The pool builds files when they are asked for; only the database behind
  // it knows all that are linked in.
  std::vector<std::string> names;
  DescriptorPool::internal_generated_database()->FindAllFileNames(&names);
  std::vector<RestRoute> routes;
  for (const std::string& name : std::set<std::string>(names.begin(), names.end())) {
    const auto* file = DescriptorPool::generated_pool()->FindFileByName(name);
    if (file == nullptr || file->package() != std::string(proto_package)) continue;
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        UNMCP_RETURN_IF_ERROR(ReadMethod(file->service(s)->method(m), &routes));
      }
    }
  }
  return Joined(std::move(routes));
}

absl::StatusOr<const RestRoute*> SelectMethod(const RestRoute& route, absl::string_view query) {
  if (route.streams.empty()) return &route;
  const RestRoute* selected = &route;
  UNMCP_ASSIGN_OR_RETURN(const auto parameters, ParseQuery(query));
  for (const auto& [name, value] : parameters) {
    for (const RestRoute& stream : route.streams) {
      if (stream.stream_when != name) continue;
      if (value != "true" && value != "false") {
        return absl::InvalidArgumentError(absl::StrCat(name, ": must be true or false"));
      }
      if (value == "true") selected = &stream;
    }
  }
  return selected;
}

absl::StatusOr<std::unique_ptr<Message>> MakeRestRequest(const RestRoute& route,
                                                         absl::Span<const std::string> path_values,
                                                         absl::string_view query, absl::string_view body) {
  std::unique_ptr<Message> message = NewMessage(route.request);
  UNMCP_RETURN_IF_ERROR(ReadBody(route, body, message.get()));
  // After the body: what the URL says is what the request is for.
  json parameters = json::object();
  for (size_t i = 0; i < route.variables.size(); ++i) {
    UNMCP_RETURN_IF_ERROR(Bind(route.request, route.variables[i], path_values[i], &parameters));
  }
  UNMCP_ASSIGN_OR_RETURN(const auto query_parameters, ParseQuery(query));
  for (const auto& [name, value] : query_parameters) {
    if (ChoosesTheRouteItself(route, name)) continue;
    if (IsInBody(route, name)) return NoSuchParameter(name);
    UNMCP_RETURN_IF_ERROR(Bind(route.request, name, value, &parameters));
  }
  UNMCP_RETURN_IF_ERROR(FromJson(parameters, UnknownFields::kReject, message.get()));
  // What is in a body is the service's to check: it looks at no output_only field.
  if (route.body.empty()) UNMCP_RETURN_IF_ERROR(ValidateRules(*message));
  return message;
}

std::unique_ptr<Message> NewRestResponse(const RestRoute& route) { return NewMessage(route.response); }

json RestJson(const Message& message) { return ToJson(message, {.zeroes = true}); }

HttpResponse MakeRestResponse(const RestRoute& route, const Message& message) {
  json answer = RestJson(message);
  std::string location;
  if (!route.location.empty()) location = FillLocation(route, answer);
  HttpResponse response =
      route.success_status == 204 ? HttpResponse{204, {}, ""} : JsonResponse(route.success_status, answer);
  if (!location.empty()) response.headers.emplace_back("Location", std::move(location));
  return response;
}

}  // namespace unmcp::gateway
