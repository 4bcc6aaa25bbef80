// `unmcp start`, `unmcp stop` and `unmcp delete`: what changes whether servers
// run, or are there.
#ifndef UNMCP_CLI_COMMANDS_LIFECYCLE_H_
#define UNMCP_CLI_COMMANDS_LIFECYCLE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/commands/await.h"
#include "cli/commands/resource.h"
#include "cli/context.h"

namespace unmcp {

struct StartOptions {
  std::vector<std::string> servers;
  bool wait = true;  // until it is Ready
  absl::Duration timeout = kDefaultWait;
};
// Fails when a server cannot be started: it is Degraded, Ignored, refused.
absl::Status RunStart(const StartOptions& options, Context& context);

struct StopOptions {
  std::vector<std::string> servers;
  bool suspend = false;  // nobody wakes it until it is started by hand
  bool wait = true;      // until it has no process
  absl::Duration timeout = kDefaultWait;
};
absl::Status RunStop(const StopOptions& options, Context& context);

struct DeleteOptions {
  std::vector<Resources> resources;    // with names
  std::vector<std::string> filenames;  // or what these files declare
  bool wait = true;                    // until it is gone
  bool ignore_not_found = false;
  absl::Duration timeout = kDefaultWait;
};
// Each of several is tried, whatever became of those before it.
absl::Status RunDelete(const DeleteOptions& options, Context& context);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_LIFECYCLE_H_
