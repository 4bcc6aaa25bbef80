#include "http/sse_parser.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace unmcp::http {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr absl::string_view kData = "data:";

// A wait of more than this is not asked for in earnest.
constexpr int64_t kMaxRetryMilliseconds = 24 * 60 * 60 * 1000;

// Where the first line end is; npos when there is none.
size_t FindLineEnd(absl::string_view bytes) {
  const size_t lf = bytes.find('\n');
  return std::min(lf, bytes.substr(0, lf).find('\r'));
}

}  // namespace

void SseParser::Feed(absl::string_view bytes, absl::FunctionRef<void(const SseEvent&)> on_event) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && absl::ConsumePrefix(&bytes, "\n")) continue;
    const size_t end = FindLineEnd(bytes);
    if (end == absl::string_view::npos) return Part(bytes, /*ends=*/false, on_event);
    after_cr_ = bytes[end] == '\r';
    const absl::string_view part = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    Part(part, /*ends=*/true, on_event);
  }
}

void SseParser::Part(absl::string_view part, bool ends, absl::FunctionRef<void(const SseEvent&)> on_event) {
  // Data is not held twice: as soon as the line is known to be data, it is
  // appended where it belongs.
  if (!in_data_ && !line_too_long_) {
    // A little of the line is enough to tell.
    const size_t wanted = kMaxFieldBytes + 1 - std::min(line_.size(), kMaxFieldBytes);
    const absl::string_view taken = part.substr(0, wanted);
    line_.append(taken.data(), taken.size());
    part.remove_prefix(taken.size());
    if (first_line_ && line_.size() >= kByteOrderMark.size()) {
      if (absl::StartsWith(line_, kByteOrderMark)) line_.erase(0, kByteOrderMark.size());
      first_line_ = false;
    }
    // One byte beyond the colon tells whether a space follows.
    if (!first_line_ && line_.size() > kData.size() && absl::StartsWith(line_, kData)) {
      absl::string_view value = line_;
      value.remove_prefix(kData.size());
      absl::ConsumePrefix(&value, " ");
      if (has_data_) data_.Append("\n");
      has_data_ = in_data_ = true;
      data_.Append(value);
      line_.clear();
    } else if (line_.size() > kMaxFieldBytes) {
      line_too_long_ = true;
      line_.clear();
    }
  }
  if (in_data_ && !part.empty()) data_.Append(part);
  if (!ends) return;
  first_line_ = false;
  if (!in_data_ && !line_too_long_) {
    if (line_.empty()) {
      Dispatch(on_event);
    } else {
      Field(line_);
    }
  }
  line_.clear();
  in_data_ = line_too_long_ = false;
}

void SseParser::Field(absl::string_view line) {
  const size_t colon = line.find(':');
  if (colon == 0) return;  // a comment
  const absl::string_view name = line.substr(0, colon);
  absl::string_view value = colon == absl::string_view::npos ? "" : line.substr(colon + 1);
  absl::ConsumePrefix(&value, " ");
  if (name == "data") {  // with nothing in it
    if (has_data_) data_.Append("\n");
    has_data_ = true;
  } else if (name == "event") {
    type_ = std::string(value);
  } else if (name == "id") {
    if (value.find('\0') != absl::string_view::npos) return;
    last_event_id_ = std::string(value);
    has_id_ = true;
  } else if (name == "retry") {
    int64_t milliseconds = 0;
    if (std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
        absl::SimpleAtoi(value, &milliseconds)) {
      retry_ = absl::Milliseconds(std::min(milliseconds, kMaxRetryMilliseconds));
    }
  }
}

void SseParser::Dispatch(absl::FunctionRef<void(const SseEvent&)> on_event) {
  if (has_data_ || has_id_) {
    on_event({.type = type_.empty() ? "message" : absl::string_view(type_),
              .data = data_.text(),
              .tail = data_.tail(),
              .length = data_.length()});
  }
  data_.Clear();
  type_.clear();
  has_data_ = has_id_ = false;
}

}  // namespace unmcp::http
