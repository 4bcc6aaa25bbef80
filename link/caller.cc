#include "link/caller.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "glog/logging.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "link/batch_writer.h"
#include "link/completion.h"
#include "unmcp/v1/edge.grpc.pb.h"

namespace unmcp::link {
namespace {

// How soon a broken Link is dialled again: at once is pointless (the other
// side is restarting), and a client is not kept waiting for long.
constexpr absl::Duration kFirstRedial = absl::Milliseconds(50);
constexpr absl::Duration kLastRedial = absl::Seconds(5);

class CallerImpl final : public Caller {
 public:
  explicit CallerImpl(Options options)
      : options_(std::move(options)),
        stub_(v1::EdgeService::NewStub(options_.channel)),
        redial_(options_.loop),
        on_start_([this](bool ok) { OnStart(ok); }),
        on_read_([this](bool ok) { OnRead(ok); }),
        on_write_([this](bool ok) { OnWrite(ok); }),
        on_finish_([this](bool) { OnFinish(); }) {
    options_.loop->AddPoller([this] { return Flush(); });
    options_.loop->Post([this] { Dial(); });
  }

  ~CallerImpl() override {
    exchanges_.clear();
    Shutdown();
    options_.completions->FinishWhile([this] {
      return on_start_.pending() || on_read_.pending() || on_write_.pending() || on_finish_.pending();
    });
  }

  bool connected() const override { return state_ == State::kConnected; }

  ExchangeId Open(v1::Open open, std::string message, CallHandler* handler) override {
    if (!connected()) return 0;
    const ExchangeId id = ++last_id_;
    Exchange& exchange = exchanges_[id];
    exchange.handler = handler;
    open.set_content_length(message.size());
    const bool whole = message.size() <= kPieceBytes;
    v1::Frame* frame = writer_.Add(id, whole ? message.size() : 0);
    *frame->mutable_open() = std::move(open);
    if (message.empty()) return id;
    if (whole) {
      frame->mutable_data()->set_bytes(std::move(message));
      frame->mutable_data()->set_final(true);
    } else {
      exchange.upload = std::make_unique<Upload>(Upload{std::move(message)});
      SendPieces(id, *exchange.upload);
    }
    return id;
  }

  void Consumed(ExchangeId id, size_t bytes) override {
    auto it = exchanges_.find(id);
    if (it == exchanges_.end()) return;
    it->second.consumed += static_cast<int64_t>(bytes);
    if (it->second.consumed < kCreditLump) return;
    writer_.Add(id)->set_credit(static_cast<uint32_t>(it->second.consumed));
    it->second.consumed = 0;
  }

  void Cancel(ExchangeId id) override {
    if (exchanges_.erase(id) > 0) writer_.Add(id)->mutable_close()->set_reason("the client has gone");
  }

  void Shutdown() override {
    if (shutdown_) return;
    shutdown_ = true;
    redial_.Cancel();
    if (context_) context_->TryCancel();
  }

 private:
  enum class State { kIdle, kDialling, kConnected, kFinishing };

  // The part of a large request that has no credit yet.
  struct Upload {
    std::string message;
    size_t sent = 0;
    int64_t credit = kInitialCredit;
  };
  struct Exchange {
    CallHandler* handler = nullptr;
    int64_t consumed = 0;  // not yet given back
    std::unique_ptr<Upload> upload;
  };

  void Dial() {
    if (shutdown_) return;
    state_ = State::kDialling;
    stream_.reset();  // it lives in the call that its context holds
    context_ = std::make_unique<grpc::ClientContext>();
    stream_ = stub_->PrepareAsyncLink(context_.get(), options_.completions->queue());
    stream_->StartCall(on_start_.Begin());
  }

  void OnStart(bool ok) {
    if (!ok) return Finish();
    state_ = State::kConnected;
    redial_after_ = kFirstRedial;
    stream_->Read(&incoming_, on_read_.Begin());
    if (options_.on_state) options_.on_state(true);
  }

  void OnRead(bool ok) {
    if (!ok) return Finish();
    for (v1::Frame& frame : *incoming_.mutable_frames()) Dispatch(frame);
    if (state_ == State::kConnected) stream_->Read(&incoming_, on_read_.Begin());
  }

  // Each callback may open or cancel exchanges, so nothing is held across one.
  void Dispatch(v1::Frame& frame) {
    const ExchangeId id = frame.exchange();
    auto it = exchanges_.find(id);
    if (it == exchanges_.end()) return;  // cancelled meanwhile
    CallHandler* const handler = it->second.handler;
    if (frame.credit() > 0 && it->second.upload) {
      it->second.upload->credit += frame.credit();
      if (SendPieces(id, *it->second.upload)) it->second.upload = nullptr;
    }
    if (frame.has_head()) {
      std::vector<std::pair<std::string, std::string>> headers;
      headers.reserve(frame.head().headers_size());
      for (v1::Header& header : *frame.mutable_head()->mutable_headers()) {
        headers.emplace_back(std::move(*header.mutable_name()), std::move(*header.mutable_value()));
      }
      handler->OnHead(frame.head().status(), std::move(headers));
    }
    if (frame.has_data() && exchanges_.contains(id)) {
      v1::Data& data = *frame.mutable_data();
      handler->OnData(std::move(*data.mutable_bytes()), data.event(), data.event_id(), data.final());
    }
    if (frame.has_close() && exchanges_.erase(id) > 0) {
      handler->OnClose(!frame.close().reason().empty(), frame.close().reason());
    }
  }

  // True when all of it has been sent.
  bool SendPieces(ExchangeId id, Upload& upload) {
    while (upload.credit > 0 && upload.sent < upload.message.size()) {
      const size_t size = std::min(kPieceBytes, upload.message.size() - upload.sent);
      v1::Data* data = writer_.Add(id, size)->mutable_data();
      data->set_bytes(upload.message.data() + upload.sent, size);
      upload.sent += size;
      upload.credit -= static_cast<int64_t>(size);
      data->set_final(upload.sent == upload.message.size());
    }
    return upload.sent == upload.message.size();
  }

  bool Flush() {
    if (state_ != State::kConnected) return false;
    const v1::LinkBatch* batch = writer_.BeginWrite();
    if (batch == nullptr) return false;
    stream_->Write(*batch, on_write_.Begin());
    options_.completions->Expect(2);
    return true;
  }

  void OnWrite(bool ok) {
    writer_.EndWrite();
    if (!ok) Finish();
  }

  void Finish() {
    if (state_ == State::kFinishing) return;
    const bool was_connected = connected();
    state_ = State::kFinishing;
    context_->TryCancel();
    stream_->Finish(&status_, on_finish_.Begin());
    // New exchanges are refused from here on; those that were open are told.
    // One at a time: a handler that is told may cancel another's exchange.
    while (!exchanges_.empty()) {
      CallHandler* const handler = exchanges_.begin()->second.handler;
      exchanges_.erase(exchanges_.begin());
      handler->OnClose(true, "the link to the apiserver broke");
    }
    if (was_connected && options_.on_state) options_.on_state(false);
  }

  void OnFinish() {
    // gRPC may still owe us the read's or the write's completion.
    if (on_read_.pending() || on_write_.pending()) {
      if (!shutdown_) options_.loop->Post([this] { OnFinish(); });
      return;
    }
    state_ = State::kIdle;
    writer_ = BatchWriter();
    if (shutdown_) return;
    LOG(WARNING) << "link: the stream ended (" << status_.error_message() << "); dialling again in " << redial_after_;
    redial_.Set(redial_after_, [this] { Dial(); });
    redial_after_ = std::min(redial_after_ * 2, kLastRedial);
  }

  Options options_;
  std::unique_ptr<v1::EdgeService::Stub> stub_;
  Timer redial_;
  Completion on_start_, on_read_, on_write_, on_finish_;
  State state_ = State::kIdle;
  bool shutdown_ = false;
  absl::Duration redial_after_ = kFirstRedial;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::LinkBatch, v1::LinkBatch>> stream_;
  grpc::Status status_;
  v1::LinkBatch incoming_;
  BatchWriter writer_;
  ExchangeId last_id_ = 0;
  absl::flat_hash_map<ExchangeId, Exchange> exchanges_;
};

}  // namespace

std::unique_ptr<Caller> Caller::Create(Options options) { return std::make_unique<CallerImpl>(std::move(options)); }

}  // namespace unmcp::link
