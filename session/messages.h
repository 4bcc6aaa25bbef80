// The JSON-RPC messages that unmcp writes itself, and the edits it makes in
// those of others. Everything comes out on one line.
#ifndef UNMCP_SESSION_MESSAGES_H_
#define UNMCP_SESSION_MESSAGES_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"

namespace unmcp::session {

// JSON-RPC 2.0, section 5.1.
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
// MCP 2025-11-25, Streamable HTTP: what SDKs expect with a 404.
inline constexpr int kSessionNotFound = -32001;

// One change of raw text: `span` is a view into the message, `text` what comes
// in its place. A span with null data() is an edit that is not made.
struct Edit {
  absl::string_view span;
  absl::string_view text;
};

// `message` with the edits made (in any order, never overlapping); all other
// bytes as they were. With `line_breaks` (Envelope), breaks become spaces: a
// message that Scan accepted has them between tokens only.
std::string Rewrite(absl::string_view message, std::initializer_list<Edit> edits, bool line_breaks);

// `id` and `result` are raw JSON. An absent id is null.
std::string ResultMessage(absl::string_view id, absl::string_view result = "{}");
// `text` is plain; `data` is raw JSON, left out when empty.
std::string ErrorMessage(absl::string_view id, int code, absl::string_view text, absl::string_view data = "");
// `params` is raw JSON, left out when empty.
std::string RequestMessage(uint64_t id, absl::string_view method, absl::string_view params = "");
std::string NotificationMessage(absl::string_view method, absl::string_view params = "");

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_MESSAGES_H_
