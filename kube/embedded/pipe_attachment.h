// Who is attached to the stdin and stdout of a container that runs as a
// process here.
#ifndef UNMCP_KUBE_EMBEDDED_PIPE_ATTACHMENT_H_
#define UNMCP_KUBE_EMBEDDED_PIPE_ATTACHMENT_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bridge/fd.h"
#include "common/mutex.h"
#include "kube/cluster.h"

namespace unmcp::kube {

class PipeConnection;

// Our ends of a process's stdin and stdout, and what is still to be written,
// the first of it from `offset` on.
struct PipeEnds {
  bridge::Fd in, out;
  std::deque<std::string> unsent;
  size_t offset = 0;
};

// Our ends of one life's pipes. They have one owner at a time: this object, or
// the attachment in use, on whose loop all reading and writing is done; they
// move when it detaches or is replaced. So what one attachment has not written
// is finished by the next, and no byte is read by one and missed by the other.
//
// Nothing reads stdout while nobody is attached: the pipe (256 KB) fills, and
// then the process waits.
//
//   auto pipes = ContainerPipes::Create(std::move(p.stdin_fd), std::move(p.stdout_fd));
//   auto attachment = pipes->Attach();     // any thread
//   …
//   pipes->CloseInput();                   // it is to end
//   pipes->Close(absl::UnavailableError("exit code 1: …"));  // it has ended
//
// An attachment hears OnClosed
// - with ABORTED when another takes its place,
// - with the status given to Close, after everything that was in stdout,
// - with UNAVAILABLE when the process closed its stdin or stdout and is still
//   alive after kExitGrace.
// Its OnWritable is called only after pending() has been above 0.
//
// Thread safety: thread safe.
class ContainerPipes : public std::enable_shared_from_this<ContainerPipes> {
 public:
  // A process that ends closes its stdout a moment before it is known how it
  // ended, and that is what people want to read in the error.
  static constexpr absl::Duration kExitGrace = absl::Milliseconds(100);

  // The ends are non-blocking, and SIGPIPE is ignored.
  static std::shared_ptr<ContainerPipes> Create(bridge::Fd stdin_fd, bridge::Fd stdout_fd);

  // Replaces the attachment before. NOT_FOUND after Close.
  absl::StatusOr<std::unique_ptr<Attachment>> Attach() ABSL_LOCKS_EXCLUDED(mutex_);

  // Closes stdin, and forgets what is not written. Reading goes on.
  void CloseInput() ABSL_LOCKS_EXCLUDED(mutex_);

  // The process has ended.
  void Close(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class PipeConnection;

  struct Acquired {
    bool replaced = false;
    std::optional<PipeEnds> ends;  // empty while the one before has them
    std::optional<absl::Status> ended;
  };

  ContainerPipes() = default;

  // For PipeConnection, on its loop (StartedOn: any thread).
  void StartedOn(PipeConnection* connection, EventLoop* loop) ABSL_LOCKS_EXCLUDED(mutex_);
  Acquired Acquire(PipeConnection* connection) ABSL_LOCKS_EXCLUDED(mutex_);
  void Release(PipeConnection* connection, std::optional<PipeEnds> ends) ABSL_LOCKS_EXCLUDED(mutex_);

  Mutex mutex_;
  // While no attachment has them.
  std::optional<PipeEnds> ends_ ABSL_GUARDED_BY(mutex_);
  // The newest attachment, and its loop once it has started. The one before
  // may still have the ends for a moment.
  std::shared_ptr<PipeConnection> newest_ ABSL_GUARDED_BY(mutex_);
  EventLoop* loop_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool input_closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_PIPE_ATTACHMENT_H_
