// Moves what a process prints into its log.
#ifndef UNMCP_KUBE_EMBEDDED_LOG_READER_H_
#define UNMCP_KUBE_EMBEDDED_LOG_READER_H_

#include <memory>

#include "bridge/fd.h"
#include "kube/embedded/log_buffer.h"

namespace unmcp {
class EventLoop;
}

namespace unmcp::kube {

// Reads until the end of the file or until destroyed. Lives on `loop`; `log`
// outlives it.
class LogReader {
 public:
  LogReader(EventLoop* loop, bridge::Fd fd, LogBuffer* log);
  ~LogReader();

  // Takes over what is there already: the process has ended, and its last
  // lines are wanted.
  void Drain();

 private:
  struct Stream;
  const std::shared_ptr<Stream> stream_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_LOG_READER_H_
