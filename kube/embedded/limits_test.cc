#include "kube/embedded/limits.h"

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

TEST(Quantities, AsKubernetesReadsThem) {
  const std::pair<const char*, int64_t> cases[] = {
      {"1", 1000},           {"0.1", 100},          {"500m", 500},        {"1500m", 1500},
      {"0.0001", 1},         {"1e3", 1'000'000},    {"1E3", 1'000'000},   {"2k", 2'000'000},
      {"1Ki", 1'024'000},    {"128974848", 128974848'000},                {"129M", 129'000'000'000},
      {"123Mi", 123LL * 1024 * 1024 * 1000},        {"1.5Gi", 3LL * 512 * 1024 * 1024 * 1000},
      {"1E", -1},            {"100u", 1},           {"0", 0},
  };
  for (const auto& [text, millis] : cases) EXPECT_EQ(ParseQuantityMillis(text).value_or(-1), millis) << text;
  for (const char* text : {"", "x", "-1", "1 Gi", "1gi", "1ki", "Mi", "1mi", "1.2.3", "99E", "nan", "inf"}) {
    EXPECT_FALSE(ParseQuantityMillis(text)) << text;
  }
}

TEST(Limits, OfAContainer) {
  const auto limits = LimitsOf(R"({"resources": {"limits": {"memory": "64Mi", "cpu": "0.5"}}})"_json);
  ASSERT_TRUE(limits.ok());
  EXPECT_EQ(limits->memory_bytes, 64 << 20);
  EXPECT_EQ(limits->cpu_millis, 500);
  EXPECT_EQ(LimitsOf(R"({"resources": {"limits": {"cpu": 2}}})"_json)->cpu_millis, 2000);
  EXPECT_FALSE(LimitsOf(R"({"resources": {"requests": {"cpu": "1"}}})"_json)->any());
  EXPECT_FALSE(LimitsOf(Json::object())->any());
  EXPECT_EQ(LimitsOf(R"({"resources": {"limits": {"memory": "much"}}})"_json).status(),
            absl::InvalidArgumentError("spec.containers[0].resources.limits.memory: \"much\" is not a quantity; write "
                                       "it like \"512Mi\" or \"500m\""));
}

}  // namespace
}  // namespace unmcp::kube
