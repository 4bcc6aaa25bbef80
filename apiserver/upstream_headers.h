// The headers that go with every request to a server (spec.headers).
#ifndef UNMCP_APISERVER_UPSTREAM_HEADERS_H_
#define UNMCP_APISERVER_UPSTREAM_HEADERS_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/event_loop.h"
#include "google/protobuf/repeated_field.h"
#include "http/http_client.h"
#include "kube/cluster.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::apiserver {

// Reads the values that Secrets and ConfigMaps of the namespace hold. They are
// read anew for each connection: a Secret that was changed takes effect with
// the next one.
//
// `done` runs on the loop, later; FAILED_PRECONDITION names the field and what
// is missing, never a value.
void ResolveHeaders(kube::Cluster* cluster, EventLoop* loop, const std::string& ns,
                    const google::protobuf::RepeatedPtrField<v1::HttpHeader>& headers,
                    absl::AnyInvocable<void(absl::StatusOr<http::Headers>)> done);

// `text` without the values of `headers`: what a server says of the credentials
// it was given is not for logs.
std::string WithoutValues(absl::string_view text, const http::Headers& headers);

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_UPSTREAM_HEADERS_H_
