// Kubernetes label selectors: "a=b,c!=d,e in (f,g),h notin (i),j,!k".
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
#ifndef UNMCP_KUBE_SELECTOR_H_
#define UNMCP_KUBE_SELECTOR_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kube/object.h"

namespace unmcp::kube {

// Example:
//
//   UNMCP_ASSIGN_OR_RETURN(LabelSelector selector, LabelSelector::Parse("app=web,!canary"));
//   if (selector.Matches(pod)) …
//
// Immutable value; thread compatible.
class LabelSelector {
 public:
  // Selects everything.
  LabelSelector() = default;

  // INVALID_ARGUMENT names the requirement that is wrong. "" selects all.
  static absl::StatusOr<LabelSelector> Parse(const std::string& text);

  // "!=" and "notin" also select objects without the label, as in Kubernetes.
  bool Matches(const Object& object) const;

 private:
  struct Requirement {
    std::string key;
    // Selected is: the label is present and among `values` (any value when
    // `exists`), or with `negated` the opposite.
    bool exists = false;
    bool negated = false;
    std::set<std::string> values;
  };
  static absl::StatusOr<Requirement> ParseRequirement(const std::string& text);

  std::vector<Requirement> requirements_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_SELECTOR_H_
