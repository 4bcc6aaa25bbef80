// What users of the API are told when something cannot be done.
#ifndef UNMCP_APISERVER_ERRORS_H_
#define UNMCP_APISERVER_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace unmcp::apiserver {

// NOT_FOUND.
absl::Status ServerNotFound(absl::string_view uid_or_name);
absl::Status PoolNotFound(absl::string_view name);
// UNAVAILABLE: the first snapshot has not arrived.
absl::Status NotSynced();
// UNAVAILABLE: a server has been written, and the controller has not taken it over.
absl::Status NotPublished(absl::string_view name);
// UNAVAILABLE: this process ends.
absl::Status Stopping();
// INVALID_ARGUMENT: `field` of the body names another resource than the path.
absl::Status Contradicts(absl::string_view field, absl::string_view given, absl::string_view is);
// INVALID_ARGUMENT: no answer has borne this page token.
absl::Status BadPageToken();
// FAILED_PRECONDITION: there is no process that could have written a log.
absl::Status NoProcess(absl::string_view server);
// FAILED_PRECONDITION: its process is not unmcp's.
absl::Status RunsElsewhere(absl::string_view server);
// RESOURCE_EXHAUSTED: a client does not take what it has asked for.
absl::Status DoesNotRead();
// UNAVAILABLE.
absl::Status TooManyStreams(size_t limit);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_ERRORS_H_
