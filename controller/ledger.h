// Activity that outlives the processes that tell it: the fold in
// MCPServer.status.activity (ActivityLedger in resources.proto).
#ifndef UNMCP_CONTROLLER_LEDGER_H_
#define UNMCP_CONTROLLER_LEDGER_H_

#include <vector>

#include "controller/decide.h"

namespace unmcp::controller {

// Folds what apiserver processes told into `next`, a copy of `recorded` so far:
// the ledger, totalRequests, currentConnections and lastRequestAt. The numbers
// are cumulative: the larger one is the newer, however often and in whatever
// order they come.
//
// A process that has ended goes into the base only once status has its last
// number, and is forgotten with that write: should the write be lost, status
// still has the entry, and should only its answer be lost, it has none; so
// nothing is lost or counted twice. Returns what is left to remember.
std::vector<ProcessActivity> FoldActivity(const v1::MCPServerStatus& recorded,
                                          const std::vector<ProcessActivity>& told, const ApiserverSet& apiservers,
                                          v1::MCPServerStatus* next);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_LEDGER_H_
