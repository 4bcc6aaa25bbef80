#include "cli/endpoints.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace unmcp {
namespace {

TEST(EndpointsTest, WhatIsWrittenIsReadUntilItIsRemoved) {
  const std::string dir = testing::TempDir();
  ASSERT_TRUE(WriteEndpoints(dir, {.grpc = "127.0.0.1:7", .http = "http://127.0.0.1:8", .pid = 9}).ok());
  const auto read = ReadEndpoints(dir);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->grpc, "127.0.0.1:7");
  EXPECT_EQ(read->http, "http://127.0.0.1:8");
  EXPECT_EQ(read->pid, 9);
  RemoveEndpoints(dir);
  EXPECT_FALSE(ReadEndpoints(dir).has_value());
}

TEST(EndpointsTest, AnApiserverOfItsOwnIsFoundByItsSocket) {
  const std::string dir = testing::TempDir() + "/programs";
  std::filesystem::create_directories(dir + "/run");
  EXPECT_FALSE(ReadEndpoints(dir).has_value());
  std::ofstream(dir + "/run/apiserver.sock.api") << "";
  const auto read = ReadEndpoints(dir);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->grpc, "unix:" + dir + "/run/apiserver.sock.api");
  std::filesystem::remove_all(dir);
}

TEST(EndpointsTest, WhatMakesNoSenseIsNotThere) {
  const std::string dir = testing::TempDir();
  for (const char* content : {"", "{", "[]", R"({"grpc":1})", R"({"http":"http://127.0.0.1:8"})"}) {
    std::ofstream(dir + "/endpoints.json") << content;
    EXPECT_FALSE(ReadEndpoints(dir).has_value()) << content;
  }
  RemoveEndpoints(dir);
}

TEST(EndpointsTest, ADirectoryThatIsNotThereIsNamed) {
  const absl::Status status = WriteEndpoints("/no/such/dir", {.grpc = "a:1"});
  EXPECT_NE(status.message().find("/no/such/dir/endpoints.json"), std::string::npos) << status;
}

TEST(EndpointsTest, ClientsConnectToAnAddressThatIsOne) {
  EXPECT_EQ(ClientAddress("127.0.0.1", 80), "127.0.0.1:80");
  EXPECT_EQ(ClientAddress("0.0.0.0", 80), "127.0.0.1:80");
  EXPECT_EQ(ClientAddress("::", 80), "[::1]:80");
  EXPECT_EQ(ClientAddress("::1", 80), "[::1]:80");
  EXPECT_EQ(ClientAddress("box.local", 80), "box.local:80");
}

}  // namespace
}  // namespace unmcp
