#include "apiserver/watcher.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "unmcp/v1/server_service.grpc.pb.h"

namespace unmcp::apiserver {
namespace {

constexpr size_t kFewPending = 5;

// Watches alone, of a directory that the test fills.
class Watches final : public v1::ServerService::CallbackService {
 public:
  explicit Watches(Directory* directory) : directory_(directory) {}
  grpc::ServerWriteReactor<v1::ServerChange>* WatchServers(grpc::CallbackServerContext*,
                                                           const v1::WatchServersRequest* request) override {
    return Watcher<v1::PublishedServer, v1::ServerChange>::Begin(
        *request,
        {.directory = directory_,
         .catalog = &directory_->servers(),
         .selects =
             [phase = request->phase()](const v1::PublishedServer& entry) {
               return phase.empty() || entry.server().status().phase() == phase;
             },
         .view = [](const v1::PublishedServer& entry) { return entry.server(); },
         .max_pending = kFewPending},
        &streams);
  }
  StreamSet streams;

 private:
  Directory* const directory_;
};

class WatcherTest : public ::testing::Test {
 protected:
  WatcherTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::ServerService::NewStub(server_->InProcessChannel({}));
    directory_.set_synced();
  }
  ~WatcherTest() override { server_->Shutdown(std::chrono::system_clock::now()); }

  void Put(const std::string& name, const std::string& version, const std::string& phase = "Asleep") {
    auto entry = std::make_shared<v1::PublishedServer>();
    entry->mutable_server()->set_uid("uid-" + name);
    entry->mutable_server()->set_name(name);
    entry->mutable_server()->set_resource_version(version);
    entry->mutable_server()->mutable_status()->set_phase(phase);
    directory_.servers().Put(entry);
  }

  // A client's end of one watch.
  struct Client {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::ServerChange>> reader;
    // "ADDED time@1", or the error that ended it.
    std::string Next() {
      v1::ServerChange change;
      if (!reader->Read(&change)) return absl::StrCat("end ", reader->Finish().error_code());
      if (!change.has_object()) return change.type();
      return absl::StrCat(change.type(), " ", change.object().name(), "@", change.object().resource_version());
    }
  };
  std::unique_ptr<Client> Watch(const std::string& phase = "") {
    auto client = std::make_unique<Client>();
    v1::WatchServersRequest request;
    request.set_phase(phase);
    client->reader = stub_->WatchServers(&client->context, request);
    return client;
  }

  Directory directory_;
  Watches service_{&directory_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::ServerService::Stub> stub_;
};

TEST_F(WatcherTest, BeginsWithWhatThereIsAndGoesOnWithWhatChanges) {
  Put("b", "1");
  Put("a", "1");
  auto client = Watch();
  EXPECT_EQ(client->Next(), "ADDED a@1");
  EXPECT_EQ(client->Next(), "ADDED b@1");
  EXPECT_EQ(client->Next(), "BOOKMARK");
  Put("c", "1");
  EXPECT_EQ(client->Next(), "ADDED c@1");
  Put("a", "2");
  EXPECT_EQ(client->Next(), "MODIFIED a@2");
  Put("a", "2");  // the same again is no news
  directory_.servers().Remove("uid-b");
  EXPECT_EQ(client->Next(), "DELETED b@1");
}

TEST_F(WatcherTest, AnEmptyListIsSaidToBeOne) { EXPECT_EQ(Watch()->Next(), "BOOKMARK"); }

TEST_F(WatcherTest, WhatLeavesThePhaseIsDeletedFromTheStream) {
  Put("a", "1", "Ready");
  Put("b", "1");
  auto client = Watch("Ready");
  EXPECT_EQ(client->Next(), "ADDED a@1");
  EXPECT_EQ(client->Next(), "BOOKMARK");
  Put("a", "2", "Stopping");
  EXPECT_EQ(client->Next(), "DELETED a@2");
  Put("b", "2", "Ready");
  EXPECT_EQ(client->Next(), "ADDED b@2");
}

TEST_F(WatcherTest, ManyChangesOfOneObjectAreOne) {
  auto client = Watch();
  EXPECT_EQ(client->Next(), "BOOKMARK");
  for (int i = 1; i <= 1000; ++i) Put("a", absl::StrCat(i));
  Put("z", "1");
  // However many were sent on the way, the last is what it is.
  std::string last;
  int read = 0;
  for (std::string next = client->Next(); next != "ADDED z@1"; next = client->Next()) {
    last = next;
    ++read;
  }
  EXPECT_TRUE(last == "MODIFIED a@1000" || last == "ADDED a@1000") << last;
  EXPECT_LT(read, 1000);
}

TEST_F(WatcherTest, AClientThatDoesNotReadIsEnded) {
  auto client = Watch();
  EXPECT_EQ(client->Next(), "BOOKMARK");
  for (int i = 0; i < 1000; ++i) Put(absl::StrCat("s", i), "1");
  std::string last;
  while (!absl::StartsWith(last, "end")) last = client->Next();
  EXPECT_EQ(last, absl::StrCat("end ", static_cast<int>(grpc::StatusCode::RESOURCE_EXHAUSTED)));
}

TEST_F(WatcherTest, AClientThatHasGoneLeavesNothingBehind) {
  {
    auto client = Watch();
    EXPECT_EQ(client->Next(), "BOOKMARK");
    client->context.TryCancel();
    EXPECT_EQ(client->Next(), absl::StrCat("end ", static_cast<int>(grpc::StatusCode::CANCELLED)));
  }
  Put("a", "1");
  EXPECT_EQ(Watch()->Next(), "ADDED a@1");
}

TEST_F(WatcherTest, StreamsAreEndedWhenTheProcessEnds) {
  auto client = Watch();
  EXPECT_EQ(client->Next(), "BOOKMARK");
  service_.streams.EndAll(Stopping());
  EXPECT_EQ(client->Next(), absl::StrCat("end ", static_cast<int>(grpc::StatusCode::UNAVAILABLE)));
  EXPECT_EQ(Watch()->Next(), absl::StrCat("end ", static_cast<int>(grpc::StatusCode::UNAVAILABLE)));
}

}  // namespace
}  // namespace unmcp::apiserver
