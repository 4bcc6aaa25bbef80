// Routes MCP exchanges to the servers they are for, and speaks for the servers
// to the controller.
#ifndef UNMCP_APISERVER_DATA_PATH_H_
#define UNMCP_APISERVER_DATA_PATH_H_

#include <deque>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "apiserver/directory.h"
#include "apiserver/metrics.h"
#include "apiserver/server_runtime.h"
#include "apiserver/state_service.h"

namespace unmcp::apiserver {

// Lives on one EventLoop.
class DataPath final : public StateListener, public ServerRuntime::Uplink {
 public:
  struct Options {
    EventLoop* loop = nullptr;
    kube::Cluster* cluster = nullptr;
    http::Client* http = nullptr;  // on the loop
    Random* random = nullptr;
    Directory* directory = nullptr;
    Metrics* metrics = nullptr;
    std::string version;
    // Called on the loop when the first snapshot is complete.
    absl::AnyInvocable<void()> on_synced;
  };
  explicit DataPath(Options options);
  ~DataPath() override;

  // The stream to speak on; set once, before the loop starts.
  void set_state_service(StateService* service) { state_ = service; }

  // Takes an exchange from the Link. One for a server that has been written
  // here, and that the controller has not published yet, is held until it is.
  void Accept(session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange);

  // Live figures of one server for the API, from any thread.
  session::HubActivity ActivityOf(const std::string& uid) const;

  // Ends every session in good order.
  void CloseAll(absl::string_view why);

  // StateListener
  void OnControllerUp(const v1::Hello& hello) override;
  void OnChange(v1::Change change) override;
  void OnSnapshotEnd() override;
  void OnDrain(const v1::Drain& drain) override;
  void OnHeartbeat(v1::Heartbeat heartbeat) override;
  void OnControllerDown() override;

  // ServerRuntime::Uplink
  void Demand(const std::string& uid) override;
  void Discovered(v1::Discovery discovery) override;
  void ActivityChanged(ServerRuntime* runtime) override;
  bool has_controller() const override { return state_->connected(); }

 private:
  // An exchange that waits for its server to be published.
  struct Held {
    std::string uid;
    absl::Time until;
    session::ExchangeRequest request;
    std::unique_ptr<session::Exchange> exchange;
  };

  void OnServer(v1::PublishedServer published);
  void Remove(const std::string& uid);
  void Hold(std::string uid, session::ExchangeRequest request, std::unique_ptr<session::Exchange> exchange);
  // Serves or refuses those whose server has come or gone, or whose time is over.
  void ReleaseHeld();
  void SendActivity();

  Options options_;
  StateService* state_ = nullptr;
  absl::flat_hash_map<std::string, std::unique_ptr<ServerRuntime>> runtimes_;
  absl::flat_hash_set<std::string> unseen_;  // of the snapshot that is being received
  absl::flat_hash_set<std::string> unseen_pools_;
  absl::flat_hash_set<std::string> dirty_;   // activity to be told
  std::deque<Held> held_;                    // in order of arrival
  Timer held_timer_;
  Timer activity_timer_;
  absl::Time activity_sent_ = absl::InfinitePast();

  mutable Mutex activity_mutex_;
  absl::flat_hash_map<std::string, session::HubActivity> activity_ ABSL_GUARDED_BY(activity_mutex_);
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_DATA_PATH_H_
