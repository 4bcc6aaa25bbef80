// The canonical handshake: what unmcp says to a server as its one client, and
// what each client is told in turn.
#ifndef UNMCP_SESSION_HANDSHAKE_H_
#define UNMCP_SESSION_HANDSHAKE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace unmcp::session {

// The revision we offer to servers, and the one that is tried when a server
// will not have it.
inline constexpr absl::string_view kLatestVersion = "2025-11-25";
inline constexpr absl::string_view kOldestVersion = "2024-11-05";

// The params of our own initialize. We claim all that some client may serve;
// requests that none can serve are refused one by one.
std::string InitializeParams(absl::string_view protocol_version, absl::string_view unmcp_version);

// Whether an error (raw) that answered initialize is about the version.
bool MentionsVersion(absl::string_view error);

// A server's answer to initialize, kept for the clients that come later.
struct ServerHello {
  std::string result;                       // raw, on one line
  size_t version_at = 0, version_size = 0;  // where the raw protocolVersion stands in it
  std::string protocol_version;
  std::string name, version;  // serverInfo
  bool tools = false, logging = false;

  // FAILED_PRECONDITION when `result` (raw) is not what MCP says it should be.
  static absl::StatusOr<ServerHello> Parse(absl::string_view result, bool line_breaks);

  // The result for a client that asked for `requested`: that version if we know
  // it and the server is not older, else the server's. The rest is unchanged.
  std::string ResultFor(absl::string_view requested) const;
};

}  // namespace unmcp::session

#endif  // UNMCP_SESSION_HANDSHAKE_H_
