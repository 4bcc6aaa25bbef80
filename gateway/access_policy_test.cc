#include "gateway/access_policy.h"

#include "gtest/gtest.h"

namespace unmcp::gateway {
namespace {

TEST(AccessPolicy, AllowsThisMachineByDefault) {
  const AccessPolicy policy({.bound_host = "127.0.0.1"});
  for (const char* host : {"localhost", "LocalHost:8080", "127.0.0.1:1", "[::1]", "[::1]:8080", "localhost:"}) {
    EXPECT_TRUE(policy.AllowsHost(host)) << host;
  }
  for (const char* host : {"", "evil.example", "localhost.evil.example", "evil.example:8080", "127.0.0.1.evil.example",
                           "localhost:80@evil.example", "10.0.0.1:8080", "[::2]", "[::1", "::1", "127.0.0.1:80x"}) {
    EXPECT_FALSE(policy.AllowsHost(host)) << host;
  }
}

TEST(AccessPolicy, AllowsOriginsOfThisMachine) {
  const AccessPolicy policy({.bound_host = "127.0.0.1"});
  for (const char* origin : {"http://localhost", "http://localhost:6274", "https://127.0.0.1:1", "http://[::1]:3000"}) {
    EXPECT_TRUE(policy.AllowsOrigin(origin)) << origin;
  }
  for (const char* origin : {"null", "", "http://evil.example", "http://localhost.evil.example", "file://",
                             "http://localhost:80.evil.example", "chrome-extension://localhost", "localhost"}) {
    EXPECT_FALSE(policy.AllowsOrigin(origin)) << origin;
  }
}

TEST(AccessPolicy, AllowsWhatIsConfigured) {
  const AccessPolicy policy({.bound_host = "192.168.1.5",
                             .hosts = {"unmcp.example.com"},
                             .origins = {"https://app.example.com"}});
  EXPECT_TRUE(policy.AllowsHost("192.168.1.5:8080"));
  EXPECT_TRUE(policy.AllowsHost("UNMCP.example.com:443"));
  EXPECT_FALSE(policy.AllowsHost("192.168.1.6:8080"));
  EXPECT_TRUE(policy.AllowsOrigin("https://unmcp.example.com"));
  EXPECT_TRUE(policy.AllowsOrigin("https://app.example.com"));
  EXPECT_FALSE(policy.AllowsOrigin("http://app.example.com"));
  EXPECT_FALSE(policy.AllowsOrigin("https://app.example.com.evil.example"));
}

TEST(AccessPolicy, BoundToEveryAddressTakesAddressesButNoNames) {
  const AccessPolicy policy({.bound_host = "0.0.0.0"});
  EXPECT_TRUE(policy.AllowsHost("10.2.3.4:8080"));
  EXPECT_TRUE(policy.AllowsHost("[fd00::7]:8080"));
  EXPECT_FALSE(policy.AllowsHost("evil.example:8080"));
  EXPECT_FALSE(policy.AllowsOrigin("http://10.2.3.4"));
}

TEST(AccessPolicy, StarAllowsOneKindOnly) {
  const AccessPolicy hosts({.bound_host = "::", .hosts = {"*"}});
  EXPECT_TRUE(hosts.AllowsHost("anything.example"));
  EXPECT_FALSE(hosts.AllowsOrigin("http://anything.example"));
  const AccessPolicy origins({.bound_host = "::", .origins = {"*"}});
  EXPECT_TRUE(origins.AllowsOrigin("http://anything.example"));
  EXPECT_FALSE(origins.AllowsOrigin("null"));
  EXPECT_FALSE(origins.AllowsHost("anything.example"));
}

}  // namespace
}  // namespace unmcp::gateway
