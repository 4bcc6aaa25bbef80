#include "controller/status.h"

#include "common/proto_json.h"

namespace unmcp::controller {
namespace {

nlohmann::json Difference(const nlohmann::json& before, const nlohmann::json& after) {
  nlohmann::json patch = nlohmann::json::object();
  for (const auto& [key, value] : before.items()) {
    if (!after.contains(key)) patch[key] = nullptr;
  }
  for (const auto& [key, value] : after.items()) {
    auto old = before.find(key);
    if (old != before.end() && *old == value) continue;
    patch[key] = old != before.end() && old->is_object() && value.is_object() ? Difference(*old, value) : value;
  }
  return patch;
}

}  // namespace

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t millis = absl::ToUnixMillis(time);
  timestamp.set_seconds(millis / 1000);
  timestamp.set_nanos(static_cast<int32_t>(millis % 1000) * 1'000'000);
  return timestamp;
}

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  if (timestamp.seconds() == 0 && timestamp.nanos() == 0) return absl::InfinitePast();
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

const v1::Condition* FindCondition(const Conditions& conditions, absl::string_view type) {
  for (const v1::Condition& condition : conditions) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

bool IsTrue(const Conditions& conditions, absl::string_view type) {
  const v1::Condition* condition = FindCondition(conditions, type);
  return condition != nullptr && condition->status() == "True";
}

void SetCondition(Conditions* conditions, absl::string_view type, const ConditionValue& value, int64_t generation,
                  absl::Time now) {
  auto* condition = const_cast<v1::Condition*>(FindCondition(*conditions, type));
  if (condition == nullptr) {
    condition = conditions->Add();
    condition->set_type(std::string(type));
  }
  if (condition->status() != value.status) {
    condition->set_status(value.status);
    *condition->mutable_last_transition_time() = ToTimestamp(now);
  }
  condition->set_reason(value.reason);
  condition->set_message(value.message);
  condition->set_observed_generation(generation);
}

nlohmann::json MergePatch(const google::protobuf::Message& before, const google::protobuf::Message& after) {
  return Difference(ToJson(before), ToJson(after));
}

}  // namespace unmcp::controller
