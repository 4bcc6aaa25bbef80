#include "cli/import/jsonc.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace unmcp {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The position after the string that begins at `i`; the end, when it does not end.
size_t SkipString(absl::string_view text, size_t i) {
  for (++i; i < text.size() && text[i] != '"'; ++i) {
    if (text[i] == '\\') ++i;
  }
  return std::min(i + 1, text.size());
}

void Blank(std::string* text, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if ((*text)[i] != '\n' && (*text)[i] != '\r') (*text)[i] = ' ';
  }
}

}  // namespace

absl::StatusOr<std::string> StripJsonComments(absl::string_view text) {
  std::string out(text);
  size_t i = 0;
  if (absl::StartsWith(text, kByteOrderMark)) Blank(&out, 0, i = kByteOrderMark.size());
  size_t comma = std::string::npos;  // the last thing that was not blank
  while (i < text.size()) {
    if (absl::StartsWith(text.substr(i), "//")) {
      const size_t end = std::min(text.find_first_of("\r\n", i), text.size());
      Blank(&out, i, end);
      i = end;
    } else if (absl::StartsWith(text.substr(i), "/*")) {
      const size_t end = text.find("*/", i + 2);
      if (end == absl::string_view::npos) {
        return absl::InvalidArgumentError(absl::StrCat(
            "line ", std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(i), '\n') + 1,
            ": the comment that begins here does not end; close it with */"));
      }
      Blank(&out, i, end + 2);
      i = end + 2;
    } else if (text[i] == '"') {
      comma = std::string::npos;
      i = SkipString(text, i);
    } else {
      if (text[i] == ',') {
        comma = i;
      } else if (!absl::ascii_isspace(static_cast<unsigned char>(text[i]))) {
        if ((text[i] == ']' || text[i] == '}') && comma != std::string::npos) out[comma] = ' ';
        comma = std::string::npos;
      }
      ++i;
    }
  }
  return out;
}

}  // namespace unmcp
