// Applies manifests to a cluster, as `kubectl apply` does for our two kinds.
#ifndef UNMCP_CLI_APPLY_H_
#define UNMCP_CLI_APPLY_H_

#include <vector>

#include "kube/cluster.h"
#include "kube/object.h"

namespace unmcp {

enum class Change { kCreated, kConfigured, kUnchanged };

struct Applied {
  kube::ObjectRef ref;
  Change change;
};

// Writes that may lose against another writer before an object is given up.
// Each loss means that somebody else's write succeeded meanwhile.
inline constexpr int kMaxApplyAttempts = 5;

// Makes the cluster have `objects` (as LoadManifests returns them), pools
// before servers, one after the other. An object that is there gets the spec of
// its manifest: what the manifest does not have is removed or takes its
// default. Labels and annotations are added to those that are there. An object
// that is as it should be is not written.
//
// Asynchronous: `done` runs once, on a thread of the cluster, with an entry for
// each object in the order applied, or with the first error, which names its
// object. What was applied before an error stays. `cluster` outlives the call.
void ApplyAll(kube::Cluster* cluster, std::vector<kube::Object> objects, kube::Callback<std::vector<Applied>> done);

// The merge patch that turns `live` into `wanted`; an empty object when
// nothing is to be done.
kube::Json ApplyPatch(const kube::Object& live, const kube::Object& wanted);

}  // namespace unmcp

#endif  // UNMCP_CLI_APPLY_H_
