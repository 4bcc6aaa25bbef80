#include "http/http_client.h"

#include <curl/curl.h>
#include <fcntl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "http/url.h"

namespace unmcp::http {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

// How long a connection that is not used may wait for its next request. Below
// the 5 s after which Node's servers close it: a request would meet the close.
constexpr long kMaxIdleSeconds = 4;

// Connections that are kept for a next request, to all servers together.
constexpr long kMaxIdleConnections = 64;

// A peer that has vanished without a word is noticed after about 2 minutes.
constexpr long kKeepAliveIdleSeconds = 60;
constexpr long kKeepAliveIntervalSeconds = 15;

bool IsRedirect(int status, absl::string_view method) {
  if (status == 307 || status == 308) return true;
  return (status == 301 || status == 302 || status == 303) && method == "GET";
}

class ClientImpl;

// One request, and what has come of it that the handler has not been told yet:
// handlers never run below libcurl, which does not bear to be called back.
struct Transfer {
  ClientImpl* client = nullptr;
  Request request;
  Handler* handler = nullptr;  // null: nobody is told
  int redirects = 0;
  CURL* easy = nullptr;  // null: finished
  curl_slist* headers = nullptr;
  char error[CURL_ERROR_SIZE] = "";
  size_t sent = 0;  // of the body
  bool body_sent_told = false;

  int status = 0;
  Headers head;
  size_t head_bytes = 0;
  bool head_complete = false, head_told = false, head_too_large = false;
  std::string data;
  std::optional<absl::Status> end;

  bool paused = false;       // by the handler
  bool curl_paused = false;  // libcurl holds data back, since we refused it
  bool ready = false;        // it is among ClientImpl::ready_

  bool body_sent() const { return sent == request.body.size(); }
};
using TransferPtr = std::shared_ptr<Transfer>;

// A socket of libcurl's, on our loop. It is watched through a duplicate, so
// that libcurl may close its own whenever it likes.
struct Watch {
  explicit Watch(boost::asio::io_context& io) : descriptor(io) {}
  Descriptor descriptor;
  int want = 0;  // CURL_POLL_…
  bool reading = false, writing = false;
};

class ClientImpl final : public Client {
 public:
  explicit ClientImpl(Options options) : options_(std::move(options)), timer_(options_.loop) {}

  absl::Status Init() {
    static std::once_flag once;
    std::call_once(once, [] {
      curl_global_init(CURL_GLOBAL_DEFAULT);
      // OpenSSL writes to sockets that the peer has closed.
      std::signal(SIGPIPE, SIG_IGN);
    });
    multi_ = curl_multi_init();
    if (multi_ == nullptr) return absl::InternalError("libcurl cannot be set up");
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &ClientImpl::OnSocket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &ClientImpl::OnTimer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kMaxIdleConnections);
    return absl::OkStatus();
  }

  ~ClientImpl() override {
    *alive_ = false;
    for (auto& [easy, transfer] : transfers_) Release(transfer.get());
    if (multi_ == nullptr) return;
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, nullptr);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, nullptr);
    curl_multi_cleanup(multi_);
    boost::system::error_code ignored;
    for (auto& [socket, watch] : watches_) watch->descriptor.close(ignored);
  }

  std::unique_ptr<Call> Start(Request request, Handler* handler) override;
  void StartDetached(Request request) override { NewTransfer(std::move(request), nullptr); }

  void Cancel(const TransferPtr& transfer) {
    transfer->handler = nullptr;
    Remove(transfer);
  }

  void Resume(const TransferPtr& transfer) {
    if (!std::exchange(transfer->paused, false)) return;
    MarkReady(transfer);
    // May call OnData below.
    if (transfer->easy != nullptr && std::exchange(transfer->curl_paused, false)) {
      curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    }
  }

 private:
  TransferPtr NewTransfer(Request request, Handler* handler) {
    auto transfer = std::make_shared<Transfer>();
    transfer->client = this;
    transfer->request = std::move(request);
    transfer->handler = handler;
    Begin(transfer);
    return transfer;
  }

  void Begin(const TransferPtr& transfer) {
    CURL* const easy = curl_easy_init();
    if (easy == nullptr) return End(transfer, absl::InternalError("libcurl is out of memory"));
    transfer->easy = easy;
    transfers_.emplace(easy, transfer);
    SetOptions(easy, transfer.get());
    const CURLMcode added = curl_multi_add_handle(multi_, easy);
    if (added != CURLM_OK) {
      Remove(transfer);
      End(transfer, absl::InternalError(curl_multi_strerror(added)));
    }
  }

  void SetOptions(CURL* easy, Transfer* transfer) {
    const Request& request = transfer->request;
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // A cancelled request does not wait for the thread that resolves its name.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(options_.connect_timeout));
    if (request.timeout < absl::InfiniteDuration()) {
      curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, std::max(1L, Milliseconds(request.timeout)));
    }
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, kKeepAliveIdleSeconds);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, kMaxIdleSeconds);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (request.direct) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    if (!options_.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
    SetMethod(easy, transfer);
    for (const auto& [name, value] : request.headers) {
      // libcurl's way to say that a header is there and empty is a semicolon.
      const std::string line = value.empty() ? absl::StrCat(name, ";") : absl::StrCat(name, ": ", value);
      transfer->headers = curl_slist_append(transfer->headers, line.c_str());
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &ClientImpl::OnHeader);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &ClientImpl::OnData);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  }

  static void SetMethod(CURL* easy, Transfer* transfer) {
    const Request& request = transfer->request;
    if (request.method == "HEAD") {
      curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request.method == "POST" || !request.body.empty()) {
      curl_easy_setopt(easy, CURLOPT_POST, 1L);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(easy, CURLOPT_READFUNCTION, &ClientImpl::OnRead);
      curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
      curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, &ClientImpl::OnSeek);
      curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
      // Neither is of use here: a round trip, and a type that we did not name.
      transfer->headers = curl_slist_append(transfer->headers, "Expect:");
      const bool typed = std::any_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
        return absl::EqualsIgnoreCase(header.first, "content-type");
      });
      if (!typed) transfer->headers = curl_slist_append(transfer->headers, "Content-Type:");
    }
    if (request.method != "GET" && request.method != "POST" && request.method != "HEAD") {
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
  }

  static long Milliseconds(absl::Duration duration) { return static_cast<long>(absl::ToInt64Milliseconds(duration)); }

  // Takes a transfer out of libcurl.
  void Release(Transfer* transfer) {
    if (transfer->easy == nullptr) return;
    curl_multi_remove_handle(multi_, transfer->easy);
    curl_easy_cleanup(std::exchange(transfer->easy, nullptr));
    curl_slist_free_all(std::exchange(transfer->headers, nullptr));
  }
  void Remove(const TransferPtr& transfer) {
    if (transfer->easy == nullptr) return;
    transfers_.erase(transfer->easy);
    Release(transfer.get());
  }

  // ---- called by libcurl; nothing here calls a handler --------------------------

  static int OnSocket(CURL*, curl_socket_t socket, int what, void* self, void*) {
    static_cast<ClientImpl*>(self)->SetWatch(socket, what);
    return 0;
  }

  static int OnTimer(CURLM*, long milliseconds, void* self) {
    auto* const client = static_cast<ClientImpl*>(self);
    if (milliseconds < 0) {
      client->timer_.Cancel();
    } else {
      client->timer_.Set(absl::Milliseconds(milliseconds), [client] { client->Act(CURL_SOCKET_TIMEOUT, 0); });
    }
    return 0;
  }

  static size_t OnHeader(char* bytes, size_t, size_t size, void* data) {
    auto* const transfer = static_cast<Transfer*>(data);
    return transfer->client->TakeHeader(transfer, absl::string_view(bytes, size)) ? size : 0;
  }

  static size_t OnData(char* bytes, size_t, size_t size, void* data) {
    auto* const transfer = static_cast<Transfer*>(data);
    if (transfer->paused) {
      transfer->curl_paused = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    if (transfer->handler == nullptr) return size;
    transfer->data.append(bytes, size);
    transfer->client->MarkReady(transfer);
    return size;
  }

  static size_t OnRead(char* buffer, size_t, size_t size, void* data) {
    auto* const transfer = static_cast<Transfer*>(data);
    const std::string& body = transfer->request.body;
    const size_t count = std::min(size, body.size() - transfer->sent);
    std::memcpy(buffer, body.data() + transfer->sent, count);
    transfer->sent += count;
    if (transfer->body_sent()) transfer->client->MarkReady(transfer);
    return count;
  }

  // libcurl wants to send the body again, on another connection: whether the
  // first one has had its effect cannot be known.
  static int OnSeek(void* data, curl_off_t offset, int origin) {
    auto* const transfer = static_cast<Transfer*>(data);
    const bool untouched = transfer->sent == 0 && offset == 0 && origin == SEEK_SET;
    return untouched ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
  }

  bool TakeHeader(Transfer* transfer, absl::string_view line) {
    if (transfer->head_complete) return true;  // a trailer
    transfer->head_bytes += line.size();
    if (transfer->head_bytes > options_.max_head_bytes) {
      transfer->head_too_large = true;
      return false;
    }
    line = absl::StripAsciiWhitespace(line);
    if (absl::StartsWith(line, "HTTP/")) {
      transfer->head.clear();
    } else if (!line.empty()) {
      const size_t colon = line.find(':');
      if (colon == absl::string_view::npos) return true;
      transfer->head.emplace_back(absl::AsciiStrToLower(line.substr(0, colon)),
                                  std::string(absl::StripAsciiWhitespace(line.substr(colon + 1))));
    } else {
      long status = 0;
      curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
      if (status < 200) return true;
      transfer->status = static_cast<int>(status);
      transfer->head_complete = true;
      MarkReady(transfer);
    }
    return true;
  }

  // ---- sockets -------------------------------------------------------------------

  void SetWatch(curl_socket_t socket, int what) {
    auto it = watches_.find(socket);
    if (what == CURL_POLL_REMOVE) {
      if (it == watches_.end()) return;
      const std::shared_ptr<Watch> watch = std::move(it->second);
      watches_.erase(it);
      watch->want = 0;
      boost::system::error_code ignored;
      watch->descriptor.close(ignored);
      return;
    }
    if (it == watches_.end()) {
      auto watch = std::make_shared<Watch>(options_.loop->io());
      boost::system::error_code error;
      // When there is no descriptor left the request ends by its timeout.
      watch->descriptor.assign(fcntl(socket, F_DUPFD_CLOEXEC, 0), error);
      if (error) return;
      it = watches_.emplace(socket, std::move(watch)).first;
    }
    it->second->want = what;
    Arm(socket, it->second);
  }

  void Arm(curl_socket_t socket, const std::shared_ptr<Watch>& watch) {
    if ((watch->want & CURL_POLL_IN) != 0 && !watch->reading) {
      watch->reading = true;
      watch->descriptor.async_wait(Descriptor::wait_read, [this, alive = alive_, socket, watch](const auto& error) {
        watch->reading = false;
        if (!error && *alive) OnReady(socket, watch, CURL_POLL_IN, CURL_CSELECT_IN);
      });
    }
    if ((watch->want & CURL_POLL_OUT) != 0 && !watch->writing) {
      watch->writing = true;
      watch->descriptor.async_wait(Descriptor::wait_write, [this, alive = alive_, socket, watch](const auto& error) {
        watch->writing = false;
        if (!error && *alive) OnReady(socket, watch, CURL_POLL_OUT, CURL_CSELECT_OUT);
      });
    }
  }

  void OnReady(curl_socket_t socket, const std::shared_ptr<Watch>& watch, int wanted, int event) {
    if ((watch->want & wanted) == 0) return;  // no longer; armed again when it is
    const std::shared_ptr<bool> alive = alive_;
    Act(socket, event);
    if (*alive && watch->want != 0) Arm(socket, watch);
  }

  void Act(curl_socket_t socket, int events) {
    int running = 0;
    curl_multi_socket_action(multi_, socket, events, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      auto it = transfers_.find(message->easy_handle);
      if (it == transfers_.end()) continue;
      const TransferPtr transfer = it->second;
      absl::Status status = ToStatus(transfer.get(), message->data.result);
      Remove(transfer);
      End(transfer, std::move(status));
    }
    Tell();
  }

  absl::Status ToStatus(Transfer* transfer, CURLcode code) {
    if (code == CURLE_OK) return absl::OkStatus();
    const std::string origin = Origin(transfer->request.url);
    const std::string what = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
    curl_off_t connected = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    if (transfer->head_too_large) {
      return absl::ResourceExhaustedError(absl::StrCat(origin, " answered with a head of more than ",
                                                       options_.max_head_bytes, " bytes"));
    }
    switch (code) {
      case CURLE_OPERATION_TIMEDOUT:
        if (connected > 0) return absl::DeadlineExceededError(absl::StrCat(origin, " did not answer in time"));
        [[fallthrough]];
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
      case CURLE_COULDNT_CONNECT:
      case CURLE_SSL_CONNECT_ERROR: return absl::UnavailableError(absl::StrCat("cannot reach ", origin, ": ", what));
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CACERT_BADFILE:
      case CURLE_SSL_ISSUER_ERROR:
        return absl::FailedPreconditionError(absl::StrCat("cannot trust ", origin, ": ", what));
      case CURLE_URL_MALFORMAT: return absl::InvalidArgumentError("it is no http or https URL");
      case CURLE_RECV_ERROR:
      case CURLE_SEND_ERROR:
      case CURLE_SEND_FAIL_REWIND:
      case CURLE_GOT_NOTHING:
      case CURLE_PARTIAL_FILE:
      case CURLE_HTTP2:
      case CURLE_HTTP2_STREAM:
        return absl::AbortedError(absl::StrCat("the connection to ", origin, " broke: ", what));
      default: return absl::InternalError(absl::StrCat("cannot speak HTTP with ", origin, ": ", what));
    }
  }

  // ---- to the handlers -----------------------------------------------------------

  void End(const TransferPtr& transfer, absl::Status status) {
    transfer->end = std::move(status);
    MarkReady(transfer);
  }

  void MarkReady(Transfer* transfer) {
    auto it = transfers_.find(transfer->easy);
    if (it != transfers_.end()) MarkReady(it->second);
  }
  void MarkReady(const TransferPtr& transfer) {
    if (std::exchange(transfer->ready, true)) return;
    if (ready_.empty()) {
      // Within Act it is done by then.
      options_.loop->Post([this, alive = alive_] {
        if (*alive) Tell();
      });
    }
    ready_.push_back(transfer);
  }

  void Tell() {
    const std::shared_ptr<bool> alive = alive_;
    for (const TransferPtr& transfer : std::exchange(ready_, {})) {
      transfer->ready = false;
      TellOne(transfer);
      if (!*alive) return;
    }
  }

  // Each call may destroy the Call, and set the handler to null.
  void TellOne(const TransferPtr& transfer) {
    Transfer& t = *transfer;
    if (t.handler == nullptr) return;
    if (t.body_sent() && !std::exchange(t.body_sent_told, true)) t.handler->OnBodySent();
    if (t.head_complete && !t.head_told) {
      if (t.handler == nullptr || Redirected(transfer)) return;
      t.head_told = true;
      t.handler->OnHead(t.status, t.head);
    }
    if (t.handler != nullptr && !t.paused && !t.data.empty()) {
      const std::string data = std::exchange(t.data, {});
      t.handler->OnData(data);
    }
    if (!t.paused && t.end.has_value()) {
      if (Handler* const handler = std::exchange(t.handler, nullptr)) handler->OnEnd(*std::move(t.end));
    }
  }

  // Whether the request is made again, elsewhere in the same origin.
  bool Redirected(const TransferPtr& transfer) {
    Transfer& t = *transfer;
    if (t.redirects >= t.request.max_redirects || !IsRedirect(t.status, t.request.method)) return false;
    const absl::StatusOr<std::string> target = ResolveUrl(t.request.url, FindHeader(t.head, "location"));
    if (!target.ok() || !SameOrigin(*target, t.request.url)) return false;
    Remove(transfer);
    ++t.redirects;
    t.request.url = *target;
    t.sent = t.head_bytes = 0;
    t.status = 0;
    t.head.clear();
    t.data.clear();
    t.end.reset();
    t.head_complete = t.curl_paused = false;
    Begin(transfer);
    return true;
  }

  const Options options_;
  CURLM* multi_ = nullptr;
  Timer timer_;
  absl::flat_hash_map<const CURL*, TransferPtr> transfers_;
  absl::flat_hash_map<curl_socket_t, std::shared_ptr<Watch>> watches_;
  std::vector<TransferPtr> ready_;  // with something to tell
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class CallImpl final : public Call {
 public:
  explicit CallImpl(TransferPtr transfer) : transfer_(std::move(transfer)) {}
  ~CallImpl() override { transfer_->client->Cancel(transfer_); }
  void Pause() override { transfer_->paused = true; }
  void Resume() override { transfer_->client->Resume(transfer_); }

 private:
  const TransferPtr transfer_;
};

std::unique_ptr<Call> ClientImpl::Start(Request request, Handler* handler) {
  return std::make_unique<CallImpl>(NewTransfer(std::move(request), handler));
}

}  // namespace

absl::string_view FindHeader(const Headers& headers, absl::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

absl::StatusOr<std::unique_ptr<Client>> Client::Create(Options options) {
  auto client = std::make_unique<ClientImpl>(std::move(options));
  if (absl::Status status = client->Init(); !status.ok()) return status;
  return client;
}

}  // namespace unmcp::http
