// A tool's arguments from words of a command line, typed as the tool's
// inputSchema has them.
#ifndef UNMCP_CLI_COMMANDS_TOOL_ARGUMENTS_H_
#define UNMCP_CLI_COMMANDS_TOOL_ARGUMENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace unmcp {

// `words` are NAME=VALUE: a number, boolean, array or object is JSON, a string
// stands as it is. An argument that is an array may be given word by word. What
// the schema leaves open is JSON if it can be read as that, else a string.
// `json`, if not empty, is an object that `words` are added to.
//
// INVALID_ARGUMENT names the argument: it is of another type, the tool has none
// of that name, or it is required and missing.
//
//   BuildToolArguments(schema, {"a=1", "tags=x", "tags=y"}, "")  →  {"a":1,"tags":["x","y"]}
//
// Thread safety: thread safe.
absl::StatusOr<nlohmann::json> BuildToolArguments(const nlohmann::json& schema, const std::vector<std::string>& words,
                                                  const std::string& json);

// "text (string, required), count (integer)": what a tool takes, for messages.
std::string DescribeToolArguments(const nlohmann::json& schema);

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_TOOL_ARGUMENTS_H_
