#include "common/grpc_status.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace unmcp {
namespace {

TEST(GrpcStatusTest, CodeAndMessageGoBothWays) {
  const absl::Status status = absl::NotFoundError("server \"a\" not found");
  EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  EXPECT_TRUE(FromGrpc(ToGrpc(absl::OkStatus())).ok());
}

TEST(GrpcStatusTest, ALongMessageKeepsItsBeginningAndItsEnd) {
  const grpc::Status status =
      ToGrpc(absl::NotFoundError("server \"" + std::string(100'000, 'x') + "\" not found: list them"));
  EXPECT_LE(status.error_message().size(), kMaxStatusMessageBytes + 8);
  EXPECT_THAT(status.error_message(), testing::StartsWith("server \"xx"));
  EXPECT_THAT(status.error_message(), testing::EndsWith("not found: list them"));
}

TEST(GrpcStatusTest, CharactersAreNotCut) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "€";
  const std::string message = ToGrpc(absl::InternalError(text)).error_message();
  std::string rest = message;
  for (const std::string part : {"€", " … "}) {
    for (size_t at; (at = rest.find(part)) != std::string::npos;) rest.erase(at, part.size());
  }
  EXPECT_EQ(rest, "");
}

}  // namespace
}  // namespace unmcp
