#include "gateway/http_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace unmcp::gateway {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::beast::error_code;

// Memory set aside on the word of Content-Length alone; the rest is when it comes.
constexpr size_t kMaxBodyReserve = 64 << 10;

absl::string_view View(boost::beast::string_view text) { return absl::string_view(text.data(), text.size()); }

// Collects what Beast finds.
class Collector final : public http::basic_parser<true> {
 public:
  Collector(RequestHead* head, std::string* body, size_t body_limit)
      : head_(head), body_(body), body_limit_(body_limit) {}

 private:
  using OptionalLength = boost::optional<std::uint64_t>;

  void on_request_impl(http::verb, boost::beast::string_view method, boost::beast::string_view target, int version,
                       ErrorCode&) override {
    head_->SetRequestLine(View(method), View(target), version);
  }
  void on_response_impl(int, boost::beast::string_view, int, ErrorCode&) override {}
  void on_field_impl(http::field, boost::beast::string_view name, boost::beast::string_view value,
                     ErrorCode&) override {
    if (!is_header_done()) head_->AddField(View(name), View(value));  // else a trailer, which means nothing to us
  }
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(const OptionalLength& length, ErrorCode&) override {
    if (length) body_->reserve(std::min<uint64_t>(*length, kMaxBodyReserve));
  }
  std::size_t on_body_impl(boost::beast::string_view piece, ErrorCode& ec) override { return Append(piece, ec); }
  void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view piece, ErrorCode& ec) override {
    return Append(piece, ec);
  }
  void on_finish_impl(ErrorCode&) override {}

  std::size_t Append(boost::beast::string_view piece, ErrorCode& ec) {
    if (body_->size() + piece.size() > body_limit_) {
      ec = http::error::body_limit;
      return 0;
    }
    body_->append(piece.data(), piece.size());
    return piece.size();
  }

  RequestHead* const head_;
  std::string* const body_;
  const size_t body_limit_;
};

}  // namespace

struct RequestParser::Impl {
  explicit Impl(Limits limits) : limits(limits) {}

  Progress Fail(int status, std::string message) {
    error = {status, std::move(message)};
    return Progress::kError;
  }
  Progress FailTooLargeHead() {
    return Fail(431, absl::StrCat("the request's head is larger than ", limits.head_bytes,
                                  " bytes; send fewer or shorter header fields"));
  }
  Progress FailTooLargeBody() {
    return Fail(413, absl::StrCat("the request's body is larger than ", limits.body_bytes, " bytes"));
  }
  Progress Fail(ErrorCode ec) {
    if (ec == http::error::header_limit) return FailTooLargeHead();
    if (ec == http::error::body_limit) return FailTooLargeBody();
    if (ec == http::error::bad_version) return Fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    return Fail(400, absl::StrCat("not a well-formed HTTP request: ", ec.message()));
  }

  // A coding that we do not decode would leave us and a proxy in front with
  // different ideas of where the request ends.
  Progress CheckHead() {
    if (auto coding = head.Find("Transfer-Encoding")) {
      if (head.version() == 10) return Fail(400, "Transfer-Encoding is not part of HTTP/1.0");
      if (!absl::EqualsIgnoreCase(*coding, "chunked")) {
        return Fail(501, "the only Transfer-Encoding understood here is chunked");
      }
    }
    return Progress::kHead;
  }

  const Limits limits;
  RequestHead head;
  std::string body;
  std::optional<Collector> collector;
  size_t head_size = 0;
  Error error;
};

RequestParser::RequestParser(Limits limits) : impl_(std::make_unique<Impl>(limits)) { Reset(); }
RequestParser::~RequestParser() = default;

void RequestParser::Reset() {
  impl_->head.Clear();
  impl_->body = std::string();
  impl_->head_size = 0;
  impl_->collector.emplace(&impl_->head, &impl_->body, impl_->limits.body_bytes);
  // Larger by one than the bound that Feed enforces: Beast counts only what it
  // has not taken yet.
  impl_->collector->header_limit(static_cast<std::uint32_t>(impl_->limits.head_bytes) + 1);
  impl_->collector->body_limit(boost::none);
}

void RequestParser::ReleaseMemory() {
  impl_->head = RequestHead();
  impl_->body = std::string();
}

RequestParser::Progress RequestParser::Feed(absl::string_view* input) {
  Impl& impl = *impl_;
  Collector& collector = *impl.collector;
  if (collector.is_done()) return Progress::kWhole;
  const bool in_head = !collector.is_header_done();
  // Not together with the head: whoever looks at that may have better reasons
  // to refuse the request.
  if (!in_head && collector.content_length().value_or(0) > impl.limits.body_bytes) return impl.FailTooLargeBody();
  ErrorCode ec;
  while (!input->empty()) {
    const size_t taken = collector.put(boost::asio::const_buffer(input->data(), input->size()), ec);
    input->remove_prefix(taken);
    if (in_head) impl.head_size += taken;
    if (ec || collector.is_done() || (in_head && collector.is_header_done())) break;
  }
  if (ec && ec != http::error::need_more) return impl.Fail(ec);
  const size_t waiting = ec ? input->size() : 0;
  if ((in_head ? impl.head_size : 0) + waiting > impl.limits.head_bytes) return impl.FailTooLargeHead();
  if (ec) return Progress::kNeedMore;
  if (in_head && collector.is_header_done()) return impl.CheckHead();
  return collector.is_done() ? Progress::kWhole : Progress::kNeedMore;
}

const RequestHead& RequestParser::head() const { return impl_->head; }
bool RequestParser::whole() const { return impl_->collector->is_done(); }
bool RequestParser::keep_alive() const { return impl_->collector->keep_alive(); }
size_t RequestParser::body_size() const { return impl_->body.size(); }
std::string RequestParser::TakeBody() { return std::exchange(impl_->body, {}); }
const RequestParser::Error& RequestParser::error() const { return impl_->error; }

}  // namespace unmcp::gateway
