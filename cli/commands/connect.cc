#include "cli/commands/connect.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bridge/line_framer.h"
#include "cli/commands/session_ledger.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "session/envelope.h"
#include "session/messages.h"

namespace unmcp {
namespace {

constexpr size_t kReadSize = 256 << 10;
// Between attempts at a session, when it is not the connection that is missing.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(200);
// A session that is cut off again and again as a message is sent.
constexpr int kMaxSends = 3;

// What a JSON-RPC error says.
std::string WordsOf(const std::string& message) {
  const nlohmann::json json = nlohmann::json::parse(message, nullptr, /*allow_exceptions=*/false);
  const nlohmann::json::json_pointer words("/error/message");
  return json.contains(words) && json[words].is_string() ? json[words].get<std::string>() : message;
}

class Relay {
 public:
  Relay(const ConnectOptions& options, Context& context) : options_(options), context_(context) {}

  ~Relay() {
    EndSession();
    if (event_fd_ >= 0) close(event_fd_);
  }

  absl::Status Run() {
    if (event_fd_ < 0) return absl::ErrnoToStatus(errno, "cannot make an eventfd");
    UNMCP_RETURN_IF_ERROR(Open());
    std::string buffer(kReadSize, '\0');
    absl::Time deadline = absl::InfiniteFuture();  // for draining
    while (!output_closed_) {
      if (draining_ && (!session_ || ledger_.in_flight() == 0 || absl::Now() >= deadline)) break;
      const bool restore = !session_ && ledger_.subscribed();
      pollfd fds[] = {{draining_ ? -1 : context_.input_fd, POLLIN, 0}, {event_fd_, POLLIN, 0}};
      const absl::Duration timeout = restore ? kRetryInterval : deadline - absl::Now();
      if (poll(fds, 2, Milliseconds(timeout)) < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
      if (fds[1].revents != 0) TakeEvent();
      if (fds[0].revents != 0) {
        const ssize_t n = read(context_.input_fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
          Feed("\n");  // a last line may have no end
          draining_ = true;
          deadline = absl::Now() + options_.drain;
          continue;
        }
        Feed(absl::string_view(buffer).substr(0, static_cast<size_t>(n)));
      } else if (restore && context_.api.Reconnect(absl::ZeroDuration()).ok()) {
        (void)Begin();  // or the next time
      }
    }
    return absl::OkStatus();
  }

 private:
  static int Milliseconds(absl::Duration duration) {
    if (duration == absl::InfiniteDuration()) return -1;
    return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(duration) + 1, 0, 60'000));
  }

  void Feed(absl::string_view bytes) {
    framer_.Feed(
        bytes, [this](absl::string_view line) { Forward(line); },
        [this](const bridge::OversizedLine& line) {
          session::Envelope envelope;  // its id, if it stood at the beginning
          session::Scan(line.head, &envelope);
          Write(session::ErrorMessage(envelope.id, session::kInvalidRequest,
                                      absl::StrCat("a message of ", line.length, " bytes is too long; at most ",
                                                   bridge::kMaxLineBytes, " are taken")));
        });
  }

  // One message of the host.
  void Forward(absl::string_view line) {
    if (const std::optional<std::string> refusal = ledger_.Refuse(line)) return Write(*refusal);
    const bool request = SessionLedger::IsRequest(line);
    absl::Status status;
    for (int sends = 0; sends < kMaxSends && status.ok(); ++sends) {
      // Only a request is worth a new session; the rest was for the one that is lost.
      if (!session_ && request) status = Open();
      if (!status.ok() || !ledger_.Register(line)) break;
      if (!session_) return;
      if (session_->Send(line)) return;
      ledger_.Unregister(line);
      Lose();
    }
    if (!request) return;
    session::Envelope envelope;
    session::Scan(line, &envelope);
    Write(session::ErrorMessage(envelope.id, session::kInternalError,
                                status.ok() ? "the session is lost again and again" : status.message()));
  }

  // A session, however long within options.patience it takes to get one.
  absl::Status Open() {
    const absl::Time deadline = absl::Now() + options_.patience;
    for (;;) {
      UNMCP_RETURN_IF_ERROR(context_.api.Reconnect(deadline - absl::Now()));
      const absl::Status status = Begin();
      // It may only just have started itself; what it says of the server is final.
      if (status.ok() || !absl::IsUnavailable(status) || reached_server_ || absl::Now() >= deadline) return status;
      absl::SleepFor(kRetryInterval);
    }
  }

  // Opens a session and brings it to where the lost one was.
  absl::Status Begin() {
    reached_server_ = false;
    UNMCP_ASSIGN_OR_RETURN(session_, context_.api.OpenSession(options_.server));
    if (const std::string initialize = ledger_.Initialize(); !initialize.empty()) {
      reached_server_ = true;
      if (absl::Status status = Reinitialize(initialize); !status.ok()) {
        session_.reset();
        return status;
      }
    }
    ended_ = false;
    reader_ = std::thread([this, session = session_.get()] { Read(session); });
    return absl::OkStatus();
  }

  absl::Status Reinitialize(const std::string& initialize) {
    session_->Send(initialize);
    std::string message;
    SessionLedger::Arrival arrival;
    do {
      if (!session_->Receive(&message)) {
        const absl::Status why = session_->Finish();
        return why.ok() ? absl::UnavailableError("the new session ended at once") : why;
      }
      arrival = Take(message);
    } while (arrival != SessionLedger::Arrival::kReinitialized && arrival != SessionLedger::Arrival::kRefused);
    if (arrival == SessionLedger::Arrival::kRefused) {
      return absl::FailedPreconditionError(absl::StrCat("there is no new session: ", WordsOf(message)));
    }
    for (const std::string& restored : ledger_.Restore()) session_->Send(restored);
    return absl::OkStatus();
  }

  // The reader's thread.
  void Read(McpSession* session) {
    std::string message;
    while (session->Receive(&message)) {
      Take(message);
      if (draining_) Wake();
    }
    ended_ = true;
    Wake();
  }

  SessionLedger::Arrival Take(const std::string& message) {
    const SessionLedger::Arrival arrival = ledger_.Arrived(message);
    if (arrival == SessionLedger::Arrival::kForHost) Write(message);
    return arrival;
  }

  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(event_fd_, &one, sizeof(one));
  }

  void TakeEvent() {
    uint64_t count;
    [[maybe_unused]] const ssize_t n = read(event_fd_, &count, sizeof(count));
    if (session_ && ended_) Lose();
  }

  // The session has ended, or is about to.
  void Lose() {
    reader_.join();
    const absl::Status why = session_->Finish();
    session_.reset();
    const std::string text = absl::StrCat("the session with server \"", options_.server, "\" was lost: ",
                                          why.ok() ? "unmcp has ended it" : why.message());
    context_.err << "unmcp connect: " << text << std::endl;
    for (const std::string& answer : ledger_.Lost(text)) Write(answer);
  }

  void EndSession() {
    if (!session_) return;
    session_->Cancel();
    reader_.join();
    (void)session_->Finish();
    session_.reset();
  }

  // One line for the host.
  void Write(absl::string_view message) {
    std::string line(message);
    // Between tokens only: within strings they are escaped.
    std::replace(line.begin(), line.end(), '\n', ' ');
    std::replace(line.begin(), line.end(), '\r', ' ');
    line += '\n';
    MutexLock lock(&output_mutex_);
    for (absl::string_view left = line; !left.empty() && !output_closed_;) {
      const ssize_t n = write(context_.output_fd, left.data(), left.size());
      if (n >= 0) {
        left.remove_prefix(static_cast<size_t>(n));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        pollfd writable = {context_.output_fd, POLLOUT, 0};
        poll(&writable, 1, -1);
      } else if (errno != EINTR) {
        output_closed_ = true;  // the host has gone
        Wake();
      }
    }
  }

  const ConnectOptions& options_;
  Context& context_;
  const int event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  SessionLedger ledger_;
  bridge::LineFramer framer_;
  std::unique_ptr<McpSession> session_;
  std::thread reader_;  // runs while there is a session
  bool reached_server_ = false;
  std::atomic<bool> ended_ = false;     // by the reader: there is nothing more to receive
  std::atomic<bool> draining_ = false;  // the host's end is closed
  std::atomic<bool> output_closed_ = false;
  Mutex output_mutex_;
};

}  // namespace

absl::Status RunConnect(const ConnectOptions& options, Context& context) { return Relay(options, context).Run(); }

}  // namespace unmcp
