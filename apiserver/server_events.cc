#include "apiserver/server_events.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

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
        std::vector<v1::ServerEvent> events;
        for (const kube::Object& object : list->items) {
          auto about = object.json().find("involvedObject");
          if (about != object.json().end() && about->is_object() && Text(*about, "uid") == uid) {
            events.push_back(Read(object.json()));
          }
        }
        std::stable_sort(events.begin(), events.end(), [](const v1::ServerEvent& a, const v1::ServerEvent& b) {
          return FromTimestamp(a.last_seen()) < FromTimestamp(b.last_seen());
        });
        v1::ListServerEventsResponse response;
        for (v1::ServerEvent& event : events) *response.add_items() = std::move(event);
        done(std::move(response));
      });
}

}  // namespace unmcp::apiserver
