// `unmcp apply`: makes unmcp have what files declare.
#ifndef UNMCP_CLI_COMMANDS_APPLY_H_
#define UNMCP_CLI_COMMANDS_APPLY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/commands/await.h"
#include "cli/context.h"

namespace unmcp {

struct ApplyOptions {
  // Files, directories and "-" for LoadManifests.
  std::vector<std::string> filenames;
  // ID=VALUE each.
  std::vector<std::string> inputs;
  // Print what would be applied, and do nothing.
  bool dry_run = false;
  // Until every server that was written is known: it can be used, or why not.
  bool wait = false;
  absl::Duration timeout = kDefaultWait;
};

// Prints a line for each object, as kubectl does. An error of one object does
// not keep the others from being applied.
absl::Status RunApply(const ApplyOptions& options, Context& context);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_APPLY_H_
