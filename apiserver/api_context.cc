#include "apiserver/api_context.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "apiserver/errors.h"
#include "common/grpc_status.h"
#include "common/proto_json.h"
#include "common/spec_rules.h"
#include "common/status_macros.h"
#include "common/timestamps.h"
#include "kube/resources.h"

namespace unmcp::apiserver {
namespace {

// How many objects a search for a uid looks at that the directory does not
// know: those written within the last moments are a few.
constexpr int kMaxSearched = 1000;

bool LooksLikeUid(const std::string& text) {
  return text.size() == 36 && absl::c_all_of(text, [](char c) { return absl::ascii_isxdigit(c) || c == '-'; });
}

template <class T>
struct Traits;

template <>
struct Traits<v1::PublishedServer> {
  static const kube::Kind& Kind() { return kube::MCPServerKind(); }
  static Servers& In(Directory* directory) { return directory->servers(); }
  static auto Read(const kube::Object& object) { return kube::ReadServer(object); }
  static absl::Status NotFound(absl::string_view name) { return ServerNotFound(name); }
};

template <>
struct Traits<v1::MCPPool> {
  static const kube::Kind& Kind() { return kube::MCPPoolKind(); }
  static Pools& In(Directory* directory) { return directory->pools(); }
  static auto Read(const kube::Object& object) { return kube::ReadPool(object); }
  static absl::Status NotFound(absl::string_view name) { return PoolNotFound(name); }
};

template <class T>
absl::StatusOr<typename Catalog<T>::Entry> Take(const ApiContext& context,
                                                const absl::StatusOr<kube::Object>& object) {
  if (!object.ok()) return object.status();
  UNMCP_ASSIGN_OR_RETURN(auto resource, Traits<T>::Read(*object));
  Catalog<T>& catalog = Traits<T>::In(context.directory);
  catalog.Written(resource);
  auto entry = catalog.Find(resource.uid());
  if (entry == nullptr) return Traits<T>::NotFound(resource.name());  // and deleted again
  return entry;
}

template <class T>
void FindThrough(const ApiContext& context, const std::string& uid_or_name,
                 absl::AnyInvocable<void(absl::StatusOr<typename Catalog<T>::Entry>)> done) {
  if (auto entry = Traits<T>::In(context.directory).Find(uid_or_name)) return done(std::move(entry));
  const std::string ns = context.directory->ns();
  if (LooksLikeUid(uid_or_name)) {
    context.cluster->List(Traits<T>::Kind(), ns, {.limit = kMaxSearched},
                          [&context, uid_or_name, done = std::move(done)](absl::StatusOr<kube::ObjectList> list) mutable {
                            if (!list.ok()) return done(list.status());
                            for (const kube::Object& object : list->items) {
                              if (object.uid() == uid_or_name) return done(Take<T>(context, object));
                            }
                            done(Traits<T>::NotFound(uid_or_name));
                          });
    return;
  }
  if (!ValidateName(uid_or_name).ok()) return done(Traits<T>::NotFound(uid_or_name));
  context.cluster->Get({Traits<T>::Kind(), ns, uid_or_name},
                       [&context, uid_or_name, done = std::move(done)](absl::StatusOr<kube::Object> object) mutable {
                         if (absl::IsNotFound(object.status())) return done(Traits<T>::NotFound(uid_or_name));
                         done(Take<T>(context, object));
                       });
}

}  // namespace

bool IsReady(const ApiContext& context, grpc::ServerUnaryReactor* reactor) {
  if (context.directory->synced()) return true;
  reactor->Finish(ToGrpc(NotSynced()));
  return false;
}

bool IsReady(const ApiContext& context, const google::protobuf::Message& request, grpc::ServerUnaryReactor* reactor) {
  if (!IsReady(context, reactor)) return false;
  const absl::Status valid = ValidateRules(request);
  if (!valid.ok()) reactor->Finish(ToGrpc(valid));
  return valid.ok();
}

v1::MCPServer View(const ApiContext& context, const v1::PublishedServer& published) {
  v1::MCPServer server = published.server();
  const session::HubActivity live = context.activity(server.uid());
  server.set_pool(server.spec().pool());
  v1::MCPServerStatus& status = *server.mutable_status();
  int64_t told = 0;
  for (const v1::ActivityEntry& entry : status.activity().entries()) {
    if (entry.process() == context.process) told = entry.requests();
  }
  status.set_total_requests(status.total_requests() + std::max<int64_t>(0, live.requests - told));
  status.clear_activity();
  status.set_current_connections(live.open_sessions);
  if (live.last_request > absl::InfinitePast()) {
    const int64_t seconds = absl::ToUnixSeconds(live.last_request);
    if (seconds >= status.last_request_at().seconds()) {
      *status.mutable_last_request_at() = ToTimestamp(absl::FromUnixSeconds(seconds));
    }
  }
  status.set_is_running(published.has_route() && status.phase() == "Ready");
  status.set_is_idle(live.calls_in_flight == 0 && live.open_sessions == 0);
  return server;
}

void FindServer(const ApiContext& context, const std::string& uid_or_name,
                absl::AnyInvocable<void(absl::StatusOr<Servers::Entry>)> done) {
  FindThrough<v1::PublishedServer>(context, uid_or_name, std::move(done));
}

void FindPool(const ApiContext& context, const std::string& uid_or_name,
              absl::AnyInvocable<void(absl::StatusOr<Pools::Entry>)> done) {
  FindThrough<v1::MCPPool>(context, uid_or_name, std::move(done));
}

absl::StatusOr<Servers::Entry> TakeServer(const ApiContext& context, const absl::StatusOr<kube::Object>& object) {
  return Take<v1::PublishedServer>(context, object);
}

absl::StatusOr<Pools::Entry> TakePool(const ApiContext& context, const absl::StatusOr<kube::Object>& object) {
  return Take<v1::MCPPool>(context, object);
}

}  // namespace unmcp::apiserver
