#include "common/proto_json.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"
#include "unmcp/v1/edge.pb.h"
#include "unmcp/v1/resources.pb.h"
#include "unmcp/v1/state.pb.h"

namespace unmcp {
namespace {

using ::google::protobuf::Message;
using ::testing::HasSubstr;
using Json = nlohmann::json;

Json Parsed(absl::string_view text) {
  absl::StatusOr<Json> json = ParseJson(text);
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? *json : Json();
}

std::string ParseError(absl::string_view text) {
  const absl::StatusOr<Json> json = ParseJson(text);
  EXPECT_EQ(json.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(json.status().message());
}

std::string ReadError(absl::string_view text, Message&& message = v1::MCPServer()) {
  const absl::Status status = FromJson(Parsed(text), UnknownFields::kReject, &message);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(status.message());
}

template <class T>
T Read(absl::string_view text) {
  T message;
  const absl::Status status = FromJson(Parsed(text), UnknownFields::kReject, &message);
  EXPECT_TRUE(status.ok()) << status;
  return message;
}

std::string RuleError(absl::string_view text) {
  const absl::Status status = ValidateRules(Read<v1::MCPServer>(text));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(status.message());
}

TEST(ParseJsonTest, KeepsEveryKindOfValue) {
  const Json json = Parsed(R"({"a":[1,-2,1.5,"x",true,null,{}],"b":{"c":[[]]},"d":18446744073709551615})");
  EXPECT_EQ(JsonText(json), R"({"a":[1,-2,1.5,"x",true,null,{}],"b":{"c":[[]]},"d":18446744073709551615})");
  EXPECT_EQ(Parsed("7"), 7);
}

TEST(ParseJsonTest, RefusesAKeyThatIsThereTwice) {
  EXPECT_THAT(ParseError(R"({"spec":{"pool":"a","image":"i","pool":"b"}})"), HasSubstr("\"pool\" is there twice"));
  // The same key in two objects is two keys.
  EXPECT_TRUE(ParseJson(R"([{"pool":"a"},{"pool":"b"}])").ok());
}

TEST(ParseJsonTest, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{a:1}", "{'a':1}", "[1,]", "{\"a\":1,}", "// c\n1", "NaN", "01", "1 2", "\"\xff\"",
                           "\"\\ud800\"", "1e999", "\"a\nb\"", "\xEF\xBB\xBF{}"}) {
    EXPECT_THAT(ParseError(text), HasSubstr("not JSON at byte")) << text;
  }
  EXPECT_THAT(ParseError("{\"a\": tru}"), HasSubstr("at byte 10"));
}

TEST(ParseJsonTest, BoundsTheDepth) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(ParseJson(nested(kMaxJsonDepth)).ok());
  EXPECT_THAT(ParseError(nested(kMaxJsonDepth + 1)), HasSubstr("nested deeper than 100"));
  EXPECT_THAT(ParseError(std::string(1'000'000, '[')), HasSubstr("nested deeper than 100"));
}

TEST(JsonTextTest, SurvivesBytesThatAreNotUtf8) {
  EXPECT_EQ(JsonText(Json{{"m", "a\xff"}}), "{\"m\":\"a\xEF\xBF\xBD\"}");
}

TEST(FromJsonTest, ReadsAServerAsKubernetesWritesIt) {
  const auto server = Read<v1::MCPServer>(R"({
    "name": "everything",
    "spec": {"command": ["npx", "-y"], "env": [{"name": "A", "value": "1"}], "transport": {"type": "stdio"},
             "idleTimeout": 0, "suspend": false},
    "status": {"totalRequests": 9007199254740993, "toolCount": 13, "startedAt": "2025-01-31T12:00:00.25+01:00"}
  })");
  EXPECT_EQ(server.name(), "everything");
  EXPECT_EQ(server.spec().command(1), "-y");
  EXPECT_EQ(server.spec().env(0).name(), "A");
  EXPECT_TRUE(server.spec().has_idle_timeout());
  EXPECT_FALSE(server.spec().has_startup_timeout());
  EXPECT_TRUE(server.spec().has_suspend());
  EXPECT_EQ(server.status().total_requests(), 9007199254740993);
  EXPECT_EQ(server.status().started_at().seconds(), 1738321200);
  EXPECT_EQ(server.status().started_at().nanos(), 250'000'000);
}

TEST(FromJsonTest, LeavesWhatIsAbsentClearsWhatIsNullReplacesLists) {
  v1::MCPServerSpec spec;
  spec.set_image("kept");
  spec.set_idle_timeout(5);
  spec.add_args("old");
  spec.mutable_transport()->set_type("stdio");
  ASSERT_TRUE(FromJson(Parsed(R"({"idleTimeout":null,"args":["new"],"transport":{}})"), UnknownFields::kReject, &spec)
                  .ok());
  EXPECT_EQ(spec.image(), "kept");
  EXPECT_FALSE(spec.has_idle_timeout());
  ASSERT_EQ(spec.args_size(), 1);
  EXPECT_EQ(spec.args(0), "new");
  EXPECT_EQ(spec.transport().type(), "stdio");
  ASSERT_TRUE(FromJson(Parsed(R"({"args":null,"transport":null})"), UnknownFields::kReject, &spec).ok());
  EXPECT_EQ(spec.args_size(), 0);
  EXPECT_FALSE(spec.has_transport());
}

TEST(FromJsonTest, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(ReadError(R"({"spec":{"env":[{"name":"A"},{"name":"B"},{"name":3}]}})"),
            "spec.env[2].name: must be a string, not a number");
  EXPECT_EQ(ReadError(R"({"spec":{"env":{}}})"), "spec.env: must be a list, not an object");
  EXPECT_EQ(ReadError(R"({"spec":{"env":[null]}})"), "spec.env[0]: must be an object, not null");
  EXPECT_EQ(ReadError(R"({"spec":{"args":[null]}})"), "spec.args[0]: must be a string, not null");
  EXPECT_EQ(ReadError(R"({"spec":[]})"), "spec: must be an object, not a list");
  EXPECT_EQ(ReadError(R"({"spec":{"suspend":"yes"}})"), "spec.suspend: must be true or false, not a string");
  EXPECT_EQ(ReadError(R"("x")"), "must be an object, not a string");
}

TEST(FromJsonTest, TakesWholeNumbersInRangeAndNothingElse) {
  EXPECT_EQ(ReadError(R"({"status":{"totalRequests":"7"}})"),
            "status.totalRequests: must be a whole number, not a string");
  EXPECT_EQ(ReadError(R"({"status":{"totalRequests":1.0}})"),
            "status.totalRequests: must be a whole number, not 1.0");
  EXPECT_EQ(ReadError(R"({"spec":{"idleTimeout":2147483648}})"),
            "spec.idleTimeout: must be between -2147483648 and 2147483647");
  EXPECT_EQ(ReadError(R"({"status":{"totalRequests":9223372036854775808}})"),
            "status.totalRequests: must be between -9223372036854775808 and 9223372036854775807");
  EXPECT_EQ(ReadError(R"({"exchange":-1})", v1::Frame()), "exchange: must be between 0 and 18446744073709551615");
  EXPECT_EQ(ReadError(R"({"credit":4294967296})", v1::Frame()), "credit: must be between 0 and 4294967295");
  EXPECT_EQ(Read<v1::Frame>(R"({"exchange":18446744073709551615})").exchange(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(Read<v1::MCPServerSpec>(R"({"idleTimeout":-1})").idle_timeout(), -1);
}

TEST(FromJsonTest, RefusesUnknownFieldsWithAHint) {
  EXPECT_EQ(ReadError(R"({"spec":{"comand":["x"]}})"), "spec.comand: unknown field; did you mean \"command\"?");
  EXPECT_EQ(ReadError(R"({"spec":{"idle_timeout":3}})"),
            "spec.idle_timeout: unknown field; did you mean \"idleTimeout\"?");
  EXPECT_EQ(ReadError(R"({"spec":{"replicas":3}})"), "spec.replicas: unknown field");
  EXPECT_EQ(ReadError(R"({"spec":{"foo":3}})"), "spec.foo: unknown field");  // as far from "pool" as from any word
  v1::MCPServer server;
  EXPECT_TRUE(
      FromJson(Parsed(R"({"spec":{"new":{"x":[1]},"image":"i"}})"), UnknownFields::kIgnore, &server).ok());
  EXPECT_EQ(server.spec().image(), "i");
}

TEST(FromJsonTest, ReadsTimesStrictly) {
  for (const char* time : {"2025-01-31", "2025-13-01T00:00:00Z", "infinite-future", " 2025-01-31T12:00:00Z",
                           "2025-01-31T12:00:00Z ", "2025-01-31T12:00:00", "2025-01-31 12:00:00Z", ""}) {
    EXPECT_THAT(ReadError(absl::StrCat(R"({"createdAt":")", time, "\"}")), HasSubstr("createdAt: must be a time such"));
  }
  EXPECT_EQ(ReadError(R"({"createdAt":5})"),
            "createdAt: must be a time such as \"2025-01-31T12:00:00Z\", not a number");
}

TEST(FromJsonTest, EnumsAreWords) {
  EXPECT_EQ(Read<v1::Open>(R"({"kind":"sse-stream"})").kind(), v1::EXCHANGE_KIND_SSE_STREAM);
  EXPECT_EQ(ReadError(R"({"kind":"SSE"})", v1::Open()),
            "kind: must be one of \"unspecified\", \"sse-stream\", \"sse-message\", not \"SSE\"");
  v1::Open open;
  open.set_kind(v1::EXCHANGE_KIND_SSE_MESSAGE);
  EXPECT_EQ(ToJson(open), Json({{"kind", "sse-message"}}));
}

TEST(FromJsonTest, OneofTakesOneField) {
  EXPECT_THAT(ReadError(R"({"server":{},"serverDeleted":"u"})", v1::Change()), HasSubstr("leave one of them out"));
  EXPECT_EQ(Read<v1::Change>(R"({"server":null,"serverDeleted":"u"})").server_deleted(), "u");
}

TEST(FromJsonTest, BytesAreBase64) {
  EXPECT_EQ(Read<v1::Data>(R"({"bytes":"AP8="})").bytes(), std::string("\0\xff", 2));
  EXPECT_EQ(ReadError(R"({"bytes":"!"})", v1::Data()), "bytes: must be base64");
}

TEST(JsonRoundTripTest, WellKnownTypes) {
  const auto round_trip = [](absl::string_view text, Message&& message) {
    const absl::Status status = FromJson(Parsed(text), UnknownFields::kReject, &message);
    EXPECT_TRUE(status.ok()) << status;
    return JsonText(ToJson(message));
  };
  for (const char* text : {R"({"a":[1,1.5,"x",true,null,{"b":{}}]})", "{}"}) {
    EXPECT_EQ(round_trip(text, google::protobuf::Struct()), text);
  }
  for (const char* text : {R"("0s")", R"("1.5s")", R"("-0.000000001s")", R"("-3s")"}) {
    EXPECT_EQ(round_trip(text, google::protobuf::Duration()), text);
  }
  EXPECT_EQ(round_trip("9007199254740993", google::protobuf::Int64Value()), "9007199254740993");
  EXPECT_EQ(round_trip("false", google::protobuf::BoolValue()), "false");
  EXPECT_EQ(round_trip("[1,[]]", google::protobuf::ListValue()), "[1,[]]");
  EXPECT_EQ(round_trip("null", google::protobuf::Value()), "null");
  EXPECT_EQ(ReadError(R"("1h")", google::protobuf::Duration()),
            "must be a duration such as \"1.5s\", not \"1h\"");
}

// The schema has no map yet: one is described here.
TEST(JsonRoundTripTest, Maps) {
  google::protobuf::FileDescriptorProto file;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"pb(
      name: "m.proto" syntax: "proto3"
      message_type {
        name: "M"
        field { name: "labels" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".M.LabelsEntry" }
        field { name: "flags" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".M.FlagsEntry" }
        nested_type {
          name: "LabelsEntry" options { map_entry: true }
          field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
          field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING }
        }
        nested_type {
          name: "FlagsEntry" options { map_entry: true }
          field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_INT64 }
          field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_BOOL }
        }
      })pb", &file));
  google::protobuf::DescriptorPool pool;
  const auto* descriptor = pool.BuildFile(file);
  ASSERT_NE(descriptor, nullptr);
  google::protobuf::DynamicMessageFactory factory(&pool);
  std::unique_ptr<Message> message(factory.GetPrototype(descriptor->message_type(0))->New());
  const Json json = Parsed(R"({"flags":{"-7":true},"labels":{"app":"x","tier":"y"}})");
  ASSERT_TRUE(FromJson(json, UnknownFields::kReject, message.get()).ok());
  EXPECT_EQ(ToJson(*message), json);
  EXPECT_EQ(FromJson(Parsed(R"({"labels":{"app":1}})"), UnknownFields::kReject, message.get()).message(),
            "labels.app: must be a string, not a number");
  EXPECT_EQ(FromJson(Parsed(R"({"flags":{"x":true}})"), UnknownFields::kReject, message.get()).message(),
            "flags.x: must be a whole number, not text");
}

TEST(ToJsonTest, WritesKubernetesDocumentsWithoutZeroes) {
  v1::MCPServer server;
  server.mutable_spec()->set_idle_timeout(0);
  server.mutable_status()->set_total_requests(int64_t{1} << 60);
  server.mutable_status()->mutable_started_at()->set_seconds(1738321200);
  EXPECT_EQ(JsonText(ToJson(server)),
            R"({"spec":{"idleTimeout":0},"status":{"startedAt":"2025-01-31T11:00:00Z",)"
            R"("totalRequests":1152921504606846976}})");
}

TEST(ToJsonTest, WritesRestAnswersWithZeroes) {
  const Json json = ToJson(v1::MCPServerStatus(), {.zeroes = true});
  EXPECT_EQ(json["totalRequests"], 0);
  EXPECT_FALSE(json.contains("phase"));  // an empty text says nothing
  EXPECT_EQ(json["conditions"], Json::array());
  // Unset differs from zero here, and absent messages stay absent.
  EXPECT_FALSE(json.contains("toolCount"));
  EXPECT_FALSE(json.contains("startedAt"));
}

TEST(ValidateRulesTest, AcceptsWhatKeepsTheRules) {
  EXPECT_TRUE(ValidateRules(v1::MCPServer()).ok());
  const absl::Status status = ValidateRules(Read<v1::MCPServer>(
      R"({"spec":{"pool":"big-2","command":["npx"],"env":[{"name":"A_B","value":""}],"idleTimeout":-1,)"
      R"("startupTimeout":1,"transport":{"type":"stdio"}},"status":{"phase":"Ready"}})"));
  EXPECT_TRUE(status.ok()) << status;
}

TEST(ValidateRulesTest, NamesTheBrokenRule) {
  EXPECT_EQ(RuleError(R"({"spec":{"idleTimeout":-2}})"), "spec.idleTimeout: must be at least -1");
  EXPECT_EQ(RuleError(R"({"spec":{"startupTimeout":3601}})"), "spec.startupTimeout: must be at most 3600");
  EXPECT_EQ(RuleError(R"({"spec":{"pool":"Big"}})"),
            "spec.pool: must match ^[a-z]([-a-z0-9]*[a-z0-9])?$, which \"Big\" does not");
  EXPECT_EQ(RuleError(absl::StrCat(R"({"spec":{"pool":")", std::string(64, 'a'), "\"}}")),
            "spec.pool: is 64 characters long; at most 63 are allowed");
  EXPECT_EQ(RuleError(R"({"spec":{"env":[{"name":"A"},{"value":"x"}]}})"), "spec.env[1].name: is required");
  EXPECT_EQ(RuleError(R"({"spec":{"env":[{"name":"A=B"}]}})"),
            "spec.env[0].name: must match ^[-._a-zA-Z][-._a-zA-Z0-9]*$, which \"A=B\" does not");
  EXPECT_EQ(RuleError(R"({"spec":{"env":[{"name":"A"},{"name":"B"},{"name":"A"}]}})"),
            "spec.env[2].name: \"A\" is already in spec.env[0]; keep one of the two");
  EXPECT_EQ(RuleError(R"({"spec":{"transport":{"type":"http"}}})"),
            "spec.transport.type: must be one of \"stdio\", \"sse\", \"streamable-http\", not \"http\"");
  EXPECT_EQ(RuleError(R"({"status":{"conditions":[{"type":"Ready","status":"Maybe"}]}})"),
            "status.conditions[0].status: must be one of \"True\", \"False\", \"Unknown\", not \"Maybe\"");
}

constexpr char kCpu[] = R"({"spec":{"resources":{"limits":{"cpu":)";

TEST(ValidateRulesTest, QuantitiesHaveKubernetesGrammar) {
  for (const char* good : {"1", "0", "500m", "0.5", ".5", "2.", "256Mi", "1G", "1e3", "12E", "1E-2", "7u"}) {
    const auto server = Read<v1::MCPServer>(absl::StrCat(kCpu, "\"", good, "\"}}}}"));
    EXPECT_TRUE(ValidateRules(server).ok()) << good << ": " << ValidateRules(server);
  }
  for (const char* bad : {"-1", "+1", "1 Gi", "1mi", "1MB", "Gi", "1.2.3", ".", "1e", "0x10", "1\\n"}) {
    EXPECT_THAT(RuleError(absl::StrCat(kCpu, "\"", bad, "\"}}}}")),
                HasSubstr("spec.resources.limits.cpu: must be an amount"))
        << bad;
  }
}

TEST(ValidateRulesTest, QuantitiesMayBeNumbersInJson) {
  const auto cpu = [](absl::string_view number) {
    return Read<v1::MCPServer>(absl::StrCat(kCpu, number, "}}}}")).spec().resources().limits().cpu();
  };
  EXPECT_EQ(cpu("2"), "2");
  EXPECT_EQ(cpu("0.5"), "0.5");
  EXPECT_EQ(cpu("9007199254740993"), "9007199254740993");
  EXPECT_THAT(RuleError(absl::StrCat(kCpu, "-1}}}}")), HasSubstr("not \"-1\""));
  EXPECT_EQ(ReadError(absl::StrCat(kCpu, "true}}}}")),
            "spec.resources.limits.cpu: must be a quantity such as \"500m\", not a boolean");
  EXPECT_EQ(ReadError(R"({"name":7})"), "name: must be a string, not a number");
}

// A pattern on a long value: an Authorization header of a few kilobytes.
TEST(ValidateRulesTest, PatternsTakeLongValues) {
  v1::MCPServer server;
  v1::HttpHeader* header = server.mutable_spec()->add_headers();
  header->set_name("X-Token");
  header->set_value(std::string(16384, 'x'));
  EXPECT_TRUE(ValidateRules(server).ok()) << ValidateRules(server);
  header->set_value("a\r\nX-Other: b");
  EXPECT_THAT(std::string(ValidateRules(server).message()), HasSubstr("spec.headers[0].value: must match"));
}

TEST(ValidateRulesTest, PodTemplatesAreBounded) {
  const auto nested = [](int levels) {
    std::string text = "1";
    for (int i = 0; i < levels; ++i) text = absl::StrCat(R"({"a":)", text, "}");
    return absl::StrCat(R"({"spec":{"podTemplate":)", text, "}}");
  };
  const auto deepest = Read<v1::MCPServer>(nested(32));
  EXPECT_TRUE(ValidateRules(deepest).ok()) << ValidateRules(deepest);
  // It survives the wire, where protobuf has a bound of its own.
  v1::SyncRequest change;
  *change.mutable_change()->mutable_server()->mutable_server() = deepest;
  EXPECT_TRUE(v1::SyncRequest().ParseFromString(change.SerializeAsString()));
  EXPECT_EQ(ReadError(nested(33)), "spec.podTemplate: is nested deeper than 32 levels");

  v1::MCPServer server;
  auto& fields = *server.mutable_spec()->mutable_pod_template()->mutable_fields();
  fields["a"].set_string_value(std::string(60 << 10, 'x'));
  EXPECT_TRUE(ValidateRules(server).ok()) << ValidateRules(server);
  fields["b"].set_string_value(std::string(5 << 10, 'x'));
  EXPECT_THAT(std::string(ValidateRules(server).message()), HasSubstr("at most 65536 are allowed"));
}

TEST(ValidateRulesTest, CountsEntriesAndCharacters) {
  v1::MCPServer server;
  for (int i = 0; i < 65; ++i) server.mutable_spec()->add_command("x");
  EXPECT_EQ(ValidateRules(server).message(), "spec.command: has 65 entries; at most 64 are allowed");

  server.mutable_spec()->clear_command();
  std::string umlauts;
  for (int i = 0; i < 1024; ++i) umlauts += "\xC3\xBC";
  server.mutable_spec()->set_image(umlauts);
  EXPECT_TRUE(ValidateRules(server).ok());
  server.mutable_spec()->set_image(umlauts + "x");
  EXPECT_EQ(ValidateRules(server).message(), "spec.image: is 1025 characters long; at most 1024 are allowed");

  server.mutable_spec()->set_image("");
  server.mutable_spec()->add_args(std::string(32769, 'x'));
  EXPECT_EQ(ValidateRules(server).message(), "spec.args[0]: is 32769 characters long; at most 32768 are allowed");
}

}  // namespace
}  // namespace unmcp
