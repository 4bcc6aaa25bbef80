// Every field of a server's and a pool's spec has an effect, and every field of
// their status is told: this walks the schema, and fails for a field that has
// no row here which shows it.
//
// Rows show what the controller does of a field: in the Pod that it makes, in
// what it publishes to the data path, in what it decides. What others do of
// that is shown where they are: of a Pod in kube/embedded, of effective_spec in
// apiserver.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "controller/build.h"
#include "controller/effective_spec.h"
#include "controller/status.h"
#include "controller/world.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"

namespace unmcp::controller {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using kube::Json;

using Row = std::function<void()>;
using Rows = std::map<std::string, Row>;

// ---- The schema ----

// Free-form JSON and times are one field each.
bool IsLeaf(const FieldDescriptor* field) {
  return field->type() != FieldDescriptor::TYPE_MESSAGE ||
         absl::StartsWith(field->message_type()->full_name(), "google.protobuf.");
}

// "spec.env[].valueFrom.secretKeyRef.name"
void Leaves(const Descriptor* type, const std::string& path, std::set<std::string>* leaves) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string name = absl::StrCat(path, ".", field->json_name(), field->is_repeated() ? "[]" : "");
    if (IsLeaf(field)) {
      leaves->insert(name);
    } else {
      Leaves(field->message_type(), name, leaves);
    }
  }
}

// ---- How rows show things ----

template <class Message>
Message Read(const Json& json) {
  Message message;
  const absl::Status status = FromJson(json, UnknownFields::kReject, &message);
  EXPECT_TRUE(status.ok()) << status;
  return message;
}

Declaration Declared(const Json& spec, const Json& pool) {
  const auto pool_spec = Read<v1::MCPPoolSpec>(pool);
  return Declare(Read<v1::MCPServerSpec>(spec), &pool_spec, /*runs_images=*/true);
}

Json At(const Json& json, const std::string& pointer) {
  const Json::json_pointer where(pointer);
  return json.contains(where) ? json.at(where) : Json();
}

Json With(Json base, const Json& more) {
  base.merge_patch(more);
  return base;
}

const Json kCommand = {{"command", {"x"}}};
const Json kNothing = Json::object();
const char kServerContainer[] = "/spec/containers/0";

// It is in the Pod, and another value makes another Pod.
Row InPod(const Json& spec, const Json& pool, const std::string& pointer, const Json& expected) {
  return [=] {
    const Declaration declared = Declared(spec, pool);
    ASSERT_TRUE(declared.status.ok()) << declared.status;
    v1::MCPServer server;
    server.set_name("a");
    EXPECT_EQ(At(BuildPod(server, declared.spec, declared.hash, 1).json(), pointer), expected);
    EXPECT_NE(declared.hash, Declared(kCommand, kNothing).hash) << "an edit restarts the process";
  };
}
Row InPod(const Json& spec, const std::string& pointer, const Json& expected) {
  return InPod(With(kCommand, spec), kNothing, absl::StrCat(kServerContainer, pointer), expected);
}

// It is in what the data path is given, as ControllerTest sees it published.
Row InEffectiveSpec(const Json& spec, const Json& pool, const std::string& pointer, const Json& expected) {
  return [=] {
    const Declaration declared = Declared(spec, pool);
    ASSERT_TRUE(declared.status.ok()) << declared.status;
    EXPECT_EQ(At(ToJson(declared.spec), pointer), expected);
  };
}

Row IsRefused(const Json& spec, const Json& pool, const std::string& why) {
  return [=] {
    const Declaration declared = Declared(spec, pool);
    EXPECT_TRUE(absl::StrContains(declared.status.message(), why)) << declared.status;
  };
}

Row InWorld(const std::function<void(World&)>& row) {
  return [row] {
    World world;
    row(world);
  };
}

void UntilPhase(World& world, const std::string& name, const std::string& phase) {
  world.RunUntil([&] { return world.Phase(name) == phase; }, phase.c_str());
}

void RunServer(World& world, const std::string& name, const Json& spec = Json::object()) {
  world.CreateServer(name, spec);
  world.Settle();
  world.Demand(name);
  UntilPhase(world, name, "Ready");
}

// ---- Fields that both resources have ----

Json Prefixed(const std::vector<std::string>& path, Json value) {
  for (auto it = path.rbegin(); it != path.rend(); ++it) value = Json{{*it, std::move(value)}};
  return value;
}

// `path` is where the fields stand in the spec of a server or, with `of_pool`,
// of a pool.
struct Place {
  std::string row;  // "server.spec" or "pool.spec.serverDefaults"
  bool of_pool;
  std::vector<std::string> path = {};

  Json Server(const Json& fields, const Json& base = kCommand) const {
    return of_pool ? base : With(base, Prefixed(path, fields));
  }
  Json Pool(const Json& fields) const { return of_pool ? Prefixed(path, fields) : kNothing; }
  Row Pod(const Json& fields, const std::string& pointer, const Json& expected) const {
    return InPod(Server(fields), Pool(fields), absl::StrCat(kServerContainer, pointer), expected);
  }
  Row Effective(const Json& fields, const std::string& pointer, const Json& expected,
                const Json& base = kCommand) const {
    return InEffectiveSpec(Server(fields, base), Pool(fields), pointer, expected);
  }
};

void AddEnv(const Place& place, Rows* rows) {
  const std::string env = place.row + ".env[]";
  const auto add = [&](const std::string& field, const Json& variable) {
    (*rows)[env + field] = place.Pod({{"env", {variable}}}, "/env/0", variable);
  };
  add(".name", {{"name", "A"}, {"value", "b"}});
  add(".value", {{"name", "A"}, {"value", "b"}});
  for (const char* kind : {"secretKeyRef", "configMapKeyRef"}) {
    const Json ref = {{"name", "n"}, {"key", "k"}, {"optional", true}};
    for (const char* field : {"name", "key", "optional"}) {
      add(absl::StrCat(".valueFrom.", kind, ".", field), {{"name", "A"}, {"valueFrom", {{kind, ref}}}});
    }
  }
  add(".valueFrom.fieldRef.fieldPath",
      {{"name", "A"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}}});
}

// Sent by the data path: apiserver/upstream_*_test.cc.
void AddHeaders(const Place& place, Rows* rows) {
  const Json base = {{"url", "http://example.test/"}};
  const std::string headers = place.row + ".headers[]";
  const auto add = [&](const std::string& field, const Json& header) {
    (*rows)[headers + field] = place.Effective({{"headers", {header}}}, "/headers/0", header, base);
  };
  add(".name", {{"name", "X"}, {"value", "b"}});
  add(".value", {{"name", "X"}, {"value", "b"}});
  for (const char* kind : {"secretKeyRef", "configMapKeyRef"}) {
    const Json ref = {{"name", "n"}, {"key", "k"}, {"optional", true}};
    for (const char* field : {"name", "key", "optional"}) {
      add(absl::StrCat(".valueFrom.", kind, ".", field), {{"name", "X"}, {"valueFrom", {{kind, ref}}}});
    }
  }
  const Json of_pod = {
      {"headers", {{{"name", "X"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}}}}}};
  (*rows)[headers + ".valueFrom.fieldRef.fieldPath"] =
      IsRefused(place.Server(of_pod, base), place.Pool(of_pod), "a header is not a field of a Pod");
}

// Spoken by the data path: apiserver/upstream_*_test.cc.
void AddTransport(const Place& place, Rows* rows) {
  const Json listens = {{"transport", {{"type", "sse"}, {"port", 8000}, {"path", "/here"}}}};
  const std::string transport = place.row + ".transport";
  (*rows)[transport + ".type"] = place.Effective(listens, "/transport/type", "sse");
  (*rows)[transport + ".port"] = place.Pod(listens, "/readinessProbe/tcpSocket/port", 8000);
  (*rows)[transport + ".path"] = place.Effective(listens, "/transport/path", "/here");
}

void AddResources(const Place& place, const std::string& row, Rows* rows) {
  for (const char* what : {"requests", "limits"}) {
    for (const auto& [name, amount] : std::map<std::string, std::string>{{"cpu", "2"}, {"memory", "1Gi"}}) {
      (*rows)[absl::StrCat(row, ".", what, ".", name)] =
          place.Pod({{what, {{name, amount}}}}, absl::StrCat("/resources/", what, "/", name), amount);
    }
  }
}

void AddPodTemplate(const Place& place, Rows* rows) {
  (*rows)[place.row + ".podTemplate"] =
      place.Pod({{"podTemplate", {{"spec", {{"containers", {{{"name", "server"}, {"workingDir", "/srv"}}}}}}}}},
                "/workingDir", "/srv");
}

void AddIsolation(const Place& place, Rows* rows) {
  (*rows)[place.row + ".isolation"] = InWorld([place](World& world) {
    world.CreatePool("p", place.Pool({{"isolation", "session"}}));
    world.CreateServer("a", With(place.Server({{"isolation", "session"}}), {{"pool", "p"}}));
    world.Settle();
    EXPECT_EQ(world.Condition("a", "Accepted")->reason(), "IsolationNotSupported");
    EXPECT_TRUE(world.Pods().empty());
  });
}

void AddStartupTimeout(const Place& place, Rows* rows) {
  (*rows)[place.row + ".startupTimeout"] = InWorld([place](World& world) {
    world.silent.insert("a");
    world.CreatePool("p", place.Pool({{"startupTimeout", 7}}));
    world.CreateServer("a", With(place.Server({{"startupTimeout", 7}}), {{"pool", "p"}}));
    world.RunFor(absl::Seconds(6));
    EXPECT_EQ(world.Phase("a"), "Starting");
    world.RunFor(absl::Seconds(3));
    EXPECT_EQ(world.Condition("a", "Discovered")->reason(), "StartTimeout");
  });
}

// ---- Spec of a server ----

void AddServerSpec(Rows* rows) {
  const Place spec{.row = "server.spec", .of_pool = false};
  AddEnv(spec, rows);
  AddHeaders(spec, rows);
  AddTransport(spec, rows);
  AddPodTemplate(spec, rows);
  AddIsolation(spec, rows);
  AddStartupTimeout(spec, rows);
  AddResources({.row = "", .of_pool = false, .path = {"resources"}}, "server.spec.resources", rows);
  (*rows)["server.spec.pool"] = InWorld([](World& world) {
    world.CreatePool("p", Json::object());
    world.CreateServer("a", {{"pool", "p"}});
    world.Settle();
    EXPECT_EQ(world.Pool("p").status().total_servers_count(), 1);
  });
  (*rows)["server.spec.image"] = InPod({{"image", "i"}}, "/image", "i");
  (*rows)["server.spec.command[]"] = InPod({{"command", {"x", "y"}}}, "/command", {"x", "y"});
  (*rows)["server.spec.args[]"] = InPod({{"args", {"y"}}}, "/args", Json::array({"y"}));
  (*rows)["server.spec.idleTimeout"] = InWorld([](World& world) {
    RunServer(world, "a", {{"idleTimeout", 7}});
    world.RunFor(absl::Seconds(9));
    EXPECT_EQ(world.Phase("a"), "Asleep");
  });
  (*rows)["server.spec.suspend"] = InWorld([](World& world) {
    world.CreateServer("a", {{"suspend", true}});
    world.Settle();
    world.Demand("a");
    world.Settle();
    EXPECT_TRUE(world.Pods().empty());
    EXPECT_EQ(world.Published("a").unavailable().reason(), "Suspended");
  });
  // Connected to by the data path: apiserver/server_runtime_test.cc.
  (*rows)["server.spec.url"] = InWorld([](World& world) {
    world.CreateServer("a", {{"url", "http://example.test/"}});
    world.Settle();
    EXPECT_TRUE(world.Pods().empty());
    EXPECT_TRUE(world.Published("a").has_route());
    EXPECT_EQ(world.Published("a").effective_spec().url(), "http://example.test/");
  });
}

// ---- Status of a server ----

// A row about what a server that is in use tells.
Row OfRunning(const std::function<void(World&, const v1::MCPServerStatus&)>& row) {
  return InWorld([row](World& world) {
    RunServer(world, "a", {{"idleTimeout", 600}, {"transport", {{"type", "sse"}, {"port", 8000}}}});
    world.Use("a");
    world.RunFor(absl::Minutes(2));
    row(world, world.Server("a").status());
  });
}

void AddConditions(const std::string& conditions, const std::function<v1::Condition(World&)>& find, Rows* rows) {
  const auto add = [&](const char* field, const std::function<bool(const v1::Condition&)>& told) {
    (*rows)[absl::StrCat(conditions, ".", field)] = InWorld([find, told](World& world) {
      const v1::Condition condition = find(world);
      EXPECT_TRUE(told(condition)) << condition.ShortDebugString();
    });
  };
  add("type", [](const v1::Condition& c) { return !c.type().empty(); });
  add("status", [](const v1::Condition& c) { return c.status() == "True"; });
  add("observedGeneration", [](const v1::Condition& c) { return c.observed_generation() == 1; });
  add("lastTransitionTime", [](const v1::Condition& c) { return c.last_transition_time().seconds() > 0; });
  add("reason", [](const v1::Condition& c) { return !c.reason().empty(); });
  add("message", [](const v1::Condition& c) { return !c.message().empty(); });
}

void AddServerStatus(Rows* rows) {
  using Status = v1::MCPServerStatus;
  const auto add = [&](const char* field, const std::function<void(World&, const Status&)>& row) {
    (*rows)[absl::StrCat("server.status.", field)] = OfRunning(row);
  };
  add("phase", [](World&, const Status& s) { EXPECT_EQ(s.phase(), "Ready"); });
  add("observedGeneration", [](World&, const Status& s) { EXPECT_EQ(s.observed_generation(), 1); });
  add("incarnation", [](World& world, const Status& s) {
    EXPECT_EQ(world.Pods()[0].name(), absl::StrCat("a-", s.incarnation()));
  });
  add("startedAt", [](World&, const Status& s) { EXPECT_GT(s.started_at().seconds(), 0); });
  add("stoppedAt", [](World& world, const Status&) {
    world.RunFor(absl::Minutes(12));
    const Status now = world.Server("a").status();
    EXPECT_GT(now.stopped_at().seconds(), now.started_at().seconds());
  });
  add("requestedAt", [](World&, const Status& s) { EXPECT_GT(s.requested_at().seconds(), 0); });
  add("lastRequestAt", [](World&, const Status& s) { EXPECT_GT(s.last_request_at().seconds(), 0); });
  add("totalRequests", [](World&, const Status& s) { EXPECT_EQ(s.total_requests(), 1); });
  add("currentConnections", [](World&, const Status& s) { EXPECT_EQ(s.current_connections(), 1); });
  add("serverInfo.name", [](World&, const Status& s) { EXPECT_EQ(s.server_info().name(), "a"); });
  add("serverInfo.version", [](World&, const Status& s) { EXPECT_EQ(s.server_info().version(), "1.2"); });
  add("serverInfo.protocolVersion",
      [](World&, const Status& s) { EXPECT_EQ(s.server_info().protocol_version(), "2025-06-18"); });
  add("toolCount", [](World&, const Status& s) { EXPECT_EQ(s.tool_count(), 13); });
  add("address", [](World&, const Status& s) { EXPECT_EQ(s.address(), "127.0.0.1:8000"); });
  add("discoveredHash", [](World& world, const Status& s) {
    EXPECT_EQ(s.discovered_hash(), SpecHash(world.Published("a").effective_spec()));
  });
  // Both are derived where they are read: apiserver/resources_test.cc.
  add("isRunning", [](World&, const Status& s) { EXPECT_FALSE(s.has_is_running()); });
  add("isIdle", [](World&, const Status& s) { EXPECT_FALSE(s.has_is_idle()); });
  add("activity.entries[].process", [](World& world, const Status& s) {
    ASSERT_EQ(s.activity().entries_size(), 1);
    EXPECT_EQ(s.activity().entries(0).process(), world.process);
  });
  add("activity.entries[].requests",
      [](World&, const Status& s) { EXPECT_EQ(s.activity().entries(0).requests(), 1); });
  add("activity.base", [](World& world, const Status&) {
    world.RestartApiserver("api-2");
    world.Use("a");
    world.RunFor(absl::Minutes(4));
    EXPECT_EQ(world.Server("a").status().activity().base(), 1);
  });
  AddConditions("server.status.conditions[]",
                [](World& world) {
                  world.CreateServer("a");
                  world.Settle();
                  return *world.Condition("a", "Discovered");
                },
                rows);
}

// ---- Pools ----

void AddPoolSpec(Rows* rows) {
  const Place defaults{.row = "pool.spec.serverDefaults", .of_pool = true, .path = {"serverDefaults"}};
  AddEnv(defaults, rows);
  AddHeaders(defaults, rows);
  AddTransport(defaults, rows);
  AddPodTemplate(defaults, rows);
  AddIsolation(defaults, rows);
  AddStartupTimeout(defaults, rows);
  (*rows)["pool.spec.serverDefaults.image"] = defaults.Pod({{"image", "i"}}, "/image", "i");
  AddResources({.row = "", .of_pool = true, .path = {"defaultResources"}}, "pool.spec.defaultResources", rows);
  (*rows)["pool.spec.maxServersLimit"] = InWorld([](World& world) {
    world.CreatePool("p", {{"maxServersLimit", 0}});
    world.CreateServer("a", {{"pool", "p"}});
    world.Settle();
    EXPECT_EQ(world.Phase("a"), "Ignored");
  });
  (*rows)["pool.spec.maxServersActive"] = InWorld([](World& world) {
    world.CreatePool("p", {{"maxServersActive", 0}});
    world.CreateServer("a", {{"pool", "p"}});
    world.Settle();
    world.Demand("a");
    world.Settle();
    EXPECT_EQ(world.Phase("a"), "Waiting");
  });
  (*rows)["pool.spec.defaultIdleTimeout"] = InWorld([](World& world) {
    world.CreatePool("p", {{"defaultIdleTimeout", 7}});
    RunServer(world, "a", {{"pool", "p"}});
    world.RunFor(absl::Seconds(9));
    EXPECT_EQ(world.Phase("a"), "Asleep");
  });
  (*rows)["pool.spec.minServersWarm"] = InWorld([](World& world) {
    world.CreatePool("p", {{"minServersWarm", 1}});
    world.CreateServer("a", {{"pool", "p"}});
    world.RunFor(absl::Minutes(5));
    EXPECT_EQ(world.Phase("a"), "Ready");
  });
}

// A pool of four, for two of which there is room, with three that are asked for.
void AddPoolStatus(Rows* rows) {
  using Status = v1::MCPPoolStatus;
  const auto add = [&](const char* field, const std::function<void(World&, const Status&)>& row) {
    (*rows)[absl::StrCat("pool.status.", field)] = InWorld([row](World& world) {
      world.CreatePool("p", {{"maxServersLimit", 3}, {"maxServersActive", 1}});
      for (const char* name : {"a", "b", "c", "d"}) {
        world.CreateServer(name, {{"pool", "p"}, {"idleTimeout", 600}});
        world.RunFor(absl::Seconds(2));
      }
      world.Demand("a");
      UntilPhase(world, "a", "Ready");
      world.Use("a", /*calls_in_flight=*/1);
      world.Demand("b");
      world.Demand("c");
      world.Settle();
      row(world, world.Pool("p").status());
    });
  };
  add("activeServersCount", [](World&, const Status& s) { EXPECT_EQ(s.active_servers_count(), 1); });
  add("pendingServersCount", [](World&, const Status& s) { EXPECT_EQ(s.pending_servers_count(), 2); });
  add("unmanagedServersCount", [](World&, const Status& s) { EXPECT_EQ(s.unmanaged_servers_count(), 1); });
  add("managedServersCount", [](World&, const Status& s) { EXPECT_EQ(s.managed_servers_count(), 3); });
  add("totalServersCount", [](World&, const Status& s) { EXPECT_EQ(s.total_servers_count(), 4); });
  add("grants[].serverUid", [](World& world, const Status& s) {
    EXPECT_EQ(s.grants(0).server_uid(), world.Server("a").uid());
  });
  add("grants[].serverName", [](World&, const Status& s) { EXPECT_EQ(s.grants(0).server_name(), "a"); });
  add("observedGeneration", [](World&, const Status& s) { EXPECT_EQ(s.observed_generation(), 1); });
  AddConditions("pool.status.conditions[]",
                [](World& world) {
                  world.CreatePool("p", {{"maxServersActive", 0}});
                  world.CreateServer("a", {{"pool", "p"}});
                  world.Settle();
                  world.Demand("a");
                  world.Settle();
                  return *FindCondition(world.Pool("p").status().conditions(), "Full");
                },
                rows);
}

// ---- All of it ----

const Rows& AllRows() {
  static const Rows* const all = [] {
    auto* rows = new Rows;
    AddServerSpec(rows);
    AddServerStatus(rows);
    AddPoolSpec(rows);
    AddPoolStatus(rows);
    return rows;
  }();
  return *all;
}

std::set<std::string> AllFields() {
  std::set<std::string> fields;
  Leaves(v1::MCPServerSpec::descriptor(), "server.spec", &fields);
  Leaves(v1::MCPServerStatus::descriptor(), "server.status", &fields);
  Leaves(v1::MCPPoolSpec::descriptor(), "pool.spec", &fields);
  Leaves(v1::MCPPoolStatus::descriptor(), "pool.status", &fields);
  return fields;
}

TEST(Fields, EachHasARow) {
  for (const std::string& field : AllFields()) {
    EXPECT_TRUE(AllRows().contains(field)) << field << " has no row here that shows what it does";
  }
  for (const auto& [field, row] : AllRows()) {
    EXPECT_TRUE(AllFields().contains(field)) << field << " is not in the schema any more";
  }
}

class FieldTest : public testing::TestWithParam<std::string> {};

TEST_P(FieldTest, HasItsEffect) { AllRows().at(GetParam())(); }

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& [field, row] : AllRows()) names.push_back(field);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, FieldTest, testing::ValuesIn(Names()), [](const auto& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (!absl::ascii_isalnum(c)) c = '_';
  }
  return name;
});

}  // namespace
}  // namespace unmcp::controller
