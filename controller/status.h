// Small things every status needs: times, conditions, and the patch that turns
// one status into another.
#ifndef UNMCP_CONTROLLER_STATUS_H_
#define UNMCP_CONTROLLER_STATUS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/repeated_field.h"
#include "nlohmann/json.hpp"
#include "unmcp/v1/resources.pb.h"

namespace unmcp::controller {

// Milliseconds, what RFC 3339 users can read; InfinitePast is "never".
google::protobuf::Timestamp ToTimestamp(absl::Time time);
// A timestamp that is not set, and a zero one, are InfinitePast.
absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp);

using Conditions = google::protobuf::RepeatedPtrField<v1::Condition>;

// nullptr: not there.
const v1::Condition* FindCondition(const Conditions& conditions, absl::string_view type);
// Whether the condition is there and True.
bool IsTrue(const Conditions& conditions, absl::string_view type);

struct ConditionValue {
  std::string status;  // "True", "False", "Unknown"
  std::string reason;  // CamelCase
  std::string message;
};
// Adds or changes a condition; lastTransitionTime moves only when the status
// word does (Kubernetes API conventions, "Typical status properties").
void SetCondition(Conditions* conditions, absl::string_view type, const ConditionValue& value, int64_t generation,
                  absl::Time now);

// The JSON merge patch (RFC 7386) that makes `after` of `before`; an empty
// object when they are equal. Members that neither knows are left alone.
nlohmann::json MergePatch(const google::protobuf::Message& before, const google::protobuf::Message& after);

}  // namespace unmcp::controller

#endif  // UNMCP_CONTROLLER_STATUS_H_
