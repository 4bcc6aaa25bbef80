#include "kube/errors.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace unmcp::kube {
namespace {

// Somebody who gets everything wrong reads the first few.
constexpr size_t kMaxFieldErrors = 10;
// A value is quoted in its error; beyond this much, its beginning.
constexpr size_t kMaxQuotedBytes = 256;

std::string Quoted(const ObjectRef& ref) { return absl::StrCat(GroupResource(ref.kind), " \"", ref.name, "\""); }

std::string Print(const Json& value) {
  if (value.is_object()) return "\"object\"";
  if (value.is_array()) return "\"array\"";
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kMaxQuotedBytes) return text;
  size_t end = kMaxQuotedBytes;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;  // whole characters only
  return text.substr(0, end) + "...\"";
}

// What a reason means to us. The first row of a code is the one written.
struct Row {
  const char* reason;
  int http_code;
  absl::StatusCode code;
};
constexpr Row kRows[] = {
    {"NotFound", 404, absl::StatusCode::kNotFound},
    {"AlreadyExists", 409, absl::StatusCode::kAlreadyExists},
    {"Conflict", 409, absl::StatusCode::kAborted},
    {"Invalid", 422, absl::StatusCode::kInvalidArgument},
    {"BadRequest", 400, absl::StatusCode::kInvalidArgument},
    {"RequestEntityTooLarge", 413, absl::StatusCode::kInvalidArgument},
    {"UnsupportedMediaType", 415, absl::StatusCode::kInvalidArgument},
    {"Expired", 410, absl::StatusCode::kOutOfRange},
    {"Gone", 410, absl::StatusCode::kOutOfRange},
    {"Unauthorized", 401, absl::StatusCode::kUnauthenticated},
    {"Forbidden", 403, absl::StatusCode::kPermissionDenied},
    {"MethodNotAllowed", 405, absl::StatusCode::kUnimplemented},
    {"TooManyRequests", 429, absl::StatusCode::kResourceExhausted},
    {"ServiceUnavailable", 503, absl::StatusCode::kUnavailable},
    {"ServerTimeout", 500, absl::StatusCode::kUnavailable},
    {"Timeout", 504, absl::StatusCode::kDeadlineExceeded},
    {"InternalError", 500, absl::StatusCode::kInternal},
};

absl::StatusCode CodeOf(const std::string& reason, int http_code) {
  for (const Row& row : kRows) {
    if (reason == row.reason) return row.code;
  }
  // By the code alone, 409 is the precondition: Create's refusals have reasons.
  if (http_code == 409) return absl::StatusCode::kAborted;
  if (http_code == 500) return absl::StatusCode::kInternal;
  for (const Row& row : kRows) {
    if (http_code == row.http_code) return row.code;
  }
  if (http_code >= 400 && http_code < 500) return absl::StatusCode::kInvalidArgument;
  return http_code >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kUnknown;
}

}  // namespace

std::string GroupResource(const Kind& kind) {
  return kind.group.empty() ? kind.plural : absl::StrCat(kind.plural, ".", kind.group);
}

absl::Status NotFound(const ObjectRef& ref) { return absl::NotFoundError(absl::StrCat(Quoted(ref), " not found")); }

absl::Status KindNotFound(const Kind& kind) {
  return absl::NotFoundError(absl::StrCat("the server could not find the requested resource ", GroupResource(kind),
                                          ": is its CustomResourceDefinition installed?"));
}

absl::Status AlreadyExists(const ObjectRef& ref) {
  return absl::AlreadyExistsError(absl::StrCat(Quoted(ref), " already exists"));
}

absl::Status Conflict(const ObjectRef& ref, const std::string& why) {
  return absl::AbortedError(absl::StrCat("Operation cannot be fulfilled on ", Quoted(ref), ": ", why));
}

absl::Status Modified(const ObjectRef& ref) {
  return Conflict(ref, "the object has been modified; please apply your changes to the latest version and try again");
}

absl::Status BadRequest(const std::string& message) { return absl::InvalidArgumentError(message); }

absl::Status Gone(const std::string& message) { return absl::OutOfRangeError(absl::StrCat("410 Gone: ", message)); }

FieldError InvalidValue(std::string path, const Json& value, const std::string& rule) {
  return {std::move(path), absl::StrCat("Invalid value: ", Print(value), ": ", rule)};
}

FieldError RequiredValue(std::string path, const std::string& what_to_do) {
  return {std::move(path), what_to_do.empty() ? "Required value" : absl::StrCat("Required value: ", what_to_do)};
}

FieldError DuplicateValue(std::string path, const Json& value) {
  return {std::move(path),
          absl::StrCat("Duplicate value: ", value.dump(-1, ' ', false, Json::error_handler_t::replace))};
}

FieldError Forbidden(std::string path, const std::string& why) {
  return {std::move(path), absl::StrCat("Forbidden: ", why)};
}

FieldError UnsupportedValue(std::string path, const Json& value, const std::vector<Json>& supported) {
  return {std::move(path), absl::StrCat("Unsupported value: ", Print(value), ": supported values: ",
                                        absl::StrJoin(supported, ", ", [](std::string* out, const Json& each) {
                                          absl::StrAppend(out, Print(each));
                                        }))};
}

FieldError TooLong(std::string path, int64_t max) {
  return {std::move(path), absl::StrCat("Too long: may not be longer than ", max)};
}

FieldError TooMany(std::string path, int64_t count, int64_t max) {
  return {std::move(path), absl::StrCat("Too many: ", count, ": must have at most ", max, " items")};
}

absl::Status Invalid(const Kind& kind, const std::string& name, const std::vector<FieldError>& errors) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < std::min(errors.size(), kMaxFieldErrors); ++i) {
    lines.push_back(absl::StrCat(errors[i].path, ": ", errors[i].problem));
  }
  if (errors.size() > kMaxFieldErrors) lines.push_back(absl::StrCat("and ", errors.size() - kMaxFieldErrors, " more"));
  const std::string all = absl::StrJoin(lines, ", ");
  return absl::InvalidArgumentError(absl::StrCat(kind.kind, kind.group.empty() ? "" : ".", kind.group, " \"", name,
                                                 "\" is invalid: ", lines.size() == 1 ? all : "[" + all + "]"));
}

Json StatusToJson(const absl::Status& status) {
  Json json = {{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", Json::object()}};
  if (status.ok()) {
    json["status"] = "Success";
    return json;
  }
  const Row* found =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& row) { return row.code == status.code(); });
  json["status"] = "Failure";
  json["message"] = std::string(status.message());
  json["reason"] = found == std::end(kRows) ? "InternalError" : found->reason;
  json["code"] = found == std::end(kRows) ? 500 : found->http_code;
  return json;
}

absl::Status StatusFromJson(const Json& json, int http_code) {
  const auto text = [&](const char* key) -> std::string {
    auto it = json.find(key);
    return it != json.end() && it->is_string() ? it->get<std::string>() : "";
  };
  if (!json.is_object() || text("kind") != "Status") {
    const std::string body = json.is_string() ? json.get<std::string>() : Print(json);
    if (http_code >= 200 && http_code < 300) return absl::OkStatus();
    return absl::Status(CodeOf("", http_code), absl::StrCat("HTTP ", http_code, ": ", body));
  }
  if (text("status") == "Success") return absl::OkStatus();
  auto code = json.find("code");
  if (code != json.end() && code->is_number_integer()) http_code = code->get<int>();
  std::string message = text("message");
  if (message.empty()) message = absl::StrCat("HTTP ", http_code, " ", text("reason"));
  return absl::Status(CodeOf(text("reason"), http_code), message);
}

}  // namespace unmcp::kube
