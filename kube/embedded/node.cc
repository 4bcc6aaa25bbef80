#include "kube/embedded/node.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bridge/process_table.h"
#include "glog/logging.h"

namespace unmcp::kube {

namespace {

constexpr char kMarkerName[] = "UNMCP_NODE=";

// Tells servers over this directory from others: its path may be another one
// tomorrow, or in another container. "" for no directory.
std::string MarkerOf(const std::string& data_dir) {
  struct stat info;
  if (data_dir.empty() || stat(data_dir.c_str(), &info) != 0) return "";
  return absl::StrCat(kMarkerName, info.st_dev, ".", info.st_ino);
}

}  // namespace

std::vector<std::string> OwnEnvironment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  return variables;
}

EmbeddedNode::EmbeddedNode(Options options, absl::StatusOr<std::unique_ptr<Cgroups>> cgroups)
    : options_(std::move(options)),
      cgroups_(std::move(cgroups)),
      context_{options_.loop,
               options_.cluster,
               options_.supervisor,
               options_.random,
               options_.environment,
               options_.log_bytes,
               cgroups_.ok() ? cgroups_->get() : nullptr,
               std::string(cgroups_.status().message())},
      informer_({.scheduler = options_.loop,
                 .cluster = options_.cluster,
                 .kind = PodKind(),
                 .ns = options_.ns,
                 .label_selector = "",
                 .random = options_.random,
                 .indexes = {}}) {}

absl::StatusOr<std::unique_ptr<EmbeddedNode>> EmbeddedNode::Create(Options options) {
  if (options.loop == nullptr || options.cluster == nullptr || options.supervisor == nullptr ||
      options.random == nullptr || options.ns.empty()) {
    return absl::InvalidArgumentError("EmbeddedNode: loop, cluster, supervisor, random and ns have to be given");
  }
  const std::vector<pid_t> ours = {getpid(), options.supervisor->helper_pid()};
  if (const std::string marker = MarkerOf(options.data_dir); !marker.empty()) {
    if (const int killed = bridge::KillMarked(marker, ours); killed > 0) {
      LOG(WARNING) << "killed " << killed << " processes that the unmcp before had left";
    }
    std::erase_if(options.environment, [](const std::string& each) { return absl::StartsWith(each, kMarkerName); });
    options.environment.push_back(marker);
  }
  options.cgroups.own_processes = ours;
  auto cgroups = Cgroups::Create(options.cgroups);
  std::unique_ptr<EmbeddedNode> node(new EmbeddedNode(std::move(options), std::move(cgroups)));
  node->options_.loop->Post([node = node.get(), alive = std::weak_ptr<bool>(node->alive_)] {
    if (!alive.expired()) node->Start();
  });
  return node;
}

void EmbeddedNode::Start() {
  informer_.Start({
      .on_added = [this](const Informer::ObjectPtr& pod) { Add(pod); },
      .on_updated =
          [this](const Informer::ObjectPtr&, const Informer::ObjectPtr& now) {
            if (auto it = workers_.find(now->uid()); it != workers_.end()) it->second->Update(now);
          },
      .on_deleted =
          [this](const Informer::ObjectPtr& pod) {
            if (auto it = workers_.find(pod->uid()); it != workers_.end()) it->second->Remove();
          },
      .on_synced = {},
  });
}

void EmbeddedNode::Add(const Informer::ObjectPtr& pod) {
  if (shut_down_ || workers_.contains(pod->uid())) return;
  workers_.emplace(pod->uid(),
                   std::make_unique<PodWorker>(&context_, pod, [this, uid = pod->uid()] { OnIdle(uid); }));
}

void EmbeddedNode::OnIdle(const std::string& uid) {
  workers_.erase(uid);
  if (shut_down_ && workers_.empty()) std::exchange(shut_down_, [] {})();
}

void EmbeddedNode::Shutdown(absl::AnyInvocable<void()> done) {
  shut_down_ = std::move(done);
  if (workers_.empty()) return std::exchange(shut_down_, [] {})();
  for (auto& [uid, worker] : workers_) worker->Shutdown();  // none is idle before this has returned
}

template <class T, class Call>
void EmbeddedNode::WithWorker(const std::string& pod_uid, Callback<T> done, Call call) {
  options_.loop->Post([this, alive = std::weak_ptr<bool>(alive_), pod_uid, done = std::move(done),
                       call = std::move(call)]() mutable {
    if (alive.expired()) return done(absl::UnavailableError("unmcp is shutting down"));
    auto it = workers_.find(pod_uid);
    if (it == workers_.end()) return done(absl::NotFoundError("the pod does not run yet, or no longer; see its status"));
    done(call(*it->second));
  });
}

void EmbeddedNode::Attach(const std::string& pod_uid, AttachOptions options,
                          Callback<std::unique_ptr<Attachment>> done) {
  WithWorker<std::unique_ptr<Attachment>>(
      pod_uid, std::move(done), [options = std::move(options)](PodWorker& worker) { return worker.Attach(options); });
}

void EmbeddedNode::Logs(const std::string& pod_uid, LogOptions options, Callback<std::string> done) {
  WithWorker<std::string>(pod_uid, std::move(done),
                          [options = std::move(options)](PodWorker& worker) { return worker.Logs(options); });
}

void EmbeddedNode::FollowLogs(const std::string& pod_uid, LogOptions options, std::shared_ptr<LogSink> sink) {
  const auto failed = [sink](absl::StatusOr<bool> begun) {
    if (!begun.ok()) sink->End(begun.status());
  };
  WithWorker<bool>(pod_uid, failed, [options = std::move(options), sink](PodWorker& worker) {
    worker.FollowLogs(options, sink);
    return true;
  });
}

}  // namespace unmcp::kube
