#include "gateway/sse_framer.h"

#include "gtest/gtest.h"

namespace unmcp::gateway {
namespace {

std::string Text(SseFramer::Frame frame) { return frame.prefix + frame.bytes + std::string(frame.suffix); }

TEST(SseFramer, FramesWholeMessages) {
  SseFramer framer;
  EXPECT_EQ(Text(framer.Piece("/m?sessionId=1", "endpoint", "", true)), "event: endpoint\ndata: /m?sessionId=1\n\n");
  EXPECT_EQ(Text(framer.Piece("{}", "", "7", true)), "event: message\nid: 7\ndata: {}\n\n");
  EXPECT_EQ(Text(framer.Piece("", "", "", true)), "event: message\ndata: \n\n");
}

TEST(SseFramer, PutsPiecesIntoOneEvent) {
  SseFramer framer;
  EXPECT_TRUE(framer.between_events());
  std::string all = Text(framer.Piece("{\"a\":", "", "9", false));
  EXPECT_FALSE(framer.between_events());
  all += Text(framer.Piece("[1,", "", "", false));
  all += Text(framer.Piece("2]}", "", "", true));
  EXPECT_TRUE(framer.between_events());
  EXPECT_EQ(all, "event: message\nid: 9\ndata: {\"a\":[1,2]}\n\n");
}

TEST(SseFramer, LineBreaksInDataContinueOnDataLines) {
  SseFramer framer;
  EXPECT_EQ(Text(framer.Piece("a\nb\r\nc\rd", "", "", true)),
            "event: message\ndata: a\ndata: b\ndata: c\ndata: d\n\n");
  // CR and LF of one line break, in two pieces.
  std::string split = Text(framer.Piece("a\r", "", "", false));
  split += Text(framer.Piece("\nb", "", "", true));
  EXPECT_EQ(split, "event: message\ndata: a\ndata: b\n\n");
  // A CR that ended a message has nothing to do with the next.
  split = Text(framer.Piece("a\r", "", "", true));
  split += Text(framer.Piece("\nb", "", "", true));
  EXPECT_EQ(split, "event: message\ndata: a\ndata: \n\nevent: message\ndata: \ndata: b\n\n");
}

TEST(SseFramer, NamesAndIdsCannotForgeFields) {
  SseFramer framer;
  EXPECT_EQ(Text(framer.Piece("{}", "x\ndata: forged", "1\r\nevent: forged", true)), "event: message\ndata: {}\n\n");
}

}  // namespace
}  // namespace unmcp::gateway
