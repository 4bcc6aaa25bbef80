#include "cli/commands/await.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "cli/output.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

absl::Status TimedOut(const std::string& what, absl::Duration timeout, const std::string& now) {
  return absl::DeadlineExceededError(absl::StrCat("waited ", HumanDuration(timeout), " for ", what,
                                                  now.empty() ? "" : absl::StrCat("; it is ", now),
                                                  "; give it longer with --timeout"));
}

}  // namespace

std::string PhaseAndReason(const v1::MCPServer& server) {
  const v1::MCPServerStatus& status = server.status();
  std::string text = status.phase();
  for (const v1::Condition& condition : status.conditions()) {
    const bool why = condition.type() == "Accepted" || (condition.type() == "Ready" && status.phase() != "Asleep");
    if (!why || condition.status() != "False" || condition.message().empty()) continue;
    return absl::StrCat(text, ": ", condition.message());
  }
  return text;
}

absl::Status AwaitServer(const v1::MCPServer& server, const std::string& what, absl::Duration timeout, Context& context,
                         Judge judge) {
  Progress progress(context.terminal, context.err);
  std::optional<absl::Status> verdict;
  std::string seen;
  bool there = false;
  const absl::Status watched =
      context.api.WatchServers({}, absl::Now() + timeout, [&](const v1::ServerChange& change) {
        if (change.type() == "BOOKMARK") {
          if (!there) verdict = judge(nullptr);
        } else if (change.object().uid() == server.uid()) {
          there = change.type() != "DELETED";
          seen = there ? PhaseAndReason(change.object()) : "";
          progress.Show(absl::StrCat("waiting for ", what, " (", seen, ")"));
          verdict = judge(there ? &change.object() : nullptr);
        }
        return !verdict.has_value();
      });
  if (verdict.has_value()) return *verdict;
  return absl::IsDeadlineExceeded(watched) ? TimedOut(what, timeout, seen) : watched;
}

absl::Status AwaitPoolGone(const v1::MCPPool& pool, absl::Duration timeout, Context& context) {
  const absl::Time deadline = absl::Now() + timeout;
  const std::string what = absl::StrCat("pool \"", pool.name(), "\" and its servers to be gone");
  Progress progress(context.terminal, context.err);
  progress.Show(absl::StrCat("waiting for ", what));
  // The pool goes first, its servers are collected after it.
  bool there = false;
  absl::Status watched = context.api.WatchPools(deadline, [&](const v1::PoolChange& change) {
    if (change.object().uid() == pool.uid()) there = change.type() != "DELETED";
    return there || change.type() == "ADDED";
  });
  if (watched.ok()) {
    std::set<std::string> members;
    bool synced = false;
    v1::WatchServersRequest filter;
    filter.set_pool(pool.name());
    watched = context.api.WatchServers(filter, deadline, [&](const v1::ServerChange& change) {
      if (change.type() == "BOOKMARK") {
        synced = true;
      } else if (change.type() == "DELETED") {
        members.erase(change.object().uid());
      } else {
        members.insert(change.object().uid());
      }
      progress.Show(absl::StrCat("waiting for ", what, " (", members.size(), " left)"));
      return !synced || !members.empty();
    });
  }
  return absl::IsDeadlineExceeded(watched) ? TimedOut(what, timeout, "") : watched;
}

}  // namespace unmcp
