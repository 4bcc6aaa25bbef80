// `unmcp get`: what there is, as a table or as objects.
#ifndef UNMCP_CLI_COMMANDS_GET_H_
#define UNMCP_CLI_COMMANDS_GET_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/commands/resource.h"
#include "cli/context.h"
#include "cli/output.h"

namespace unmcp {

struct GetOptions {
  std::vector<Resources> resources;
  Format format = Format::kTable;
  // Go on with changes, until the output is closed or the process is ended. Of
  // one kind.
  bool watch = false;
  bool headers = true;
  std::string pool;  // servers of this pool only
};

// Of several names, those that there are are printed though others are not.
absl::Status RunGet(const GetOptions& options, Context& context);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_GET_H_
