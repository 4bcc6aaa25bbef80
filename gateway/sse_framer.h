// Writes server-sent events (WHATWG HTML, 9.2.6) from messages that come in
// pieces.
#ifndef UNMCP_GATEWAY_SSE_FRAMER_H_
#define UNMCP_GATEWAY_SSE_FRAMER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace unmcp::gateway {

// A comment: keeps proxies from cutting a quiet stream off. Only between
// events.
inline constexpr absl::string_view kSseKeepAlive = ": keep-alive\n\n";

// One per stream. Thread safety: none.
class SseFramer {
 public:
  // `prefix`, then the piece's own bytes, then `suffix` go to the client.
  struct Frame {
    std::string prefix;
    std::string bytes;
    absl::string_view suffix;
  };

  // Frames a piece of a message: "event: message\nid: 7\ndata: …\n\n".
  // `event` ("" is "message") and `event_id` ("" is none) belong to the first
  // piece; `final` is true on the last. Line breaks within the data continue
  // on a new data line, so that the client gets the same text (with LF).
  Frame Piece(std::string bytes, absl::string_view event, absl::string_view event_id, bool final);

  // Whether the next piece begins a message.
  bool between_events() const { return !in_event_; }

 private:
  bool in_event_ = false;
  bool after_cr_ = false;  // the last piece ended in CR: an LF now belongs to it
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_SSE_FRAMER_H_
