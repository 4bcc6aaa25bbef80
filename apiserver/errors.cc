#include "apiserver/errors.h"

#include "absl/strings/str_cat.h"

namespace unmcp::apiserver {

absl::Status ServerNotFound(absl::string_view uid_or_name) {
  return absl::NotFoundError(absl::StrCat("no MCP server has the uid or name \"", uid_or_name,
                                          "\"; GET /api/v1/servers lists those there are"));
}

absl::Status PoolNotFound(absl::string_view name) {
  return absl::NotFoundError(
      absl::StrCat("no pool has the name \"", name, "\"; GET /api/v1/pools lists those there are"));
}

absl::Status NotSynced() {
  return absl::UnavailableError("the controller has not told this apiserver of any server yet; try again in a second");
}

absl::Status NotPublished(absl::string_view name) {
  return absl::UnavailableError(absl::StrCat("MCP server \"", name,
                                             "\" has just been declared, and the controller has not taken it over yet; "
                                             "try again in a second (/ready says whether a controller is connected)"));
}

absl::Status Stopping() { return absl::UnavailableError("unmcp is stopping"); }

absl::Status Contradicts(absl::string_view field, absl::string_view given, absl::string_view is) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": is \"", given, "\" here, and \"", is, "\" otherwise; leave it out, or make both the same"));
}

absl::Status BadPageToken() {
  return absl::InvalidArgumentError("pageToken: is not a nextPageToken of this API; leave it out to begin anew");
}

absl::Status NoProcess(absl::string_view server) {
  return absl::FailedPreconditionError(
      absl::StrCat("MCP server \"", server,
                   "\" has no process now, and so no log; start it (POST /api/v1/servers/", server,
                   "/start), or look at its events (GET /api/v1/servers/", server, "/events)"));
}

absl::Status RunsElsewhere(absl::string_view server) {
  return absl::FailedPreconditionError(
      absl::StrCat("MCP server \"", server, "\" runs elsewhere (spec.url), and its log is there"));
}

absl::Status DoesNotRead() {
  return absl::ResourceExhaustedError("the client reads more slowly than there is news; read faster, or begin anew");
}

absl::Status TooManyStreams(size_t limit) {
  return absl::UnavailableError(
      absl::StrCat("more than ", limit, " streams (watches, followed logs) are open; close some"));
}

}  // namespace unmcp::apiserver
