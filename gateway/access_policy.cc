#include "gateway/access_policy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace unmcp::gateway {
namespace {

bool IsAddress(absl::string_view name) {
  const std::string text(absl::StripSuffix(absl::StripPrefix(name, "["), "]"));
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, text.c_str(), address) == 1 || inet_pton(AF_INET6, text.c_str(), address) == 1;
}

// "[::1]:80" → "[::1]". Empty when it is not a host with an optional port.
absl::string_view WithoutPort(absl::string_view host) {
  const size_t bracket = absl::StartsWith(host, "[") ? host.find(']') : 0;
  if (bracket == absl::string_view::npos) return {};
  const size_t colon = host.find(':', bracket);
  if (colon == absl::string_view::npos) return host;
  const absl::string_view port = host.substr(colon + 1);
  if (!std::all_of(port.begin(), port.end(), absl::ascii_isdigit)) return {};
  return host.substr(0, colon);
}

}  // namespace

AccessPolicy::AccessPolicy(Options options) : options_(std::move(options)) {
  const auto has_star = [](const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), "*") != list.end();
  };
  any_host_ = has_star(options_.hosts);
  any_origin_ = has_star(options_.origins);
  any_address_ = options_.bound_host == "0.0.0.0" || options_.bound_host == "::";
}

bool AccessPolicy::IsKnownHost(absl::string_view name) const {
  if (name.empty()) return false;
  for (absl::string_view local : {"localhost", "127.0.0.1", "[::1]"}) {
    if (absl::EqualsIgnoreCase(name, local)) return true;
  }
  const absl::string_view bare = absl::StripSuffix(absl::StripPrefix(name, "["), "]");
  if (absl::EqualsIgnoreCase(bare, options_.bound_host)) return true;
  return std::any_of(options_.hosts.begin(), options_.hosts.end(),
                     [&](const std::string& allowed) { return absl::EqualsIgnoreCase(name, allowed); });
}

bool AccessPolicy::AllowsHost(absl::string_view host) const {
  if (any_host_) return true;
  const absl::string_view name = WithoutPort(host);
  return IsKnownHost(name) || (any_address_ && IsAddress(name));
}

bool AccessPolicy::AllowsOrigin(absl::string_view origin) const {
  if (origin == "null") return false;  // a sandboxed page, or a file: anybody
  if (any_origin_) return true;
  for (const std::string& allowed : options_.origins) {
    if (absl::EqualsIgnoreCase(origin, allowed)) return true;
  }
  for (absl::string_view scheme : {"http://", "https://"}) {
    if (absl::StartsWithIgnoreCase(origin, scheme)) return IsKnownHost(WithoutPort(origin.substr(scheme.size())));
  }
  return false;
}

}  // namespace unmcp::gateway
