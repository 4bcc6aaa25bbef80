#include "tests/bench/sse_session.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ParseUrlTest, TakesAnAddressAPortAndAPath) {
  Target target;
  ASSERT_TRUE(ParseUrl("http://127.0.0.1:8080/a/sse?x=1", target));
  EXPECT_EQ(target.host, "127.0.0.1");
  EXPECT_EQ(target.port, 8080);
  EXPECT_EQ(target.path, "/a/sse?x=1");
  for (const char* bad : {"https://127.0.0.1:1/", "http://localhost:1/", "http://127.0.0.1/sse", "http://127.0.0.1:1"}) {
    EXPECT_FALSE(ParseUrl(bad, target)) << bad;
  }
}

// Whatever the kernel does with the bytes, the events are the same: every size
// of piece from one byte to all.
TEST(ReadersTest, AStreamInChunksGivesItsEventsHoweverItIsCut) {
  const std::string first = "event: endpoint\r\ndata: /message?sessionId=7\r\n\r\n: comment\n\nid: 1\ndata: a";
  const std::string second = "b\ndata: c\n\n";
  const auto chunk = [](const std::string& body) {
    char size[16];
    snprintf(size, sizeof(size), "%zx\r\n", body.size());
    return size + body + "\r\n";
  };
  const std::string bytes =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n" + chunk(first) +
      chunk(second) + "0\r\n\r\n";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    std::vector<std::pair<std::string, std::string>> events;
    SseReader sse([&](std::string_view event, std::string_view data) { events.emplace_back(event, data); });
    HttpReader http([&](std::string_view body) { sse.Feed(body); });
    int ended = 0;
    for (size_t at = 0; at < bytes.size(); at += piece) ended += http.Feed(std::string_view(bytes).substr(at, piece));
    EXPECT_EQ(http.status(), 200);
    EXPECT_EQ(ended, 1) << piece;
    EXPECT_THAT(events, ElementsAre(Pair("endpoint", "/message?sessionId=7"), Pair("message", "ab\nc"))) << piece;
  }
}

TEST(ReadersTest, ResponsesOnOneConnectionAreToldApart) {
  std::string body;
  HttpReader http([&](std::string_view piece) { body.append(piece); });
  EXPECT_EQ(http.Feed("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\nHTTP/1.1 400 Bad\r\ncontent-length: 3\r\n\r\nno"), 1);
  EXPECT_EQ(http.Feed("!"), 1);
  EXPECT_EQ(http.status(), 400);
  EXPECT_EQ(body, "no!");
}

TEST(ReadersTest, WhatIsNotHttpIsAnError) {
  HttpReader http([](std::string_view) {});
  EXPECT_EQ(http.Feed("SSH-2.0-server\r\n\r\n"), -1);
}

}  // namespace
}  // namespace unmcp::bench
