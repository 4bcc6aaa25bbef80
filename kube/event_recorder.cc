#include "kube/event_recorder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace unmcp::kube {
namespace {

// Event.message may hold 1024 bytes (core/v1 validation).
constexpr size_t kMaxMessage = 1024;

std::string Rfc3339(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

// Cut at a character's beginning: half of one is not UTF-8, and would make the
// whole event invalid.
std::string Shortened(std::string message) {
  if (message.size() <= kMaxMessage) return message;
  size_t end = kMaxMessage - 3;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  return message.substr(0, end) + "...";
}

}  // namespace

EventRecorder::History& EventRecorder::HistoryOf(const std::string& uid) {
  auto it = histories_.find(uid);
  if (it == histories_.end()) {
    if (histories_.size() >= kMaxObjects) {
      histories_.erase(recently_used_.back());
      recently_used_.pop_back();
    }
    it = histories_.emplace(uid, std::make_unique<History>()).first;
    recently_used_.push_front(uid);
    it->second->refilled = options_.scheduler->Now();
  } else {
    recently_used_.splice(recently_used_.begin(), recently_used_, it->second->used);
  }
  it->second->used = recently_used_.begin();
  return *it->second;
}

void EventRecorder::Record(const Object& about, EventType type, const std::string& reason,
                           const std::string& full_message) {
  const absl::Time now = options_.scheduler->Now();
  const char* type_word = type == EventType::kNormal ? "Normal" : "Warning";
  std::string message = Shortened(full_message);
  History& history = HistoryOf(about.uid());

  history.tokens = std::min(kBurst, history.tokens + absl::FDivDuration(now - history.refilled, kRefillEvery));
  history.refilled = now;
  if (history.tokens < 1) {
    ++dropped_;
    return;
  }
  history.tokens -= 1;

  // What has been quiet for long starts afresh; the budget bounds the rest.
  for (auto it = history.written.begin(); it != history.written.end();) {
    if (now - it->second.last > kSimilarWithin) history.written.erase(it++); else ++it;
  }
  const std::string group = absl::StrCat(type_word, "\n", reason);
  std::string key = absl::StrCat(group, "\n", message);
  Similar& similar = history.similar[group];
  if (now - similar.last > kSimilarWithin) similar.messages = 0;
  similar.last = now;
  if (!history.written.contains(key) && ++similar.messages >= kSimilarBeforeCombined) {
    key = group;
    message = Shortened(absl::StrCat("(combined from similar events): ", message));
  }

  Written& written = history.written[key];
  written.last = now;
  if (++written.count > 1) {
    return Enqueue({.create = false, .ns = about.ns(), .name = written.name,
                    .body = {{"count", written.count}, {"lastTimestamp", Rfc3339(now)}, {"message", message}}});
  }
  // As client-go names them: unique without asking the server.
  written.name = absl::StrCat(about.name(), ".", options_.random->Id128().substr(0, 16));
  Object event(EventKind(), about.ns(), written.name);
  event.json()["involvedObject"] = {{"apiVersion", about.api_version()}, {"kind", about.kind()},
                                    {"namespace", about.ns()},           {"name", about.name()},
                                    {"uid", about.uid()},                {"resourceVersion", about.resource_version()}};
  event.json()["type"] = type_word;
  event.json()["reason"] = reason;
  event.json()["message"] = message;
  event.json()["count"] = 1;
  event.json()["firstTimestamp"] = Rfc3339(now);
  event.json()["lastTimestamp"] = Rfc3339(now);
  event.json()["source"] = {{"component", options_.component}};
  event.json()["reportingComponent"] = options_.component;
  Enqueue({.create = true, .ns = about.ns(), .name = written.name, .body = std::move(event.json())});
}

void EventRecorder::Enqueue(Write write) {
  if (queue_.size() >= kMaxQueued) {
    ++dropped_;
    return;
  }
  queue_.push_back(std::move(write));
  if (!writing_) WriteNext();
}

void EventRecorder::WriteNext() {
  if (queue_.empty()) {
    writing_ = false;
    return;
  }
  writing_ = true;
  Write write = std::move(queue_.front());
  queue_.pop_front();
  auto done = [this, scheduler = options_.scheduler,
               alive = std::weak_ptr<bool>(alive_)](absl::StatusOr<Object> answer) {
    scheduler->Post([this, alive, status = answer.status()] {
      if (alive.expired()) return;
      if (!status.ok()) {
        ++dropped_;
        LOG_EVERY_N(WARNING, 100) << "an event could not be written: " << status;
      }
      WriteNext();
    });
  };
  if (write.create) {
    options_.cluster->Create(EventKind(), Object(std::move(write.body)), std::move(done));
  } else {
    options_.cluster->Patch({EventKind(), write.ns, write.name}, std::move(write.body), {}, std::move(done));
  }
}

}  // namespace unmcp::kube
