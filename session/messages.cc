#include "session/messages.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "session/json_text.h"

namespace unmcp::session {
namespace {

std::string Params(absl::string_view params) { return params.empty() ? "" : absl::StrCat(",\"params\":", params); }

}  // namespace

std::string Rewrite(absl::string_view message, std::initializer_list<Edit> edits, bool line_breaks) {
  absl::InlinedVector<Edit, 2> sorted;
  size_t size = message.size();
  for (const Edit& edit : edits) {
    if (edit.span.data() == nullptr) continue;
    sorted.push_back(edit);
    size += edit.text.size() - edit.span.size();
  }
  std::sort(sorted.begin(), sorted.end(), [](const Edit& a, const Edit& b) { return a.span.data() < b.span.data(); });
  std::string out;
  out.reserve(size);
  const char* from = message.data();
  for (const Edit& edit : sorted) {
    out.append(from, edit.span.data() - from);
    out.append(edit.text.data(), edit.text.size());
    from = edit.span.data() + edit.span.size();
  }
  out.append(from, message.data() + message.size() - from);
  if (line_breaks) {
    for (char& c : out) {
      if (c == '\n' || c == '\r') c = ' ';
    }
  }
  return out;
}

std::string ResultMessage(absl::string_view id, absl::string_view result) {
  return absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"result\":", result, "}");
}

std::string ErrorMessage(absl::string_view id, int code, absl::string_view text, absl::string_view data) {
  return absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", id.empty() ? "null" : id, ",\"error\":{\"code\":", code,
                      ",\"message\":", Quote(text), data.empty() ? "" : ",\"data\":", data, "}}");
}

std::string RequestMessage(uint64_t id, absl::string_view method, absl::string_view params) {
  return absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"method\":\"", method, "\"", Params(params), "}");
}

std::string NotificationMessage(absl::string_view method, absl::string_view params) {
  return absl::StrCat("{\"jsonrpc\":\"2.0\",\"method\":\"", method, "\"", Params(params), "}");
}

}  // namespace unmcp::session
