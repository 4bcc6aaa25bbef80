// Parses HTTP/1.x requests as their bytes arrive (RFC 9112). Boost.Beast does
// the grammar; this keeps its headers in one .cc and adds what it leaves open:
// a bound on the whole head, and refusal of transfer codings nobody decodes.
#ifndef UNMCP_GATEWAY_HTTP_PARSER_H_
#define UNMCP_GATEWAY_HTTP_PARSER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "gateway/http_message.h"

namespace unmcp::gateway {

// Example:
//
//   while (true) {
//     switch (parser.Feed(&input)) {
//       case kNeedMore: keep what is left of `input`, wait for more behind it
//       case kHead:     look at parser.head(); call Feed again for the body
//       case kWhole:    use parser.TakeBody(); parser.Reset()
//       case kError:    answer parser.error(), close the connection
//     }
//   }
//
// Thread safety: none.
class RequestParser {
 public:
  struct Limits {
    // The request line and all header fields together; also a chunk's header
    // and the trailer.
    size_t head_bytes = 0;
    size_t body_bytes = 0;
  };
  enum class Progress { kNeedMore, kHead, kWhole, kError };
  struct Error {
    int status = 400;
    std::string message;
  };

  explicit RequestParser(Limits limits);
  ~RequestParser();

  // Takes from the front of `input`. Returns kHead once, when the head is
  // complete, and kWhole once, when the request is; what then remains in
  // `input` belongs to the next request. After kNeedMore the rest of `input`
  // has to come again, with more behind it.
  Progress Feed(absl::string_view* input);

  // Begins the next request. Keeps the memory of the head.
  void Reset();
  // Gives memory back, between kWhole and Reset. head() is then empty.
  void ReleaseMemory();

  const RequestHead& head() const;
  // Whether nothing of the request is missing.
  bool whole() const;
  // Whether the client leaves the connection open for another request.
  bool keep_alive() const;
  // Bytes of the body so far.
  size_t body_size() const;
  std::string TakeBody();
  const Error& error() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_HTTP_PARSER_H_
