#include "gateway/transcoder.h"

#include "gateway/transcoder_test.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "unmcp/v1/server_service.pb.h"

namespace unmcp::gateway {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class TranscoderTest : public ::testing::Test {
 protected:
  TranscoderTest() {
    auto routes = LoadRestRoutes("unmcp.gateway.test");
    EXPECT_TRUE(routes.ok()) << routes.status();
    routes_ = *std::move(routes);
  }
  const RestRoute& Route(const std::string& method, const std::string& path) {
    for (const RestRoute& route : routes_) {
      if (route.http_method == method && route.path_template == path) return route;
    }
    ADD_FAILURE() << method << " " << path;
    return routes_[0];
  }
  const RestRoute& GetBook() { return Route("GET", "/t/shelves/{shelf}/books/{book.isbn}"); }
  const RestRoute& CreateBook() { return Route("POST", "/t/shelves/{shelf}/books"); }

  test::GetBookRequest Get(const std::string& query) {
    auto message = MakeRestRequest(GetBook(), {"s", "i"}, query, "");
    EXPECT_TRUE(message.ok()) << query << ": " << message.status();
    return message.ok() ? static_cast<const test::GetBookRequest&>(**message) : test::GetBookRequest();
  }
  std::string GetError(const std::string& query) {
    auto message = MakeRestRequest(GetBook(), {"s", "i"}, query, "");
    EXPECT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument) << query;
    return std::string(message.status().message());
  }

  std::vector<RestRoute> routes_;
};

TEST_F(TranscoderTest, FindsWhatIsAnnotatedAndNothingElse) {
  EXPECT_EQ(routes_.size(), 7u);
  EXPECT_EQ(GetBook().grpc_method, "/unmcp.gateway.test.ShelfService/GetBook");
  EXPECT_EQ(CreateBook().success_status, 201);
  for (const RestRoute& route : routes_) EXPECT_EQ(route.grpc_method.find("Hidden"), std::string::npos);
}

TEST_F(TranscoderTest, FindsTheServersApi) {
  const auto routes = LoadRestRoutes("unmcp.v1");
  ASSERT_TRUE(routes.ok()) << routes.status();
  std::vector<std::string> all;
  for (const RestRoute& route : *routes) all.push_back(route.http_method + " " + route.path_template);
  EXPECT_THAT(all, ::testing::IsSupersetOf({"GET /api/v1/servers", "GET /api/v1/servers/{uid}", "PUT /api/v1/pools/{name}",
                                             "POST /api/v1/servers/{uid}/stop", "GET /api/v1/metrics/pools/{name}"}));
  EXPECT_THAT(all, ::testing::Contains("GET /api/v1/servers").Times(1)) << "the list and the watch are one route";
}

TEST_F(TranscoderTest, AParameterAsksForTheStream) {
  const RestRoute& list = Route("GET", "/t/shelves/{shelf}/books");
  const auto selected = [&](const char* query) {
    const auto route = SelectMethod(list, query);
    return route.ok() ? (*route)->grpc_method : std::string(route.status().message());
  };
  EXPECT_EQ(selected(""), "/unmcp.gateway.test.ShelfService/ListBooks");
  EXPECT_EQ(selected("watch=false&limit=1"), "/unmcp.gateway.test.ShelfService/ListBooks");
  EXPECT_EQ(selected("watch=true"), "/unmcp.gateway.test.ShelfService/WatchBooks");
  EXPECT_EQ(selected("watch=1"), "watch: must be true or false");
  EXPECT_EQ(selected("watch"), "watch: must be true or false");

  EXPECT_TRUE(MakeRestRequest(list, {"s"}, "watch=false&limit=1", "").ok());
  const RestRoute& watch = **SelectMethod(list, "watch=true");
  auto message = MakeRestRequest(watch, {"s"}, "watch=true", "");
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_TRUE(static_cast<const test::WatchBooksRequest&>(**message).watch());
  EXPECT_FALSE(MakeRestRequest(watch, {"s"}, "watch=true&limit=1", "").ok());
  EXPECT_FALSE(MakeRestRequest(watch, {"s"}, "watch=true&watch=false", "").ok());
}

TEST_F(TranscoderTest, WithoutABodyAnEmptyObjectIsTaken) {
  const RestRoute& open = Route("POST", "/t/shelves/{shelf}/open");
  for (const char* body : {"", "{}", " {} "}) EXPECT_TRUE(MakeRestRequest(open, {"s"}, "full=true", body).ok()) << body;
  for (const char* body : {"{\"full\":true}", "[]", "{", "null"}) {
    const auto message = MakeRestRequest(open, {"s"}, "", body);
    EXPECT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument) << body;
  }
}

TEST_F(TranscoderTest, WhatTheBodyHoldsIsNoParameter) {
  EXPECT_THAT(MakeRestRequest(CreateBook(), {"s"}, "book.isbn=2", "{}").status().message(), HasSubstr("book.isbn"));
  EXPECT_THAT(MakeRestRequest(Route("PUT", "/t/shelves/{shelf}"), {"s"}, "dryRun=true", "{}").status().message(),
              HasSubstr("dryRun"));
}

TEST_F(TranscoderTest, AFieldOfTheBodyIsNamedAsItIsWritten) {
  const auto error = [&](const char* body) {
    return std::string(MakeRestRequest(CreateBook(), {"s"}, "", body).status().message());
  };
  EXPECT_EQ(error(R"({"isbn":7})"), "isbn: must be a string, not a number");
  EXPECT_EQ(error(R"({"authors":["a",{}]})"), "authors[1]: must be a string, not an object");
  EXPECT_EQ(error(R"({"pagecount":1})"), "pagecount: unknown field; did you mean \"pageCount\"?");
  EXPECT_EQ(error("null"), "must be an object, not null");
}

TEST_F(TranscoderTest, BindsPathAndQueryByTheFieldsType) {
  const test::GetBookRequest request =
      Get("full=true&limit=-5&big=18446744073709551615&score=1.5&tags=a&tags=b%26c&cover=hard"
          "&since=2025-05-02T10:15:30Z&book.pageCount=7&book.sold=9007199254740993");
  EXPECT_EQ(request.shelf(), "s");
  EXPECT_EQ(request.book().isbn(), "i");
  EXPECT_TRUE(request.full());
  EXPECT_EQ(request.limit(), -5);
  EXPECT_EQ(request.big(), 18446744073709551615u);
  EXPECT_EQ(request.score(), 1.5);
  ASSERT_EQ(request.tags_size(), 2);
  EXPECT_EQ(request.tags(1), "b&c");
  EXPECT_EQ(request.cover(), test::COVER_HARD);
  EXPECT_EQ(request.since().seconds(), 1746180930);
  EXPECT_EQ(request.book().page_count(), 7);
  EXPECT_EQ(request.book().sold(), 9007199254740993);
}

TEST_F(TranscoderTest, ValuesStayValues) {
  // What looks like JSON is a string all the same.
  EXPECT_EQ(Get("tags=%22%2C%22x%22%3A1").tags(0), "\",\"x\":1");
  EXPECT_THAT(GetError("full=true%2C%22limit%22%3A7"), HasSubstr("full"));
}

TEST_F(TranscoderTest, NamesTheParameterThatIsWrong) {
  EXPECT_THAT(GetError("nonsense=1"), HasSubstr("nonsense"));
  EXPECT_THAT(GetError("book.nonsense=1"), HasSubstr("book.nonsense"));
  EXPECT_THAT(GetError("full=yes"), HasSubstr("full: must be true or false"));
  EXPECT_THAT(GetError("limit=ten"), HasSubstr("limit: must be a number"));
  EXPECT_THAT(GetError("limit=99999999999"), HasSubstr("limit"));
  EXPECT_THAT(GetError("big=-1"), HasSubstr("big"));
  EXPECT_THAT(GetError("limit=1&limit=2"), HasSubstr("limit: is given more than once"));
  EXPECT_THAT(GetError("book={}"), HasSubstr("book"));
  EXPECT_THAT(GetError("since=yesterday"), HasSubstr("since"));
  EXPECT_THAT(GetError("since.seconds=1&since=2025-05-02T10:15:30Z"), HasSubstr("since"));
  EXPECT_THAT(GetError("shelf=other"), HasSubstr("shelf: is given more than once"));
}

TEST_F(TranscoderTest, ParametersKeepTheRulesOfTheirFields) {
  EXPECT_EQ(GetError("pageSize=-1"), "pageSize: must be at least 0");
  EXPECT_EQ(Get("pageSize=3").page_size(), 3);
}

TEST_F(TranscoderTest, ABodyFillsItsFieldOrTheMessage) {
  auto message = MakeRestRequest(CreateBook(), {"s"}, "dryRun=true", R"({"isbn":"1","authors":["x"]})");
  ASSERT_TRUE(message.ok()) << message.status();
  const auto& created = static_cast<const test::CreateBookRequest&>(**message);
  EXPECT_EQ(created.shelf(), "s");
  EXPECT_EQ(created.book().isbn(), "1");
  EXPECT_TRUE(created.dry_run());

  const RestRoute& replace = Route("PUT", "/t/shelves/{shelf}");
  message = MakeRestRequest(replace, {"from-path"}, "", R"({"shelf":"from-body","book":{"isbn":"2"}})");
  ASSERT_TRUE(message.ok()) << message.status();
  const auto& replaced = static_cast<const test::CreateBookRequest&>(**message);
  EXPECT_EQ(replaced.shelf(), "from-path");
  EXPECT_EQ(replaced.book().isbn(), "2");
}

TEST_F(TranscoderTest, ABadBodyIsRefused) {
  for (const char* bad : {"", "{", "[]", R"({"isbn":"1","isbn":"2"})", R"({"nonsense":1})", R"({"isbn":7})"}) {
    auto message = MakeRestRequest(CreateBook(), {"s"}, "", bad);
    EXPECT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST_F(TranscoderTest, AnswersAsTheRestOptionSays) {
  test::Book book;
  book.set_isbn("9/7");
  book.set_shelf("my shelf");
  const HttpResponse response = MakeRestResponse(CreateBook(), book);
  EXPECT_EQ(response.status, 201);
  const Headers expected = {{"Content-Type", "application/json"}, {"Location", "/t/shelves/my%20shelf/books/9%2F7"}};
  EXPECT_EQ(response.headers, expected);
  EXPECT_EQ(json::parse(response.body),
            json({{"isbn", "9/7"}, {"shelf", "my shelf"}, {"pageCount", 0}, {"sold", 0}, {"authors", json::array()}}));

  const HttpResponse deleted = MakeRestResponse(Route("DELETE", "/t/shelves/{shelf}"), book);
  EXPECT_EQ(deleted.status, 204);
  EXPECT_EQ(deleted.body, "");
}

TEST_F(TranscoderTest, TheRestOfAPathIsOneField) {
  const RestRoute& files = Route("GET", "/t/files/{shelf=**}");
  auto message = MakeRestRequest(files, {"a/b"}, "", "");
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(static_cast<const test::GetBookRequest&>(**message).shelf(), "a/b");
}

}  // namespace
}  // namespace unmcp::gateway
