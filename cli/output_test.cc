#include "cli/output.h"

#include <sstream>
#include <string>

#include "cli/terminal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::HasSubstr;

TEST(HumanDurationTest, TheUnitsThatMatter) {
  const auto text = [](int64_t seconds) { return HumanDuration(absl::Seconds(seconds)); };
  EXPECT_EQ(text(-5), "0s");
  EXPECT_EQ(text(119), "119s");
  EXPECT_EQ(text(120), "2m");
  EXPECT_EQ(text(303), "5m3s");
  EXPECT_EQ(text(3600), "60m");
  EXPECT_EQ(text(3 * 3600), "3h");
  EXPECT_EQ(text(4 * 3600 + 120), "4h2m");
  EXPECT_EQ(text(47 * 3600), "47h");
  EXPECT_EQ(text(50 * 3600), "2d2h");
  EXPECT_EQ(text(100 * 86400), "100d");
  EXPECT_EQ(text(800 * 86400), "2y70d");
  EXPECT_EQ(text(9 * 365 * 86400LL), "9y");
}

TEST(TableTest, ColumnsAreAlignedByCharacters) {
  std::ostringstream out;
  Table table({"NAME", "PHASE"}, true, false);
  table.Print({{"zwölf", "Ready", "left out"}, {"a", "Asleep", ""}}, out);
  table.Print({{"ab", "x"}}, out);
  EXPECT_EQ(out.str(), "NAME    PHASE\nzwölf   Ready\na       Asleep\nab      x\n");
}

TEST(TableTest, ColoursChangeNothingElse) {
  std::ostringstream out;
  Table({"PHASE", "NAME"}, false, true).Print({{"Ready", "Ready"}, {"Asleep", "x"}}, out);
  EXPECT_EQ(out.str(), "\033[32mReady\033[0m    Ready\nAsleep   x\n");
}

TEST(TableTest, CellsCannotDoAnythingToTheTerminal) {
  std::ostringstream out;
  Table({"NAME"}, false, false).Print({{"a\033[2Jb\nc"}}, out);
  EXPECT_EQ(out.str(), "a [2Jb c\n");
}

TEST(TextTest, ShortenKeepsCharactersWhole) {
  EXPECT_EQ(Shorten("zwölf", 5), "zwölf");
  EXPECT_EQ(Shorten("zwölf", 4), "zwö…");
  EXPECT_EQ(Shorten("", 4), "");
}

TEST(ProgressTest, IsOneLineThatFitsAndGoesAway) {
  std::ostringstream err;
  {
    Progress progress({.progress = true, .columns = 10}, err);
    progress.Show("waiting for a long time");
    progress.Show("waiting for a long time");
    progress.Show("b\nc");
  }
  EXPECT_EQ(err.str(), "\r\033[Kwaiting …\r\033[Kb c\r\033[K");
}

TEST(ProgressTest, IsNotThereWithoutATerminal) {
  std::ostringstream err;
  Progress({}, err).Show("waiting");
  EXPECT_EQ(err.str(), "");
}

TEST(PrintItemsTest, OneIsItselfAndSeveralAreAList) {
  const std::vector<Item> items = {{"mcpserver.unmcp.dev/a", {{"kind", "A"}}, {}}};
  std::ostringstream one, list, names;
  PrintItems(items, Format::kYaml, false, one);
  EXPECT_EQ(one.str(), "kind: A\n");
  PrintItems(items, Format::kJson, true, list);
  EXPECT_THAT(list.str(), HasSubstr("\"kind\": \"List\""));
  PrintItems(items, Format::kName, true, names);
  EXPECT_EQ(names.str(), "mcpserver.unmcp.dev/a\n");
}

}  // namespace
}  // namespace unmcp
