// Gathers frames into batches while a gRPC write is under way.
#ifndef UNMCP_LINK_BATCH_WRITER_H_
#define UNMCP_LINK_BATCH_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "link/limits.h"
#include "unmcp/v1/edge.pb.h"

namespace unmcp::link {

// The outgoing half of one Link stream. Frames added within one batch of
// events leave in one gRPC message. Thread compatible.
//
//   v1::Frame* frame = writer.Add(id, payload_bytes);
//   …
//   if (const v1::LinkBatch* batch = writer.BeginWrite()) stream->Write(*batch, tag);
//   // when the write has completed:
//   writer.EndWrite();
class BatchWriter {
 public:
  // A new frame at the end of the queue; `payload` is about its size in bytes.
  // Valid until the next call.
  v1::Frame* Add(uint64_t exchange, size_t payload = 0) {
    if (batches_.empty() || back_bytes_ >= kBatchBytes) {
      batches_.emplace_back();
      batches_.back().Swap(&spare_);
      back_bytes_ = 0;
    }
    back_bytes_ += payload + kFrameOverhead;
    v1::Frame* frame = batches_.back().add_frames();
    frame->set_exchange(exchange);
    return frame;
  }

  // What to write now: null when a write is under way or nothing waits.
  const v1::LinkBatch* BeginWrite() {
    if (writing_ || batches_.empty()) return nullptr;
    writing_ = true;
    current_.Swap(&batches_.front());
    batches_.pop_front();
    return &current_;
  }
  void EndWrite() {
    writing_ = false;
    current_.Clear();  // keeps the frames' memory for a later batch
    spare_.Swap(&current_);
  }

  bool writing() const { return writing_; }
  bool empty() const { return batches_.empty(); }

 private:
  static constexpr size_t kFrameOverhead = 32;

  std::deque<v1::LinkBatch> batches_;
  size_t back_bytes_ = 0;
  v1::LinkBatch current_;
  v1::LinkBatch spare_;
  bool writing_ = false;
};

}  // namespace unmcp::link

#endif  // UNMCP_LINK_BATCH_WRITER_H_
