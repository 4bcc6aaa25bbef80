// What the embedded cluster's API asks of the embedded node: the calls
// that reach a running container.
#ifndef UNMCP_KUBE_EMBEDDED_NODE_RUNTIME_H_
#define UNMCP_KUBE_EMBEDDED_NODE_RUNTIME_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kube/cluster.h"

namespace unmcp::kube {

// Where the lines of a followed log go. Thread safe.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // Bytes in whatever pieces they came. Does not block.
  virtual void Append(absl::string_view bytes) = 0;
  // Nothing follows.
  virtual void End(absl::Status why) = 0;
  // Nobody listens any more.
  virtual bool cancelled() const = 0;
};

// Thread safety: all calls from any thread; callbacks on any thread.
class NodeRuntime {
 public:
  virtual ~NodeRuntime() = default;
  // As Cluster::Attach; `pod_uid` is the uid that the API server knows now.
  virtual void Attach(const std::string& pod_uid, AttachOptions options,
                      Callback<std::unique_ptr<Attachment>> done) = 0;
  // As Cluster::Logs.
  virtual void Logs(const std::string& pod_uid, LogOptions options, Callback<std::string> done) = 0;
  // As Cluster::FollowLogs, into `sink`: the text so far, then each piece as it
  // is written, then the end.
  virtual void FollowLogs(const std::string& pod_uid, LogOptions options, std::shared_ptr<LogSink> sink) = 0;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_NODE_RUNTIME_H_
