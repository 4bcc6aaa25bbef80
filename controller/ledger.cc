#include "controller/ledger.h"

#include <algorithm>
#include <string>

#include "absl/container/btree_map.h"
#include "controller/status.h"

namespace unmcp::controller {

std::vector<ProcessActivity> FoldActivity(const v1::MCPServerStatus& recorded,
                                          const std::vector<ProcessActivity>& told, const ApiserverSet& apiservers,
                                          v1::MCPServerStatus* next) {
  struct Count {
    int64_t recorded = 0;
    int64_t told = 0;
  };
  absl::btree_map<std::string, Count> counts;
  for (const v1::ActivityEntry& entry : recorded.activity().entries()) {
    counts[entry.process()].recorded = entry.requests();
  }
  int sessions = 0;
  absl::Time last = FromTimestamp(recorded.last_request_at());
  for (const ProcessActivity& activity : told) {
    counts[activity.process].told = activity.requests;
    if (apiservers.connected.contains(activity.process)) sessions += activity.open_sessions;
    last = std::max(last, activity.last_request);
  }
  const bool fold = apiservers.complete || counts.size() > kMaxLedgerEntries;
  v1::ActivityLedger ledger;
  ledger.set_base(recorded.activity().base());
  int64_t total = ledger.base();
  std::vector<ProcessActivity> remembered = told;
  for (const auto& [process, count] : counts) {
    const int64_t requests = std::max(count.recorded, count.told);
    if (requests == 0) continue;
    total += requests;
    if (fold && !apiservers.connected.contains(process) && count.recorded >= count.told) {
      ledger.set_base(ledger.base() + requests);
      const std::string& gone = process;
      std::erase_if(remembered, [&](const ProcessActivity& activity) { return activity.process == gone; });
    } else {
      v1::ActivityEntry* entry = ledger.add_entries();
      entry->set_process(process);
      entry->set_requests(requests);
    }
  }
  if (total > 0) *next->mutable_activity() = ledger;
  next->set_total_requests(total);
  next->set_current_connections(sessions);
  if (last != absl::InfinitePast()) *next->mutable_last_request_at() = ToTimestamp(last);
  return remembered;
}

}  // namespace unmcp::controller
