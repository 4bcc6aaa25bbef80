// Reads server-sent events (WHATWG HTML, 9.2.6 "Interpreting an event stream")
// from bytes that come in pieces.
#ifndef UNMCP_HTTP_SSE_PARSER_H_
#define UNMCP_HTTP_SSE_PARSER_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "http/bounded_text.h"

namespace unmcp::http {

// One event. The views are valid during the call.
struct SseEvent {
  absl::string_view type;  // "message" when the stream names none
  absl::string_view data;  // lines joined by LF; when oversized, its beginning
  // Not empty: the data had more than the bound, and this is its end.
  absl::string_view tail;
  size_t length = 0;  // of the data
};

// One per stream. Unlike a browser's, it also reports events with an id and no
// data: MCP servers begin a stream with one, so that it can be resumed.
//
//   parser.Feed(bytes, [&](const SseEvent& event) { … });
//
// Thread compatible.
class SseParser {
 public:
  // A field other than data has to fit in this; what is longer is ignored.
  // Ids are uuids, or cursors of a kilobyte at most.
  static constexpr size_t kMaxFieldBytes = 8 * 1024;

  explicit SseParser(size_t max_data_bytes) : data_(max_data_bytes) {}

  void Feed(absl::string_view bytes, absl::FunctionRef<void(const SseEvent&)> on_event);

  // The last id that was seen: where a stream can be resumed. "" when there
  // was none.
  const std::string& last_event_id() const { return last_event_id_; }
  // How long the server wants a client to wait before it connects again.
  std::optional<absl::Duration> retry() const { return retry_; }

 private:
  // A part of the present line; `ends` with the line's last part.
  void Part(absl::string_view part, bool ends, absl::FunctionRef<void(const SseEvent&)> on_event);
  void Field(absl::string_view line);
  void Dispatch(absl::FunctionRef<void(const SseEvent&)> on_event);

  BoundedText data_;
  bool has_data_ = false;
  bool has_id_ = false;  // of the present event
  std::string type_;
  std::string last_event_id_;
  std::optional<absl::Duration> retry_;

  std::string line_;          // of the present line, unless it is data
  bool line_too_long_ = false;
  bool in_data_ = false;      // the present line is "data: …", and its name has been read
  bool after_cr_ = false;     // an LF now belongs to the line end before it
  bool first_line_ = true;    // a byte order mark may stand there
};

}  // namespace unmcp::http

#endif  // UNMCP_HTTP_SSE_PARSER_H_
