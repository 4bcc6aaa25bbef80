// What the embedded cluster's API asks of the embedded node: the two calls
// that reach a running container.
#ifndef UNMCP_KUBE_EMBEDDED_NODE_RUNTIME_H_
#define UNMCP_KUBE_EMBEDDED_NODE_RUNTIME_H_

#include <memory>
#include <string>

#include "kube/cluster.h"

namespace unmcp::kube {

// Thread safety: both calls from any thread; callbacks on any thread.
class NodeRuntime {
 public:
  virtual ~NodeRuntime() = default;
  // As Cluster::Attach; `pod_uid` is the uid that the API server knows now.
  virtual void Attach(const std::string& pod_uid, AttachOptions options,
                      Callback<std::unique_ptr<Attachment>> done) = 0;
  // As Cluster::Logs.
  virtual void Logs(const std::string& pod_uid, LogOptions options, Callback<std::string> done) = 0;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_NODE_RUNTIME_H_
