// What the files that a user names declare, ready for ManifestService.Apply:
// the part that `unmcp up -f` and `unmcp apply -f` share.
#ifndef UNMCP_CLI_DECLARED_H_
#define UNMCP_CLI_DECLARED_H_

#include <functional>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kube/object.h"
#include "nlohmann/json.hpp"
#include "unmcp/v1/manifest_service.pb.h"

namespace unmcp {

// LoadManifests with this process's environment variables, and inputs from
// `inputs` (ID=VALUE each), from UNMCP_INPUT_ID, or asked for on the terminal
// when standard error is one. `note` gets what the user should be told.
//
// Errors: those of LoadManifests; INVALID_ARGUMENT for an input without "=".
absl::StatusOr<std::vector<kube::Object>> LoadDeclared(const std::vector<std::string>& filenames,
                                                       const std::vector<std::string>& inputs, const std::string& ns,
                                                       std::istream& standard_input,
                                                       std::function<void(const std::string& note)> note);

v1::ApplyRequest ToApplyRequest(const kube::Object& object);

// The object as it may be shown: values that the apiserver would keep as secrets,
// and the data of Secrets, are replaced by a few stars.
nlohmann::json WithoutSecrets(const kube::Object& object);

}  // namespace unmcp

#endif  // UNMCP_CLI_DECLARED_H_
