#include "kube/socket/cluster_server.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "grpcpp/grpcpp.h"
#include "kube/errors.h"
#include "kube/socket/wire.h"
#include "unmcp/cluster/v1/cluster.grpc.pb.h"

namespace unmcp::kube {
namespace {

namespace v1 = wire::v1;

// What waits for a log's reader before it loses lines: more than a container's
// whole log on the embedded node.
constexpr size_t kMaxQueuedLogBytes = 1 << 20;

// The sending end of a watch or a log: what the cluster says is queued while a
// write is under way. Kept alive by itself until gRPC is done with it, and by
// the callbacks that the cluster has.
template <class Message>
class Sender final : public grpc::ServerWriteReactor<Message>, public std::enable_shared_from_this<Sender<Message>> {
 public:
  // `subscribe` begins, and answers what has to live for as long as it is to
  // go on (nullptr: nothing has).
  static Sender* Start(grpc::CallbackServerContext* context,
                       absl::FunctionRef<std::unique_ptr<Watch>(std::shared_ptr<Sender>)> subscribe) {
    auto sender = std::make_shared<Sender>(context);
    sender->self_ = sender;
    Sender* const reactor = sender.get();
    // A client knows by the headers that it is listened to.
    reactor->StartSendInitialMetadata();
    std::unique_ptr<Watch> source = subscribe(sender);
    {
      MutexLock lock(&reactor->mutex_);
      if (!reactor->finished_) source.swap(reactor->source_);
    }
    return reactor;
  }

  explicit Sender(grpc::CallbackServerContext* context) : context_(context) {}

  void Push(Message message) {
    MutexLock lock(&mutex_);
    if (end_ || finished_) return;
    queued_bytes_ += message.ByteSizeLong();
    queue_.push_back(std::move(message));
    if (queued_bytes_ > ClusterServer::kMaxQueuedBytes) {
      queue_.resize(1);  // which is being written
      end_ = Gone("the reader is too far behind: list again");
    }
    WriteNext();
  }

  // Whether what waits is much for a log, whose reader may lose lines.
  bool IsFarBehind() {
    MutexLock lock(&mutex_);
    return queued_bytes_ > kMaxQueuedLogBytes;
  }

  // After what was pushed before.
  void End(absl::Status status) {
    MutexLock lock(&mutex_);
    if (!end_) end_ = std::move(status);
    WriteNext();
  }

 private:
  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    writing_ = false;
    queued_bytes_ -= queue_.front().ByteSizeLong();
    queue_.pop_front();
    if (!ok) end_ = absl::CancelledError();
    if (!ok) queue_.clear();
    WriteNext();
  }

  void OnCancel() override {
    std::unique_ptr<Watch> source;  // destroyed without the lock: it may be calling us
    MutexLock lock(&mutex_);
    source.swap(source_);
    if (!writing_) queue_.clear();
    end_ = absl::CancelledError();
    WriteNext();
  }

  void OnDone() override {
    std::unique_ptr<Watch> source;
    {
      MutexLock lock(&mutex_);
      source.swap(source_);
    }
    source.reset();
    self_.reset();
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (!queue_.empty()) {
      writing_ = true;
      this->StartWrite(&queue_.front());
    } else if (end_) {
      finished_ = true;
      this->Finish(wire::Answer(context_, *end_));
    }
  }

  grpc::CallbackServerContext* const context_;
  std::shared_ptr<Sender> self_;
  Mutex mutex_;
  std::unique_ptr<Watch> source_ ABSL_GUARDED_BY(mutex_);
  std::deque<Message> queue_ ABSL_GUARDED_BY(mutex_);  // front: being written, when something is
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

// One attachment. gRPC's reactions only post to the loop, the one place where
// it acts. Kept alive by itself until gRPC is done with it.
class Attached final : public grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>,
                       public AttachHandler,
                       public std::enable_shared_from_this<Attached> {
 public:
  Attached(grpc::CallbackServerContext* context, EventLoop* loop, Cluster* cluster)
      : context_(context), loop_(loop), cluster_(cluster) {}

  void Begin() {
    self_ = shared_from_this();
    StartRead(&request_);
  }

  // --- gRPC ---

  void OnReadDone(bool ok) override {
    loop_->Post([self = shared_from_this(), ok] { self->OnRequest(ok); });
  }
  void OnWriteDone(bool ok) override {
    loop_->Post([self = shared_from_this(), ok] { self->OnWritten(ok); });
  }
  void OnCancel() override {
    loop_->Post([self = shared_from_this()] { self->Close(absl::CancelledError()); });
  }
  void OnDone() override {
    loop_->Post([self = std::move(self_)] {});
  }

  // --- the container, on the loop ---

  void OnOutput(absl::string_view bytes) override {
    v1::AttachResponse response;
    response.set_output(std::string(bytes));
    window_ -= static_cast<int64_t>(bytes.size());
    if (window_ <= 0) attachment_->PauseOutput();
    Send(std::move(response));
  }

  void OnWritable() override { GiveCredit(); }

  void OnClosed(absl::Status why) override { End(std::move(why)); }

 private:
  void OnRequest(bool ok) {
    if (end_) return;
    // The client has let go, in good order or not.
    if (!ok) return Close(absl::CancelledError());
    switch (request_.message_case()) {
      case v1::AttachRequest::kOpen:
        if (std::exchange(opened_, true)) return End(BadRequest("one stream is one attachment"));
        Attach(request_.open());
        break;
      case v1::AttachRequest::kInput:
        if (attachment_ == nullptr) return End(BadRequest("input before the attachment is there"));
        uncredited_ += request_.input().size();
        attachment_->Write(std::move(*request_.mutable_input()));
        if (end_) return;
        if (attachment_->pending() == 0) GiveCredit();
        break;
      case v1::AttachRequest::kCredit:
        window_ += request_.credit();
        if (window_ > 0 && attachment_ != nullptr) attachment_->ResumeOutput();
        break;
      case v1::AttachRequest::MESSAGE_NOT_SET: break;
    }
    if (!end_) StartRead(&request_);
  }

  void Attach(const v1::AttachOpen& open) {
    cluster_->Attach(wire::FromWire(open.pod()), {open.container(), open.container_id()},
                     [self = shared_from_this()](absl::StatusOr<std::unique_ptr<Attachment>> attachment) {
                       self->loop_->Post([self, attachment = std::move(attachment)]() mutable {
                         self->OnAttached(std::move(attachment));
                       });
                     });
  }

  void OnAttached(absl::StatusOr<std::unique_ptr<Attachment>> attachment) {
    if (end_) return;
    if (!attachment.ok()) return End(attachment.status());
    attachment_ = *std::move(attachment);
    v1::AttachResponse response;
    response.mutable_opened();
    Send(std::move(response));
    attachment_->Start(loop_, this);
  }

  void GiveCredit() {
    if (uncredited_ == 0) return;
    v1::AttachResponse response;
    response.set_credit(static_cast<uint32_t>(std::exchange(uncredited_, 0)));
    Send(std::move(response));
  }

  void Send(v1::AttachResponse response) {
    if (end_) return;
    queue_.push_back(std::move(response));
    WriteNext();
  }

  void OnWritten(bool ok) {
    writing_ = false;
    queue_.pop_front();
    if (!ok) return Close(absl::CancelledError());
    WriteNext();
  }

  // Nothing is to be said any more.
  void Close(absl::Status why) {
    attachment_.reset();
    if (!writing_) queue_.clear();
    if (queue_.size() > 1) queue_.resize(1);
    End(std::move(why));
  }

  // After what was sent before.
  void End(absl::Status why) {
    if (!end_) end_ = std::move(why);
    // The attachment may be calling us: it is destroyed later.
    if (attachment_ != nullptr) {
      loop_->Post([attachment = std::shared_ptr<Attachment>(std::move(attachment_)), self = shared_from_this()] {});
    }
    WriteNext();
  }

  void WriteNext() {
    if (writing_ || finished_) return;
    if (!queue_.empty()) {
      writing_ = true;
      StartWrite(&queue_.front());
    } else if (end_) {
      finished_ = true;
      Finish(wire::Answer(context_, *end_));
    }
  }

  grpc::CallbackServerContext* const context_;
  EventLoop* const loop_;
  Cluster* const cluster_;
  std::shared_ptr<Attached> self_;
  v1::AttachRequest request_;
  bool opened_ = false;
  std::unique_ptr<Attachment> attachment_;
  std::deque<v1::AttachResponse> queue_;  // front: being written, when something is
  bool writing_ = false;
  bool finished_ = false;
  std::optional<absl::Status> end_;
  int64_t window_ = wire::kOutputWindow;  // output that may still be sent
  size_t uncredited_ = 0;                 // input that the container may not have taken yet
};

}  // namespace

class ClusterService final : public v1::ClusterService::CallbackService {
 public:
  ClusterService(Cluster* cluster, EventLoop* loop) : cluster_(cluster), loop_(loop) {}

 private:
  using Context = grpc::CallbackServerContext;

  // For calls that answer with one object.
  static Callback<Object> AnswerWith(Context* context, grpc::ServerUnaryReactor* reactor, v1::Object* response) {
    return [context, reactor, response](absl::StatusOr<Object> object) {
      const absl::Status status = object.ok() ? wire::ToWire(object->json(), response) : object.status();
      reactor->Finish(wire::Answer(context, status));
    };
  }

  grpc::ServerUnaryReactor* Get(Context* context, const v1::GetRequest* request, v1::Object* response) override {
    auto* const reactor = context->DefaultReactor();
    cluster_->Get(wire::FromWire(request->ref()), AnswerWith(context, reactor, response));
    return reactor;
  }

  grpc::ServerUnaryReactor* List(Context* context, const v1::ListRequest* request, v1::ObjectList* response) override {
    auto* const reactor = context->DefaultReactor();
    cluster_->List(wire::FromWire(request->kind()), request->namespace_(),
                   {.label_selector = request->label_selector(),
                    .limit = request->limit(),
                    .continue_token = request->continue_token(),
                    .resource_version = request->resource_version()},
                   [context, reactor, response](absl::StatusOr<ObjectList> list) {
                     reactor->Finish(wire::Answer(context, Fill(std::move(list), response)));
                   });
    return reactor;
  }

  static absl::Status Fill(absl::StatusOr<ObjectList> list, v1::ObjectList* response) {
    UNMCP_RETURN_IF_ERROR(list.status());
    for (const Object& item : list->items) UNMCP_RETURN_IF_ERROR(wire::ToWire(item.json(), response->add_items()));
    response->set_resource_version(list->resource_version);
    response->set_continue_token(list->continue_token);
    return absl::OkStatus();
  }

  grpc::ServerUnaryReactor* Create(Context* context, const v1::CreateRequest* request, v1::Object* response) override {
    auto* const reactor = context->DefaultReactor();
    Callback<Object> done = AnswerWith(context, reactor, response);
    absl::StatusOr<Object> object = wire::ObjectFromWire(request->object());
    if (object.ok()) {
      cluster_->Create(wire::FromWire(request->kind()), *std::move(object), std::move(done));
    } else {
      done(object.status());
    }
    return reactor;
  }

  grpc::ServerUnaryReactor* Patch(Context* context, const v1::PatchRequest* request, v1::Object* response) override {
    auto* const reactor = context->DefaultReactor();
    Callback<Object> done = AnswerWith(context, reactor, response);
    absl::StatusOr<Json> patch = wire::FromWire(request->merge_patch());
    if (patch.ok()) {
      cluster_->Patch(wire::FromWire(request->ref()), *std::move(patch), {request->subresource()}, std::move(done));
    } else {
      done(patch.status());
    }
    return reactor;
  }

  grpc::ServerUnaryReactor* Delete(Context* context, const v1::DeleteRequest* request, v1::DeleteResponse*) override {
    auto* const reactor = context->DefaultReactor();
    const absl::StatusOr<Propagation> propagation = wire::PropagationFrom(request->propagation());
    if (!propagation.ok()) {
      reactor->Finish(wire::Answer(context, propagation.status()));
      return reactor;
    }
    DeleteOptions options{.uid = request->uid(),
                          .resource_version = request->resource_version(),
                          .propagation = *propagation};
    if (request->has_grace_period_seconds()) options.grace_period_seconds = request->grace_period_seconds();
    cluster_->Delete(wire::FromWire(request->ref()), std::move(options), [context, reactor](absl::Status status) {
      reactor->Finish(wire::Answer(context, status));
    });
    return reactor;
  }

  grpc::ServerWriteReactor<v1::WatchEvent>* Watch(Context* context, const v1::WatchRequest* request) override {
    using EventSender = Sender<v1::WatchEvent>;
    return EventSender::Start(context, [&](std::shared_ptr<EventSender> sender) {
      WatchCallbacks callbacks;
      callbacks.on_event = [sender](WatchEvent event) {
        v1::WatchEvent message;
        message.set_type(wire::NameOf(event.type));
        if (absl::Status status = wire::ToWire(event.object.json(), message.mutable_object()); !status.ok()) {
          return sender->End(std::move(status));
        }
        sender->Push(std::move(message));
      };
      callbacks.on_end = [sender](absl::Status status) { sender->End(std::move(status)); };
      return cluster_->StartWatch(wire::FromWire(request->kind()), request->namespace_(),
                                  {request->label_selector(), request->resource_version()}, std::move(callbacks));
    });
  }

  grpc::ServerWriteReactor<v1::LogsResponse>* Logs(Context* context, const v1::LogsRequest* request) override {
    using LogSender = Sender<v1::LogsResponse>;
    const auto push = [](const std::shared_ptr<LogSender>& sender, std::string text) {
      v1::LogsResponse message;
      message.set_text(std::move(text));
      sender->Push(std::move(message));
    };
    return LogSender::Start(context, [&](std::shared_ptr<LogSender> sender) -> std::unique_ptr<kube::Watch> {
      const ObjectRef pod = wire::FromWire(request->pod());
      LogOptions options{.container = request->container(), .tail_lines = request->tail_lines()};
      if (request->follow()) {
        LogCallbacks callbacks;
        callbacks.on_text = [sender, push, dropped = size_t{0}](std::string text) mutable {
          if (sender->IsFarBehind()) {
            dropped += std::count(text.begin(), text.end(), '\n');
            return;
          }
          if (dropped > 0) text.insert(0, absl::StrCat("… ", std::exchange(dropped, 0), " lines dropped\n"));
          push(sender, std::move(text));
        };
        callbacks.on_end = [sender](absl::Status status) { sender->End(std::move(status)); };
        return cluster_->FollowLogs(pod, std::move(options), std::move(callbacks));
      }
      cluster_->Logs(pod, std::move(options), [sender, push](absl::StatusOr<std::string> text) {
        if (text.ok()) push(sender, *std::move(text));
        sender->End(text.status());
      });
      return nullptr;
    });
  }

  grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* Attach(Context* context) override {
    auto attached = std::make_shared<Attached>(context, loop_, cluster_);
    attached->Begin();
    return attached.get();
  }

  Cluster* const cluster_;
  EventLoop* const loop_;
};

absl::StatusOr<std::unique_ptr<ClusterServer>> ClusterServer::Create(Cluster* cluster, const std::string& path) {
  UNMCP_ASSIGN_OR_RETURN(std::unique_ptr<PrivateSocket> socket, PrivateSocket::Claim(path, "unmcp-controller"));
  std::unique_ptr<ClusterServer> server(new ClusterServer(std::move(socket)));
  server->service_ = std::make_unique<ClusterService>(cluster, &server->loop_);
  server->loop_.Start();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(server->socket_->address(), grpc::InsecureServerCredentials());
  // The peer is a part of unmcp: what it sends was bounded where it came in.
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, wire::kMaxMetadataBytes);
  builder.RegisterService(server->service_.get());
  UNMCP_RETURN_IF_ERROR(server->socket_->Bind([&] { server->server_ = builder.BuildAndStart(); }));
  if (server->server_ == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot listen on the socket ", path,
                                               "; make its directory writable for this user, or name another socket"));
  }
  return server;
}

ClusterServer::ClusterServer(std::unique_ptr<PrivateSocket> socket) : socket_(std::move(socket)), loop_("attachments") {}

ClusterServer::~ClusterServer() {
  // Cancels what is under way, and returns when gRPC has let go of it: the loop
  // still turns until then.
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  loop_.Stop();
}

}  // namespace unmcp::kube
