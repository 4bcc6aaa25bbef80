// What a server is run with: its spec, what it inherits from its pool, and the
// defaults. Everything that makes, compares or publishes a server reads this,
// and never the spec alone.
#ifndef UNMCP_CONTROLLER_EFFECTIVE_SPEC_H_
#define UNMCP_CONTROLLER_EFFECTIVE_SPEC_H_

#include <string>

#include "absl/status/status.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::controller {

// Where neither a server nor its pool says anything.
inline constexpr char kDefaultPool[] = "default";
inline constexpr int kDefaultStartupTimeoutSeconds = 120;
inline constexpr int kDefaultIdleTimeoutSeconds = 60;

// spec.serverDefaults as it says in resources.proto, defaultResources and
// defaultIdleTimeout, then the defaults. A server that runs elsewhere inherits
// only what concerns the way to it. `pool` is nullptr when there is none.
v1::MCPServerSpec EffectiveSpec(const v1::MCPServerSpec& own, const v1::MCPPoolSpec* pool);

// The server's process is somebody else's: there is no Pod.
inline bool RunsElsewhere(const v1::MCPServerSpec& spec) { return !spec.url().empty(); }
// It listens on a port of its own.
inline bool SpeaksHttp(const v1::MCPServerSpec& spec) { return spec.transport().type() != "stdio"; }

// All that follows from a server's spec and its pool's alone. Immutable; made
// anew when one of the two has changed.
struct Declaration {
  v1::MCPServerSpec spec;  // effective
  // Whether it keeps its rules; INVALID_ARGUMENT names the field.
  absl::Status status;
  // SpecHash of `spec` (build.h); "" while `status` is not OK.
  std::string hash;
  // Fields that are set and have no effect, with the reason: for people. "" for
  // none.
  std::string unused;
};
// `runs_images`: whether the cluster does.
Declaration Declare(const v1::MCPServerSpec& own, const v1::MCPPoolSpec* pool, bool runs_images);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_EFFECTIVE_SPEC_H_
