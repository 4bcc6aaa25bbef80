#include "kube/selector.h"

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

bool Matches(const std::string& selector, const Json& labels) {
  Object object(PodKind(), "ns", "p");
  object.json()["metadata"]["labels"] = labels;
  absl::StatusOr<LabelSelector> parsed = LabelSelector::Parse(selector);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() && parsed->Matches(object);
}

TEST(LabelSelector, EveryFormOfRequirement) {
  const Json web = {{"app", "web"}, {"tier", "1"}};
  const Json none = Json::object();
  const struct {
    const char* selector;
    bool web, none;
  } cases[] = {
      {"", true, true},
      {"app=web", true, false},
      {"app==web", true, false},
      {" app = web ", true, false},
      {"app!=web", false, true},
      {"app!=db", true, true},
      {"app in (db,web)", true, false},
      {"app in ( db , web )", true, false},
      {"app notin (db,web)", false, true},
      {"app", true, false},
      {"!app", false, true},
      {"app=web,tier in (1,2)", true, false},
      {"app=web,!tier", false, false},
      {"app=", false, false},
      {"unmcp.dev/server=x", false, false},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(Matches(each.selector, web), each.web) << each.selector;
    EXPECT_EQ(Matches(each.selector, none), each.none) << each.selector;
  }
  EXPECT_TRUE(Matches("app=", {{"app", ""}}));
}

TEST(LabelSelector, NonsenseIsNamed) {
  for (const char* text :
       {",", "app=web,", "=web", "app in web", "app within (a)", "in (a)", "app in (a", "app>1", "!", "app=a b"}) {
    const absl::Status status = LabelSelector::Parse(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace unmcp::kube
