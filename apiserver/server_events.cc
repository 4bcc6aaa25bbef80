#include "apiserver/server_events.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "common/timestamps.h"
#include "google/protobuf/timestamp.pb.h"

namespace unmcp::apiserver {
namespace {

using kube::Json;

std::string Text(const Json& json, const char* key) {
  auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

// Events have been written in two forms: firstTimestamp and lastTimestamp, or eventTime.
void ReadTime(const Json& event, const char* key, google::protobuf::Timestamp* out) {
  for (const char* field : {key, "eventTime"}) {
    absl::Time time;
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, Text(event, field), &time, &error)) continue;
    *out = ToTimestamp(time);
    return;
  }
}

v1::ServerEvent Read(const Json& event) {
  v1::ServerEvent read;
  read.set_type(Text(event, "type"));
  read.set_reason(Text(event, "reason"));
  read.set_message(Text(event, "message"));
  auto count = event.find("count");
  read.set_count(count != event.end() && count->is_number_integer() ? count->get<int>() : 1);
  ReadTime(event, "firstTimestamp", read.mutable_first_seen());
  ReadTime(event, "lastTimestamp", read.mutable_last_seen());
  return read;
}

}  // namespace

void ListEvents(const ApiContext& context, const v1::MCPServer& server,
                absl::AnyInvocable<void(absl::StatusOr<v1::ListServerEventsResponse>)> done) {
  context.cluster->List(
      kube::EventKind(), server.namespace_(), {.limit = kMaxEventsRead},
      [uid = server.uid(), done = std::move(done)](absl::StatusOr<kube::ObjectList> list) mutable {
        if (!list.ok()) return done(list.status());
        struct Dated {
          v1::ServerEvent event;
          // Kubernetes writes the times of events in whole seconds: within one,
          // what was written later has the greater version.
          uint64_t version = 0;
        };
        std::vector<Dated> events;
        for (const kube::Object& object : list->items) {
          auto about = object.json().find("involvedObject");
          if (about != object.json().end() && about->is_object() && Text(*about, "uid") == uid) {
            Dated& dated = events.emplace_back(Dated{.event = Read(object.json())});
            if (!absl::SimpleAtoi(object.resource_version(), &dated.version)) dated.version = 0;
          }
        }
        std::stable_sort(events.begin(), events.end(), [](const Dated& a, const Dated& b) {
          const absl::Time seen_a = FromTimestamp(a.event.last_seen());
          const absl::Time seen_b = FromTimestamp(b.event.last_seen());
          return std::tie(seen_a, a.version) < std::tie(seen_b, b.version);
        });
        v1::ListServerEventsResponse response;
        for (Dated& dated : events) *response.add_items() = std::move(dated.event);
        done(std::move(response));
      });
}

}  // namespace unmcp::apiserver
