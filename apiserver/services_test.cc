// The services of the API, over a real channel and with the real embedded
// cluster behind them. The controller is played by the test, and publishes
// nothing unless told to.

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apiserver/apiserver.h"
#include "apiserver/contended_cluster.h"
#include "common/annotations.h"
#include "common/event_loop.h"
#include "common/mutex.h"
#include "common/proto_json.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "kube/await.h"
#include "kube/embedded/embedded_cluster.h"
#include "prometheus/registry.h"
#include "proto/schema/crd.h"
#include "unmcp/v1/manifest_service.grpc.pb.h"
#include "unmcp/v1/metrics_service.grpc.pb.h"
#include "unmcp/v1/pool_service.grpc.pb.h"
#include "unmcp/v1/server_service.grpc.pb.h"
#include "unmcp/v1/state.grpc.pb.h"

namespace unmcp::apiserver {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ServicesTest : public ::testing::Test {
 protected:
  ServicesTest() : dir_(absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(dir_);
    auto cluster = kube::EmbeddedCluster::Create({.data_dir = dir_, .crds = AllCrds()});
    EXPECT_TRUE(cluster.ok()) << cluster.status();
    embedded_ = *std::move(cluster);
    cluster_ = std::make_unique<ContendedCluster>(embedded_.get());
    auto apiserver = ApiServer::Create({.loop = &loop_,
                                        .cluster = cluster_.get(),
                                        .random = Random::System(),
                                        .registry = &registry_,
                                        .version = "test",
                                        .host = "127.0.0.1",
                                        .on_ready = [this] { ready_.Notify(); }});
    EXPECT_TRUE(apiserver.ok()) << apiserver.status();
    apiserver_ = *std::move(apiserver);
    loop_.Start();
    const auto channel = apiserver_->ApiChannel();
    servers_ = v1::ServerService::NewStub(channel);
    pools_ = v1::PoolService::NewStub(channel);
    manifests_ = v1::ManifestService::NewStub(channel);
    metrics_ = v1::MetricsService::NewStub(channel);
    state_ = v1::StateService::NewStub(apiserver_->InternalChannel());
  }
  ~ServicesTest() override {
    if (stream_) {
      state_context_.TryCancel();
      v1::SyncResponse response;
      while (stream_->Read(&response)) {
      }
      stream_->Finish();
    }
    apiserver_->Shutdown(absl::Seconds(30));
    loop_.Stop();
    apiserver_ = nullptr;
    embedded_ = nullptr;
    std::filesystem::remove_all(dir_);
  }

  // A controller with an empty snapshot.
  void Connect() {
    stream_ = state_->Sync(&state_context_);
    v1::SyncRequest request;
    request.mutable_hello()->set_epoch(3);
    request.mutable_hello()->set_identity("tester");
    request.mutable_hello()->set_namespace_("default");
    stream_->Write(request);
    request.mutable_snapshot_end();
    stream_->Write(request);
    ready_.Wait();
  }
  void Publish(const v1::MCPServer& server, const std::string& phase, const std::string& pod = "") {
    v1::SyncRequest request;
    v1::PublishedServer& published = *request.mutable_change()->mutable_server();
    *published.mutable_server() = server;
    published.mutable_server()->mutable_status()->set_phase(phase);
    if (!pod.empty()) published.mutable_route()->set_pod(pod);
    stream_->Write(request);
  }
  void UntilPhase(const std::string& name, const std::string& phase) {
    while (Get(name).status().phase() != phase) {
    }
  }

  v1::MCPServer Get(const std::string& uid_or_name) {
    v1::GetServerRequest request;
    request.set_uid(uid_or_name);
    v1::MCPServer server;
    Ok([&](auto* context) { return servers_->GetServer(context, request, &server); });
    return server;
  }
  grpc::Status TryGet(const std::string& uid_or_name) {
    grpc::ClientContext context;
    v1::GetServerRequest request;
    request.set_uid(uid_or_name);
    v1::MCPServer server;
    return servers_->GetServer(&context, request, &server);
  }
  grpc::Status TryCreate(const std::string& json, v1::MCPServer* made) {
    grpc::ClientContext context;
    v1::CreateServerRequest request;
    EXPECT_TRUE(FromJson(*ParseJson(json), UnknownFields::kReject, request.mutable_server()).ok()) << json;
    return servers_->CreateServer(&context, request, made);
  }
  v1::MCPServer Create(const std::string& json) {
    v1::MCPServer made;
    const grpc::Status status = TryCreate(json, &made);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return made;
  }
  std::string CreateError(const std::string& json, grpc::StatusCode code) {
    v1::MCPServer made;
    const grpc::Status status = TryCreate(json, &made);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    return status.error_message();
  }
  grpc::Status Update(const std::string& uid, const std::string& json, v1::MCPServer* updated) {
    grpc::ClientContext context;
    v1::UpdateServerRequest request;
    request.set_uid(uid);
    EXPECT_TRUE(FromJson(*ParseJson(json), UnknownFields::kReject, request.mutable_server()).ok()) << json;
    return servers_->UpdateServer(&context, request, updated);
  }
  grpc::Status Delete(const std::string& uid, const std::string& version = "") {
    grpc::ClientContext context;
    v1::DeleteServerRequest request;
    request.set_uid(uid);
    request.set_resource_version(version);
    v1::DeleteServerResponse response;
    return servers_->DeleteServer(&context, request, &response);
  }
  std::vector<std::string> List(v1::ListServersRequest request = {}, std::string* next = nullptr) {
    v1::ListServersResponse response;
    Ok([&](auto* context) { return servers_->ListServers(context, request, &response); });
    if (next != nullptr) *next = response.next_page_token();
    std::vector<std::string> names;
    for (const auto& server : response.items()) names.push_back(server.name());
    return names;
  }
  void Ok(const std::function<grpc::Status(grpc::ClientContext*)>& call) {
    grpc::ClientContext context;
    const grpc::Status status = call(&context);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  const std::string dir_;
  EventLoop loop_{"data"};
  prometheus::Registry registry_;
  Notification ready_;
  std::unique_ptr<kube::EmbeddedCluster> embedded_;
  std::unique_ptr<ContendedCluster> cluster_;
  std::unique_ptr<ApiServer> apiserver_;
  std::unique_ptr<v1::ServerService::Stub> servers_;
  std::unique_ptr<v1::PoolService::Stub> pools_;
  std::unique_ptr<v1::ManifestService::Stub> manifests_;
  std::unique_ptr<v1::MetricsService::Stub> metrics_;
  std::unique_ptr<v1::StateService::Stub> state_;
  grpc::ClientContext state_context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SyncRequest, v1::SyncResponse>> stream_;
};

TEST_F(ServicesTest, NothingIsSaidBeforeAControllerHasSpoken) {
  CreateError(R"({"name":"a"})", grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(TryGet("a").error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext context;
  auto watch = servers_->WatchServers(&context, {});
  v1::ServerChange change;
  EXPECT_FALSE(watch->Read(&change));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServicesTest, WhatIsWrittenIsReadAtOnce) {
  Connect();
  const v1::MCPServer made = Create(R"({"name":"a","pool":"p","spec":{"command":["x"]}})");
  EXPECT_NE(made.uid(), "");
  EXPECT_EQ(made.namespace_(), "default");
  EXPECT_EQ(made.pool(), "p");
  EXPECT_EQ(made.spec().pool(), "p");
  EXPECT_GT(made.created_at().seconds(), 0);
  EXPECT_EQ(Get(made.uid()).name(), "a");
  EXPECT_EQ(Get("a").uid(), made.uid());
  EXPECT_THAT(List(), ElementsAre("a"));

  v1::MCPServer updated;
  ASSERT_TRUE(Update("a", R"({"spec":{"command":["y"],"pool":"p"}})", &updated).ok());
  EXPECT_EQ(updated.generation(), 2);
  EXPECT_EQ(Get("a").spec().command(0), "y");

  ASSERT_TRUE(Delete(made.uid()).ok());
  EXPECT_EQ(TryGet("a").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Delete("a").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(List(), ElementsAre());
}

TEST_F(ServicesTest, AServerThatSomebodyElseHasJustCreatedIsFoundInTheCluster) {
  Connect();
  kube::Object object(kube::MCPServerKind(), "default", "a");
  object.json()["spec"] = {{"command", {"x"}}};
  const auto made = kube::AwaitCreate(*embedded_, kube::MCPServerKind(), object);
  EXPECT_EQ(Get(made->uid()).name(), "a");
  EXPECT_EQ(Get("a").spec().command(0), "x");
  EXPECT_EQ(TryGet("00000000-0000-0000-0000-000000000000").error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServicesTest, WhatIsWrongIsRefusedWithTheReason) {
  Connect();
  Create(R"({"name":"a"})");
  CreateError(R"({"name":"a"})", grpc::StatusCode::ALREADY_EXISTS);
  const auto invalid = grpc::StatusCode::INVALID_ARGUMENT;
  EXPECT_THAT(CreateError(R"({"name":"A"})", invalid), StartsWith("name: "));
  EXPECT_THAT(CreateError(R"({"spec":{}})", invalid), StartsWith("name: is required"));
  EXPECT_THAT(CreateError(R"({"name":"b","spec":{"idleTimeout":-2}})", invalid), StartsWith("spec.idleTimeout: "));
  EXPECT_THAT(CreateError(R"({"name":"b","pool":"p","spec":{"pool":"q"}})", invalid), StartsWith("pool: "));
  EXPECT_THAT(CreateError(R"({"name":"b","namespace":"other"})", invalid), StartsWith("namespace: "));
  v1::MCPServer updated;
  EXPECT_THAT(Update("a", R"({"name":"b","spec":{}})", &updated).error_message(), StartsWith("name: "));
  EXPECT_THAT(Update("a", R"({"uid":"b","spec":{}})", &updated).error_message(), StartsWith("uid: "));
  EXPECT_EQ(Update("b", R"({"spec":{}})", &updated).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServicesTest, WhatHasBeenReadCanBeWrittenBack) {
  Connect();
  v1::MCPServer read = Create(R"({"name":"a","spec":{"command":["x"]}})");
  read.mutable_spec()->set_pool("other");  // beside the copy in `pool`
  v1::MCPServer updated;
  ASSERT_TRUE(Update("a", JsonText(ToJson(read)), &updated).ok());
  EXPECT_EQ(updated.pool(), "other");
  // The version that was read is over.
  EXPECT_EQ(Update("a", JsonText(ToJson(read)), &updated).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Delete("a", read.resource_version()).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_TRUE(Delete("a", updated.resource_version()).ok());
}

TEST_F(ServicesTest, PagesSurviveWhatIsInsertedBetween) {
  Connect();
  for (const char* name : {"b", "d", "f"}) Create(absl::StrCat(R"({"name":")", name, "\"}"));
  v1::ListServersRequest request;
  request.set_page_size(2);
  std::string next;
  EXPECT_THAT(List(request, &next), ElementsAre("b", "d"));
  ASSERT_NE(next, "");
  for (const char* name : {"a", "e"}) Create(absl::StrCat(R"({"name":")", name, "\"}"));
  ASSERT_TRUE(Delete("d").ok());
  request.set_page_token(next);
  EXPECT_THAT(List(request, &next), ElementsAre("e", "f"));
  EXPECT_EQ(next, "");

  grpc::ClientContext context;
  request.set_page_token("%");
  v1::ListServersResponse response;
  const grpc::Status status = servers_->ListServers(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), StartsWith("pageToken: "));
}

TEST_F(ServicesTest, RequestsKeepTheRulesOfTheirFields) {
  Connect();
  Create(R"({"name":"a"})");
  const auto error = [&](const std::function<grpc::Status(grpc::ClientContext*)>& call) {
    grpc::ClientContext context;
    const grpc::Status status = call(&context);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  v1::ListServersRequest list;
  list.set_phase("asleep");
  v1::ListServersResponse listed;
  EXPECT_THAT(error([&](auto* context) { return servers_->ListServers(context, list, &listed); }),
              StartsWith("phase: must be one of "));
  v1::ListPoolsRequest pools;
  pools.set_page_size(-1);
  v1::ListPoolsResponse pools_listed;
  EXPECT_THAT(error([&](auto* context) { return pools_->ListPools(context, pools, &pools_listed); }),
              StartsWith("pageSize: must be at least 0"));
  v1::WatchServersRequest watch;
  watch.set_phase("asleep");
  EXPECT_THAT(error([&](auto* context) { return servers_->WatchServers(context, watch)->Finish(); }),
              StartsWith("phase: must be one of "));
  v1::GetServerLogsRequest logs;
  logs.set_uid("a");
  logs.set_tail_lines(-1);
  v1::ServerLogs text;
  EXPECT_THAT(error([&](auto* context) { return servers_->GetServerLogs(context, logs, &text); }),
              StartsWith("tailLines: must be at least 0"));
  v1::FollowServerLogsRequest follow;
  follow.set_uid("a");
  follow.set_tail_lines(-1);
  EXPECT_THAT(error([&](auto* context) { return servers_->FollowServerLogs(context, follow)->Finish(); }),
              StartsWith("tailLines: must be at least 0"));
}

TEST_F(ServicesTest, ListsByPoolAndPhase) {
  Connect();
  Create(R"({"name":"a","spec":{"pool":"p"}})");
  Publish(Create(R"({"name":"b"})"), "Ready");
  UntilPhase("b", "Ready");
  v1::ListServersRequest request;
  request.set_pool("p");
  EXPECT_THAT(List(request), ElementsAre("a"));
  request.set_pool("");
  request.set_phase("Ready");
  EXPECT_THAT(List(request), ElementsAre("b"));
}

TEST_F(ServicesTest, WatchesSeeWritesAndEndWithTheProcess) {
  Connect();
  Create(R"({"name":"a"})");
  grpc::ClientContext context;
  auto watch = servers_->WatchServers(&context, {});
  const auto next = [&] {
    v1::ServerChange change;
    return watch->Read(&change) ? change.type() + " " + change.object().name() : "end";
  };
  EXPECT_EQ(next(), "ADDED a");
  EXPECT_EQ(next(), "BOOKMARK ");
  Create(R"({"name":"b"})");
  EXPECT_EQ(next(), "ADDED b");
  ASSERT_TRUE(Delete("a").ok());
  EXPECT_EQ(next(), "DELETED a");
  // Not after the grace: see the fixture's end.
  const absl::Time began = absl::Now();
  apiserver_->Shutdown(absl::Seconds(30));
  EXPECT_LT(absl::Now() - began, absl::Seconds(20));
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServicesTest, Pools) {
  Connect();
  v1::MCPPool made;
  v1::CreatePoolRequest create;
  create.mutable_pool()->set_name("p");
  create.mutable_pool()->mutable_spec()->set_max_servers_active(2);
  Ok([&](auto* context) { return pools_->CreatePool(context, create, &made); });
  EXPECT_EQ(made.spec().max_servers_active(), 2);
  EXPECT_EQ(made.spec().max_servers_limit(), 100);  // as declared in the schema

  v1::MCPPool pool;
  v1::GetPoolRequest get;
  get.set_name("p");
  Ok([&](auto* context) { return pools_->GetPool(context, get, &pool); });
  EXPECT_EQ(pool.uid(), made.uid());
  v1::ListPoolsResponse list;
  Ok([&](auto* context) { return pools_->ListPools(context, {}, &list); });
  EXPECT_EQ(list.items_size(), 1);

  v1::UpdatePoolRequest update;
  update.set_name("p");
  update.mutable_pool()->mutable_spec()->set_max_servers_active(3);
  update.mutable_pool()->set_resource_version(made.resource_version());
  Ok([&](auto* context) { return pools_->UpdatePool(context, update, &pool); });
  EXPECT_EQ(pool.spec().max_servers_active(), 3);
  {
    grpc::ClientContext context;
    update.mutable_pool()->mutable_spec()->set_max_servers_active(4);
    EXPECT_EQ(pools_->UpdatePool(&context, update, &pool).error_code(), grpc::StatusCode::ABORTED);
  }

  grpc::ClientContext watching;
  auto watch = pools_->WatchPools(&watching, {});
  v1::PoolChange change;
  ASSERT_TRUE(watch->Read(&change));
  EXPECT_EQ(change.object().name(), "p");
  ASSERT_TRUE(watch->Read(&change));
  EXPECT_EQ(change.type(), "BOOKMARK");
  v1::DeletePoolRequest remove;
  remove.set_name("p");
  v1::DeletePoolResponse removed;
  Ok([&](auto* context) { return pools_->DeletePool(context, remove, &removed); });
  ASSERT_TRUE(watch->Read(&change));
  EXPECT_EQ(change.type(), "DELETED");
  grpc::ClientContext context;
  const grpc::Status gone = pools_->GetPool(&context, get, &pool);
  EXPECT_EQ(gone.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(gone.error_message(), HasSubstr("no pool"));
}

TEST_F(ServicesTest, StartAndStopAreAskedForByAnnotation) {
  Connect();
  Create(R"({"name":"a","spec":{"suspend":true}})");
  v1::StartServerRequest start;
  start.set_uid("a");
  v1::MCPServer server;
  Ok([&](auto* context) { return servers_->StartServer(context, start, &server); });
  EXPECT_FALSE(server.spec().has_suspend());
  v1::StopServerRequest stop;
  stop.set_uid("a");
  stop.set_suspend(true);
  Ok([&](auto* context) { return servers_->StopServer(context, stop, &server); });
  EXPECT_TRUE(server.spec().suspend());
  const auto object = kube::AwaitGet(*embedded_, {kube::MCPServerKind(), "default", "a"});
  for (const char* annotation : {kStartedAtAnnotation, kStartedByAnnotation, kStoppedAtAnnotation, kStoppedByAnnotation}) {
    EXPECT_NE(object->annotation(annotation), "") << annotation;
  }
}

TEST_F(ServicesTest, Logs) {
  Connect();
  const v1::MCPServer made = Create(R"({"name":"a"})");
  v1::GetServerLogsRequest request;
  request.set_uid("a");
  request.set_tail_lines(7);
  v1::ServerLogs logs;
  {
    grpc::ClientContext context;
    const grpc::Status none = servers_->GetServerLogs(&context, request, &logs);
    EXPECT_EQ(none.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(none.error_message(), HasSubstr("no process"));
  }
  cluster_->logs = [](const kube::ObjectRef& pod, kube::LogOptions options, kube::Callback<std::string> done) {
    done(absl::StrCat(pod.name, " ", options.container, " ", options.tail_lines, " \xff\n"));
  };
  Publish(made, "Ready", "a-3");
  UntilPhase("a", "Ready");
  Ok([&](auto* context) { return servers_->GetServerLogs(context, request, &logs); });
  EXPECT_EQ(logs.text(), "a-3 server 7 \xEF\xBF\xBD\n");

  cluster_->follow_logs = [](const kube::ObjectRef&, kube::LogCallbacks callbacks) {
    callbacks.on_text("one\n");
    callbacks.on_text("two\n");
    callbacks.on_end(absl::OkStatus());
    return std::make_unique<kube::Watch>();
  };
  grpc::ClientContext context;
  v1::FollowServerLogsRequest follow;
  follow.set_uid("a");
  auto stream = servers_->FollowServerLogs(&context, follow);
  std::string text;
  while (stream->Read(&logs)) text += logs.text();
  EXPECT_EQ(text, "one\ntwo\n");
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServicesTest, AClientThatDoesNotReadALogIsEnded) {
  Connect();
  const v1::MCPServer made = Create(R"({"name":"a"})");
  Publish(made, "Ready", "a-1");
  UntilPhase("a", "Ready");
  cluster_->follow_logs = [](const kube::ObjectRef&, kube::LogCallbacks callbacks) {
    const std::string line(64 * 1024, 'x');
    for (int i = 0; i < 200; ++i) callbacks.on_text(line);
    return std::make_unique<kube::Watch>();
  };
  grpc::ClientContext context;
  v1::FollowServerLogsRequest follow;
  follow.set_uid("a");
  auto stream = servers_->FollowServerLogs(&context, follow);
  v1::ServerLogs logs;
  while (stream->Read(&logs)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ServicesTest, EventsOldestFirst) {
  Connect();
  const v1::MCPServer made = Create(R"({"name":"a"})");
  const auto event = [&](const std::string& name, const std::string& uid, const std::string& last) {
    kube::Object object(kube::EventKind(), "default", name);
    object.json()["involvedObject"] = {{"kind", "MCPServer"}, {"name", "a"}, {"namespace", "default"}, {"uid", uid}};
    object.json()["type"] = "Normal";
    object.json()["reason"] = name;
    object.json()["message"] = "it " + name;
    object.json()["count"] = 2;
    object.json()["firstTimestamp"] = "2026-01-01T00:00:00Z";
    object.json()["lastTimestamp"] = last;
    ASSERT_TRUE(kube::AwaitCreate(*embedded_, kube::EventKind(), object).ok());
  };
  const std::string now = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
  const std::string before = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now() - absl::Minutes(1), absl::UTCTimeZone());
  event("stopped", made.uid(), now);
  event("started", made.uid(), before);
  event("gone", made.uid(), now);  // in the second in which it was stopped
  event("other", "another", now);
  v1::ListServerEventsRequest request;
  request.set_uid("a");
  v1::ListServerEventsResponse response;
  Ok([&](auto* context) { return servers_->ListServerEvents(context, request, &response); });
  ASSERT_EQ(response.items_size(), 3);
  EXPECT_EQ(response.items(0).reason(), "started");
  EXPECT_EQ(response.items(1).reason(), "stopped");
  EXPECT_EQ(response.items(2).reason(), "gone");
  EXPECT_EQ(response.items(0).count(), 2);
  EXPECT_EQ(response.items(0).first_seen().seconds(), 1767225600);
}

TEST_F(ServicesTest, ManifestsAreApplied) {
  Connect();
  v1::ApplyRequest request;
  ASSERT_TRUE(FromJson(*ParseJson(R"({"apiVersion":"unmcp.dev/v1","kind":"MCPServer","metadata":{"name":"a"},
                                      "spec":{"command":["x"],"idleTimeout":5,
                                              "env":[{"name":"API_KEY","value":"hush"}]}})"),
                       UnknownFields::kReject, request.mutable_manifest())
                  .ok());
  v1::ApplyResponse response;
  Ok([&](auto* context) { return manifests_->Apply(context, request, &response); });
  EXPECT_EQ(response.change(), "created");
  EXPECT_EQ(response.kind(), "MCPServer");
  EXPECT_EQ(response.name(), "a");
  Ok([&](auto* context) { return manifests_->Apply(context, request, &response); });
  EXPECT_EQ(response.change(), "unchanged");
  EXPECT_EQ(Get("a").spec().idle_timeout(), 5);
  EXPECT_THAT(Get("a").ShortDebugString(), AllOf(HasSubstr("secret_key_ref"), Not(HasSubstr("hush"))));
}

TEST_F(ServicesTest, AFullDiskIsSaidToBeOne) {
  Connect();
  cluster_->refuse = [](const kube::Kind&) { return absl::ResourceExhaustedError("no room on disk"); };
  EXPECT_THAT(CreateError(R"({"name":"a"})", grpc::StatusCode::RESOURCE_EXHAUSTED), HasSubstr("no room on disk"));
}

TEST_F(ServicesTest, Figures) {
  Connect();
  Publish(Create(R"({"name":"a"})"), "Ready", "a-1");
  Create(R"({"name":"b","spec":{"pool":"p"}})");
  UntilPhase("a", "Ready");
  v1::SyncRequest heartbeat;
  heartbeat.mutable_heartbeat()->set_metrics("controller_says 1\n");
  stream_->Write(heartbeat);
  v1::PrometheusMetrics text;
  do {
    Ok([&](auto* context) { return metrics_->GetPrometheusMetrics(context, {}, &text); });
  } while (text.text().find("controller_says 1") == std::string::npos);
  for (const char* line : {"unmcp_servers{phase=\"Ready\"} 1\n", "unmcp_controller_connected 1\n",
                           "unmcp_server_requests_total{server=\"a\",pool=\"default\"} 0\n",
                           "unmcp_open_sessions 0\n", "unmcp_calls_in_flight 0\n", "unmcp_requests_total 0\n",
                           "# TYPE unmcp_pool_servers gauge\n"}) {
    EXPECT_THAT(text.text(), HasSubstr(line));
  }
  EXPECT_THAT(text.text(), HasSubstr("grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"CreateServer\","
                                     "grpc_service=\"unmcp.v1.ServerService\"} 2"));

  v1::OperatorMetrics all;
  Ok([&](auto* context) { return metrics_->GetMetrics(context, {}, &all); });
  EXPECT_EQ(all.version(), "test");
  EXPECT_EQ(all.servers().total(), 2);
  EXPECT_EQ(all.servers().running(), 1);
  EXPECT_EQ(all.servers().ready(), 1);
  EXPECT_TRUE(all.controller().connected());
  EXPECT_EQ(all.controller().identity(), "tester");
  EXPECT_EQ(all.controller().epoch(), 3u);

  v1::ServerMetrics one;
  v1::GetServerMetricsRequest request;
  request.set_name("a");
  Ok([&](auto* context) { return metrics_->GetServerMetrics(context, request, &one); });
  EXPECT_EQ(one.phase(), "Ready");
  EXPECT_TRUE(one.is_running());
  v1::PoolMetrics pool;
  v1::GetPoolMetricsRequest nobody;
  nobody.set_name("nobody");
  grpc::ClientContext context;
  EXPECT_EQ(metrics_->GetPoolMetrics(&context, nobody, &pool).error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace unmcp::apiserver
