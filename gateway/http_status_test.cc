#include "gateway/http_status.h"

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace unmcp::gateway {
namespace {

using nlohmann::json;

std::string Find(const HttpResponse& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(ErrorResponse, HasTheDocumentedShape) {
  const HttpResponse response = ErrorResponse(404, "no \"such\" thing");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(Find(response, "Content-Type"), "application/json");
  EXPECT_EQ(response.body, R"({"error":{"code":404,"message":"no \"such\" thing","status":"NOT_FOUND"}})");
}

TEST(ErrorResponse, MapsEveryGrpcCode) {
  const std::pair<grpc::StatusCode, int> expected[] = {
      {grpc::StatusCode::INVALID_ARGUMENT, 400},  {grpc::StatusCode::NOT_FOUND, 404},
      {grpc::StatusCode::ALREADY_EXISTS, 409},    {grpc::StatusCode::PERMISSION_DENIED, 403},
      {grpc::StatusCode::UNAUTHENTICATED, 401},   {grpc::StatusCode::RESOURCE_EXHAUSTED, 507},
      {grpc::StatusCode::FAILED_PRECONDITION, 400}, {grpc::StatusCode::ABORTED, 409},
      {grpc::StatusCode::UNIMPLEMENTED, 501},     {grpc::StatusCode::INTERNAL, 500},
      {grpc::StatusCode::UNAVAILABLE, 503},       {grpc::StatusCode::DEADLINE_EXCEEDED, 504},
      {grpc::StatusCode::DO_NOT_USE, 500}};
  for (const auto& [code, http] : expected) EXPECT_EQ(ErrorResponse(grpc::Status(code, "m")).status, http) << code;
  EXPECT_EQ(json::parse(ErrorResponse(grpc::Status(grpc::StatusCode::ALREADY_EXISTS, "m")).body)["error"]["status"],
            "ALREADY_EXISTS");
}

TEST(ErrorResponse, KeepsDetailsAndRetryInfo) {
  google::rpc::Status rich;
  google::rpc::ErrorInfo info;
  info.set_reason("POOL_FULL");
  rich.add_details()->PackFrom(info);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(4);
  retry.mutable_retry_delay()->set_nanos(1);
  rich.add_details()->PackFrom(retry);
  rich.add_details()->set_type_url("type.googleapis.com/unknown.Type");
  const HttpResponse response =
      ErrorResponse(grpc::Status(grpc::StatusCode::UNAVAILABLE, "full", rich.SerializeAsString()));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(Find(response, "Retry-After"), "5");
  const json details = json::parse(response.body)["error"]["details"];
  ASSERT_EQ(details.size(), 3u);
  EXPECT_EQ(details[0]["@type"], "type.googleapis.com/google.rpc.ErrorInfo");
  EXPECT_EQ(details[0]["reason"], "POOL_FULL");
  EXPECT_EQ(details[2]["@type"], "type.googleapis.com/unknown.Type");
}

TEST(ErrorResponse, UnavailableAlwaysSaysWhenToRetry) {
  EXPECT_EQ(Find(ErrorResponse(grpc::Status(grpc::StatusCode::UNAVAILABLE, "")), "Retry-After"), "1");
  EXPECT_EQ(Find(ErrorResponse(503, ""), "Retry-After"), "1");
  EXPECT_EQ(Find(ErrorResponse(502, ""), "Retry-After"), "");
}

TEST(ErrorResponse, SurvivesBytesThatAreNotUtf8) {
  EXPECT_FALSE(json::parse(ErrorResponse(400, "bad \xff byte").body, nullptr, false).is_discarded());
}

}  // namespace
}  // namespace unmcp::gateway
