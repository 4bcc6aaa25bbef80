// What the controller keeps of each server and pool. Private to controller*.cc.
#ifndef UNMCP_CONTROLLER_CONTROLLER_STATE_H_
#define UNMCP_CONTROLLER_CONTROLLER_STATE_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/controller.h"
#include "controller/decide.h"

namespace unmcp::controller {

// Informer indexes.
inline constexpr char kByController[] = "controller";
inline constexpr char kByServerName[] = "server-name";

std::string LabelOf(const kube::Object& object, const char* label);

struct Controller::Server {
  ObjectPtr object;
  v1::MCPServer resource;
  // OK when `resource` is what `object` says.
  absl::Status read_status;
  std::shared_ptr<const Declaration> declared;
  std::string owner_pool_uid;
  kube::Json other_owners = kube::Json::array();

  // What the pool has decided.
  bool decided = false;
  bool granted = false;
  bool ignored = false;
  bool waiting = false;
  bool next = false;
  Yield yield = Yield::kNone;
  bool warm = false;
  void ForgetPoolPlan() {
    decided = granted = ignored = waiting = next = warm = false;
    yield = Yield::kNone;
  }

  ServerMemory memory;
  // Why the last write for it failed, when the cluster takes none at all.
  absl::Status write_failure;
  // A plan that starts a Pod is under way.
  bool starting = false;
  bool published = false;
  absl::Time look_again = absl::InfiniteFuture();
  // As the pool was last told.
  PoolMember member;
};

struct Controller::Pool {
  ObjectPtr object;  // null: it does not exist
  v1::MCPPool resource;
  absl::flat_hash_set<std::string> members;  // names
  // Servers that are no members any more and whose grants it still holds (uids).
  absl::flat_hash_set<std::string> held;
  // The version that our own last write has made: nothing new to decide on.
  std::string own_version;
};

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_CONTROLLER_STATE_H_
