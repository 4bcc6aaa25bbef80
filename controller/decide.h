// Every decision of the controller, as pure functions: what is seen and known
// goes in, a plan comes out. Nothing here reads a clock, writes or waits, so
// that a test can look at each decision by itself, and stop after each write.
//
// A pool decides who may run (grants); a server decides how it gets from what
// it is to what it should be. A plan's writes are carried out in order; when
// one fails, the rest is dropped and everything is decided anew. So each
// prefix of a plan has to be a state from which the next decision goes on.
#ifndef UNMCP_CONTROLLER_DECIDE_H_
#define UNMCP_CONTROLLER_DECIDE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/effective_spec.h"
#include "controller/observed.h"
#include "kube/cluster.h"
#include "unmcp/v1/resources.pb.h"
#include "unmcp/v1/state.pb.h"

namespace unmcp::controller {

// A demand that was not met is forgotten after this: clients that still want
// the server have asked again by then (Retry-After is far shorter), and one
// that nobody waits for must not start hours later.
inline constexpr absl::Duration kDemandLifetime = absl::Minutes(2);
// A wait that a controller finds in status when it begins is taken over, and so
// keeps its turn, when it is not older: what nobody waits for any more must not
// start because unmcp does.
inline constexpr absl::Duration kMaxTakenOverWait = absl::Minutes(10);
// Failed starts: 5 s, doubling to 5 min, the cap kubelet has for a crashing
// container. Nothing is faster: the process itself was already tried again by
// its node, with a back-off of its own, for all of startupTimeout.
inline constexpr absl::Duration kFirstStartBackoff = absl::Seconds(5);
inline constexpr absl::Duration kMaxStartBackoff = absl::Minutes(5);
// Starts that nobody asked for, only to learn what the server is: after so
// many failures it waits for a demand or a change of its spec.
inline constexpr int kMaxDiscoveryTries = 3;
// Servers of one pool that are started at once for discovery only. npx and its
// like keep a core busy each; and demands are to find room.
inline constexpr int kMaxConcurrentDiscoveries = 4;
// After a refused drain, if no apiserver says before that the last call is over:
// often enough that a server ends soon after it, rare enough to be no load.
inline constexpr absl::Duration kDrainRetry = absl::Seconds(5);
// A life that has to end (its spec was edited, it is suspended, its pool does
// not have it any more) ends when no call is in flight, and after this whatever
// is: what somebody has said is done within a time that he is ready to wait.
inline constexpr absl::Duration kEditGrace = absl::Seconds(30);
// A process that has taken the place of one that ended by itself counts as
// ready after this: one that ends a moment after each start never does. Nobody
// waits for it, since it is spoken to as soon as it runs.
inline constexpr absl::Duration kSettleTime = absl::Seconds(5);
// Conditions of its Pod that a server shows: a node has two, and status has
// room for 16 in all.
inline constexpr size_t kMaxPodConditions = 8;
// Activity alone is written at most this often (the fold in status).
inline constexpr absl::Duration kActivityInterval = absl::Minutes(1);
// What clients are told to wait when a pool is full: servers end any moment.
inline constexpr int kPoolFullRetrySeconds = 10;
// A server that does not give way to one that is waited for before so long has
// passed since it was last used: who has just got it needs a moment to say
// something, and a pool that is far too small must not spend its time with
// starting and stopping.
inline constexpr absl::Duration kMinAwake = absl::Seconds(5);
// And when only a person can help.
inline constexpr int kManualRetrySeconds = 60;
// The ledger's own bound (ActivityLedger.entries in resources.proto). Beyond it
// even processes that are only out of sight are folded, as a status too long
// to be written would be worse than a process counted twice.
inline constexpr int kMaxLedgerEntries = 64;
// The schema's default, for pools that were stored without.
inline constexpr int kDefaultMaxServers = 100;

// Why a server should run, in rising urgency.
enum class Want {
  kNone,
  // Nobody asked, but what it is has to be learned.
  kDiscovery,
  // Nobody asked, but its pool keeps it running (spec.minServersWarm).
  kWarm,
  kDemand,
  // It runs, and is in use.
  kInUse,
};

// What a pool that has no room for all wants of a server that runs.
enum class Yield {
  kNone,
  // To make room for one that somebody waits for: when nobody uses it.
  kGiveWay,
  // The pool has become smaller, or was too small for it from the beginning.
  kOverCap,
};

// What one apiserver process said of one server.
struct ProcessActivity {
  std::string process;
  int64_t requests = 0;  // since the process started
  int open_sessions = 0;
  int calls_in_flight = 0;
  int subscriptions = 0;
  absl::Time last_request = absl::InfinitePast();
};

// Which apiserver processes there are.
struct ApiserverSet {
  absl::flat_hash_set<std::string> connected;
  // All of those that should be there are: a process that is not among
  // `connected` has ended.
  bool complete = false;
};

// What the controller remembers of a server between decisions, and may lose: a
// new controller reaches the same end without it. Part of the input and, with
// changes, of the plan.
struct ServerMemory {
  // Somebody waits: since when, when that was last said, and when somebody last
  // got the server.
  bool demanded = false;
  absl::Time demanded_since = absl::InfinitePast();
  absl::Time demanded_at = absl::InfinitePast();
  absl::Time served_at = absl::InfinitePast();

  enum class Drain { kNone, kAsked, kDrained, kRefused };
  Drain drain = Drain::kNone;
  int64_t drain_incarnation = 0;
  // A drain was refused: not to be asked again before. Outlives that drain.
  absl::Time drain_retry_at = absl::InfinitePast();

  // Until when calls in flight may put off the end of this incarnation.
  int64_t ending = 0;
  absl::Time end_by = absl::InfinitePast();

  // Of a server that runs elsewhere: what it was last made known to the data
  // path with, and as which incarnation.
  std::string elsewhere_hash;
  int64_t elsewhere_incarnation = 0;

  // The last word about an incarnation's handshake.
  int64_t discovery_incarnation = 0;
  std::string discovery_error;
  v1::ServerInfo server_info;
  int tool_count = 0;

  // Starts that failed in a row, of what has this hash.
  int failures = 0;
  int64_t failed_incarnation = 0;
  std::string failed_hash;
  absl::Time retry_at = absl::InfinitePast();
  std::string failure_reason;
  std::string failure_message;

  // When this incarnation's life began. Its process may begin again and again.
  int64_t life = 0;
  absl::Time life_began = absl::InfinitePast();
  // The Pod of this incarnation has been seen to exist.
  int64_t pod_seen = 0;
  // The Pod name of this incarnation is somebody else's.
  int64_t name_taken = 0;
  // Activity was last written then.
  absl::Time activity_written_at = absl::InfinitePast();

  std::vector<ProcessActivity> activity;
};

struct ServerSnapshot {
  v1::MCPServer server;
  // What follows from its spec and its pool's. Set.
  std::shared_ptr<const Declaration> declared;
  // uid of the pool that owns it by ownerReference, and its other owners.
  std::string owner_pool_uid;
  kube::Json other_owners = kube::Json::array();
  bool deleting = false;
  // When it was last started and stopped by hand, and by whom (annotations).
  absl::Time hand_started_at = absl::InfinitePast();
  absl::Time hand_stopped_at = absl::InfinitePast();
  std::string hand_started_by;
  std::string hand_stopped_by;

  // The Pods it controls, and the highest incarnation on any Pod that bears
  // its name (a namesake's may still be ending).
  std::vector<ObservedPod> pods;
  int64_t highest_incarnation = 0;
  ObservedService service;

  struct Pool {
    bool exists = false;
    std::string uid;
    int max_limit = kDefaultMaxServers;
    // Whether the pool has decided about this server yet, and what.
    bool decided = false;
    bool granted = false;
    bool ignored = false;
    bool waiting = false;
    // Waits, but for moments only: others end, or are idle and give way.
    bool next = false;
    Yield yield = Yield::kNone;
    // Is one of those that are kept running.
    bool warm = false;
  } pool;

  ServerMemory memory;
  ApiserverSet apiservers;
  // Whether an image without a command can run.
  bool runs_images = false;
  absl::Time now;
};

struct Write {
  enum class Verb {
    kCreate,
    kPatch,
    kPatchStatus,
    // Fails when the object is there.
    kConfirmAbsent,
    kDelete,
  };
  Verb verb;
  kube::ObjectRef ref;
  // kCreate: the object. kPatch, kPatchStatus: a merge patch.
  kube::Json body = {};
  // Patches: the precondition. A write to the object earlier in the same plan
  // takes its place with what it was answered.
  std::string resource_version = {};
  // kDelete: the precondition. kCreate, kConfirmAbsent: the controller that an
  // object which is there must have to be taken for ours.
  std::string uid = {};
};

struct EventNote {
  bool warning;
  std::string reason;
  std::string message;
};

struct ServerPlan {
  std::vector<Write> writes;
  // What the data path is to know.
  v1::PublishedServer published;
  // Ask for this incarnation to be drained; 0: no.
  int64_t drain = 0;
  // What becomes of the drain before: nothing, the life has ended, or it goes
  // on after all and apiservers are to admit to it again.
  enum class DrainEnd { kNone, kLifeEnded, kWithdrawn };
  DrainEnd drain_end = DrainEnd::kNone;
  // To be recorded when all writes are done.
  std::vector<EventNote> events;
  absl::Time look_again = absl::InfiniteFuture();
  ServerMemory memory;
  // A Pod is being started by these writes: the grant must not go meanwhile.
  bool starts = false;
};

// How much a server should run. The pool's own verdict is not part of it.
Want WantOf(const ServerSnapshot& seen);

ServerPlan DecideServer(const ServerSnapshot& seen);

// A server as its pool sees it.
struct PoolMember {
  std::string uid;
  std::string name;
  absl::Time created;
  Want want = Want::kNone;
  // When the demand arose: first come, first served.
  absl::Time wanted_since = absl::InfinitePast();
  // It has a life: its status says so, or a Pod exists, or one is being made.
  // Such a server keeps its grant whatever it wants.
  bool alive = false;
  // Of one that is alive: its end is under way, and cannot be turned back.
  bool stopping = false;
  // It is ready for clients.
  bool ready = false;
  // A call is in flight, somebody listens, or it is never to sleep: it does not
  // give way.
  bool busy = false;
  // It has been told to yield already.
  bool yielding = false;
  // When somebody last asked for it or spoke to it.
  absl::Time last_used = absl::InfinitePast();
  // It was asked to end and refused: not to be chosen again before.
  absl::Time refused_until = absl::InfinitePast();
  // Nothing keeps it from being one of those that are kept running; and whether
  // its next start has to wait, after failed ones.
  bool may_run = false;
  bool backing_off = false;
};

struct PoolSnapshot {
  v1::MCPPool pool;
  std::vector<PoolMember> members;
  // Of grants whose server is no member (deleted, or moved to another pool):
  // those that still have to be held.
  absl::flat_hash_set<std::string> held;
  absl::Time now;
};

struct PoolPlan {
  v1::MCPPoolStatus status;
  // The merge patch for the pool's status; empty: nothing to write.
  kube::Json patch = kube::Json::object();
  // By uid.
  absl::flat_hash_set<std::string> granted;
  absl::flat_hash_set<std::string> ignored;
  absl::flat_hash_set<std::string> waiting;
  // Those of the waiting for whom there is about to be room.
  absl::flat_hash_set<std::string> next;
  absl::flat_hash_set<std::string> warm;
  absl::flat_hash_map<std::string, Yield> yielding;
  // When somebody may become fit to give way.
  absl::Time look_again = absl::InfiniteFuture();
};

PoolPlan DecidePool(const PoolSnapshot& seen);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_DECIDE_H_
