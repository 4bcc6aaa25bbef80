// For tests: a controller in a small world of its own. The cluster is the real
// embedded one; its node, the apiservers and the clock are not, so that every
// run goes the same way. Nothing waits for time to pass: time is moved.
#ifndef UNMCP_CONTROLLER_WORLD_H_
#define UNMCP_CONTROLLER_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/random.h"
#include "common/simulated_scheduler.h"
#include "controller/controller.h"
#include "kube/await.h"
#include "kube/embedded/embedded_cluster.h"
#include "prometheus/registry.h"

namespace unmcp::controller {

// Jitter is none, ids count.
class PredictableRandom final : public Random {
 public:
  std::string Id128() override;
  double Uniform() override { return 0; }

 private:
  std::atomic<uint64_t> next_{0};
};

class World {
 public:
  World();
  ~World();

  // The controller dies with its `count`th write from now: it is made, but
  // nobody hears of it, and nothing of that controller reaches the cluster any
  // more. A new one takes over at once.
  void CutAfterWrites(int count);
  // Writes that controllers have made; Events do not count.
  int writes() const;
  int controllers() const { return controllers_; }

  // Runs everything until nothing happens any more at this point in time.
  void Settle();
  // Lets time pass until `met`; a test failure when an hour did not do.
  void RunUntil(const std::function<bool()>& met, const char* what);
  void RunFor(absl::Duration time);

  // What users do.
  void CreateServer(const std::string& name, kube::Json spec = {});
  void CreatePool(const std::string& name, kube::Json spec);
  void PatchServer(const std::string& name, kube::Json spec);
  void PatchPool(const std::string& name, kube::Json spec);
  void Annotate(const std::string& name, const std::string& annotation, const std::string& value);
  void Delete(const kube::Kind& kind, const std::string& name);
  // Clients wait for the server until it is routed.
  void Demand(const std::string& name);
  bool Waits(const std::string& name) { return demands_.contains(Server(name).uid()); }
  // A client's message.
  void Use(const std::string& name, int calls_in_flight = 0);

  // What there is.
  v1::MCPServer Server(const std::string& name);
  v1::MCPPool Pool(const std::string& name);
  bool Exists(const kube::Kind& kind, const std::string& name);
  std::string Phase(const std::string& name) { return Server(name).status().phase(); }
  const v1::Condition* Condition(const std::string& name, const std::string& type);
  std::vector<kube::Object> Pods();
  // What the apiservers were last told of the server.
  v1::PublishedServer Published(const std::string& name);
  v1::MCPPool PublishedPool(const std::string& name);

  // How the world behaves.
  bool kubelet_works = true;      // Pods are started and stopped
  std::set<std::string> crashing; // servers whose containers do not start
  std::set<std::string> rude;     // servers whose handshake fails
  std::set<std::string> silent;   // servers that do not answer theirs
  absl::Status write_failure;     // of every write of a controller, but of Events
  kube::Json pod_conditions = kube::Json::array();  // of Pods that start, beside Ready
  bool apiservers_busy = false;   // drains are refused
  std::set<std::string> secretly_busy;  // servers whose drains are
  bool apiservers_there = true;   // for controllers that begin
  std::string process = "api-1";

  // The most Pods that ever existed at the same time: of one server, of all.
  size_t most_pods_of_one() const { return most_pods_of_one_; }
  size_t most_pods() const { return most_pods_; }
  int drains_asked() const { return drains_asked_; }

  // What controllers counted.
  std::string Metrics();
  kube::EmbeddedCluster& cluster() { return *cluster_; }
  SimulatedScheduler& scheduler() { return scheduler_; }
  void RestartController();
  void RestartApiserver(const std::string& new_process);

 private:
  class Cut;
  class Link;
  class Node;

  void StartController();
  void StopController();
  bool StepKubelet();
  void CountPods();

  SimulatedScheduler scheduler_;
  PredictableRandom random_;
  prometheus::Registry registry_;
  std::string dir_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<kube::EmbeddedCluster> cluster_;
  std::unique_ptr<Cut> cut_;
  std::vector<std::unique_ptr<Cut>> dead_;  // calls that were under way still point there
  std::unique_ptr<Controller> controller_;
  Link* link_ = nullptr;  // the controller's
  std::unique_ptr<kube::WatchRecorder> pods_seen_;
  size_t pod_events_counted_ = 0;
  std::map<std::string, std::string> living_pods_;  // uid → server
  size_t most_pods_of_one_ = 0;
  size_t most_pods_ = 0;

  int cut_after_ = -1;
  int writes_ = 0;
  int controllers_ = 0;
  int drains_asked_ = 0;
  std::set<std::string> demands_;  // uids
  struct Activity {
    int64_t requests = 0;
    int calls = 0;
    absl::Time last;
  };
  std::map<std::string, Activity> activity_;  // by uid, of the present process
  std::map<std::string, v1::PublishedServer> published_;
  std::map<std::string, v1::MCPPool> published_pools_;
  v1::MCPServer server_;  // of the last Condition()
};

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_WORLD_H_
