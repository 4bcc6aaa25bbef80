// Runs the fleet: watches MCPServers, MCPPools and what it made of them,
// decides (decide.h), and carries the decisions out.
#ifndef UNMCP_CONTROLLER_CONTROLLER_H_
#define UNMCP_CONTROLLER_CONTROLLER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/random.h"
#include "common/scheduler.h"
#include "controller/apiservers.h"
#include "controller/decide.h"
#include "controller/executor.h"
#include "controller/metrics.h"
#include "grpcpp/channel.h"
#include "kube/cluster.h"
#include "kube/event_recorder.h"
#include "kube/informer.h"
#include "kube/work_queue.h"

namespace unmcp::controller {

// Example:
//
//   UNMCP_ASSIGN_OR_RETURN(auto controller, Controller::Create({.scheduler = &loop, .cluster = cluster.get(),
//                                                               .ns = "default", .apiservers = {channel},
//                                                               .epoch = 1, .identity = "unmcp-up"}));
//   loop.Post([&] { controller->Start(); });
//   …
//   loop.Post([&] { controller->Shutdown([&] { stopped.Notify(); }); });
//
// Only one controller may act at a time (a Lease sees to that where there are
// several). One that acts on in error does no harm: its writes fail their
// preconditions.
//
// Servers keep running when it stops; whoever follows goes on with them.
//
// Thread safety: none; everything on the scheduler. Scheduler and cluster
// outlive it, and are still working when it shuts down.
class Controller {
 public:
  struct Options {
    Scheduler* scheduler = nullptr;
    kube::Cluster* cluster = nullptr;
    // The namespace that is served.
    std::string ns = "default";
    // One per apiserver process.
    std::vector<std::shared_ptr<grpc::Channel>> apiservers = {};
    // Rises with every change of leadership, restarts included.
    uint64_t epoch = 0;
    // Who this is, for logs and /ready.
    std::string identity = "unmcp-controller";
    Random* random = Random::System();
    // Whether the cluster runs images; the embedded one runs commands.
    bool runs_images = false;
    // Where it counts what it does, besides telling apiservers; may be null.
    prometheus::Registry* registry = nullptr;
    // Takes the place of streams over `apiservers`. For tests.
    std::unique_ptr<Apiservers> fake_apiservers = nullptr;
  };

  // INVALID_ARGUMENT names the option that is missing.
  static absl::StatusOr<std::unique_ptr<Controller>> Create(Options options);
  ~Controller();

  // Begins. Once.
  void Start();

  // Begins nothing any more, lets writes that are under way end, writes down
  // what servers have done since it was last written, closes the streams, then
  // calls `done`. Before destruction.
  void Shutdown(absl::AnyInvocable<void()> done);

 private:
  struct Server;
  struct Pool;
  using ObjectPtr = kube::Informer::ObjectPtr;

  explicit Controller(Options options);

  void CreateDefaultPool();
  void Begin();

  // What the informers tell.
  void OnSynced();
  void OnServer(const ObjectPtr& object);
  void TakeOverDemand(Server* server);
  void OnServerDeleted(const ObjectPtr& object);
  void OnPool(const ObjectPtr& object);
  void OnPoolDeleted(const ObjectPtr& object);
  void OnPart(const ObjectPtr& object, kube::WorkQueue::Priority priority);
  void OnPodDeleted(const ObjectPtr& object);

  // What the apiservers tell.
  void OnApiservers(const ApiserverSet& apiservers);
  void OnActivity(const std::string& process, const v1::Activity& activity);
  void OnDemand(const std::string& uid);
  void OnDiscovery(const v1::Discovery& discovery);
  void OnDrain(const std::string& uid, int64_t incarnation, bool drained, const std::string& why);

  // The work.
  void Process(const std::string& key);
  void ProcessPool(const std::string& key, const std::string& name);
  void ApplyPoolPlan(const std::string& name, const std::vector<PoolMember>& members, const PoolPlan& plan);
  void ProcessServer(const std::string& key, const std::string& name);
  // What a plan means for metrics once it is carried out: reasons, or "".
  struct Transition {
    std::string started;
    std::string stopped;
  };
  // Counts what holds whatever becomes of the plan; returns the rest.
  Transition CountDecision(const ServerSnapshot& seen, const ServerPlan& plan);
  void OnServerPlanDone(const std::string& key, const std::string& uid, const std::vector<EventNote>& events,
                        const Transition& transition, const Executor::Outcome& outcome);
  // Notes that what was to be written for a server was, or why not.
  void OnWritten(Server* server, const absl::Status& status);
  void End(const std::string& key, const absl::Status& status);
  void WriteActivity(absl::AnyInvocable<void()> done);

  void Enqueue(const std::string& key, kube::WorkQueue::Priority priority);
  void EnqueueServer(const std::string& name, kube::WorkQueue::Priority priority);
  void EnqueuePool(const std::string& name, kube::WorkQueue::Priority priority);
  void EnqueueHolders(const std::string& uid);
  void LookAgain(Server* server, absl::Time when);
  // To be called when its spec or its pool's has changed.
  void Redeclare(Server* server);
  ServerSnapshot Observe(const Server& server) const;
  // Tells the pool when what it has to know of the server has changed; answers
  // whether it had.
  bool TellPool(Server* server, kube::WorkQueue::Priority priority);
  Server* FindServer(const std::string& name);
  Server* FindServerByUid(const std::string& uid);
  kube::Informer* InformerOf(const kube::Object& object);
  void OnObject(kube::Object object);
  void StartPublishing();
  void FinishShutdown();

  Options options_;
  Metrics metrics_;
  kube::Informer servers_informer_;
  kube::Informer pools_informer_;
  kube::Informer pods_informer_;
  kube::Informer services_informer_;
  kube::WorkQueue queue_;
  Executor executor_;
  kube::EventRecorder events_;
  std::unique_ptr<Apiservers> apiservers_;
  Timer begin_;
  ApiserverSet apiserver_set_;

  absl::flat_hash_map<std::string, std::unique_ptr<Server>> servers_;
  absl::flat_hash_map<std::string, std::string> names_by_uid_;
  // Keys in work, and since when.
  absl::flat_hash_map<std::string, absl::Time> in_work_;
  // Those that exist, and those that are only named by servers.
  std::map<std::string, Pool> pools_;

  // Everything has been seen, and decisions are made.
  bool synced_ = false;
  // The first snapshot for the apiservers has to have every server: those that
  // are still missing.
  size_t unpublished_ = 0;
  bool publishing_ = false;
  bool stopping_ = false;
  bool apiservers_ended_ = false;
  absl::AnyInvocable<void()> shutdown_done_;
};

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_CONTROLLER_H_
