// JSON for protobuf messages as Kubernetes and REST users write it: numbers as
// numbers (64-bit ones too), lowerCamelCase names, words as strings, RFC 3339
// times, and errors that name the field that is wrong by its path. protobuf's
// own converter does none of these, hence this one, over reflection.
#ifndef UNMCP_COMMON_PROTO_JSON_H_
#define UNMCP_COMMON_PROTO_JSON_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace unmcp {

// Parses strict JSON (RFC 8259): duplicate keys are an error, since two
// readers of such a document see two different ones; depth is bounded by
// kMaxJsonDepth. INVALID_ARGUMENT otherwise, with the byte position or the key
// that is there twice.
inline constexpr int kMaxJsonDepth = 100;  // recursion in readers; people's manifests stay under 20
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text);

// Levels of objects and lists, one in the other: 0 for a number, 1 for [].
int JsonDepth(const nlohmann::json& json);

// JSON as text on one line. Bytes that are not UTF-8 (a server's stderr in an
// error message, say) become U+FFFD, where nlohmann's dump() would throw.
std::string JsonText(const nlohmann::json& json);

enum class UnknownFields {
  kReject,  // INVALID_ARGUMENT that names the field: people's input
  kIgnore,  // a newer writer's object
};

// How deep a google.protobuf.Struct may nest. A level costs protobuf three
// messages, and its parsers stop at a hundred: what is deeper could be sent and
// not be read.
inline constexpr int kMaxStructDepth = 32;

// Kubernetes' grammar of quantities (apimachinery, resource.Quantity) without
// a sign: what is measured in them here cannot be less than nothing. A regular
// expression of RE2 and ECMA 262.
inline constexpr char kQuantityPattern[] =
    "^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][-+]?[0-9]+)?$";

// Fills `message` from `json`. Fields that `json` does not have stay as they
// are; null clears a field. Repeated fields and maps are replaced. Understands
// google.protobuf.Timestamp, Duration, Struct, Value and the wrappers. Enums
// are words: EXCHANGE_KIND_SSE_STREAM of ExchangeKind is "sse-stream". A
// quantity (FieldRules) may be a number, too, and is kept as its text.
// `message` is of a generated type; after an error it is filled in part.
//
// Errors: INVALID_ARGUMENT, "spec.env[2].name: must be a string, not a number".
absl::Status FromJson(const nlohmann::json& json, UnknownFields unknown, google::protobuf::Message* message);

struct ToJsonOptions {
  // Also write numbers and booleans without presence that are zero, and empty
  // lists: REST answers, where "totalRequests": 0 says something. Kubernetes
  // documents are written without.
  bool zeroes = false;
};
nlohmann::json ToJson(const google::protobuf::Message& message, ToJsonOptions options = {});

// Checks a message against the rules declared on its fields (FieldRules in
// options.proto), recursively. INVALID_ARGUMENT with the first broken rule:
// "spec.idleTimeout: must be at least -1". Defaults are not filled in. A
// google.protobuf.Struct may have kMaxStructDepth levels and 64 KiB of JSON.
absl::Status ValidateRules(const google::protobuf::Message& message);

}  // namespace unmcp

#endif  // UNMCP_COMMON_PROTO_JSON_H_
