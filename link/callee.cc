#include "link/callee.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/event_loop.h"
#include "glog/logging.h"
#include "grpcpp/server_builder.h"
#include "link/batch_writer.h"
#include "link/completion.h"
#include "unmcp/v1/edge.grpc.pb.h"

namespace unmcp::link {
namespace {

class Stream;

// One exchange's answering side. It may outlive its stream, and the stream it.
class IncomingExchange final : public session::Exchange {
 public:
  IncomingExchange(Stream* stream, uint64_t id) : stream_(stream), id_(id) {}
  ~IncomingExchange() override;

  void SetHandler(session::ExchangeHandler* handler) override;
  void SendHead(int status, session::Headers headers) override;
  void Send(std::string message, absl::string_view event, absl::string_view event_id) override;
  size_t queued() const override { return queued_; }
  void Close() override;

  // ---- from the stream ------------------------------------------------------
  // The request has a message of `length` bytes.
  void ExpectMessage(uint64_t length);
  void OnData(v1::Data data);
  void OnCredit(uint32_t bytes);
  // The stream has forgotten this exchange.
  void OnGone();

 private:
  struct Queued {
    std::string message;
    std::string event, event_id;
  };

  void Deliver();
  void Pump();

  Stream* stream_;  // null: closed
  const uint64_t id_;
  session::ExchangeHandler* handler_ = nullptr;
  std::string request_;
  uint64_t expected_ = 0;
  enum class Request { kNone, kArriving, kWhole, kDelivered } state_ = Request::kNone;
  bool closing_ = false;  // when the queue is empty
  int64_t credit_ = kInitialCredit;
  std::deque<Queued> queue_;  // no credit yet
  size_t front_sent_ = 0;
  size_t queued_ = 0;
};

// One Link stream. Deletes itself when gRPC is done with it.
class Stream {
 public:
  // What the streams of one Callee share.
  struct Shared {
    EventLoop* loop;
    Callee::Acceptor acceptor;
    v1::EdgeService::AsyncService service;
    grpc::ServerCompletionQueue* queue = nullptr;  // the driver's
    std::unique_ptr<CompletionDriver> completions;
    absl::flat_hash_set<Stream*> streams;
  };

  explicit Stream(Shared* shared)
      : shared_(shared),
        rpc_(&context_),
        on_accept_([this](bool ok) { OnAccept(ok); }),
        on_read_([this](bool ok) { OnRead(ok); }),
        on_write_([this](bool ok) { OnWrite(ok); }),
        on_finish_([this](bool) { MaybeDelete(); }) {
    shared_->streams.insert(this);
    shared_->service.RequestLink(&context_, &rpc_, shared_->queue, shared_->queue, on_accept_.Begin());
  }

  BatchWriter& writer() { return writer_; }
  void Forget(uint64_t id) { exchanges_.erase(id); }

  bool Flush() {
    if (!accepted_ || ended_) return false;
    const v1::LinkBatch* batch = writer_.BeginWrite();
    if (batch == nullptr) return false;
    rpc_.Write(*batch, on_write_.Begin());
    shared_->completions->Expect(2);
    return true;
  }

 private:
  void OnAccept(bool ok) {
    if (!ok) {  // the server is shutting down
      ended_ = true;
      return MaybeDelete();
    }
    accepted_ = true;
    new Stream(shared_);  // the next one
    rpc_.Read(&incoming_, on_read_.Begin());
  }

  void OnRead(bool ok) {
    if (!ok || ended_) return End();
    for (v1::Frame& frame : *incoming_.mutable_frames()) Dispatch(frame);
    rpc_.Read(&incoming_, on_read_.Begin());
  }

  void Dispatch(v1::Frame& frame) {
    const uint64_t id = frame.exchange();
    if (frame.has_open()) {
      v1::Open& open = *frame.mutable_open();
      if (exchanges_.contains(id) || open.content_length() > kMaxRequestBytes) {
        writer_.Add(id)->mutable_close()->set_reason("the exchange cannot be opened");
        return;
      }
      auto exchange = std::make_unique<IncomingExchange>(this, id);
      exchanges_.emplace(id, exchange.get());
      session::ExchangeRequest request;
      request.kind = session::ExchangeRequest::Kind::kSseStream;
      if (open.kind() == v1::EXCHANGE_KIND_SSE_MESSAGE) {
        request.kind = session::ExchangeRequest::Kind::kSseMessage;
        exchange->ExpectMessage(open.content_length());
      }
      request.server = std::move(*open.mutable_server());
      request.session = std::move(*open.mutable_session());
      request.protocol_version = std::move(*open.mutable_protocol_version());
      // The message first: a handler set by the acceptor then gets it at once.
      if (frame.has_data()) exchange->OnData(std::move(*frame.mutable_data()));
      shared_->acceptor(std::move(request), std::move(exchange));
    } else if (frame.has_data()) {
      auto it = exchanges_.find(id);
      if (it != exchanges_.end()) it->second->OnData(std::move(*frame.mutable_data()));
    }
    // Looked up anew each time: every step may end the exchange.
    if (frame.credit() > 0) {
      auto it = exchanges_.find(id);
      if (it != exchanges_.end()) it->second->OnCredit(frame.credit());
    }
    if (frame.has_close()) {
      auto it = exchanges_.find(id);
      if (it == exchanges_.end()) return;
      IncomingExchange* const exchange = it->second;
      exchanges_.erase(it);
      exchange->OnGone();
    }
  }

  void OnWrite(bool ok) {
    writer_.EndWrite();
    if (!ok || ended_) End();
  }

  void End() {
    if (!ended_) {
      ended_ = true;
      // One at a time: an exchange that is told may destroy another.
      while (!exchanges_.empty()) {
        IncomingExchange* const exchange = exchanges_.begin()->second;
        exchanges_.erase(exchanges_.begin());
        exchange->OnGone();
      }
      rpc_.Finish(grpc::Status::OK, on_finish_.Begin());
    }
    MaybeDelete();
  }

  void MaybeDelete() {
    if (on_accept_.pending() || on_read_.pending() || on_write_.pending() || on_finish_.pending()) return;
    shared_->streams.erase(this);
    delete this;
  }

  Shared* const shared_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<v1::LinkBatch, v1::LinkBatch> rpc_;
  Completion on_accept_, on_read_, on_write_, on_finish_;
  bool accepted_ = false;
  bool ended_ = false;
  v1::LinkBatch incoming_;
  BatchWriter writer_;
  absl::flat_hash_map<uint64_t, IncomingExchange*> exchanges_;
};

IncomingExchange::~IncomingExchange() {
  if (stream_ == nullptr) return;
  stream_->Forget(id_);
  // After an orderly Close what is queued is lost with this object, so that
  // is cut off too: whoever closes keeps the exchange until it is drained.
  v1::Close* close = stream_->writer().Add(id_)->mutable_close();
  close->set_reason("cut off");
}

void IncomingExchange::SetHandler(session::ExchangeHandler* handler) {
  handler_ = handler;
  Deliver();
}

void IncomingExchange::ExpectMessage(uint64_t length) {
  expected_ = length;
  state_ = length > 0 ? Request::kArriving : Request::kWhole;
}

void IncomingExchange::OnData(v1::Data data) {
  if (state_ != Request::kArriving || request_.size() + data.bytes().size() > expected_) {
    LOG(ERROR) << "link: exchange " << id_ << " brought more than it announced";
    return;
  }
  // Room for the whole message has been agreed to when it was opened.
  if (!data.final()) stream_->writer().Add(id_)->set_credit(static_cast<uint32_t>(data.bytes().size()));
  if (request_.empty()) {
    request_ = std::move(*data.mutable_bytes());
    if (!data.final()) request_.reserve(expected_);
  } else {
    request_.append(data.bytes());
  }
  if (!data.final()) return;
  state_ = Request::kWhole;
  Deliver();
}

void IncomingExchange::Deliver() {
  if (handler_ == nullptr || state_ != Request::kWhole) return;
  state_ = Request::kDelivered;
  handler_->OnMessage(std::move(request_));
}

void IncomingExchange::SendHead(int status, session::Headers headers) {
  if (stream_ == nullptr) return;
  v1::Head* head = stream_->writer().Add(id_)->mutable_head();
  head->set_status(status);
  for (auto& [name, value] : headers) {
    v1::Header* header = head->add_headers();
    header->set_name(std::move(name));
    header->set_value(std::move(value));
  }
}

void IncomingExchange::Send(std::string message, absl::string_view event, absl::string_view event_id) {
  if (stream_ == nullptr || closing_) return;
  if (queue_.empty() && credit_ > 0 && message.size() <= kPieceBytes) {
    v1::Data* data = stream_->writer().Add(id_, message.size())->mutable_data();
    credit_ -= static_cast<int64_t>(message.size());
    data->set_bytes(std::move(message));
    data->set_event(std::string(event));
    data->set_event_id(std::string(event_id));
    data->set_final(true);
    return;
  }
  queued_ += message.size();
  queue_.push_back({std::move(message), std::string(event), std::string(event_id)});
  Pump();
}

void IncomingExchange::Pump() {
  while (credit_ > 0 && !queue_.empty()) {
    Queued& front = queue_.front();
    const size_t size = std::min(kPieceBytes, front.message.size() - front_sent_);
    v1::Data* data = stream_->writer().Add(id_, size)->mutable_data();
    data->set_bytes(front.message.data() + front_sent_, size);
    if (front_sent_ == 0) {
      data->set_event(front.event);
      data->set_event_id(front.event_id);
    }
    front_sent_ += size;
    credit_ -= static_cast<int64_t>(size);
    queued_ -= size;
    if (front_sent_ == front.message.size()) {
      data->set_final(true);
      queue_.pop_front();
      front_sent_ = 0;
    }
  }
}

void IncomingExchange::OnCredit(uint32_t bytes) {
  credit_ += bytes;
  const bool had_queue = !queue_.empty();
  Pump();
  if (!had_queue || !queue_.empty()) return;
  if (closing_) {
    closing_ = false;
    Close();
  } else if (handler_ != nullptr) {
    handler_->OnDrained();
  }
}

void IncomingExchange::Close() {
  if (stream_ == nullptr || closing_) return;
  if (!queue_.empty()) {
    closing_ = true;  // Pump's last piece closes it
    return;
  }
  stream_->writer().Add(id_)->mutable_close();
  stream_->Forget(id_);
  stream_ = nullptr;
}

void IncomingExchange::OnGone() {
  stream_ = nullptr;
  queue_.clear();
  queued_ = 0;
  if (handler_ != nullptr) handler_->OnClosed();
}

class CalleeImpl final : public Callee {
 public:
  explicit CalleeImpl(Options options) : over_sockets_(options.over_sockets) {
    shared_.loop = options.loop;
    shared_.acceptor = std::move(options.acceptor);
  }
  void Finish() override {
    if (!shared_.completions) return;
    shared_.completions->FinishWhile([this] { return !shared_.streams.empty(); });
    shared_.completions->Shutdown();
  }

  void Register(grpc::ServerBuilder* builder) override {
    builder->RegisterService(&shared_.service);
    auto queue = builder->AddCompletionQueue(/*is_frequently_polled=*/false);
    shared_.queue = queue.get();
    shared_.completions = std::make_unique<CompletionDriver>(shared_.loop, std::move(queue));
  }

  CompletionDriver* completions() override { return shared_.completions.get(); }

  void Start() override {
    if (over_sockets_) shared_.completions->StartThread();
    new Stream(&shared_);
    shared_.loop->AddPoller([this] {
      bool worked = false;
      for (Stream* stream : shared_.streams) worked |= stream->Flush();
      return worked;
    });
  }

 private:
  const bool over_sockets_;
  Stream::Shared shared_;
};

}  // namespace

std::unique_ptr<Callee> Callee::Create(Options options) { return std::make_unique<CalleeImpl>(std::move(options)); }

}  // namespace unmcp::link
