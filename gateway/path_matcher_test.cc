#include "gateway/path_matcher.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp::gateway {
namespace {

using ::testing::ElementsAre;

TEST(PathMatcher, PrefersWhatIsMoreSpecificAndHasTheMethod) {
  PathMatcher matcher;
  ASSERT_TRUE(matcher.Add("GET", "/v1/servers", 1).ok());
  ASSERT_TRUE(matcher.Add("GET", "/v1/servers/{uid}", 2).ok());
  ASSERT_TRUE(matcher.Add("POST", "/v1/servers/special", 3).ok());
  ASSERT_TRUE(matcher.Add("GET", "/v1/servers/{uid}/sse", 4).ok());
  ASSERT_TRUE(matcher.Add("GET", "/v1/files/{path=**}", 5).ok());

  EXPECT_EQ(matcher.Match("GET", "/v1/servers").route, 1);
  EXPECT_EQ(matcher.Match("POST", "/v1/servers/special").route, 3);
  const auto special = matcher.Match("GET", "/v1/servers/special");
  EXPECT_EQ(special.route, 2);
  EXPECT_THAT(special.values, ElementsAre("special"));
  const auto sse = matcher.Match("GET", "/v1/servers/a%2Fb/sse");
  EXPECT_EQ(sse.route, 4);
  EXPECT_THAT(sse.values, ElementsAre("a%2Fb"));
  const auto rest = matcher.Match("GET", "/v1/files/a/b/c");
  EXPECT_EQ(rest.route, 5);
  EXPECT_THAT(rest.values, ElementsAre("a/b/c"));
}

TEST(PathMatcher, TellsMissingPathsFromOtherMethods) {
  PathMatcher matcher;
  ASSERT_TRUE(matcher.Add("GET", "/v1/servers/{uid}", 1).ok());
  ASSERT_TRUE(matcher.Add("DELETE", "/v1/servers/{uid}", 2).ok());
  ASSERT_TRUE(matcher.Add("PUT", "/v1/servers/x", 3).ok());

  const auto other = matcher.Match("POST", "/v1/servers/x");
  EXPECT_EQ(other.route, PathMatcher::kNoRoute);
  EXPECT_THAT(other.methods, ElementsAre("DELETE", "GET", "PUT"));
  for (const char* path : {"", "/", "/v1", "/v1/servers", "/v1/servers/", "/v1/servers/x/", "/v1/servers/x/y",
                           "//v1/servers/x", "v1/servers/x", "/V1/servers/x"}) {
    const auto nothing = matcher.Match("GET", path);
    EXPECT_EQ(nothing.route, PathMatcher::kNoRoute) << path;
    EXPECT_TRUE(nothing.methods.empty()) << path;
  }
}

TEST(PathMatcher, FindsConflictsAndBadTemplates) {
  PathMatcher matcher;
  ASSERT_TRUE(matcher.Add("GET", "/v1/{name}/x", 1).ok());
  EXPECT_EQ(matcher.Add("GET", "/v1/{other}/x", 2).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(matcher.Add("PUT", "/v1/{other}/x", 3).ok());
  for (const char* bad : {"v1", "/v1//x", "/v1/{a", "/v1/{}", "/v1/{=**}", "/v1/{a=**}/x", "/v1/{a=b/*}", "/v1/*",
                          "/v1/{a}:start", "/v1/x:start"}) {
    EXPECT_EQ(matcher.Add("GET", bad, 4).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(PathMatcher, NamesVariables) {
  EXPECT_THAT(PathMatcher::Variables("/v1/{a}/x/{b.c=*}/{d=**}"), ElementsAre("a", "b.c", "d"));
}

}  // namespace
}  // namespace unmcp::gateway
