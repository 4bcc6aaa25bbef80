// The envelope of a JSON-RPC message: one pass over the bytes that proves them
// to be JSON and finds the few members the session library acts on. No DOM, and
// no allocation (but for a key spelt with escapes): payloads are looked over,
// never taken apart.
//
//   Envelope envelope;
//   if (Scan(message, &envelope) == Envelope::Kind::kRequest) {
//     … envelope.id, envelope.method, envelope.meta_progress_token …
//   }
//
// Sources: RFC 8259, JSON-RPC 2.0, MCP 2025-11-25 "Base protocol".
#ifndef UNMCP_SESSION_ENVELOPE_H_
#define UNMCP_SESSION_ENVELOPE_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace unmcp::session {

// How deep a message may nest. Schemas of tools reach about 30; a bound keeps
// the readers behind us, which recurse, from being sent off their stack.
inline constexpr size_t kMaxJsonNesting = 512;

// Where the parts of one message are. Every view is the raw text of a value in
// the scanned message (strings with their quotes), or has a null data() when
// the member is absent.
struct Envelope {
  enum class Kind {
    kNotJson,  // not a JSON document; `problem` and `offset` say why
    kInvalid,  // JSON, and not a JSON-RPC 2.0 message; `problem` says why
    kBatch,    // an array, which MCP dropped in 2025-06-18
    kRequest,
    kNotification,
    kResponse,
    kErrorResponse,
  };
  Kind kind = Kind::kNotJson;
  const char* problem = "";
  size_t offset = 0;
  // Line breaks stand between tokens: they have to go before the message is
  // framed by line (stdio) or by event (SSE). Within strings they are escaped.
  bool line_breaks = false;

  absl::string_view jsonrpc, id, method, params, result, error;
  // Members of params.
  absl::string_view meta, progress_token, request_id, uri, level, protocol_version, capabilities;
  // params._meta.progressToken
  absl::string_view meta_progress_token;
};

// Reads `message`, which has to outlive the views in `*envelope`.
//
// Strict, with these freedoms: numbers are checked by grammar only (1e400 is
// one), and \u escapes may name lone surrogates. A member we act on that stands
// twice makes the message kInvalid, because the reader behind us might take the
// other one; keys are compared unescaped. Other duplicates are not our business.
//
// After kNotJson the members that were complete before the fault are set: the
// beginning of a message that was too long still tells its id, if it is there.
Envelope::Kind Scan(absl::string_view message, Envelope* envelope);

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_ENVELOPE_H_
