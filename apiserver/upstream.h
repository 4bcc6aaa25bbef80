// How one server is spoken to: the seam between ServerRuntime, which knows when,
// and the transports of MCP, which know how.
#ifndef UNMCP_APISERVER_UPSTREAM_H_
#define UNMCP_APISERVER_UPSTREAM_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace unmcp::apiserver {

// One connection to a server, in the sense of MCP: what is established with
// initialize on it lasts until it closes. It begins to connect when it is made.
//
// Lives on one EventLoop. Destroying it ends it; not from within its own
// callbacks.
class Upstream {
 public:
  // Called on the loop, never from within Send or the constructor.
  class Handler {
   public:
    virtual ~Handler() = default;
    // Messages can be sent. Once.
    virtual void OnOpen() = 0;
    // One message of the server's. Valid during the call. Where a request
    // could not be carried to the server, or its answer not back, the upstream
    // itself answers it with a JSON-RPC error.
    virtual void OnMessage(absl::string_view message) = 0;
    // A message of `length` bytes was dropped; `head` is its beginning, `tail`
    // its end.
    virtual void OnOversized(absl::string_view head, absl::string_view tail, size_t length) = 0;
    // It could not be opened, or has ended. Nothing follows.
    virtual void OnClosed(absl::Status why) = 0;
  };

  virtual ~Upstream() = default;
  // One JSON-RPC message on one line, without newline. After OnOpen.
  virtual void Send(std::string message) = 0;
  // Bytes given to Send that the server has not taken yet.
  virtual size_t pending() const = 0;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_UPSTREAM_H_
