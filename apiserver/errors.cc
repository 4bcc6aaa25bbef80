#include "apiserver/errors.h"

#include "absl/strings/str_cat.h"

namespace unmcp::apiserver {

absl::Status ServerNotFound(absl::string_view uid_or_name) {
  return absl::NotFoundError(absl::StrCat("no MCP server has the uid or name \"", uid_or_name,
                                          "\"; GET /api/v1/servers lists those there are"));
}

absl::Status NotSynced() {
  return absl::UnavailableError("the controller has not told this apiserver of any server yet; try again in a second");
}

}  // namespace unmcp::apiserver
