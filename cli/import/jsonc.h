// JSON as people write it in the configuration of editors: with comments and
// trailing commas.
//
//   UNMCP_ASSIGN_OR_RETURN(std::string strict, StripJsonComments(text));
//   UNMCP_ASSIGN_OR_RETURN(nlohmann::json json, ParseJson(strict));
#ifndef UNMCP_CLI_IMPORT_JSONC_H_
#define UNMCP_CLI_IMPORT_JSONC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace unmcp {

// `text` with comments (// and /* */), commas before a closing bracket and a
// byte order mark replaced by blanks. Nothing moves: a position in the result is
// that in the text. What is not JSON stays what it is, for the parser to name.
//
// INVALID_ARGUMENT, with the line, when a /* is not closed.
absl::StatusOr<std::string> StripJsonComments(absl::string_view text);

}  // namespace unmcp

#endif  // UNMCP_CLI_IMPORT_JSONC_H_
