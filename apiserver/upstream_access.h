// What a server's requests bear that may be kept elsewhere: its headers
// (spec.headers), and the variables in its address (spec.url).
#ifndef UNMCP_APISERVER_UPSTREAM_ACCESS_H_
#define UNMCP_APISERVER_UPSTREAM_ACCESS_H_

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/event_loop.h"
#include "http/http_client.h"
#include "kube/cluster.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::apiserver {

struct ResolvedAccess {
  http::Headers headers;
  std::string url;  // "" without spec.url
  // What came into the url from Secrets and ConfigMaps.
  std::vector<std::string> url_values;
};

// Reads the values that Secrets and ConfigMaps of the namespace hold. They are
// read anew for each connection: a Secret that was changed takes effect with
// the next one. A value goes into the url as it is: percent-encoded already.
//
// `done` runs on the loop, later; FAILED_PRECONDITION names the field and what
// is missing, never a value.
void ResolveAccess(kube::Cluster* cluster, EventLoop* loop, const std::string& ns, const v1::MCPServerSpec& spec,
                   absl::AnyInvocable<void(absl::StatusOr<ResolvedAccess>)> done);

// `text` without the values of `access`: what a server says of the credentials
// it was given is not for logs.
std::string WithoutValues(absl::string_view text, const ResolvedAccess& access);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_UPSTREAM_ACCESS_H_
