// The process that supervisor.h forks. It has one thread, and makes no use of
// anything that a library might have set up in unmcp before the fork.
#ifndef UNMCP_BRIDGE_SUPERVISOR_HELPER_H_
#define UNMCP_BRIDGE_SUPERVISOR_HELPER_H_

#include "bridge/fd.h"

namespace unmcp::bridge {

// Serves commands from `control` until it closes, then kills everything below
// this process and exits.
[[noreturn]] void RunSupervisorHelper(Fd control);

}  // namespace unmcp::bridge

#endif  // UNMCP_BRIDGE_SUPERVISOR_HELPER_H_
