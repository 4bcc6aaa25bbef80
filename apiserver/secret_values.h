// Which values of a spec are secrets, and how they are taken out of it: the
// environment variables and headers of a server, and those that a pool's
// servers inherit; what stands in a server's command, arguments and url.
//
// People paste tokens where a value is asked for. What is in a spec is read by
// everybody who may read the resource; what is in a Secret is not.
#ifndef UNMCP_APISERVER_SECRET_VALUES_H_
#define UNMCP_APISERVER_SECRET_VALUES_H_

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::apiserver {

using Spec = std::variant<v1::MCPServerSpec, v1::MCPPoolSpec>;

// By the name's words (API_KEY, X-Auth-Token), unless the value is a number,
// true or false, as in MAX_TOKENS=4096; or by the form of the value, as tokens
// of well-known services, private keys, URLs with a password or a token, and
// JSON with a member of such a name have them. References, $(NAME), hold
// nothing themselves.
//
// Thread safety: functions only.
bool LooksSecret(absl::string_view name, absl::string_view value);

// The parts of `text` that look secret, in order: of "--api-key=x" and
// "X-Api-Key: x" what stands after the name, of a URL its values, or all of it.
// `name`: what the text is the value of; "" when nothing says so.
std::vector<absl::string_view> SecretParts(absl::string_view name, absl::string_view text);

// A value that is to be kept in a Secret.
struct SecretValue {
  std::string key;    // of the Secret's data
  std::string value;
  // Where the reference to it goes: index into the list of variables or headers.
  bool is_header = false;
  int index = 0;
  // Where it stood, for people: "spec.args[2]".
  std::string path;
};

// Takes the values that look secret, and those that are `named` so
// (kSecretValuesAnnotation), out of `spec`; their entries are left without any
// value. What stood in the command, the arguments or the url is a variable then,
// to which they refer:
//
//   args: ["--api-key=x"]    →  args: ["--api-key=$(UNMCP_ARG_0)"], env: [{name: UNMCP_ARG_0}]
//   url: https://a/mcp?key=x →  url: https://a/mcp?key=$(UNMCP_URL_0), env: [{name: UNMCP_URL_0}]
//
// In a flag's next word (--token x) the flag is the name; command[0] is left
// alone. The process gets the bytes that it would have got. The same spec gives
// the same keys. INVALID_ARGUMENT when a secret stands beside a reference,
// which would mean nothing in a Secret.
absl::StatusOr<std::vector<SecretValue>> TakeSecretValues(Spec* spec, const std::set<std::string>& named = {});

// Lets the entry that `value` was taken from refer to a Secret.
void ReferTo(const SecretValue& value, const std::string& secret_name, Spec* spec);

// The names of all Secrets that variables and headers of `spec` refer to, each once.
std::vector<std::string> ReferredSecrets(const Spec& spec);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_SECRET_VALUES_H_
