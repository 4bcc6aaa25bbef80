// Finds the route of a request: (method, path) → route, the most specific
// template first. Templates are those of google.api.http, as far as we use
// them: literal segments, {field} for one segment, {field=**} for all the rest.
#ifndef UNMCP_GATEWAY_PATH_MATCHER_H_
#define UNMCP_GATEWAY_PATH_MATCHER_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace unmcp::gateway {

// Example:
//
//   PathMatcher matcher;
//   UNMCP_RETURN_IF_ERROR(matcher.Add("GET", "/api/v1/servers/{uid}", 7));
//   matcher.Match("GET", "/api/v1/servers/everything").route   // 7
//
// Thread safety: filled by one thread, then immutable and safe from any.
class PathMatcher {
 public:
  static constexpr int kNoRoute = -1;

  PathMatcher();
  ~PathMatcher();

  // INVALID_ARGUMENT for a template that is not understood; ALREADY_EXISTS
  // when another route takes exactly the same requests.
  absl::Status Add(absl::string_view method, absl::string_view path_template, int route);

  struct Result {
    int route = kNoRoute;
    // Still percent-encoded, in the order of the template.
    absl::InlinedVector<absl::string_view, 4> values;
    // Without a route: the methods that this path has, by name; empty when
    // nothing is there.
    std::vector<std::string> methods;
  };
  Result Match(absl::string_view method, absl::string_view path) const;

  // The names of a template's variables, in order.
  static std::vector<std::string> Variables(absl::string_view path_template);

 private:
  struct Node;
  bool Find(const Node& node, absl::string_view method, absl::string_view rest, Result* result) const;
  static bool Take(const std::map<std::string, int, std::less<>>& routes, absl::string_view method, Result* result);

  std::unique_ptr<Node> root_;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_PATH_MATCHER_H_
