#include "kube/work_queue.h"

#include <algorithm>

namespace unmcp::kube {

WorkQueue::WorkQueue(Options options)
    : options_(std::move(options)), timer_(options_.scheduler) {}

void WorkQueue::Add(const std::string& key, Priority priority) {
  if (shut_down_) return;
  Entry& entry = entries_[key];
  bool added = false;
  if (entry.queued) {
    if (priority <= entry.priority) return;
    if (!entry.processing) ready_.erase(TurnOf(key, entry));
    entry.priority = priority;
  } else {
    entry.queued = true;
    entry.priority = priority;
    entry.turn = ++last_turn_;
    entry.queued_at = options_.scheduler->Now();
    added = true;
  }
  if (!entry.processing) ready_.insert(TurnOf(key, entry));
  if (added && options_.on_added) options_.on_added();
  if (entry.processing) return;
  SchedulePump();
}

void WorkQueue::AddAfter(const std::string& key, absl::Duration delay, Priority priority) {
  if (shut_down_) return;
  if (delay <= absl::ZeroDuration()) return Add(key, priority);
  Entry& entry = entries_[key];
  CancelAppointment(key, &entry);
  entry.due = options_.scheduler->Now() + delay;
  entry.due_priority = priority;
  appointments_.emplace(entry.due, key);
  SetTimer();
}

void WorkQueue::Retry(const std::string& key, Priority priority) {
  if (shut_down_) return;
  const int failures = entries_[key].failures++;
  // 2^13 times 5 ms is over the cap already.
  AddAfter(key, std::min(kMaxRetry, kFirstRetry * (1 << std::min(failures, 13))), priority);
}

void WorkQueue::Forget(const std::string& key) {
  auto it = entries_.find(key);
  if (it == entries_.end()) return;
  it->second.failures = 0;
  Sweep(key);
}

void WorkQueue::Done(const std::string& key) {
  auto it = entries_.find(key);
  if (it == entries_.end() || !it->second.processing) return;
  it->second.processing = false;
  --in_work_;
  if (it->second.queued) ready_.insert(TurnOf(key, it->second));
  Sweep(key);
  SchedulePump();
}

void WorkQueue::Shutdown() {
  shut_down_ = true;
  ready_.clear();
  appointments_.clear();
  timer_.Cancel();
}

void WorkQueue::CancelAppointment(const std::string& key, Entry* entry) {
  if (entry->due == absl::InfiniteFuture()) return;
  appointments_.erase({entry->due, key});
  entry->due = absl::InfiniteFuture();
}

void WorkQueue::SetTimer() {
  if (appointments_.empty()) return timer_.Cancel();
  timer_.Set(std::max(absl::ZeroDuration(), appointments_.begin()->first - options_.scheduler->Now()),
             [this] { OnTimer(); });
}

void WorkQueue::OnTimer() {
  const absl::Time now = options_.scheduler->Now();
  while (!appointments_.empty() && appointments_.begin()->first <= now) {
    const std::string key = appointments_.begin()->second;
    Entry& entry = entries_[key];
    CancelAppointment(key, &entry);
    Add(key, entry.due_priority);
  }
  SetTimer();
}

void WorkQueue::SchedulePump() {
  if (shut_down_ || pump_posted_ || ready_.empty() || in_work_ >= options_.max_concurrent) return;
  pump_posted_ = true;
  options_.scheduler->Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    pump_posted_ = false;
    Pump();
  });
}

void WorkQueue::Pump() {
  while (!shut_down_ && !ready_.empty() && in_work_ < options_.max_concurrent) {
    const std::string key = std::get<2>(*ready_.begin());
    ready_.erase(ready_.begin());
    Entry& entry = entries_[key];
    CancelAppointment(key, &entry);
    entry.queued = false;
    entry.processing = true;
    ++in_work_;
    if (options_.on_begun) options_.on_begun(options_.scheduler->Now() - entry.queued_at);
    options_.process(key);
  }
}

void WorkQueue::Sweep(const std::string& key) {
  auto it = entries_.find(key);
  if (it == entries_.end()) return;
  const Entry& entry = it->second;
  if (!entry.queued && !entry.processing && entry.failures == 0 && entry.due == absl::InfiniteFuture()) {
    entries_.erase(it);
  }
}

}  // namespace unmcp::kube
