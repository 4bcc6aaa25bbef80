// Which values of a spec are secrets, and how they are taken out of it: the
// environment variables and headers of a server, and those that a pool's
// servers inherit.
//
// People paste tokens where a value is asked for. What is in a spec is read by
// everybody who may read the resource; what is in a Secret is not.
#ifndef UNMCP_APISERVER_SECRET_VALUES_H_
#define UNMCP_APISERVER_SECRET_VALUES_H_

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::apiserver {

using Spec = std::variant<v1::MCPServerSpec, v1::MCPPoolSpec>;

// By the name's words (API_KEY, X-Auth-Token), unless the value is a number,
// true or false, as in MAX_TOKENS=4096; or by the form of the value, as tokens
// of well-known services, private keys and URLs with a password have them.
//
// Thread safety: functions only.
bool LooksSecret(absl::string_view name, absl::string_view value);

// A value that is to be kept in a Secret.
struct SecretValue {
  std::string key;    // of the Secret's data
  std::string value;
  // Where it stood: index into the list of variables or headers.
  bool is_header = false;
  int index = 0;
};

// Takes the values that look secret, and those that are `named` so ("env/NAME",
// "headers/NAME": kSecretValuesAnnotation), out of `spec`; their entries are left
// without any value. The same spec gives the same keys.
std::vector<SecretValue> TakeSecretValues(Spec* spec, const std::set<std::string>& named = {});

// Lets the entry that `value` was taken from refer to a Secret.
void ReferTo(const SecretValue& value, const std::string& secret_name, Spec* spec);

// The names of all Secrets that variables and headers of `spec` refer to, each once.
std::vector<std::string> ReferredSecrets(const Spec& spec);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SECRET_VALUES_H_
