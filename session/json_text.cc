#include "session/json_text.h"

#include <cstdint>

#include "nlohmann/json.hpp"

namespace unmcp::session {
namespace {

void AppendUtf8(uint32_t code, std::string* out) {
  if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
    return;
  }
  const int tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static constexpr uint8_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out->push_back(static_cast<char>(kLead[tail] | (code >> (6 * tail))));
  for (int i = tail - 1; i >= 0; --i) out->push_back(static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F)));
}

uint32_t HexValue(absl::string_view digits) {
  uint32_t value = 0;
  for (const char c : digits) value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  return value;
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Walks over the text of a container's members. Assumes that it is well-formed,
// and stays within it in any case.
class Walker {
 public:
  explicit Walker(absl::string_view text) : text_(text) {}

  // Skips space, commas and colons; whether a member or element follows.
  bool Next() {
    while (at_ < text_.size() && (IsSpace(text_[at_]) || text_[at_] == ',' || text_[at_] == ':')) ++at_;
    return at_ < text_.size() && text_[at_] != '}' && text_[at_] != ']';
  }

  // The raw value that starts here.
  absl::string_view Value() {
    const size_t start = at_;
    int depth = 0;
    do {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      if (c == '"') {
        SkipString();
      } else if (c == '{' || c == '[') {
        ++depth, ++at_;
      } else if (c == '}' || c == ']') {
        --depth, ++at_;
      } else if (depth > 0) {
        ++at_;
      } else {
        at_ = std::min(text_.find_first_of(" \t\r\n,:]}", at_), text_.size());
      }
    } while (depth > 0 && at_ < text_.size());
    return text_.substr(start, at_ - start);
  }

 private:
  void SkipString() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    at_ = std::min(at_ + 1, text_.size());
  }

  const absl::string_view text_;
  size_t at_ = 1;  // after the bracket
};

}  // namespace

std::string Unescape(absl::string_view inside) {
  std::string out;
  out.reserve(inside.size());
  for (size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\') {
      out.push_back(inside[i]);
      continue;
    }
    const char c = inside[++i];
    switch (c) {
      case 'b': out.push_back('\b'); break;
      case 'f': out.push_back('\f'); break;
      case 'n': out.push_back('\n'); break;
      case 'r': out.push_back('\r'); break;
      case 't': out.push_back('\t'); break;
      case 'u': {
        uint32_t code = HexValue(inside.substr(i + 1, 4));
        i += 4;
        if (code >= 0xD800 && code < 0xDC00 && inside.substr(i + 1, 2) == "\\u") {
          const uint32_t low = HexValue(inside.substr(i + 3, 4));
          if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            i += 6;
          }
        }
        AppendUtf8(code, &out);
        break;
      }
      default: out.push_back(c);
    }
  }
  return out;
}

std::string StringValue(absl::string_view raw) {
  if (raw.size() < 2 || raw[0] != '"') return "";
  return Unescape(raw.substr(1, raw.size() - 2));
}

absl::string_view StringView(absl::string_view raw, std::string* scratch) {
  if (raw.size() < 2 || raw[0] != '"') return "";
  const absl::string_view inside = raw.substr(1, raw.size() - 2);
  if (inside.find('\\') == absl::string_view::npos) return inside;
  *scratch = Unescape(inside);
  return *scratch;
}

absl::string_view FindMember(absl::string_view object, absl::string_view key) {
  if (object.empty() || object[0] != '{') return {};
  Walker walker(object);
  std::string scratch;
  while (walker.Next()) {
    const absl::string_view name = walker.Value();
    if (!walker.Next()) break;
    const absl::string_view value = walker.Value();
    if (StringView(name, &scratch) == key) return value;
  }
  return {};
}

int CountElements(absl::string_view array) {
  if (array.empty() || array[0] != '[') return 0;
  int count = 0;
  for (Walker walker(array); walker.Next(); walker.Value()) ++count;
  return count;
}

std::string Quote(absl::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace unmcp::session
