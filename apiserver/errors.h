// What users of the API are told when something cannot be done.
#ifndef UNMCP_APISERVER_ERRORS_H_
#define UNMCP_APISERVER_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace unmcp::apiserver {

// NOT_FOUND.
absl::Status ServerNotFound(absl::string_view uid_or_name);
// UNAVAILABLE: the first snapshot has not arrived.
absl::Status NotSynced();

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_ERRORS_H_
