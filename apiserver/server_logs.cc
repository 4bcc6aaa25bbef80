#include "apiserver/server_logs.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apiserver/errors.h"
#include "apiserver/response_stream.h"
#include "common/proto_json.h"

namespace unmcp::apiserver {
namespace {

// What the controller writes on a server's Pods.
constexpr char kServerLabel[] = "unmcp.dev/server";
constexpr char kIncarnationLabel[] = "unmcp.dev/incarnation";
constexpr char kContainer[] = "server";

// A proto's string is UTF-8; what a process writes need not be.
std::string Utf8(std::string text) {
  return nlohmann::json::parse(JsonText(nlohmann::json(std::move(text)))).get<std::string>();
}

int64_t Incarnation(const kube::Object& pod) {
  const auto labels = pod.labels();
  auto it = labels.find(kIncarnationLabel);
  int64_t incarnation = 0;
  if (it != labels.end() && !absl::SimpleAtoi(it->second, &incarnation)) return 0;
  return incarnation;
}

// The Pod of the server's present life, or of the one that is beginning.
void FindPod(const ApiContext& context, const v1::PublishedServer& published,
             absl::AnyInvocable<void(absl::StatusOr<kube::ObjectRef>)> done) {
  const v1::MCPServer& server = published.server();
  if (!server.spec().url().empty()) return done(RunsElsewhere(server.name()));
  if (!published.route().pod().empty()) {
    return done(kube::ObjectRef{kube::PodKind(), server.namespace_(), published.route().pod()});
  }
  context.cluster->List(
      kube::PodKind(), server.namespace_(), {.label_selector = absl::StrCat(kServerLabel, "=", server.name())},
      [name = server.name(), uid = server.uid(), done = std::move(done)](absl::StatusOr<kube::ObjectList> pods) mutable {
        if (!pods.ok()) return done(pods.status());
        const kube::Object* newest = nullptr;
        for (const kube::Object& pod : pods->items) {
          if (pod.controller_uid() != uid) continue;
          if (newest == nullptr || Incarnation(pod) > Incarnation(*newest)) newest = &pod;
        }
        if (newest == nullptr) return done(NoProcess(name));
        done(kube::ObjectRef{kube::PodKind(), newest->ns(), newest->name()});
      });
}

class LogStream final : public ResponseStream<v1::ServerLogs> {
 public:
  explicit LogStream(std::string server) : server_(std::move(server)) {}

  void Follow(kube::Cluster* cluster, const kube::ObjectRef& pod, int tail_lines) {
    auto self = std::static_pointer_cast<LogStream>(shared_from_this());
    kube::LogCallbacks callbacks;
    callbacks.on_text = [weak = std::weak_ptr<LogStream>(self)](std::string text) {
      if (auto stream = weak.lock()) stream->OnText(std::move(text));
    };
    callbacks.on_end = [weak = std::weak_ptr<LogStream>(self)](absl::Status status) {
      if (auto stream = weak.lock()) stream->OnEnd(std::move(status));
    };
    auto watch = cluster->FollowLogs(pod, {.container = kContainer, .tail_lines = tail_lines}, std::move(callbacks));
    MutexLock lock(&mutex());
    if (!gone_) watch_ = std::move(watch);
  }

 private:
  bool Next(v1::ServerLogs* message) override {
    if (text_.empty()) return false;
    message->set_text(Utf8(std::exchange(text_, {})));
    return true;
  }

  void OnText(std::string text) {
    {
      MutexLock lock(&mutex());
      text_ += text;
      if (text_.size() > kMaxPendingLogBytes) FinishLocked(DoesNotRead());
    }
    Wake();
  }

  void OnEnd(absl::Status status) {
    {
      MutexLock lock(&mutex());
      // Its Pod has been deleted between our look and the call.
      EndAfterAll(absl::IsNotFound(status) ? NoProcess(server_) : std::move(status));
    }
    Wake();
  }

  void OnGone() override {
    std::unique_ptr<kube::Watch> watch;
    MutexLock lock(&mutex());
    gone_ = true;
    watch = std::move(watch_);
  }

  const std::string server_;
  // Under mutex().
  std::string text_;
  bool gone_ = false;
  std::unique_ptr<kube::Watch> watch_;
};

}  // namespace

void ReadLogs(const ApiContext& context, const v1::PublishedServer& server, int tail_lines,
              absl::AnyInvocable<void(absl::StatusOr<std::string>)> done) {
  FindPod(context, server,
          [cluster = context.cluster, tail_lines, name = server.server().name(),
           done = std::move(done)](absl::StatusOr<kube::ObjectRef> pod) mutable {
            if (!pod.ok()) return done(pod.status());
            cluster->Logs(*pod, {.container = kContainer, .tail_lines = tail_lines},
                          [name, done = std::move(done)](absl::StatusOr<std::string> text) mutable {
                            if (absl::IsNotFound(text.status())) return done(NoProcess(name));
                            if (!text.ok()) return done(text.status());
                            done(Utf8(*std::move(text)));
                          });
          });
}

grpc::ServerWriteReactor<v1::ServerLogs>* FollowLogs(const ApiContext& context,
                                                     const v1::FollowServerLogsRequest& request) {
  auto stream = std::make_shared<LogStream>(request.uid());
  auto* reactor = stream->Begin(context.streams);
  const absl::Status status = context.directory->synced() ? ValidateRules(request) : NotSynced();
  if (!status.ok()) {
    stream->End(status);
    return reactor;
  }
  FindServer(context, request.uid(), [&context, stream, tail_lines = request.tail_lines()](absl::StatusOr<Servers::Entry> server) {
    if (!server.ok()) return stream->End(server.status());
    FindPod(context, **server, [&context, stream, tail_lines](absl::StatusOr<kube::ObjectRef> pod) {
      if (!pod.ok()) return stream->End(pod.status());
      stream->Follow(context.cluster, *pod, tail_lines);
    });
  });
  return reactor;
}

}  // namespace unmcp::apiserver
