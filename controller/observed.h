// What the controller sees of the objects around a server, read once when they
// change, so that decisions look at plain values.
#ifndef UNMCP_CONTROLLER_OBSERVED_H_
#define UNMCP_CONTROLLER_OBSERVED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kube/object.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::controller {

// Labels and annotations of what the controller makes.
inline constexpr char kServerLabel[] = "unmcp.dev/server";
inline constexpr char kIncarnationLabel[] = "unmcp.dev/incarnation";
// Of what the Pod was made: another value means that the spec has changed.
inline constexpr char kSpecHashAnnotation[] = "unmcp.dev/spec-hash";
inline constexpr char kConditionPrefix[] = "unmcp.dev/";
// The one container of a server's Pod.
inline constexpr char kContainer[] = "server";

// The custom resources as messages, metadata included. Fields that this
// version does not know are ignored; what cannot be read at all is an error.
absl::StatusOr<v1::MCPServer> ReadServer(const kube::Object& object);
absl::StatusOr<v1::MCPPool> ReadPool(const kube::Object& object);

// What an annotation of common/annotations.h says, in milliseconds; InfinitePast
// when it is not there, or not a time.
absl::Time ReadTimeAnnotation(const kube::Object& object, const char* annotation);

// A Pod of a server.
struct ObservedPod {
  std::string name;
  std::string uid;
  int64_t incarnation = 0;
  std::string spec_hash;
  bool deleting = false;
  // It has ended, and its node will not start it again (evicted, say).
  bool finished = false;
  bool ready = false;
  // Where it is reached; "" while it has no address.
  std::string ip;
  // Conditions whose type begins with kConditionPrefix, without it: what its
  // node has to say to whoever declared the server.
  std::vector<v1::Condition> conditions;
  // Its container: running, which life, since when, and how many before it.
  bool running = false;
  std::string container_id;
  absl::Time running_since = absl::InfinitePast();
  int64_t restarts = 0;
  // Why it is not running: a word (CrashLoopBackOff) and what is known.
  std::string waiting_reason;
  std::string message;
};
ObservedPod ReadPod(const kube::Object& object);

// The Service that bears a server's name.
struct ObservedService {
  bool exists = false;
  // Controlled by this server.
  bool ours = false;
  std::string uid;
  std::string resource_version;
  int64_t incarnation = 0;
  // As ServicePorts (build.h) has them.
  kube::Json ports = kube::Json::array();
};
ObservedService ReadService(const kube::Object& object, const std::string& server_uid);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_OBSERVED_H_
