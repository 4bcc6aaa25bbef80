#include "kube/embedded/log_follow.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace unmcp::kube {

LogFollow::LogFollow(Scheduler* scheduler, LogCallbacks callbacks)
    : scheduler_(scheduler), callbacks_(std::move(callbacks)) {}

void LogFollow::Append(absl::string_view bytes) {
  MutexLock lock(&mutex_);
  if (cancelled_ || ended_) return;
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const bool whole = newline != absl::string_view::npos;
    absl::string_view piece = whole ? bytes.substr(0, newline) : bytes;
    bytes.remove_prefix(piece.size() + (whole ? 1 : 0));
    while (line_.size() + piece.size() > kMaxLineBytes) {
      const size_t room = kMaxLineBytes - line_.size();
      line_.append(piece.data(), room);
      piece.remove_prefix(room);
      AddLine();
    }
    line_.append(piece.data(), piece.size());
    if (whole) AddLine();
  }
  if (!waiting_.empty()) ScheduleDelivery();
}

void LogFollow::AddLine() {
  line_ += '\n';
  waiting_bytes_ += line_.size();
  waiting_.push_back(std::exchange(line_, {}));
  while (waiting_bytes_ > kMaxWaitingBytes) {
    waiting_bytes_ -= waiting_.front().size();
    waiting_.pop_front();
    ++dropped_;
  }
}

void LogFollow::End(absl::Status why) {
  MutexLock lock(&mutex_);
  if (cancelled_ || ended_) return;
  if (!line_.empty()) AddLine();
  ended_ = std::move(why);
  ScheduleDelivery();
}

bool LogFollow::cancelled() const {
  MutexLock lock(&mutex_);
  return cancelled_;
}

void LogFollow::Cancel() {
  MutexLock lock(&mutex_);
  cancelled_ = true;
  waiting_.clear();
}

void LogFollow::ScheduleDelivery() {
  if (std::exchange(scheduled_, true)) return;
  scheduler_->Post([self = shared_from_this()] { self->Deliver(); });
}

void LogFollow::Deliver() {
  std::string text;
  std::optional<absl::Status> ended;
  {
    MutexLock lock(&mutex_);
    scheduled_ = false;
    if (cancelled_) return;
    if (dropped_ > 0) text = absl::StrCat("… ", std::exchange(dropped_, 0), " lines dropped\n");
    for (const std::string& line : waiting_) text += line;
    waiting_.clear();
    waiting_bytes_ = 0;
    ended = ended_;
  }
  if (!text.empty() && callbacks_.on_text) callbacks_.on_text(std::move(text));
  // The follower may have gone while it read.
  if (ended && !cancelled() && callbacks_.on_end) std::exchange(callbacks_.on_end, nullptr)(*std::move(ended));
}

}  // namespace unmcp::kube
