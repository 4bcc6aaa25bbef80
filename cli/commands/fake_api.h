// Stand-ins for the services that client commands call, on a port of this
// process: what a test puts in is what the API says.
#ifndef UNMCP_CLI_COMMANDS_FAKE_API_H_
#define UNMCP_CLI_COMMANDS_FAKE_API_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/context.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "unmcp/v1/manifest_service.grpc.pb.h"
#include "unmcp/v1/pool_service.grpc.pb.h"
#include "unmcp/v1/server_service.grpc.pb.h"
#include "unmcp/v1/session_service.grpc.pb.h"

namespace unmcp {

class FakeApi {
 public:
  using SessionStream = grpc::ServerReaderWriter<v1::ConnectResponse, v1::ConnectRequest>;

  // `now` of the commands under test.
  static constexpr int64_t kNow = 1'800'000'000;

  FakeApi() : servers_(this), pools_(this), sessions_(this), manifests_(this) { Start("127.0.0.1:0"); }
  ~FakeApi() { Stop(); }

  // As if unmcp were stopped, and started again.
  void Stop() {
    EndWatches();
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  void StartAgain() { Start(address()); }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  static v1::MCPServer Server(const std::string& name, const std::string& phase) {
    v1::MCPServer server;
    server.set_name(name);
    server.set_uid("uid-" + name);
    server.set_namespace_("default");
    server.set_resource_version("1");
    server.mutable_created_at()->set_seconds(kNow - 303);
    server.mutable_spec()->set_pool("default");
    server.mutable_spec()->add_command("run-" + name);
    server.mutable_status()->set_phase(phase);
    return server;
  }

  void Put(const v1::MCPServer& server) {
    std::lock_guard<std::mutex> lock(mutex_);
    v1::MCPServer& stored = all_servers_[server.name()];
    const bool is_new = stored.name().empty();
    stored = server;
    stored.set_resource_version(absl::StrCat(++version_));
    changes_.push_back({is_new ? "ADDED" : "MODIFIED", stored});
    changed_.notify_all();
  }
  void Remove(const std::string& name) {
    std::lock_guard<std::mutex> lock(mutex_);
    changes_.push_back({"DELETED", all_servers_[name]});
    all_servers_.erase(name);
    changed_.notify_all();
  }
  void PutPool(const v1::MCPPool& pool) {
    std::lock_guard<std::mutex> lock(mutex_);
    all_pools_[pool.name()] = pool;
  }
  // Cuts off all watches that run.
  void EndWatches() {
    std::lock_guard<std::mutex> lock(mutex_);
    ++watch_epoch_;
    changed_.notify_all();
  }

  // What a test may set before it runs a command. Called on gRPC's threads.
  std::function<void(const std::string& name)> on_start = [](const std::string&) {};
  std::function<void(const std::string& name, bool suspend)> on_stop = [](const std::string&, bool) {};
  std::function<void(const std::string& name)> on_delete = [this](const std::string& name) { Remove(name); };
  std::function<void()> on_watching = [] {};  // a watch has sent its BOOKMARK
  std::function<grpc::Status(const std::string& server, SessionStream* stream)> on_session =
      [](const std::string&, SessionStream*) { return grpc::Status::OK; };
  std::function<grpc::Status(const v1::ApplyRequest&, v1::ApplyResponse*)> on_apply =
      [](const v1::ApplyRequest&, v1::ApplyResponse*) { return grpc::Status::OK; };
  std::string logs;
  std::vector<v1::ServerEvent> events;

 private:
  struct Change {
    std::string type;
    v1::MCPServer server;
  };

  void Start(const std::string& address) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&servers_);
    builder.RegisterService(&pools_);
    builder.RegisterService(&sessions_);
    builder.RegisterService(&manifests_);
    server_ = builder.BuildAndStart();
  }

  static grpc::Status NotFound(const std::string& what, const std::string& name) {
    return {grpc::StatusCode::NOT_FOUND, absl::StrCat(what, " \"", name, "\" not found")};
  }

  grpc::Status Find(const std::string& name, v1::MCPServer* found) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [key, server] : all_servers_) {
      if (key != name && server.uid() != name) continue;
      *found = server;
      return grpc::Status::OK;
    }
    return NotFound("server", name);
  }

  class Servers final : public v1::ServerService::Service {
   public:
    explicit Servers(FakeApi* api) : api_(api) {}
    grpc::Status ListServers(grpc::ServerContext*, const v1::ListServersRequest* request,
                             v1::ListServersResponse* response) override {
      std::lock_guard<std::mutex> lock(api_->mutex_);
      // Pages of one: a client that does not turn them shows too little.
      for (const auto& [name, server] : api_->all_servers_) {
        if (name <= request->page_token()) continue;
        if (!request->pool().empty() && server.spec().pool() != request->pool()) continue;
        if (response->items_size() > 0) {
          response->set_next_page_token(response->items(0).name());
          break;
        }
        *response->add_items() = server;
      }
      return grpc::Status::OK;
    }
    grpc::Status WatchServers(grpc::ServerContext* context, const v1::WatchServersRequest*,
                              grpc::ServerWriter<v1::ServerChange>* writer) override {
      std::unique_lock<std::mutex> lock(api_->mutex_);
      const int epoch = api_->watch_epoch_;
      const auto write = [&](const std::string& type, const v1::MCPServer& server) {
        v1::ServerChange change;
        change.set_type(type);
        if (type != "BOOKMARK") *change.mutable_object() = server;
        writer->Write(change);
      };
      for (const auto& [name, server] : api_->all_servers_) write("ADDED", server);
      write("BOOKMARK", {});
      size_t next = api_->changes_.size();
      lock.unlock();
      api_->on_watching();
      lock.lock();
      while (!context->IsCancelled()) {
        for (; next < api_->changes_.size(); ++next) write(api_->changes_[next].type, api_->changes_[next].server);
        if (epoch != api_->watch_epoch_) return {grpc::StatusCode::UNAVAILABLE, "stopping"};
        api_->changed_.wait_for(lock, std::chrono::milliseconds(5));
      }
      return grpc::Status::CANCELLED;
    }
    grpc::Status GetServer(grpc::ServerContext*, const v1::GetServerRequest* request, v1::MCPServer* found) override {
      return api_->Find(request->uid(), found);
    }
    grpc::Status DeleteServer(grpc::ServerContext*, const v1::DeleteServerRequest* request,
                              v1::DeleteServerResponse*) override {
      v1::MCPServer found;
      const grpc::Status status = api_->Find(request->uid(), &found);
      if (status.ok()) api_->on_delete(found.name());
      return status;
    }
    grpc::Status StartServer(grpc::ServerContext*, const v1::StartServerRequest* request,
                             v1::MCPServer* found) override {
      const grpc::Status status = api_->Find(request->uid(), found);
      if (status.ok()) api_->on_start(found->name());
      return status;
    }
    grpc::Status StopServer(grpc::ServerContext*, const v1::StopServerRequest* request,
                            v1::MCPServer* found) override {
      const grpc::Status status = api_->Find(request->uid(), found);
      if (status.ok()) api_->on_stop(found->name(), request->suspend());
      return status;
    }
    grpc::Status GetServerLogs(grpc::ServerContext*, const v1::GetServerLogsRequest* request,
                               v1::ServerLogs* response) override {
      v1::MCPServer found;
      response->set_text(absl::StrCat(api_->logs, "tail ", request->tail_lines(), "\n"));
      return api_->Find(request->uid(), &found);
    }
    grpc::Status FollowServerLogs(grpc::ServerContext*, const v1::FollowServerLogsRequest*,
                                  grpc::ServerWriter<v1::ServerLogs>* writer) override {
      for (const char* text : {"one\n", "two\n"}) {
        v1::ServerLogs piece;
        piece.set_text(text);
        writer->Write(piece);
      }
      return grpc::Status::OK;
    }
    grpc::Status ListServerEvents(grpc::ServerContext*, const v1::ListServerEventsRequest*,
                                  v1::ListServerEventsResponse* response) override {
      for (const v1::ServerEvent& event : api_->events) *response->add_items() = event;
      return grpc::Status::OK;
    }

   private:
    FakeApi* const api_;
  };

  class Pools final : public v1::PoolService::Service {
   public:
    explicit Pools(FakeApi* api) : api_(api) {}
    grpc::Status ListPools(grpc::ServerContext*, const v1::ListPoolsRequest*,
                           v1::ListPoolsResponse* response) override {
      std::lock_guard<std::mutex> lock(api_->mutex_);
      for (const auto& [name, pool] : api_->all_pools_) *response->add_items() = pool;
      return grpc::Status::OK;
    }
    grpc::Status WatchPools(grpc::ServerContext*, const v1::WatchPoolsRequest*,
                            grpc::ServerWriter<v1::PoolChange>* writer) override {
      v1::PoolChange change;
      change.set_type("BOOKMARK");
      writer->Write(change);
      return grpc::Status::OK;
    }
    grpc::Status GetPool(grpc::ServerContext*, const v1::GetPoolRequest* request, v1::MCPPool* pool) override {
      std::lock_guard<std::mutex> lock(api_->mutex_);
      const auto it = api_->all_pools_.find(request->name());
      if (it == api_->all_pools_.end()) return NotFound("pool", request->name());
      *pool = it->second;
      return grpc::Status::OK;
    }
    grpc::Status DeletePool(grpc::ServerContext*, const v1::DeletePoolRequest* request,
                            v1::DeletePoolResponse*) override {
      std::lock_guard<std::mutex> lock(api_->mutex_);
      return api_->all_pools_.erase(request->name()) > 0 ? grpc::Status::OK : NotFound("pool", request->name());
    }

   private:
    FakeApi* const api_;
  };

  class Sessions final : public v1::SessionService::Service {
   public:
    explicit Sessions(FakeApi* api) : api_(api) {}
    grpc::Status Connect(grpc::ServerContext*, SessionStream* stream) override {
      v1::ConnectRequest request;
      if (!stream->Read(&request)) return grpc::Status::CANCELLED;
      v1::MCPServer found;
      const grpc::Status status = api_->Find(request.open().server(), &found);
      if (!status.ok()) return status;
      stream->Write({});
      return api_->on_session(found.name(), stream);
    }

   private:
    FakeApi* const api_;
  };

  class Manifests final : public v1::ManifestService::Service {
   public:
    explicit Manifests(FakeApi* api) : api_(api) {}
    grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ApplyResponse* response) override {
      return api_->on_apply(*request, response);
    }

   private:
    FakeApi* const api_;
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  int version_ = 1;
  int watch_epoch_ = 0;
  std::map<std::string, v1::MCPServer> all_servers_;
  std::map<std::string, v1::MCPPool> all_pools_;
  std::vector<Change> changes_;
  Servers servers_;
  Pools pools_;
  Sessions sessions_;
  Manifests manifests_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A command's surroundings, over a FakeApi.
struct TestContext {
  explicit TestContext(const FakeApi& fake) : api({.addresses = {fake.address()}}) { (void)api.Connect(); }

  ApiClient api;
  std::istringstream in;
  std::ostringstream out, err;
  Context context = {.api = api,
                     .in = in,
                     .out = out,
                     .err = err,
                     .terminal = {},
                     .now = [] { return absl::FromUnixSeconds(FakeApi::kNow); },
                     .program = "/opt/unmcp",
                     .connection_flags = {"--server", "box:1"},
                     .http_url = "http://box:2"};
};

}  // namespace unmcp

#endif  // UNMCP_CLI_COMMANDS_FAKE_API_H_
