// Small readers and writers of JSON text, for the few places beyond the
// envelope: handshakes, subscriptions, errors. They work on raw values that
// Scan (envelope.h) has found well-formed.
//
//   absl::string_view tools = FindMember(envelope.result, "tools");
//   int count = CountElements(tools);
#ifndef UNMCP_SESSION_JSON_TEXT_H_
#define UNMCP_SESSION_JSON_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace unmcp::session {

// Whether a raw value is a string or a number: what JSON-RPC takes for an id,
// and MCP for a progress token.
inline bool IsStringOrNumber(absl::string_view raw) {
  return !raw.empty() && (raw[0] == '"' || raw[0] == '-' || (raw[0] >= '0' && raw[0] <= '9'));
}

// The text that the inside of a JSON string stands for. A lone surrogate
// becomes U+FFFD.
std::string Unescape(absl::string_view inside);

// The text of a raw value that is a string; "" for any other value.
std::string StringValue(absl::string_view raw);

// The same without a copy, unless there are escapes: then it is in `*scratch`.
absl::string_view StringView(absl::string_view raw, std::string* scratch);

// The raw value of a member of a raw object, the first if there are several;
// null data() when there is none or `object` is no object.
absl::string_view FindMember(absl::string_view object, absl::string_view key);

// How many elements a raw array has; 0 for any other value.
int CountElements(absl::string_view array);

// `text` as a JSON string with its quotes. What is not UTF-8 becomes U+FFFD.
std::string Quote(absl::string_view text);

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_JSON_TEXT_H_
