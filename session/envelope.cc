#include "session/envelope.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "session/json_text.h"

namespace unmcp::session {
namespace {

static_assert(std::endian::native == std::endian::little, "FirstSpecial takes the lowest byte for the first");

constexpr uint64_t Repeat(uint8_t byte) { return 0x0101010101010101u * byte; }

// The index of the first of 8 bytes that is a quote, a backslash, a control
// character or not ASCII; 8 when none is. Each test sets the top bit of the
// bytes that match; a borrow can set bits above a match, never below.
inline int FirstSpecial(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof(v));
  const uint64_t quote = v ^ Repeat('"');
  const uint64_t backslash = v ^ Repeat('\\');
  const uint64_t found =
      (((quote - Repeat(1)) & ~quote) | ((backslash - Repeat(1)) & ~backslash) | ((v - Repeat(0x20)) & ~v) | v) &
      Repeat(0x80);
  return found == 0 ? 8 : std::countr_zero(found) / 8;
}

// The length of the well-formed UTF-8 sequence that begins with a byte >= 0x80
// at `p`; 0 when there is none (RFC 3629: no overlong forms, no surrogates).
inline int Utf8Length(const char* p, const char* end) {
  const auto byte = [p](int i) { return static_cast<uint8_t>(p[i]); };
  const auto continues = [&byte](int i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t first = byte(0);
  const std::ptrdiff_t left = end - p;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return left >= 2 && continues(1) ? 2 : 0;
  if (first < 0xF0) {
    if (left < 3 || !continues(1) || !continues(2)) return 0;
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
    return 3;
  }
  if (first > 0xF4 || left < 4 || !continues(1) || !continues(2) || !continues(3)) return 0;
  if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
  return 4;
}

inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

class Scanner {
 public:
  Scanner(absl::string_view text, Envelope* out)
      : begin_(text.data()), p_(text.data()), end_(text.data() + text.size()), out_(*out) {}

  void Run() {
    out_.kind = Document() ? Classify() : Envelope::Kind::kNotJson;
    out_.line_breaks = line_breaks_;
  }

 private:
  // What a container is to us: only in the last three do keys matter.
  enum class Role : uint8_t { kArray, kObject, kTop, kParams, kMeta };
  struct Frame {
    Role role;
    absl::string_view* slot;  // where its span goes; nullptr: nowhere
  };

  bool Fail(const char* problem) {
    out_.problem = problem;
    out_.offset = p_ - begin_;
    return false;
  }

  bool Document() {
    while (true) {
      bool entered;
      if (!Value(&entered)) return false;
      if (entered) {
        if (InObject() && !Key()) return false;
        continue;
      }
      // A value is complete: on to the next one, leaving what it ended.
      while (true) {
        SkipSpace();
        if (depth_ == 0) return p_ == end_ || Fail("something follows the message");
        if (p_ == end_) return Fail("the message ends in the middle");
        if (*p_ == ',') {
          ++p_;
          if (InObject() && !Key()) return false;
          break;
        }
        if (*p_ != (InObject() ? '}' : ']')) return Fail("expected a comma or the end of the object or array");
        ++p_;
        Leave();
      }
    }
  }

  // Reads a value, or enters one that is a container with something in it.
  bool Value(bool* entered) {
    *entered = false;
    SkipSpace();
    if (p_ == end_) return Fail("the message ends where a value should be");
    const char* const start = p_;
    switch (*p_) {
      case '{':
      case '[': {
        if (!Enter()) return false;
        SkipSpace();
        *entered = p_ == end_ || *p_ != (InObject() ? '}' : ']');
        if (!*entered) {
          ++p_;
          Leave();
        }
        return true;
      }
      case '"':
        ++p_;
        if (!String()) return false;
        break;
      case 't':
        if (!Literal("true")) return false;
        break;
      case 'f':
        if (!Literal("false")) return false;
        break;
      case 'n':
        if (!Literal("null")) return false;
        break;
      default:
        if (!Number()) return false;
    }
    // What runs into the end may have been cut short: it is no value to act on.
    if (slot_ != nullptr && p_ != end_) *slot_ = absl::string_view(start, p_ - start);
    slot_ = nullptr;
    return true;
  }

  bool InObject() const { return frames_[depth_ - 1].role != Role::kArray; }

  bool Enter() {
    if (depth_ == kMaxJsonNesting) return Fail("nested too deeply");
    container_ = true;
    Frame& frame = frames_[depth_];
    frame.slot = slot_;
    if (*p_ == '[') {
      frame.role = Role::kArray;
    } else if (depth_ == 0) {
      frame.role = Role::kTop;
    } else if (slot_ == nullptr) {
      frame.role = Role::kObject;
    } else if (slot_ == &out_.params) {
      frame.role = Role::kParams;
    } else {
      frame.role = slot_ == &out_.meta ? Role::kMeta : Role::kObject;
    }
    if (slot_ != nullptr) *slot_ = absl::string_view(p_, 1);
    slot_ = nullptr;
    ++depth_;
    ++p_;
    return true;
  }

  void Leave() {
    --depth_;
    absl::string_view* const slot = frames_[depth_].slot;
    if (slot != nullptr) *slot = absl::string_view(slot->data(), p_ - slot->data());
  }

  // Reads a key and its colon, and notes whether we act on what follows.
  bool Key() {
    SkipSpace();
    if (p_ == end_ || *p_ != '"') return Fail("expected a member's name in double quotes");
    const char* const start = ++p_;
    if (!String()) return false;
    const Role role = frames_[depth_ - 1].role;
    if (role != Role::kObject) {
      slot_ = FindSlot(role, absl::string_view(start, p_ - 1 - start));
      if (slot_ != nullptr && slot_->data() != nullptr) ambiguous_ = true;
    }
    SkipSpace();
    if (p_ == end_ || *p_ != ':') return Fail("expected a colon after a member's name");
    ++p_;
    return true;
  }

  absl::string_view* FindSlot(Role role, absl::string_view key) {
    std::string unescaped;
    if (key.size() <= kLongestKey && std::memchr(key.data(), '\\', key.size()) != nullptr) {
      unescaped = Unescape(key);
      key = unescaped;
    }
    switch (role) {
      case Role::kTop:
        if (key == "id") return &out_.id;
        if (key == "method") return &out_.method;
        if (key == "params") return &out_.params;
        if (key == "result") return &out_.result;
        if (key == "jsonrpc") return &out_.jsonrpc;
        if (key == "error") return &out_.error;
        return nullptr;
      case Role::kParams:
        if (key == "_meta") return &out_.meta;
        if (key == "uri") return &out_.uri;
        if (key == "level") return &out_.level;
        if (key == "progressToken") return &out_.progress_token;
        if (key == "requestId") return &out_.request_id;
        if (key == "protocolVersion") return &out_.protocol_version;
        if (key == "capabilities") return &out_.capabilities;
        return nullptr;
      default: return key == "progressToken" ? &out_.meta_progress_token : nullptr;
    }
  }

  void SkipSpace() {
    while (p_ != end_ && static_cast<uint8_t>(*p_) <= ' ') {
      if (*p_ == '\n' || *p_ == '\r') {
        line_breaks_ = true;
      } else if (*p_ != ' ' && *p_ != '\t') {
        return;
      }
      ++p_;
    }
  }

  // From after the opening quote to after the closing one.
  bool String() {
    while (true) {
      while (end_ - p_ >= 8) {
        const int plain = FirstSpecial(p_);
        p_ += plain;
        if (plain < 8) break;
      }
      if (p_ == end_) return Fail("the message ends within a string");
      const uint8_t c = static_cast<uint8_t>(*p_);
      if (c == '"') {
        ++p_;
        return true;
      }
      if (c == '\\') {
        if (!Escape()) return false;
      } else if (c < 0x20) {
        return Fail("a control character within a string must be escaped");
      } else if (c < 0x80) {
        ++p_;  // within the last 7 bytes
      } else {
        do {
          const int length = Utf8Length(p_, end_);
          if (length == 0) return Fail("not UTF-8");
          p_ += length;
        } while (p_ != end_ && static_cast<uint8_t>(*p_) >= 0x80);
      }
    }
  }

  bool Escape() {
    if (end_ - p_ < 2) return Fail("the message ends within an escape");
    switch (p_[1]) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't': p_ += 2; return true;
      case 'u':
        if (end_ - p_ < 6) return Fail("the message ends within an escape");
        for (int i = 2; i < 6; ++i) {
          if (!IsHexDigit(p_[i])) return Fail("\\u needs four hexadecimal digits");
        }
        p_ += 6;
        return true;
      default: return Fail("unknown escape in a string");
    }
  }

  bool Literal(absl::string_view word) {
    if (absl::string_view(p_, end_ - p_).substr(0, word.size()) != word) return Fail("not a JSON value");
    p_ += word.size();
    return true;
  }

  bool Digits() {
    if (p_ == end_ || !IsDigit(*p_)) return Fail("expected a digit");
    while (p_ != end_ && IsDigit(*p_)) ++p_;
    return true;
  }

  bool Number() {
    if (*p_ != '-' && !IsDigit(*p_)) return Fail("not a JSON value");
    if (*p_ == '-') ++p_;
    if (p_ != end_ && *p_ == '0') {
      ++p_;
    } else if (!Digits()) {
      return false;
    }
    if (p_ != end_ && *p_ == '.') {
      ++p_;
      if (!Digits()) return false;
    }
    if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
      ++p_;
      if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
      if (!Digits()) return false;
    }
    return true;
  }

  Envelope::Kind Invalid(const char* problem) {
    out_.problem = problem;
    return Envelope::Kind::kInvalid;
  }

  Envelope::Kind Classify() {
    if (!container_) return Invalid("a message is a JSON object");
    if (frames_[0].role == Role::kArray) {
      out_.problem = "batches are not supported: send one message at a time";
      return Envelope::Kind::kBatch;
    }
    if (ambiguous_) return Invalid("a member of the envelope stands twice");
    if (out_.jsonrpc != "\"2.0\"") return Invalid("\"jsonrpc\" must be \"2.0\"");
    const bool has_id = out_.id.data() != nullptr;
    const bool usable_id = has_id && IsStringOrNumber(out_.id);
    const bool has_result = out_.result.data() != nullptr;
    const bool has_error = out_.error.data() != nullptr;
    if (out_.method.data() != nullptr) {
      if (out_.method[0] != '"') return Invalid("\"method\" must be a string");
      if (has_result || has_error) return Invalid("a message has a method or a result or an error, not two of them");
      if (has_id && !usable_id) return Invalid("\"id\" must be a string or a number");
      const char params = out_.params.empty() ? '{' : out_.params[0];
      if (params != '{' && params != '[' && params != 'n') return Invalid("\"params\" must be an object");
      return has_id ? Envelope::Kind::kRequest : Envelope::Kind::kNotification;
    }
    if (has_result == has_error) return Invalid("a message has a method, a result or an error");
    // A peer that could not read a request's id answers with null.
    if (!usable_id && !(has_error && out_.id == "null")) return Invalid("\"id\" must be a string or a number");
    return has_error ? Envelope::Kind::kErrorResponse : Envelope::Kind::kResponse;
  }

  // "protocolVersion" with every character written as \uXXXX.
  static constexpr size_t kLongestKey = 15 * 6;

  const char* const begin_;
  const char* p_;
  const char* const end_;
  Envelope& out_;
  bool line_breaks_ = false;
  bool ambiguous_ = false;
  bool container_ = false;  // the document is one; frames_[0] still tells which after it has ended
  size_t depth_ = 0;
  absl::string_view* slot_ = nullptr;  // of the value that comes next
  Frame frames_[kMaxJsonNesting];
};

}  // namespace

Envelope::Kind Scan(absl::string_view message, Envelope* envelope) {
  *envelope = Envelope();
  Scanner(message, envelope).Run();
  return envelope->kind;
}

}  // namespace unmcp::session
