// `unmcp describe`: everything that is known of one server or pool, to be read.
#ifndef UNMCP_CLI_COMMANDS_DESCRIBE_H_
#define UNMCP_CLI_COMMANDS_DESCRIBE_H_

#include <vector>

#include "absl/status/status.h"
#include "cli/commands/resource.h"
#include "cli/context.h"

namespace unmcp {

struct DescribeOptions {
  std::vector<Resources> resources;  // no names: all of the kind
};

absl::Status RunDescribe(const DescribeOptions& options, Context& context);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_DESCRIBE_H_
