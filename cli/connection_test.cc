#include "cli/connection.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "cli/endpoints.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ConnectionTest : public testing::Test {
 protected:
  absl::StatusOr<Connection> Find(const ConnectionOptions& options, std::map<std::string, std::string> variables = {}) {
    variables.emplace("XDG_DATA_HOME", home_);
    return FindConnection(options, [&](const char* name) -> std::optional<std::string> {
      const auto it = variables.find(name);
      return it == variables.end() ? std::nullopt : std::optional(it->second);
    });
  }
  ~ConnectionTest() override { RemoveEndpoints(home_ + "/unmcp"); }

  const std::string home_ = testing::TempDir() + "/connection_test";
  const bool made_ = std::filesystem::create_directories(home_ + "/unmcp");
};

TEST_F(ConnectionTest, TheDefaultIsWhereUpListensByDefault) {
  const auto connection = Find({});
  ASSERT_TRUE(connection.ok()) << connection.status();
  ASSERT_EQ(connection->places.size(), 1u);
  EXPECT_EQ(connection->places[0].grpc, "127.0.0.1:9090");
  EXPECT_EQ(connection->places[0].http, "http://127.0.0.1:8080");
  EXPECT_THAT(connection->flags, IsEmpty());
}

TEST_F(ConnectionTest, OtherPortsAreFoundAndTheDefaultIsTriedAfterThem) {
  ASSERT_TRUE(WriteEndpoints(home_ + "/unmcp", {.grpc = "127.0.0.1:7", .http = "http://127.0.0.1:8"}).ok());
  const auto connection = Find({});
  ASSERT_EQ(connection->places.size(), 2u);
  EXPECT_EQ(connection->places[0].grpc, "127.0.0.1:7");
  EXPECT_EQ(connection->places[0].http, "http://127.0.0.1:8");
  EXPECT_EQ(connection->places[1].grpc, "127.0.0.1:9090");
  EXPECT_THAT(connection->flags, ElementsAre("--data-dir", home_ + "/unmcp")) << "for who has not the variable";
}

TEST_F(ConnectionTest, WhatTheUserSaysGoesFirst) {
  ASSERT_TRUE(WriteEndpoints(home_ + "/unmcp", {.grpc = "127.0.0.1:7", .http = "http://127.0.0.1:8"}).ok());
  const auto flag = Find({.server = "box:1"}, {{"UNMCP_SERVER", "other:2"}});
  ASSERT_EQ(flag->places.size(), 1u);
  EXPECT_EQ(flag->places[0].grpc, "box:1");
  EXPECT_EQ(flag->places[0].http, "http://box:8080");
  EXPECT_THAT(flag->flags, ElementsAre("--server", "box:1"));
  const auto variable = Find({}, {{"UNMCP_SERVER", "other:2"}});
  EXPECT_EQ(variable->places[0].grpc, "other:2");
  EXPECT_THAT(variable->flags, ElementsAre("--server", "other:2"));
  EXPECT_EQ(Find({.server = "127.0.0.1:7"})->places[0].http, "http://127.0.0.1:8");
}

TEST_F(ConnectionTest, ADataDirectoryIsItsUnmcpAndNoOther) {
  const std::string dir = testing::TempDir();
  EXPECT_THAT(Find({.data_dir = dir}).status().message(), HasSubstr("unmcp up --data-dir " + dir));
  ASSERT_TRUE(WriteEndpoints(dir, {.grpc = "127.0.0.1:7", .http = "http://127.0.0.1:8"}).ok());
  const auto connection = Find({.data_dir = dir}, {{"UNMCP_SERVER", "other:2"}});
  ASSERT_EQ(connection->places.size(), 1u);
  EXPECT_EQ(connection->places[0].grpc, "127.0.0.1:7");
  EXPECT_EQ(connection->flags[0], "--data-dir");
  RemoveEndpoints(dir);
}

TEST_F(ConnectionTest, AddressesAreChecked) {
  for (const char* right : {"127.0.0.1:9090", "box:1", "[::1]:9090", "unix:/run/unmcp.sock"}) {
    EXPECT_EQ(CheckServerAddress(right), "") << right;
  }
  for (const char* wrong : {"", "box", "box:", ":9090", "box:0", "box:65536", "box:http", "http://box:80", "unix:"}) {
    EXPECT_THAT(CheckServerAddress(wrong), HasSubstr("HOST:PORT")) << wrong;
  }
  EXPECT_THAT(Find({}, {{"UNMCP_SERVER", "http://box"}}).status().message(), HasSubstr("UNMCP_SERVER: "));
}

}  // namespace
}  // namespace unmcp
