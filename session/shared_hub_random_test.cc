// Many clients that use the same ids at the same time, and a server that
// answers in any order: everything reaches whom it is for, as it was.
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "session/envelope.h"
#include "session/shared_hub.h"
#include "session/testing/fakes.h"

namespace unmcp::session {
namespace {

class Simulation : protected HubWorld {
 public:
  explicit Simulation(uint32_t seed) : rng_(seed) {}

  void Run() {
    const int clients = 2 + Below(6);
    for (int i = 0; i < clients; ++i) clients_.push_back(std::make_unique<Client>(hub.get()));
    Start();
    for (int step = 0; step < 600; ++step) {
      switch (Below(8)) {
        case 0:
        case 1:
        case 2: Send(Below(clients)); break;
        case 3:
        case 4: ServerAnswers(); break;
        case 5: ServerReports(); break;
        case 6:
          if (Below(4) == 0) Cancel(Below(clients));
          break;
        case 7:
          if (Below(40) == 0) Replace(Below(clients));
          break;
      }
      Check();
    }
    while (!at_server_.empty()) ServerAnswers();
    Check();
    for (const auto& client : clients_) EXPECT_TRUE(client->expected.empty());
    EXPECT_EQ(hub->activity().calls_in_flight, 0);
    EXPECT_GT(delivered_, 100);
  }

 private:
  struct Client {
    explicit Client(SharedHub* hub) : fake(hub) {}
    FakeClient fake;
    // Raw id to the payload that only its answer carries.
    absl::flat_hash_map<std::string, std::string> expected;
  };
  struct AtServer {
    Client* client;
    std::string client_id, upstream_id, payload;
    bool cancelled = false;
  };

  uint32_t Below(uint32_t n) { return rng_() % n; }

  // A JSON value that a parser and printer would not give back as it was.
  std::string Payload() {
    static constexpr const char* kPieces[] = {"1.50",        "1e400",      R"("\u00e9\/")", R"({"id":1 , "a":[ ]})",
                                              "[null,\t-0]", R"("\ud800")"};
    return absl::StrCat(R"({ "n":)", ++last_payload_, R"(,"v":)", kPieces[Below(std::size(kPieces))], " }");
  }

  void Send(int c) {
    Client* const client = clients_[c].get();
    const int n = Below(4);
    const std::string id = Below(2) == 0 ? absl::StrCat(n) : absl::StrCat("\"", n, "\"");  // the same few for all
    const std::string argument = Payload();
    const std::string meta = absl::StrCat(R"("_meta":{"progressToken":)", id, "}");
    const std::string before = absl::StrCat(R"({"jsonrpc":"2.0","method":"m","params":{"a":)", argument, ",");
    const std::string message = absl::StrCat(before, meta, R"(},"id":)", id, "}");
    const bool busy = client->expected.contains(id);
    ASSERT_EQ(client->fake.Post(message).status, busy ? 400 : 202);
    if (busy) return;
    const std::string& sent = host.sent.back();
    Envelope e;
    ASSERT_EQ(Scan(sent, &e), Envelope::Kind::kRequest);
    ASSERT_TRUE(upstream_ids_.insert(std::string(e.id)).second) << "an id was used twice";
    ASSERT_EQ(sent, absl::StrCat(before, R"("_meta":{"progressToken":)", e.id, R"(}},"id":)", e.id, "}"))
        << "more than the envelope was changed";
    at_server_.push_back({client, id, std::string(e.id), Payload()});
    client->expected[id] = at_server_.back().payload;
  }

  void ServerAnswers() {
    if (at_server_.empty()) return;
    std::swap(at_server_[Below(at_server_.size())], at_server_.back());
    const AtServer call = at_server_.back();
    at_server_.pop_back();
    const char* const member = Below(5) == 0 ? "error" : "result";
    hub->OnUpstreamMessage(
        Below(2) == 0
            ? absl::StrCat("{\"", member, "\":", call.payload, R"(,"jsonrpc":"2.0","id":)", call.upstream_id, "}")
            : absl::StrCat(R"({"id":)", call.upstream_id, R"(,"jsonrpc":"2.0",")", member, "\":", call.payload, "}"));
  }

  void ServerReports() {
    if (at_server_.empty()) return;
    const AtServer& call = at_server_[Below(at_server_.size())];
    hub->OnUpstreamMessage(
        absl::StrCat(R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":)",
                     call.upstream_id, R"(,"progress":)", call.payload, "}}"));
  }

  void Cancel(int c) {
    Client* const client = clients_[c].get();
    for (AtServer& call : at_server_) {
      if (call.client != client || call.cancelled) continue;
      call.cancelled = true;  // the server may answer all the same
      client->expected.erase(call.client_id);
      client->fake.Post(absl::StrCat(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)",
                                     call.client_id, "}}"));
      return;
    }
  }

  void Replace(int c) {
    for (AtServer& call : at_server_) {
      if (call.client == clients_[c].get()) call.client = nullptr;
    }
    clients_[c]->fake.Leave();
    clients_[c] = std::make_unique<Client>(hub.get());
    scheduler.RunUntilIdle();
  }

  // Everything that any client got is its own.
  void Check() {
    for (const auto& client : clients_) {
      for (const std::string& message : client->fake.Take()) {
        Envelope e;
        const Envelope::Kind kind = Scan(message, &e);
        const bool report = kind == Envelope::Kind::kNotification;
        const auto mine = client->expected.find(std::string(report ? e.progress_token : e.id));
        ASSERT_NE(mine, client->expected.end()) << "not this client's: " << message;
        ASSERT_NE(message.find(mine->second), std::string::npos) << "another call's answer: " << message;
        ++delivered_;
        if (!report) client->expected.erase(mine);
      }
    }
  }

  std::mt19937 rng_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<AtServer> at_server_;
  std::set<std::string> upstream_ids_;
  int last_payload_ = 1'000'000;
  int delivered_ = 0;
};

TEST(SharedHubRandom, EverythingReachesWhomItIsForUnchanged) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Simulation(seed).Run();
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace unmcp::session
