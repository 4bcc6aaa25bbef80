#include "kube/errors.h"

#include "gtest/gtest.h"

namespace unmcp::kube {
namespace {

const ObjectRef kServer{MCPServerKind(), "ns", "x"};

TEST(Errors, SpeakAsKubernetesDoes) {
  EXPECT_EQ(NotFound(kServer), absl::NotFoundError("mcpservers.unmcp.dev \"x\" not found"));
  EXPECT_EQ(NotFound({PodKind(), "ns", "p"}).message(), "pods \"p\" not found");
  EXPECT_EQ(AlreadyExists(kServer), absl::AlreadyExistsError("mcpservers.unmcp.dev \"x\" already exists"));
  EXPECT_EQ(
      Modified(kServer),
      absl::AbortedError("Operation cannot be fulfilled on mcpservers.unmcp.dev \"x\": the object has been modified; "
                         "please apply your changes to the latest version and try again"));
  EXPECT_EQ(
      Invalid(MCPServerKind(), "x", {InvalidValue("spec.idleTimeout", -5, "should be greater than or equal to -1")}),
      absl::InvalidArgumentError("MCPServer.unmcp.dev \"x\" is invalid: spec.idleTimeout: Invalid value: -5: should "
                                 "be greater than or equal to -1"));
  EXPECT_EQ(Invalid(PodKind(), "p", {RequiredValue("a"), UnsupportedValue("b", "y", {"u", "v"})}).message(),
            "Pod \"p\" is invalid: [a: Required value, b: Unsupported value: \"y\": supported values: \"u\", \"v\"]");
}

TEST(Errors, AreBoundedWhateverTheInput) {
  const std::string long_text(1'000'000, 'x');
  const std::vector<FieldError> many(1000, InvalidValue("a", long_text, "is too much"));
  EXPECT_LT(Invalid(PodKind(), "p", many).message().size(), 10'000u);
}

TEST(Errors, StatusDocumentsKeepTheirMeaning) {
  for (const absl::Status& status :
       {NotFound(kServer), AlreadyExists(kServer), Modified(kServer), BadRequest("no"), Gone("old"),
        absl::UnavailableError("later"), absl::PermissionDeniedError("you may not"), absl::UnauthenticatedError("who?"),
        absl::ResourceExhaustedError("slow down"), absl::InternalError("oops"), absl::OkStatus()}) {
    EXPECT_EQ(StatusFromJson(StatusToJson(status), 0), status);
  }
  EXPECT_EQ(StatusToJson(NotFound(kServer))["reason"], "NotFound");
  EXPECT_EQ(StatusToJson(NotFound(kServer))["code"], 404);
}

TEST(Errors, AReasonWeighsMoreThanItsCode) {
  const auto code = [](const char* text, int http_code) { return StatusFromJson(Json::parse(text), http_code).code(); };
  EXPECT_EQ(code(R"({"kind":"Status","status":"Failure","reason":"AlreadyExists","code":409})", 409),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(code(R"({"kind":"Status","status":"Failure","reason":"Conflict","code":409})", 409),
            absl::StatusCode::kAborted);
  EXPECT_EQ(code(R"({"kind":"Status","status":"Failure","reason":"Expired","code":410})", 200),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(code(R"({"kind":"Status","status":"Failure","reason":"ServerTimeout","code":500})", 500),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(R"({"kind":"Status","status":"Failure","code":410})", 200), absl::StatusCode::kOutOfRange);
}

TEST(Errors, WhatIsNoStatusDocumentIsReadByTheCode) {
  EXPECT_EQ(StatusFromJson("bad gateway", 502), absl::UnavailableError("HTTP 502: bad gateway"));
  EXPECT_EQ(StatusFromJson(Json(), 404).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(StatusFromJson({{"kind", "Pod"}}, 200), absl::OkStatus());
}

}  // namespace
}  // namespace unmcp::kube
