#include "kube/socket/socket_cluster.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <utility>

#include "common/socket_channel.h"
#include "common/status_macros.h"
#include "grpcpp/grpcpp.h"
#include "kube/socket/calls.h"
#include "kube/socket/socket_attachment.h"
#include "kube/socket/wire.h"
#include "unmcp/cluster/v1/cluster.grpc.pb.h"

namespace unmcp::kube {
namespace {

namespace v1 = wire::v1;

// Longer than a list of the largest fleet; a controller that does not answer
// for so long is stuck.
constexpr auto kCallTimeout = std::chrono::seconds(60);

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, wire::kMaxMetadataBytes);
  return SocketChannel(socket, std::move(arguments));
}

// The receiving end of a watch or a log. Kept alive by itself until gRPC is
// done with it.
template <class Message>
class Receiver final : public grpc::ClientReadReactor<Message>,
                       public std::enable_shared_from_this<Receiver<Message>> {
 public:
  // `take` answers an error to end the stream with it.
  using Take = absl::AnyInvocable<absl::Status(Message*)>;
  using End = absl::AnyInvocable<void(absl::Status)>;

  Receiver(std::shared_ptr<Calls> calls, Take take, End end)
      : calls_(std::move(calls)), take_(std::move(take)), end_(std::move(end)) {}

  template <class Start>
  void Begin(Start start) {
    self_ = this->shared_from_this();
    call_ = calls_->Begin(context_.get());
    start(context_.get(), this);
    this->StartRead(&message_);
    this->StartCall();
  }

  void Cancel() {
    cancelled_ = true;
    calls_->Cancel(call_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (!cancelled_ && error_.ok()) {
      error_ = take_(&message_);
      if (!error_.ok()) context_->TryCancel();
    }
    message_.Clear();
    this->StartRead(&message_);
  }

  void OnDone(const grpc::Status& status) override {
    std::shared_ptr<Receiver> self = std::move(self_);
    if (!cancelled_) end_(error_.ok() ? calls_->Outcome(*context_, status) : error_);
    calls_->End(call_, std::move(context_));
  }

  const std::shared_ptr<Calls> calls_;
  Take take_;
  End end_;
  std::shared_ptr<Receiver> self_;
  std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
  Calls::Id call_ = 0;
  Message message_;
  absl::Status error_;
  std::atomic<bool> cancelled_ = false;
};

template <class Message>
class ReceiverHandle final : public Watch {
 public:
  explicit ReceiverHandle(std::shared_ptr<Receiver<Message>> receiver) : receiver_(std::move(receiver)) {}
  ~ReceiverHandle() override { receiver_->Cancel(); }

 private:
  const std::shared_ptr<Receiver<Message>> receiver_;
};

absl::StatusOr<ObjectList> ListFromWire(const v1::ObjectList& response) {
  ObjectList list{.resource_version = response.resource_version(), .continue_token = response.continue_token()};
  list.items.reserve(response.items_size());
  for (const v1::Object& item : response.items()) {
    UNMCP_ASSIGN_OR_RETURN(Object object, wire::ObjectFromWire(item));
    list.items.push_back(std::move(object));
  }
  return list;
}

v1::LogsRequest LogsRequestOf(const ObjectRef& pod, const LogOptions& options, bool follow) {
  v1::LogsRequest request;
  wire::ToWire(pod, request.mutable_pod());
  request.set_container(options.container);
  request.set_tail_lines(options.tail_lines);
  request.set_follow(follow);
  return request;
}

}  // namespace

struct SocketCluster::Impl {
  explicit Impl(const std::string& socket)
      : calls(std::make_shared<Calls>(socket)), stub(v1::ClusterService::NewStub(ChannelTo(socket))) {}

  // `start` begins the call on the stub; `done` gets the outcome and the
  // response.
  template <class Response, class Request, class Start, class Done>
  void Unary(Request request, Start start, Done done) {
    struct Call {
      Call(Request request, Done done) : request(std::move(request)), done(std::move(done)) {}
      std::unique_ptr<grpc::ClientContext> context = std::make_unique<grpc::ClientContext>();
      Request request;
      Response response;
      Done done;
    };
    auto call = std::make_shared<Call>(std::move(request), std::move(done));
    call->context->set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    const Calls::Id id = calls->Begin(call->context.get());
    std::function<void(grpc::Status)> finish = [calls = calls, call, id](grpc::Status status) {
      call->done(calls->Outcome(*call->context, status), call->response);
      calls->End(id, std::move(call->context));
    };
    start(stub->async(), call->context.get(), &call->request, &call->response, std::move(finish));
  }

  // For calls that answer with one object.
  static auto AnswerWith(Callback<Object> done) {
    return [done = std::move(done)](absl::Status outcome, const v1::Object& response) mutable {
      outcome.ok() ? done(wire::ObjectFromWire(response)) : done(std::move(outcome));
    };
  }

  void ReadLogs(const v1::LogsRequest& request, Receiver<v1::LogsResponse>* receiver) {
    receiver->Begin([&](grpc::ClientContext* context, auto* reactor) { stub->async()->Logs(context, &request, reactor); });
  }

  const std::shared_ptr<Calls> calls;
  const std::unique_ptr<v1::ClusterService::Stub> stub;
};

SocketCluster::SocketCluster(const std::string& socket) : impl_(std::make_unique<Impl>(socket)) {}

SocketCluster::~SocketCluster() { impl_->calls->Close(); }

void SocketCluster::Get(const ObjectRef& ref, Callback<Object> done) {
  v1::GetRequest request;
  wire::ToWire(ref, request.mutable_ref());
  impl_->Unary<v1::Object>(
      std::move(request), [](auto* stub, auto... call) { stub->Get(std::move(call)...); },
      Impl::AnswerWith(std::move(done)));
}

void SocketCluster::List(const Kind& kind, const std::string& ns, ListOptions options, Callback<ObjectList> done) {
  v1::ListRequest request;
  wire::ToWire(kind, request.mutable_kind());
  request.set_namespace_(ns);
  request.set_label_selector(options.label_selector);
  request.set_limit(options.limit);
  request.set_continue_token(options.continue_token);
  request.set_resource_version(options.resource_version);
  impl_->Unary<v1::ObjectList>(
      std::move(request), [](auto* stub, auto... call) { stub->List(std::move(call)...); },
      [done = std::move(done)](absl::Status outcome, const v1::ObjectList& response) mutable {
        outcome.ok() ? done(ListFromWire(response)) : done(std::move(outcome));
      });
}

void SocketCluster::Create(const Kind& kind, Object object, Callback<Object> done) {
  v1::CreateRequest request;
  wire::ToWire(kind, request.mutable_kind());
  if (absl::Status bad = wire::ToWire(object.json(), request.mutable_object()); !bad.ok()) return done(std::move(bad));
  impl_->Unary<v1::Object>(
      std::move(request), [](auto* stub, auto... call) { stub->Create(std::move(call)...); },
      Impl::AnswerWith(std::move(done)));
}

void SocketCluster::Patch(const ObjectRef& ref, Json merge_patch, PatchOptions options, Callback<Object> done) {
  v1::PatchRequest request;
  wire::ToWire(ref, request.mutable_ref());
  if (absl::Status bad = wire::ToWire(merge_patch, request.mutable_merge_patch()); !bad.ok()) {
    return done(std::move(bad));
  }
  request.set_subresource(options.subresource);
  impl_->Unary<v1::Object>(
      std::move(request), [](auto* stub, auto... call) { stub->Patch(std::move(call)...); },
      Impl::AnswerWith(std::move(done)));
}

void SocketCluster::Delete(const ObjectRef& ref, DeleteOptions options, DoneCallback done) {
  v1::DeleteRequest request;
  wire::ToWire(ref, request.mutable_ref());
  request.set_uid(options.uid);
  request.set_resource_version(options.resource_version);
  request.set_propagation(wire::NameOf(options.propagation));
  if (options.grace_period_seconds) request.set_grace_period_seconds(*options.grace_period_seconds);
  impl_->Unary<v1::DeleteResponse>(
      std::move(request), [](auto* stub, auto... call) { stub->Delete(std::move(call)...); },
      [done = std::move(done)](absl::Status outcome, const v1::DeleteResponse&) mutable { done(std::move(outcome)); });
}

std::unique_ptr<Watch> SocketCluster::StartWatch(const Kind& kind, const std::string& ns, WatchOptions options,
                                                 WatchCallbacks callbacks) {
  v1::WatchRequest request;
  wire::ToWire(kind, request.mutable_kind());
  request.set_namespace_(ns);
  request.set_label_selector(options.label_selector);
  request.set_resource_version(options.resource_version);
  auto receiver = std::make_shared<Receiver<v1::WatchEvent>>(
      impl_->calls,
      [on_event = std::move(callbacks.on_event)](v1::WatchEvent* message) mutable -> absl::Status {
        UNMCP_ASSIGN_OR_RETURN(const WatchEventType type, wire::WatchEventTypeFrom(message->type()));
        UNMCP_ASSIGN_OR_RETURN(Object object, wire::ObjectFromWire(message->object()));
        on_event({type, std::move(object)});
        return absl::OkStatus();
      },
      std::move(callbacks.on_end));
  receiver->Begin([&](grpc::ClientContext* context, auto* reactor) {
    impl_->stub->async()->Watch(context, &request, reactor);
  });
  return std::make_unique<ReceiverHandle<v1::WatchEvent>>(std::move(receiver));
}

void SocketCluster::Attach(const ObjectRef& pod, AttachOptions options, Callback<std::unique_ptr<Attachment>> done) {
  v1::AttachOpen open;
  wire::ToWire(pod, open.mutable_pod());
  open.set_container(std::move(options.container));
  open.set_container_id(std::move(options.container_id));
  AttachOverSocket(impl_->stub.get(), impl_->calls, std::move(open), std::move(done));
}

void SocketCluster::Logs(const ObjectRef& pod, LogOptions options, Callback<std::string> done) {
  auto text = std::make_shared<std::string>();
  auto receiver = std::make_shared<Receiver<v1::LogsResponse>>(
      impl_->calls,
      [text](v1::LogsResponse* message) {
        text->append(message->text());
        return absl::OkStatus();
      },
      [text, done = std::move(done)](absl::Status outcome) mutable {
        outcome.ok() ? done(std::move(*text)) : done(std::move(outcome));
      });
  impl_->ReadLogs(LogsRequestOf(pod, options, /*follow=*/false), receiver.get());
}

std::unique_ptr<Watch> SocketCluster::FollowLogs(const ObjectRef& pod, LogOptions options, LogCallbacks callbacks) {
  auto receiver = std::make_shared<Receiver<v1::LogsResponse>>(
      impl_->calls,
      [on_text = std::move(callbacks.on_text)](v1::LogsResponse* message) mutable {
        on_text(std::move(*message->mutable_text()));
        return absl::OkStatus();
      },
      std::move(callbacks.on_end));
  impl_->ReadLogs(LogsRequestOf(pod, options, /*follow=*/true), receiver.get());
  return std::make_unique<ReceiverHandle<v1::LogsResponse>>(std::move(receiver));
}

}  // namespace unmcp::kube
