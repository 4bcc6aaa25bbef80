// Who may speak to us, by the Host and Origin header fields: the guard against
// DNS rebinding, where a web page makes its visitor's browser talk to a server
// on the visitor's own machine.
#ifndef UNMCP_GATEWAY_ACCESS_POLICY_H_
#define UNMCP_GATEWAY_ACCESS_POLICY_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace unmcp::gateway {

// Thread safety: immutable.
class AccessPolicy {
 public:
  struct Options {
    // What the server is bound to. When that is every address (0.0.0.0, ::),
    // any IP address is an allowed Host, since rebinding needs a name.
    std::string bound_host;
    // Further names ("unmcp.example.com", any port); "*" allows every Host.
    std::vector<std::string> hosts = {};
    // Further origins ("https://app.example.com", or with a port); "*" allows
    // every Origin.
    std::vector<std::string> origins = {};
  };

  explicit AccessPolicy(Options options);

  // `host` is the value of a Host field: a name or address, with or without a
  // port.
  bool AllowsHost(absl::string_view host) const;
  // `origin` is the value of an Origin field. Allowed are pages of this
  // machine and of the allowed hosts, and `origins`; "null" never is.
  bool AllowsOrigin(absl::string_view origin) const;

 private:
  bool IsKnownHost(absl::string_view name) const;

  const Options options_;
  bool any_host_ = false;
  bool any_address_ = false;
  bool any_origin_ = false;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_ACCESS_POLICY_H_
