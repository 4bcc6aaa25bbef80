#include "http/sse_parser.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace unmcp::http {
namespace {

// Every event as "type|data", from bytes that come in pieces of `step`.
std::vector<std::string> Parse(absl::string_view bytes, size_t step, SseParser* parser) {
  std::vector<std::string> events;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    parser->Feed(bytes.substr(0, step), [&](const SseEvent& event) {
      events.push_back(absl::StrCat(event.type, "|", event.data));
    });
  }
  return events;
}

std::vector<std::string> Parse(absl::string_view bytes) {
  SseParser whole(1 << 20);
  const std::vector<std::string> events = Parse(bytes, bytes.size(), &whole);
  for (size_t step = 1; step < 8; ++step) {
    SseParser parser(1 << 20);
    EXPECT_EQ(Parse(bytes, step, &parser), events) << "in pieces of " << step;
    EXPECT_EQ(parser.last_event_id(), whole.last_event_id());
  }
  return events;
}

using Events = std::vector<std::string>;

TEST(SseParser, EventsEndWithAnEmptyLineHoweverLinesEnd) {
  EXPECT_EQ(Parse("data: one\n\ndata: two\n\n"), (Events{"message|one", "message|two"}));
  EXPECT_EQ(Parse("data: one\r\n\r\ndata: two\r\n\r\n"), (Events{"message|one", "message|two"}));
  EXPECT_EQ(Parse("data: one\r\rdata: two\r\r"), (Events{"message|one", "message|two"}));
  EXPECT_EQ(Parse("data: one\r\n\ndata: two\n\r"), (Events{"message|one", "message|two"}));
  EXPECT_EQ(Parse("data: unfinished\n"), Events{});
}

TEST(SseParser, FieldsAreTakenAsTheStandardSays) {
  EXPECT_EQ(Parse("event: endpoint\ndata: /m\n\n"), Events{"endpoint|/m"});
  EXPECT_EQ(Parse("data:no space\n\n"), Events{"message|no space"});
  EXPECT_EQ(Parse("data:  two spaces\n\n"), Events{"message| two spaces"});
  EXPECT_EQ(Parse("data: a\ndata\ndata:\ndata: d\n\n"), Events{"message|a\n\n\nd"});
  EXPECT_EQ(Parse("data: a: b\n\n"), Events{"message|a: b"});
  EXPECT_EQ(Parse("event: x\n\ndata: later\n\n"), Events{"message|later"});
  EXPECT_EQ(Parse("dat: x\ndatabase: y\nunknown\n\n"), Events{});
}

TEST(SseParser, CommentsAndAByteOrderMarkAreIgnored) {
  EXPECT_EQ(Parse(": ping\n\n:\ndata: x\n: between\n\n"), Events{"message|x"});
  EXPECT_EQ(Parse("\xEF\xBB\xBF" "data: x\n\n"), Events{"message|x"});
  EXPECT_EQ(Parse("\n\xEF\xBB\xBF" "data: x\n\n"), Events{});
  EXPECT_EQ(Parse("\n\ndata: x\n\n"), Events{"message|x"});
}

TEST(SseParser, IdsAndRetryAreKept) {
  SseParser parser(100);
  EXPECT_EQ(Parse("id: 7\nretry: 1500\ndata:\n\n", 3, &parser), Events{"message|"});
  EXPECT_EQ(parser.last_event_id(), "7");
  EXPECT_EQ(parser.retry(), absl::Milliseconds(1500));
  EXPECT_EQ(Parse("id: 8\n\n", 3, &parser), Events{"message|"}) << "a priming event without data";
  EXPECT_EQ(Parse("data: x\nretry: soon\nretry: -1\n\n", 3, &parser), Events{"message|x"});
  EXPECT_EQ(parser.last_event_id(), "8");
  EXPECT_EQ(parser.retry(), absl::Milliseconds(1500));
  EXPECT_EQ(Parse(std::string("id: a\0b\nid\ndata: x\n\n", 20), 3, &parser), Events{"message|x"});
  EXPECT_EQ(parser.last_event_id(), "") << "an empty id clears it, one with NUL is ignored";
}

TEST(SseParser, DataBeyondTheBoundIsDroppedAndItsEndsAreKept) {
  for (const size_t step : {size_t{1}, size_t{7}, size_t{1} << 20}) {
    SseParser parser(10'000);
    std::string bytes = absl::StrCat("data: BEGIN", std::string(20'000, 'x'), "\ndata: ", std::string(500, 'y'),
                                     "END\n\ndata: next\n\n");
    std::vector<std::string> heads, tails;
    std::vector<size_t> lengths;
    for (absl::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min(step, rest.size()))) {
      parser.Feed(rest.substr(0, step), [&](const SseEvent& event) {
        heads.emplace_back(event.data.substr(0, 5));
        tails.emplace_back(event.tail);
        lengths.push_back(event.length);
      });
    }
    ASSERT_EQ(heads, (Events{"BEGIN", "next"}));
    EXPECT_EQ(tails[0], std::string(253, 'y') + "END");
    EXPECT_EQ(tails[1], "");
    EXPECT_EQ(lengths, (std::vector<size_t>{20'509, 4}));
  }
}

TEST(SseParser, AFieldThatIsTooLongIsIgnored) {
  SseParser parser(100);
  const std::string bytes = absl::StrCat("id: ", std::string(100'000, 'x'), "\ndata: here\n\n");
  EXPECT_EQ(Parse(bytes, 1000, &parser), Events{"message|here"});
  EXPECT_EQ(parser.last_event_id(), "");
}

}  // namespace
}  // namespace unmcp::http
