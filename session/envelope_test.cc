#include "session/envelope.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace unmcp::session {
namespace {

using Kind = Envelope::Kind;

Kind KindOf(absl::string_view text) {
  Envelope envelope;
  return Scan(text, &envelope);
}

bool IsJson(absl::string_view text) { return KindOf(text) != Kind::kNotJson; }

TEST(Envelope, FindsThePartsOfARequest) {
  const std::string text =
      R"( {"params" : {"name":"x","_meta":{"a":{"progressToken":0},"progressToken":"p\"1"},"arguments":{"id":9}},)"
      R"("id":"a\u0031","method":"tools/call","jsonrpc":"2.0","other":{"id":1}} )";
  Envelope e;
  ASSERT_EQ(Scan(text, &e), Kind::kRequest) << e.problem;
  EXPECT_EQ(e.id, R"("a\u0031")");
  EXPECT_EQ(e.method, R"("tools/call")");
  EXPECT_EQ(e.meta_progress_token, R"("p\"1")");
  EXPECT_EQ(e.params.substr(0, 9), R"({"name":")");
  EXPECT_EQ(e.params.back(), '}');
  EXPECT_EQ(e.result.data(), nullptr);
  EXPECT_FALSE(e.line_breaks);
}

TEST(Envelope, FindsTheMembersOfParams) {
  Envelope e;
  ASSERT_EQ(
      Scan(R"({"jsonrpc":"2.0","method":"m","params":{"progressToken":-1.5e3,"requestId":"r","uri":"u","level":"info",)"
           R"("protocolVersion":"v","capabilities":{"x":[{}]},"progress":{"uri":2}}})",
           &e),
      Kind::kNotification);
  EXPECT_EQ(e.progress_token, "-1.5e3");
  EXPECT_EQ(e.request_id, R"("r")");
  EXPECT_EQ(e.uri, R"("u")");
  EXPECT_EQ(e.level, R"("info")");
  EXPECT_EQ(e.protocol_version, R"("v")");
  EXPECT_EQ(e.capabilities, R"({"x":[{}]})");
}

TEST(Envelope, ReadsKeysThatAreSpeltWithEscapes) {
  Envelope e;
  ASSERT_EQ(Scan(R"({"jsonrpc":"2.0","\u0069d":7,"m\u0065thod":"m"})", &e), Kind::kRequest);
  EXPECT_EQ(e.id, "7");
  // So one that hides behind its spelling is still a duplicate.
  EXPECT_EQ(KindOf(R"({"jsonrpc":"2.0","id":1,"\u0069\u0064":2,"method":"m"})"), Kind::kInvalid);
}

TEST(Envelope, TellsTheKindsApart) {
  const std::vector<std::pair<const char*, Kind>> table = {
      {R"({"jsonrpc":"2.0","id":1,"method":"m"})", Kind::kRequest},
      {R"({"jsonrpc":"2.0","id":"","method":"m","params":null})", Kind::kRequest},
      {R"({"jsonrpc":"2.0","id":-0.5,"method":"m","params":[1]})", Kind::kRequest},
      {R"({"jsonrpc":"2.0","method":"m"})", Kind::kNotification},
      {R"({"jsonrpc":"2.0","id":1,"result":null})", Kind::kResponse},
      {R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}})", Kind::kErrorResponse},
      {R"({"jsonrpc":"2.0","id":null,"error":{}})", Kind::kErrorResponse},
      {R"([{"jsonrpc":"2.0","id":1,"method":"m"}])", Kind::kBatch},
      {"[]", Kind::kBatch},
      {"{}", Kind::kInvalid},
      {"1", Kind::kInvalid},
      {R"("{")", Kind::kInvalid},
      {"null", Kind::kInvalid},
      {R"({"id":1,"method":"m"})", Kind::kInvalid},
      {R"({"jsonrpc":2.0,"id":1,"method":"m"})", Kind::kInvalid},
      {R"({"jsonrpc":"1.0","id":1,"method":"m"})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":null,"method":"m"})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":{},"method":"m"})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":[1],"method":"m"})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":true,"method":"m"})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1,"method":1})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":1})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","result":1})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1,"result":1,"error":{}})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":null,"result":1})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","result":1})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1})", Kind::kInvalid},
      // Members that stand twice: ours …
      {R"({"jsonrpc":"2.0","id":1,"id":1,"method":"m"})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","method":"n"})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":{},"params":{}})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{},"_meta":{}}})", Kind::kInvalid},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1,"progressToken":2}}})",
       Kind::kInvalid},
      {R"({"jsonrpc":"2.0","method":"m","params":{"requestId":1,"requestId":2}})", Kind::kInvalid},
      // … and others.
      {R"({"jsonrpc":"2.0","id":1,"method":"m","a":1,"a":2,"params":{"b":{"id":1,"id":2},"c":1,"c":1}})",
       Kind::kRequest},
  };
  for (const auto& [text, kind] : table) {
    Envelope e;
    EXPECT_EQ(Scan(text, &e), kind) << text << ": " << e.problem;
    EXPECT_EQ(kind == Kind::kInvalid && e.problem[0] == 0, false) << text;
  }
}

TEST(Envelope, SeesLineBreaksBetweenTokensOnly) {
  Envelope e;
  Scan("{\"jsonrpc\":\"2.0\",\n\"method\":\"m\"}", &e);
  EXPECT_TRUE(e.line_breaks);
  Scan("{\"jsonrpc\":\"2.0\",\"method\":\"m\"}\r", &e);
  EXPECT_TRUE(e.line_breaks);
  Scan(R"({"jsonrpc":"2.0", "method":"m\n"})", &e);
  EXPECT_FALSE(e.line_breaks);
}

TEST(Envelope, TheBeginningOfAMessageTellsItsIdIfItIsThere) {
  Envelope e;
  EXPECT_EQ(Scan(R"({"jsonrpc":"2.0","id":42,"result":{"content":[{"data":"AAAA)", &e), Kind::kNotJson);
  EXPECT_EQ(e.id, "42");
  Scan(R"({"result":{"id":1,"content":[{"data":"AAAA)", &e);
  EXPECT_EQ(e.id.data(), nullptr);
  Scan(R"({"id":42)", &e);  // it may go on: 420
  EXPECT_EQ(e.id.data(), nullptr);
}

// After the cases of JSONTestSuite.
TEST(Envelope, TakesEveryKindOfJson) {
  for (const std::string text : {"[]",
                                 "[[]   ]",
                                 "[\"\"]",
                                 "[\"a\"]",
                                 "[false]",
                                 "[null, 1, \"1\", {}]",
                                 "[null]",
                                 "[1\n]",
                                 " [1]",
                                 "[1,null,null,null,2]",
                                 "[2] ",
                                 "[-0]",
                                 "[-0.0]",
                                 "[-1]",
                                 "[-123]",
                                 "[0e+1]",
                                 "[0e1]",
                                 "[ 4]",
                                 "[1e1]",
                                 "[1E22]",
                                 "[1E-2]",
                                 "[1E+2]",
                                 "[123e45]",
                                 "[123.456e78]",
                                 "[1e-2]",
                                 "[1e+2]",
                                 "[123]",
                                 "[123.456789]",
                                 "[1e400]",
                                 "[-1e+9999]",
                                 "[0.4e00669999999999999999]",
                                 "[100000000000000000000]",
                                 "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}",
                                 "{}",
                                 "{\"\":0}",
                                 "{\"foo\\u0000bar\": 42}",
                                 "{\"a\":[]}",
                                 "[\"\\u0060\\u012a\\u12AB\"]",
                                 "[\"\\uD801\\udc37\"]",
                                 "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]",
                                 "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
                                 "[\"\\\\u0000\"]",
                                 "[\"\\\"\"]",
                                 "[\"a/*b*/c\"]",
                                 "[\"\\\\a\"]",
                                 "[\"\\u0012\"]",
                                 "[\"\\uFFFF\"]",
                                 "[\"\\uD800\"]",
                                 "[\"\\uDFAA\"]",
                                 "[\"\\uD888\\u1234\"]",
                                 "[\"\xEF\xBF\xBF\"]",
                                 "[\"\xF4\x8F\xBF\xBF\"]",
                                 "[\"\xC3\xA9\"]",
                                 "[\"\xE2\x82\xAC\"]",
                                 "[\"\xED\x9F\xBF\"]",
                                 "[\"\xEE\x80\x80\"]",
                                 "[\"\xF0\x90\x80\x80\"]",
                                 "[\"\x7F\"]",
                                 "42",
                                 "-0.1",
                                 "\"asd\"",
                                 "true",
                                 "false",
                                 "null",
                                 " \t\r\n[ \t\r\n]\t\r\n "}) {
    EXPECT_TRUE(IsJson(text)) << text;
  }
}

TEST(Envelope, RefusesWhatIsNotJson) {
  for (const std::string text :
       {"", " ", "[", "{", "]", "}", "[1", "[1,", "[,1]", "[1,]", "[1,,2]", "[1:2]", "[1 2]", "[\"a\",", "[\"\": 1]",
        "[a", "[}", "{]", "{\"a\"}", "{\"a\":}", "{\"a\",1}", "{\"a\" 1}", "{1:1}", "{a:1}", "{'a':1}", "{\"a\":1,}",
        "{,}", "{\"a\":1,,\"b\":2}", "{\"a\":1 \"b\":2}", "{\"a\":1}}", "{\"a\":1}#", "{\"a\":1}//", "[1]x", "[][]",
        "[1]]", "1 2", "nul", "nulll", "tru", "True", "fals", "falsey", "NaN", "Infinity", "-Infinity", "-", "+1", "-a",
        "01", "-01", "00", "1.", ".1", "-.1", "1.e1", "1e", "1e+", "1E-", "1e1.5", "0x1", "1_000", "1a", "0e", "2.e3",
        "--1", "1 000", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u\"", "\"\\u1\"", "\"\\u123\"", "\"\\u00G0\"",
        "\"\\u 123\"", "\"\\", "\"\\u", "[\"\\uD800\\\"]", "\"a\nb\"", "\"a\tb\"", "\"\x1f\"", "\"\x01\"",
        "[\"12345678\n\"]", "'a'", "/* */1", "1/**/", "\xEF\xBB\xBF{}", "[\f]", "[\v1]", "\xC2\xA0[]", "\xE2\x80\x8B[]",
        // not UTF-8
        "\"\x80\"", "\"\xBF\"", "\"\xC0\xAF\"", "\"\xC1\xBF\"", "\"\xC3\"", "\"\xC3(\"", "\"\xE0\x80\xAF\"",
        "\"\xE0\x9F\xBF\"", "\"\xE2\x82\"", "\"\xE2(\xA1\"", "\"\xED\xA0\x80\"", "\"\xED\xBF\xBF\"",
        "\"\xF0\x80\x80\xAF\"", "\"\xF0\x8F\xBF\xBF\"", "\"\xF0\x9F\x98\"", "\"\xF4\x90\x80\x80\"",
        "\"\xF5\x80\x80\x80\"", "\"\xFE\"", "\"\xFF\"", "{\"\xFF\":1}", "[\"abcdefgh\xFFijkl\"]"}) {
    Envelope e;
    EXPECT_EQ(Scan(text, &e), Kind::kNotJson) << text;
    EXPECT_STRNE(e.problem, "") << text;
    EXPECT_LE(e.offset, text.size()) << text;
  }
  EXPECT_FALSE(IsJson(absl::string_view("[1]\0", 4)));
  EXPECT_FALSE(IsJson(absl::string_view("\"a\0b\"", 5)));
}

TEST(Envelope, FindsTheFaultAtEveryAlignment) {
  for (size_t before = 0; before < 20; ++before) {
    for (size_t after = 0; after < 20; ++after) {
      const std::string a(before, 'x'), b(after, 'y');
      EXPECT_TRUE(IsJson(absl::StrCat("[\"", a, b, "\"]")));
      EXPECT_TRUE(IsJson(absl::StrCat("[\"", a, "\xC3\xA9", b, "\"]")));
      EXPECT_TRUE(IsJson(absl::StrCat("[\"", a, "\\\"", b, "\"]")));
      EXPECT_FALSE(IsJson(absl::StrCat("[\"", a, "\x1f", b, "\"]")));
      EXPECT_FALSE(IsJson(absl::StrCat("[\"", a, "\x80", b, "\"]")));
      EXPECT_FALSE(IsJson(absl::StrCat("[\"", a, "\\q", b, "\"]")));
      EXPECT_FALSE(IsJson(absl::StrCat("[\"", a, "\"", b, "z\"]")));
    }
  }
}

TEST(Envelope, NestingHasABound) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(IsJson(nested(kMaxJsonNesting)));
  EXPECT_FALSE(IsJson(nested(kMaxJsonNesting + 1)));
  EXPECT_FALSE(IsJson(std::string(1'000'000, '[')));
}

// nlohmann's parser also refuses lone surrogates and numbers that overflow a
// double, and skips a byte order mark. The mutations below cannot make a mark.
bool KnownToDiffer(const std::string& text) {
  return text.find("\\u") != std::string::npos || text.find_first_of("eE") != std::string::npos;
}

TEST(Envelope, AgreesWithAnotherParserOnMutatedDocuments) {
  const std::vector<std::string> seeds = {
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1,-2.5,3e4,true]}}})",
      R"({"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"line\nand \"quote\" \u00e9"}]}})",
      "{\"a\": [ ], \"b\" : { } , \"c\":\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 plain plain plain\", \"d\":[[[0.1]]]}",
      R"([0,-0,10,1.5,false,"","\\\/\b",{"k":{"k":{}}}])",
  };
  const std::string alphabet = "{}[]\",:\\/u0123456789-+.eEtrufalsn \t\n\r\x01\x7f\x80\xBF\xC3\xE2\xED\xF0\xFF";
  std::mt19937 rng(20251125);
  int accepted = 0, refused = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::string text = seeds[rng() % seeds.size()];
    for (int changes = 1 + rng() % 3; changes > 0 && !text.empty(); --changes) {
      const size_t at = rng() % text.size();
      const char c = alphabet[rng() % alphabet.size()];
      switch (rng() % 5) {
        case 0: text[at] = c; break;
        case 1: text.insert(at, 1, c); break;
        case 2: text.erase(at, 1 + rng() % 3); break;
        case 3: text.insert(at, text.substr(rng() % text.size(), 1 + rng() % 8)); break;
        case 4: text.resize(at); break;
      }
    }
    const bool ours = IsJson(text);
    const bool theirs = nlohmann::json::accept(text);
    if (ours && !theirs && KnownToDiffer(text)) continue;
    ASSERT_EQ(ours, theirs) << text;
    ++(ours ? accepted : refused);
  }
  // Both sides of the fence were tried.
  EXPECT_GT(accepted, 5'000);
  EXPECT_GT(refused, 5'000);
}

}  // namespace
}  // namespace unmcp::session
