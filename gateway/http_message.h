// What HTTP carries, free of sockets and of the parser's types.
#ifndef UNMCP_GATEWAY_HTTP_MESSAGE_H_
#define UNMCP_GATEWAY_HTTP_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace unmcp::gateway {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A whole answer. Content-Length, Date and Connection are the server's affair.
struct HttpResponse {
  int status = 200;
  Headers headers;
  std::string body;
};

// The request line and the header fields. Fields lie in one buffer that is
// used anew for each request of a connection.
class RequestHead {
 public:
  absl::string_view method() const { return View(method_); }
  // As sent: origin-form, absolute-form or "*".
  absl::string_view target() const { return View(target_); }
  // 10 or 11.
  int version() const { return version_; }

  // The first field of that name (any case), without surrounding blanks.
  std::optional<absl::string_view> Find(absl::string_view name) const {
    for (const Field& field : fields_) {
      if (absl::EqualsIgnoreCase(View(field.name), name)) return View(field.value);
    }
    return std::nullopt;
  }
  int Count(absl::string_view name) const {
    int count = 0;
    for (const Field& field : fields_) count += absl::EqualsIgnoreCase(View(field.name), name);
    return count;
  }

  // For the parser.
  void Clear() {
    text_.clear();
    fields_.clear();
    method_ = target_ = {};
  }
  void SetRequestLine(absl::string_view method, absl::string_view target, int version) {
    method_ = Add(method);
    target_ = Add(target);
    version_ = version;
  }
  void AddField(absl::string_view name, absl::string_view value) { fields_.push_back({Add(name), Add(value)}); }

 private:
  struct Range {
    uint32_t begin = 0;
    uint32_t size = 0;
  };
  struct Field {
    Range name;
    Range value;
  };

  Range Add(absl::string_view text) {
    const Range range{static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(text.size())};
    text_.append(text.data(), text.size());
    return range;
  }
  absl::string_view View(Range range) const { return absl::string_view(text_).substr(range.begin, range.size); }

  std::string text_;
  std::vector<Field> fields_;
  Range method_;
  Range target_;
  int version_ = 11;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_HTTP_MESSAGE_H_
