// Moves what a process prints into its log.
#ifndef UNMCP_KUBE_EMBEDDED_LOG_READER_H_
#define UNMCP_KUBE_EMBEDDED_LOG_READER_H_

#include <cstddef>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "bridge/fd.h"

namespace unmcp {
class EventLoop;
}

namespace unmcp::kube {

// Reads until the end of the file or until destroyed, and gives `log` whole
// lines, so that two readers may share one log. What is longer than
// kMaxLineBytes comes in pieces; a last line without an end is given one. Lives
// on `loop`.
class LogReader {
 public:
  // As a container runtime, which takes 16 KB for a line at the most.
  static constexpr size_t kMaxLineBytes = 16 * 1024;

  using Log = absl::AnyInvocable<void(absl::string_view lines)>;

  LogReader(EventLoop* loop, bridge::Fd fd, Log log);
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
