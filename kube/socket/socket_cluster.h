// The Cluster that another process of this machine holds, over its socket.
#ifndef UNMCP_KUBE_SOCKET_SOCKET_CLUSTER_H_
#define UNMCP_KUBE_SOCKET_SOCKET_CLUSTER_H_

#include <memory>
#include <string>

#include "kube/cluster.h"

namespace unmcp::kube {

// Everything is as the cluster behind it has it, but that it can be away: then
// calls fail with UNAVAILABLE, watches and followed logs end with it, and
// attachments are closed with it. Connecting anew is its own business; users
// try again, as informers do.
//
// Callbacks come on gRPC's threads, those of one watch never at the same time;
// like the embedded cluster's, they must not block.
//
// Bytes that an attachment was given count as pending() until the container
// has taken them over, so a Write is always pending for a moment. An attachment
// that is destroyed still delivers what it was given, unless another takes its
// place first; of one Write the container gets all or nothing.
//
// Thread safety: thread safe. The destructor ends the calls under way
// (UNAVAILABLE), and returns when their callbacks have run; it must not run on
// a thread of gRPC's. Watches and attachments may outlive the cluster.
class SocketCluster final : public Cluster {
 public:
  explicit SocketCluster(const std::string& socket);
  ~SocketCluster() override;

  void Get(const ObjectRef& ref, Callback<Object> done) override;
  void List(const Kind& kind, const std::string& ns, ListOptions options, Callback<ObjectList> done) override;
  void Create(const Kind& kind, Object object, Callback<Object> done) override;
  void Patch(const ObjectRef& ref, Json merge_patch, PatchOptions options, Callback<Object> done) override;
  void Delete(const ObjectRef& ref, DeleteOptions options, DoneCallback done) override;
  std::unique_ptr<Watch> StartWatch(const Kind& kind, const std::string& ns, WatchOptions options,
                                    WatchCallbacks callbacks) override;
  void Attach(const ObjectRef& pod, AttachOptions options, Callback<std::unique_ptr<Attachment>> done) override;
  void Logs(const ObjectRef& pod, LogOptions options, Callback<std::string> done) override;
  std::unique_ptr<Watch> FollowLogs(const ObjectRef& pod, LogOptions options, LogCallbacks callbacks) override;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_SOCKET_SOCKET_CLUSTER_H_
