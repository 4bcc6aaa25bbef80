#include "common/references.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::ElementsAre;

std::string Expand(absl::string_view text) {
  static const auto* const known = new std::map<std::string, std::string>{{"A", "1"}, {"B.c", "$(A)$$"}};
  return ExpandReferences(text, [](absl::string_view name) -> std::optional<std::string> {
    auto it = known->find(std::string(name));
    return it == known->end() ? std::nullopt : std::optional(it->second);
  });
}

TEST(References, ExpandAsKubernetesDoes) {
  EXPECT_EQ(Expand("a $(A)$(B.c) $A $"), "a 1$(A)$$ $A $");
  EXPECT_EQ(Expand("$$ $$(A) $$$(A) a$$b"), "$ $(A) $1 a$b");
  // What names no variable stays, all of it.
  EXPECT_EQ(Expand("$(NONE) $(x$$y) $($(A)) $(A"), "$(NONE) $(x$$y) $($(A)) $(A");
}

TEST(References, AreFoundTakenOutAndEscaped) {
  EXPECT_THAT(ReferencesIn("$(A)$(NONE) $$(B) $(a b) $(1) $("), ElementsAre("A", "NONE"));
  EXPECT_EQ(WithoutReferences("x$(A)y$$z$(a b)"), "xy$z$(a b)");
  for (const char* text : {"", "$(A)", "a$$b", "$$$(A)", "$", "$$$"}) EXPECT_EQ(Expand(EscapeReferences(text)), text);
}

TEST(References, OfAUrlMayBeReachedThroughAnother) {
  v1::MCPServerSpec spec;
  spec.set_url("https://x/$(PATH)?k=$(KEY)");
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"BASE", "b"}, {"KEY", ""}, {"OTHER", "$(KEY)"}, {"PATH", "$(BASE)/p"}}) {
    v1::EnvVar& variable = *spec.add_env();
    variable.set_name(name);
    variable.set_value(value);
  }
  std::vector<std::string> names;
  for (const v1::EnvVar* variable : VariablesOfUrl(spec)) names.push_back(variable->name());
  EXPECT_THAT(names, ElementsAre("BASE", "KEY", "PATH"));
}

}  // namespace
}  // namespace unmcp
