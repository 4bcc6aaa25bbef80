#include "bridge/line_framer.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace unmcp::bridge {
namespace {

using Lines = std::vector<std::string>;

// Oversized lines are noted as "!<length>:<head>".
void Feed(LineFramer& framer, absl::string_view bytes, Lines& lines) {
  framer.Feed(
      bytes, [&](absl::string_view line) { lines.emplace_back(line); },
      [&](const OversizedLine& line) { lines.push_back(absl::StrCat("!", line.length, ":", line.head)); });
}

TEST(LineFramer, CutsLinesOfOneRead) {
  LineFramer framer;
  Lines lines;
  Feed(framer, "{\"a\":1}\n{\"b\":2}\r\n\n\r\nlast", lines);
  EXPECT_EQ(lines, (Lines{"{\"a\":1}", "{\"b\":2}"}));
  EXPECT_EQ(framer.buffered(), 4u);
  Feed(framer, "\n", lines);
  EXPECT_EQ(lines.back(), "last");
  EXPECT_EQ(framer.buffered(), 0u);
}

TEST(LineFramer, ALineWholeInTheInputIsNotCopied) {
  LineFramer framer;
  const std::string input = "one\ntwo\n";
  std::vector<const char*> starts;
  framer.Feed(
      input, [&](absl::string_view line) { starts.push_back(line.data()); }, [](const OversizedLine&) {});
  EXPECT_EQ(starts, (std::vector<const char*>{input.data(), input.data() + 4}));
}

TEST(LineFramer, ACarriageReturnInsideALineStays) {
  LineFramer framer;
  Lines lines;
  Feed(framer, "a\rb\r", lines);
  Feed(framer, "\nc\n", lines);
  EXPECT_EQ(lines, (Lines{"a\rb", "c"}));
}

TEST(LineFramer, AnOversizedLineCostsOnlyItself) {
  LineFramer framer(10);
  Lines lines;
  Feed(framer, "1234567890\n12345678901\nok\n", lines);
  EXPECT_EQ(lines, (Lines{"1234567890", "!11:12345678901", "ok"}));
}

TEST(LineFramer, AnOversizedLineIsNotHeldInMemory) {
  LineFramer framer(100'000);
  Lines lines;
  const std::string chunk(60'000, 'x');
  Feed(framer, "{\"id\":7,", lines);
  for (int i = 0; i < 100; ++i) {
    Feed(framer, chunk, lines);
    EXPECT_LE(framer.buffered(), 100'000u);
  }
  EXPECT_LE(framer.buffered(), LineFramer::kKeptHead);
  EXPECT_TRUE(lines.empty());
  Feed(framer, "end\nnext\n", lines);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(absl::StartsWith(lines[0], "!6000011:{\"id\":7,xxx")) << lines[0].substr(0, 40);
  EXPECT_EQ(lines[0].size(), absl::string_view("!6000011:").size() + LineFramer::kKeptHead);
  EXPECT_EQ(lines[1], "next");
}

TEST(LineFramer, BothEndsOfAnOversizedLineAreKept) {
  for (const size_t step : {1, 7, 1000, 100'000}) {
    LineFramer framer(1000);
    const std::string line = absl::StrCat("{\"result\":\"", std::string(20'000, 'x'), "\",\"id\":7}");
    const std::string input = line + "\r\n";
    std::vector<std::string> tails;
    for (size_t at = 0; at < input.size(); at += step) {
      framer.Feed(
          absl::string_view(input).substr(at, step), [](absl::string_view) { FAIL(); },
          [&](const OversizedLine& oversized) {
            EXPECT_TRUE(absl::StartsWith(line, oversized.head));
            tails.emplace_back(oversized.tail);
          });
    }
    ASSERT_EQ(tails.size(), 1u) << step;
    EXPECT_TRUE(absl::EndsWith(line, tails[0]));
    EXPECT_GE(tails[0].size(), LineFramer::kKeptTail - 1);
  }
}

// Whatever the pieces, the lines are those of the whole input.
TEST(LineFramer, AgreesWithAReferenceHoweverTheInputIsSplit) {
  constexpr size_t kMax = 40;
  std::mt19937 rng(20240607);
  auto below = [&rng](int n) { return static_cast<int>(rng() % n); };
  for (int round = 0; round < 2000; ++round) {
    std::string input;
    for (int i = 0, n = below(20); i < n; ++i) {
      input += std::string(below(below(4) == 0 ? 100 : 20), static_cast<char>('a' + below(26)));
      input += below(3) == 0 ? "\r\n" : "\n";
    }
    input += std::string(below(60), 'z');

    Lines want;
    Lines parts = absl::StrSplit(input, '\n');
    parts.pop_back();  // not terminated
    for (std::string part : parts) {
      if (part.size() > kMax) {
        want.push_back(absl::StrCat("!", part.size(), ":", part));
        continue;
      }
      if (absl::EndsWith(part, "\r")) part.pop_back();
      if (!part.empty()) want.push_back(part);
    }

    LineFramer framer(kMax);
    Lines got;
    for (size_t at = 0; at < input.size();) {
      const size_t n = 1 + below(below(2) ? 3 : 70);
      Feed(framer, absl::string_view(input).substr(at, n), got);
      at += n;
    }
    ASSERT_EQ(got, want) << "round " << round;
  }
}

}  // namespace
}  // namespace unmcp::bridge
