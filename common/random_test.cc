#include "common/random.h"

#include <regex>
#include <set>

#include "gtest/gtest.h"

namespace unmcp {
namespace {

TEST(Random, IdsAre128BitsAndDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const std::string id = Random::System()->Id128();
    EXPECT_TRUE(std::regex_match(id, std::regex("[0-9a-f]{32}"))) << id;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 100u);
}

TEST(Random, UuidsAreVersion4) {
  const std::string uuid = NewUuid(Random::System());
  EXPECT_TRUE(std::regex_match(uuid, std::regex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")))
      << uuid;
}

TEST(Random, UniformStaysInRange) {
  for (int i = 0; i < 1000; ++i) {
    const double u = Random::System()->Uniform();
    EXPECT_GE(u, 0.0);
    EXPECT_LT(u, 1.0);
  }
}

}  // namespace
}  // namespace unmcp
