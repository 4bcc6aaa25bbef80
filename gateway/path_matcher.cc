#include "gateway/path_matcher.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace unmcp::gateway {
namespace {

using Routes = std::map<std::string, int, std::less<>>;

enum class Kind { kLiteral, kOne, kRest, kBad };

Kind KindOf(absl::string_view segment) {
  if (segment.empty()) return Kind::kBad;
  if (segment.front() != '{') {
    return segment.find_first_of("{}*:") == absl::string_view::npos ? Kind::kLiteral : Kind::kBad;
  }
  if (segment.back() != '}') return Kind::kBad;
  segment = segment.substr(1, segment.size() - 2);
  const size_t equals = segment.find('=');
  if (equals == 0 || segment.empty()) return Kind::kBad;
  if (equals == absl::string_view::npos || segment.substr(equals) == "=*") return Kind::kOne;
  return segment.substr(equals) == "=**" ? Kind::kRest : Kind::kBad;
}

}  // namespace

struct PathMatcher::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> one;
  Routes here;  // the path ends at this node
  Routes rest;  // {field=**} begins at this node
};

PathMatcher::PathMatcher() : root_(std::make_unique<Node>()) {}
PathMatcher::~PathMatcher() = default;

absl::Status PathMatcher::Add(absl::string_view method, absl::string_view path_template, int route) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("path template \"", path_template, "\": ", why));
  };
  if (!absl::StartsWith(path_template, "/")) return bad("has to begin with '/'");
  Node* node = root_.get();
  Routes* routes = nullptr;
  for (absl::string_view segment : absl::StrSplit(path_template.substr(1), '/')) {
    if (routes != nullptr) return bad("{field=**} can only be last");
    switch (KindOf(segment)) {
      case Kind::kLiteral: {
        std::unique_ptr<Node>& next = node->literals[std::string(segment)];
        if (next == nullptr) next = std::make_unique<Node>();
        node = next.get();
        break;
      }
      case Kind::kOne:
        if (node->one == nullptr) node->one = std::make_unique<Node>();
        node = node->one.get();
        break;
      case Kind::kRest:
        routes = &node->rest;
        break;
      case Kind::kBad:
        return bad(absl::StrCat("segment \"", segment, "\" is neither a word, {field} nor {field=**}"));
    }
  }
  if (routes == nullptr) routes = &node->here;
  if (!routes->emplace(std::string(method), route).second) {
    return absl::AlreadyExistsError(
        absl::StrCat(method, " ", path_template, ": another route takes the same requests"));
  }
  return absl::OkStatus();
}

bool PathMatcher::Take(const Routes& routes, absl::string_view method, Result* result) {
  for (const auto& [name, route] : routes) {
    if (name == method) {
      result->route = route;
      return true;
    }
    result->methods.push_back(name);
  }
  return false;
}

// `rest` begins after the '/' that leads to the node's children; a null view
// means that the path ends here.
bool PathMatcher::Find(const Node& node, absl::string_view method, absl::string_view rest, Result* result) const {
  if (rest.data() == nullptr) return Take(node.here, method, result);
  const size_t slash = rest.find('/');
  const absl::string_view segment = rest.substr(0, slash);
  const absl::string_view next = slash == absl::string_view::npos ? absl::string_view() : rest.substr(slash + 1);
  auto literal = node.literals.find(std::string_view(segment.data(), segment.size()));
  if (literal != node.literals.end() && Find(*literal->second, method, next, result)) return true;
  if (segment.empty()) return false;
  result->values.push_back(segment);
  if (node.one != nullptr && Find(*node.one, method, next, result)) return true;
  result->values.back() = rest;
  if (Take(node.rest, method, result)) return true;
  result->values.pop_back();
  return false;
}

PathMatcher::Result PathMatcher::Match(absl::string_view method, absl::string_view path) const {
  Result result;
  if (!absl::StartsWith(path, "/")) return result;
  if (Find(*root_, method, path.substr(1), &result)) {
    result.methods.clear();
  } else {
    std::sort(result.methods.begin(), result.methods.end());
    result.methods.erase(std::unique(result.methods.begin(), result.methods.end()), result.methods.end());
  }
  return result;
}

std::vector<std::string> PathMatcher::Variables(absl::string_view path_template) {
  std::vector<std::string> names;
  for (absl::string_view segment : absl::StrSplit(path_template, '/')) {
    if (KindOf(segment) == Kind::kLiteral || KindOf(segment) == Kind::kBad) continue;
    segment = segment.substr(1, segment.size() - 2);
    names.emplace_back(segment.substr(0, segment.find('=')));
  }
  return names;
}

}  // namespace unmcp::gateway
