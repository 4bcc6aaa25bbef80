// For tests: a cluster with somebody else at work in it, that refuses what the
// test says, and whose Pods' logs are what the test makes of them.
#ifndef UNMCP_APISERVER_CONTENDED_CLUSTER_H_
#define UNMCP_APISERVER_CONTENDED_CLUSTER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "kube/cluster.h"

namespace unmcp::apiserver {

// Passes everything on to `cluster`; `meanwhile` runs before a write of an
// MCPServer or MCPPool, and has to call `go_on`. A kind's Create, Patch and
// Delete answer `refuse(kind)` where that is an error.
class ContendedCluster final : public kube::Cluster {
 public:
  explicit ContendedCluster(kube::Cluster* cluster) : cluster_(cluster) {}

  std::function<void(std::function<void()> go_on)> meanwhile = [](std::function<void()> go_on) { go_on(); };
  std::function<absl::Status(const kube::Kind&)> refuse = [](const kube::Kind&) { return absl::OkStatus(); };
  int patches = 0;
  std::function<void(const kube::ObjectRef&, kube::LogOptions, kube::Callback<std::string>)> logs =
      [this](const kube::ObjectRef& pod, kube::LogOptions options, kube::Callback<std::string> done) {
        cluster_->Logs(pod, std::move(options), std::move(done));
      };
  std::function<std::unique_ptr<kube::Watch>(const kube::ObjectRef&, kube::LogCallbacks)> follow_logs =
      [](const kube::ObjectRef&, kube::LogCallbacks) { return nullptr; };

  void Get(const kube::ObjectRef& ref, kube::Callback<kube::Object> done) override {
    cluster_->Get(ref, std::move(done));
  }
  void List(const kube::Kind& kind, const std::string& ns, kube::ListOptions options,
            kube::Callback<kube::ObjectList> done) override {
    if (absl::Status refused = refuse(kind); !refused.ok()) return done(std::move(refused));
    cluster_->List(kind, ns, std::move(options), std::move(done));
  }
  void Create(const kube::Kind& kind, kube::Object object, kube::Callback<kube::Object> done) override {
    if (absl::Status refused = refuse(kind); !refused.ok()) return done(std::move(refused));
    auto shared = std::make_shared<kube::Callback<kube::Object>>(std::move(done));
    Meanwhile(kind, [this, kind, object, shared] { cluster_->Create(kind, object, std::move(*shared)); });
  }
  void Patch(const kube::ObjectRef& ref, kube::Json patch, kube::PatchOptions options,
             kube::Callback<kube::Object> done) override {
    if (absl::Status refused = refuse(ref.kind); !refused.ok()) return done(std::move(refused));
    if (!ref.kind.group.empty()) ++patches;
    auto shared = std::make_shared<kube::Callback<kube::Object>>(std::move(done));
    Meanwhile(ref.kind, [this, ref, patch, options, shared] {
      cluster_->Patch(ref, patch, options, std::move(*shared));
    });
  }
  void Delete(const kube::ObjectRef& ref, kube::DeleteOptions options, kube::DoneCallback done) override {
    if (absl::Status refused = refuse(ref.kind); !refused.ok()) return done(std::move(refused));
    cluster_->Delete(ref, std::move(options), std::move(done));
  }
  std::unique_ptr<kube::Watch> StartWatch(const kube::Kind& kind, const std::string& ns, kube::WatchOptions options,
                                          kube::WatchCallbacks callbacks) override {
    return cluster_->StartWatch(kind, ns, std::move(options), std::move(callbacks));
  }
  void Attach(const kube::ObjectRef& pod, kube::AttachOptions options,
              kube::Callback<std::unique_ptr<kube::Attachment>> done) override {
    cluster_->Attach(pod, std::move(options), std::move(done));
  }
  void Logs(const kube::ObjectRef& pod, kube::LogOptions options, kube::Callback<std::string> done) override {
    logs(pod, std::move(options), std::move(done));
  }
  std::unique_ptr<kube::Watch> FollowLogs(const kube::ObjectRef& pod, kube::LogOptions,
                                          kube::LogCallbacks callbacks) override {
    return follow_logs(pod, std::move(callbacks));
  }

 private:
  void Meanwhile(const kube::Kind& kind, std::function<void()> go_on) {
    if (kind.group.empty()) return go_on();
    meanwhile(std::move(go_on));
  }

  kube::Cluster* const cluster_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_CONTENDED_CLUSTER_H_
