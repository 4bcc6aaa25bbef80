#include "http/url.h"

#include "gtest/gtest.h"

namespace unmcp::http {
namespace {

TEST(Url, AReferenceIsResolvedAgainstItsBase) {
  constexpr char kBase[] = "http://host:3000/mcp/sse?key=1#top";
  EXPECT_EQ(ResolveUrl(kBase, "/message?sessionId=a").value(), "http://host:3000/message?sessionId=a");
  EXPECT_EQ(ResolveUrl(kBase, "message?sessionId=a").value(), "http://host:3000/mcp/message?sessionId=a");
  EXPECT_EQ(ResolveUrl(kBase, "?sessionId=a").value(), "http://host:3000/mcp/sse?sessionId=a");
  EXPECT_EQ(ResolveUrl(kBase, "../up").value(), "http://host:3000/up");
  EXPECT_EQ(ResolveUrl(kBase, "//other/x").value(), "http://other/x");
  EXPECT_EQ(ResolveUrl(kBase, "https://other/x#part").value(), "https://other/x");
  EXPECT_FALSE(ResolveUrl(kBase, "file:///etc/passwd").ok());
  EXPECT_FALSE(ResolveUrl("no url", "/x").ok());
}

TEST(Url, AnOriginIsSchemeHostAndPort) {
  EXPECT_EQ(Origin("http://user:secret@Host/path?token=secret"), "http://host:80");
  EXPECT_EQ(Origin("https://host"), "https://host:443");
  EXPECT_EQ(Origin("http://[::1]:8080/"), "http://[::1]:8080");
  EXPECT_EQ(Origin("ftp://host/"), "");
  EXPECT_EQ(Origin("host"), "");
}

TEST(Url, OriginsAreCompared) {
  EXPECT_TRUE(SameOrigin("http://host/a", "http://HOST:80/b"));
  EXPECT_FALSE(SameOrigin("http://host/", "https://host/"));
  EXPECT_FALSE(SameOrigin("http://host:1/", "http://host:2/"));
  EXPECT_FALSE(SameOrigin("http://host/", "http://host.evil.example/"));
  EXPECT_FALSE(SameOrigin("http://host@evil.example/", "http://host/"));
  EXPECT_FALSE(SameOrigin("", ""));
}

}  // namespace
}  // namespace unmcp::http
