#include "common/proto_json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/status_macros.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "unmcp/v1/options.pb.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;
using ::google::protobuf::Descriptor;
using ::google::protobuf::EnumDescriptor;
using ::google::protobuf::EnumValueDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::OneofDescriptor;
using ::google::protobuf::Reflection;

// --- Parsing ---

// Builds the document from nlohmann's events. Our own handler, since the
// library's takes the last of two equal keys.
class DocumentBuilder {
 public:
  Json Take() { return std::move(root_); }
  const std::string& error() const { return error_; }

  bool null() { return Add(nullptr); }
  bool boolean(bool value) { return Add(value); }
  bool number_integer(int64_t value) { return Add(value); }
  bool number_unsigned(uint64_t value) { return Add(value); }
  bool number_float(double value, const std::string&) { return Add(value); }
  bool string(std::string& value) { return Add(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }  // never sent for JSON text
  bool start_object(size_t) { return Open(Json::object()); }
  bool start_array(size_t) { return Open(Json::array()); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool key(std::string& name) {
    if (open_.back()->contains(name)) {
      error_ = absl::StrCat("the key \"", name, "\" is there twice in one object");
      return false;
    }
    next_ = &(*open_.back())[name];
    return true;
  }
  bool parse_error(size_t position, const std::string& token, const Json::exception&) {
    error_ = absl::StrCat("not JSON at byte ", position, token.empty() ? "" : absl::StrCat(", near '", token, "'"));
    return false;
  }

 private:
  bool Add(Json value) {
    Place(std::move(value));
    return true;
  }
  bool Open(Json container) {
    if (static_cast<int>(open_.size()) == kMaxJsonDepth) {
      error_ = absl::StrCat("nested deeper than ", kMaxJsonDepth, " levels");
      return false;
    }
    open_.push_back(Place(std::move(container)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }
  Json* Place(Json value) {
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *next_ = std::move(value);
    return next_;
  }

  Json root_;
  // Where the value after a key goes; the root at first.
  Json* next_ = &root_;
  // A container that is open does not move: only the innermost one grows.
  std::vector<Json*> open_;
  std::string error_;
};

// --- Reading ---

std::string Join(const std::string& path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

std::string Join(const std::string& path, size_t index) { return absl::StrCat(path, "[", index, "]"); }

absl::Status Error(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(path.empty() ? std::string(what) : absl::StrCat(path, ": ", what));
}

const char* TypeName(const Json& json) {
  switch (json.type()) {
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "a list";
    case Json::value_t::string: return "a string";
    case Json::value_t::boolean: return "a boolean";
    case Json::value_t::null: return "null";
    case Json::value_t::discarded: return "text";  // a map key that is no JSON by itself
    default: return "a number";
  }
}

absl::Status WrongType(const std::string& path, absl::string_view wanted, const Json& got) {
  return Error(path, absl::StrCat("must be ", wanted, ", not ", TypeName(got)));
}

template <class T>
absl::StatusOr<T> ReadInteger(const Json& json, const std::string& path) {
  if (json.is_number_float()) return Error(path, absl::StrCat("must be a whole number, not ", JsonText(json)));
  if (!json.is_number()) return WrongType(path, "a whole number", json);
  const bool fits = json.is_number_unsigned() ? std::in_range<T>(json.get<uint64_t>())
                                              : std::in_range<T>(json.get<int64_t>());
  if (!fits) {
    return Error(path, absl::StrCat("must be between ", std::numeric_limits<T>::min(), " and ",
                                    std::numeric_limits<T>::max()));
  }
  return json.get<T>();
}

// "SSE_STREAM" of "EXCHANGE_KIND_SSE_STREAM" in ExchangeKind: "sse-stream".
std::string EnumWord(const EnumValueDescriptor* value) {
  std::string prefix;
  for (char c : value->type()->name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  const std::string word(absl::StripPrefix(value->name(), prefix + "_"));
  return absl::StrReplaceAll(absl::AsciiStrToLower(word), {{"_", "-"}});
}

absl::StatusOr<int> ReadEnum(const Json& json, const std::string& path, const EnumDescriptor* type) {
  if (!json.is_string()) return WrongType(path, "a string", json);
  std::string words;
  for (int i = 0; i < type->value_count(); ++i) {
    const std::string word = EnumWord(type->value(i));
    if (json.get_ref<const std::string&>() == word) return type->value(i)->number();
    absl::StrAppend(&words, i == 0 ? "" : ", ", "\"", word, "\"");
  }
  return Error(path, absl::StrCat("must be one of ", words, ", not ", JsonText(json)));
}

constexpr char kTimeFormat[] = "%E4Y-%m-%d%ET%H:%M:%E*S%Ez";

absl::Status ReadTimestamp(const Json& json, const std::string& path, google::protobuf::Timestamp* out) {
  if (!json.is_string()) return WrongType(path, "a time such as \"2025-01-31T12:00:00Z\"", json);
  const std::string& text = json.get_ref<const std::string&>();
  absl::Time time;
  std::string error;
  // ParseTime also takes surrounding blanks and "infinite-future".
  const bool shaped = text.size() >= 20 && absl::ascii_isdigit(text.front()) && text[4] == '-' && text[10] == 'T' &&
                      !absl::ascii_isspace(text.back());
  if (!shaped || !absl::ParseTime(kTimeFormat, text, &time, &error)) {
    return Error(path, absl::StrCat("must be a time such as \"2025-01-31T12:00:00Z\", not ", JsonText(json)));
  }
  const int64_t seconds = absl::ToUnixSeconds(time);
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return absl::OkStatus();
}

// protobuf's JSON form: seconds and an "s", "1.5s".
absl::Status ReadDuration(const Json& json, const std::string& path, google::protobuf::Duration* out) {
  if (!json.is_string()) return WrongType(path, "a duration such as \"1.5s\"", json);
  const std::string& text = json.get_ref<const std::string&>();
  absl::Duration duration;
  const bool seconds = absl::EndsWith(text, "s") && text.find_first_not_of("-.0123456789") == text.size() - 1;
  if (!seconds || !absl::ParseDuration(text, &duration)) {
    return Error(path, absl::StrCat("must be a duration such as \"1.5s\", not ", JsonText(json)));
  }
  out->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  out->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  return absl::OkStatus();
}

void ReadValue(const Json& json, google::protobuf::Value* out);

void ReadStruct(const Json& json, google::protobuf::Struct* out) {
  out->Clear();
  for (const auto& [key, value] : json.items()) ReadValue(value, &(*out->mutable_fields())[key]);
}

void ReadList(const Json& json, google::protobuf::ListValue* out) {
  out->Clear();
  for (const Json& value : json) ReadValue(value, out->add_values());
}

void ReadValue(const Json& json, google::protobuf::Value* out) {
  switch (json.type()) {
    case Json::value_t::object: return ReadStruct(json, out->mutable_struct_value());
    case Json::value_t::array: return ReadList(json, out->mutable_list_value());
    case Json::value_t::string: return out->set_string_value(json.get_ref<const std::string&>());
    case Json::value_t::boolean: return out->set_bool_value(json.get<bool>());
    case Json::value_t::null: return out->set_null_value(google::protobuf::NULL_VALUE);
    default: return out->set_number_value(json.get<double>());
  }
}

bool IsFreeForm(const Descriptor* type) { return type->file()->name() == "google/protobuf/struct.proto"; }
bool IsWrapper(const Descriptor* type) { return type->file()->name() == "google/protobuf/wrappers.proto"; }

// Letters only and in lower case, so that "idle_timeout" is near "idleTimeout".
std::string Squeezed(absl::string_view name) {
  std::string out;
  for (char c : name) {
    if (absl::ascii_isalnum(c)) out += absl::ascii_tolower(c);
  }
  return out;
}

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row[b.size()];
}

absl::Status UnknownField(const std::string& path, const std::string& name, const Descriptor* type) {
  constexpr size_t kLongestTypo = 64;  // bounds the work spent on garbage
  constexpr size_t kNear = 2;          // edits: a letter left out, two swapped
  std::string hint;
  size_t best = kNear + 1;
  for (int i = 0; i < type->field_count() && name.size() <= kLongestTypo; ++i) {
    const std::string& known = type->field(i)->json_name();
    const size_t distance = EditDistance(Squeezed(name), Squeezed(known));
    if (distance < best && 2 * distance < known.size()) {
      best = distance;
      hint = absl::StrCat("; did you mean \"", known, "\"?");
    }
  }
  return Error(Join(path, name), absl::StrCat("unknown field", hint));
}

const FieldDescriptor* FindField(const Descriptor* type, const std::string& name) {
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->json_name() == name) return type->field(i);
  }
  return nullptr;
}

class Reader {
 public:
  explicit Reader(UnknownFields unknown) : unknown_(unknown) {}

  absl::Status ReadMessage(const Json& json, const std::string& path, Message* message) {
    const Descriptor* type = message->GetDescriptor();
    if (IsFreeForm(type) && JsonDepth(json) > kMaxStructDepth) {
      return Error(path, absl::StrCat("is nested deeper than ", kMaxStructDepth, " levels"));
    }
    if (type == google::protobuf::Timestamp::descriptor()) {
      return ReadTimestamp(json, path, static_cast<google::protobuf::Timestamp*>(message));
    }
    if (type == google::protobuf::Duration::descriptor()) {
      return ReadDuration(json, path, static_cast<google::protobuf::Duration*>(message));
    }
    if (type == google::protobuf::Value::descriptor()) {
      ReadValue(json, static_cast<google::protobuf::Value*>(message));
      return absl::OkStatus();
    }
    if (type == google::protobuf::ListValue::descriptor()) {
      if (!json.is_array()) return WrongType(path, "a list", json);
      ReadList(json, static_cast<google::protobuf::ListValue*>(message));
      return absl::OkStatus();
    }
    if (IsWrapper(type)) return ReadSingle(json, path, message, type->field(0));
    if (!json.is_object()) return WrongType(path, "an object", json);
    if (type == google::protobuf::Struct::descriptor()) {
      ReadStruct(json, static_cast<google::protobuf::Struct*>(message));
      return absl::OkStatus();
    }

    std::set<const OneofDescriptor*> chosen;
    for (const auto& [name, value] : json.items()) {
      const FieldDescriptor* field = FindField(type, name);
      if (field == nullptr) {
        if (unknown_ == UnknownFields::kReject) return UnknownField(path, name, type);
        continue;
      }
      const OneofDescriptor* oneof = field->real_containing_oneof();
      if (oneof != nullptr && !value.is_null() && !chosen.insert(oneof).second) {
        return Error(Join(path, name), "excludes another field that is given too; leave one of them out");
      }
      UNMCP_RETURN_IF_ERROR(ReadField(value, Join(path, name), message, field));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ReadField(const Json& json, const std::string& path, Message* message, const FieldDescriptor* field) {
    const Reflection* reflection = message->GetReflection();
    const bool null_is_a_value = field->message_type() == google::protobuf::Value::descriptor();
    if (json.is_null() && (field->is_repeated() || !null_is_a_value)) {
      reflection->ClearField(message, field);
      return absl::OkStatus();
    }
    if (!field->is_repeated()) return ReadSingle(json, path, message, field);

    reflection->ClearField(message, field);
    if (field->is_map()) {
      if (!json.is_object()) return WrongType(path, "an object", json);
      const FieldDescriptor* key_field = field->message_type()->map_key();
      for (const auto& [key, value] : json.items()) {
        Message* entry = reflection->AddMessage(message, field);
        const Json key_json = key_field->cpp_type() == FieldDescriptor::CPPTYPE_STRING
                                  ? Json(key)
                                  : Json::parse(key, nullptr, /*allow_exceptions=*/false);
        UNMCP_RETURN_IF_ERROR(ReadSingle(key_json, Join(path, key), entry, key_field));
        UNMCP_RETURN_IF_ERROR(ReadSingle(value, Join(path, key), entry, field->message_type()->map_value()));
      }
      return absl::OkStatus();
    }
    if (!json.is_array()) return WrongType(path, "a list", json);
    for (size_t i = 0; i < json.size(); ++i) {
      UNMCP_RETURN_IF_ERROR(ReadSingle(json[i], Join(path, i), message, field));
    }
    return absl::OkStatus();
  }

  // Sets a singular field, or adds an element to a repeated one.
  absl::Status ReadSingle(const Json& json, const std::string& path, Message* message, const FieldDescriptor* field) {
    const Reflection* reflection = message->GetReflection();
    const bool add = field->is_repeated();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: {
        UNMCP_ASSIGN_OR_RETURN(const int32_t value, ReadInteger<int32_t>(json, path));
        add ? reflection->AddInt32(message, field, value) : reflection->SetInt32(message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_INT64: {
        UNMCP_ASSIGN_OR_RETURN(const int64_t value, ReadInteger<int64_t>(json, path));
        add ? reflection->AddInt64(message, field, value) : reflection->SetInt64(message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_UINT32: {
        UNMCP_ASSIGN_OR_RETURN(const uint32_t value, ReadInteger<uint32_t>(json, path));
        add ? reflection->AddUInt32(message, field, value) : reflection->SetUInt32(message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_UINT64: {
        UNMCP_ASSIGN_OR_RETURN(const uint64_t value, ReadInteger<uint64_t>(json, path));
        add ? reflection->AddUInt64(message, field, value) : reflection->SetUInt64(message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        if (!json.is_number()) return WrongType(path, "a number", json);
        const double value = json.get<double>();
        add ? reflection->AddDouble(message, field, value) : reflection->SetDouble(message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_FLOAT: {
        if (!json.is_number()) return WrongType(path, "a number", json);
        const double value = json.get<double>();
        if (std::abs(value) > std::numeric_limits<float>::max()) return Error(path, "is too large a number");
        const float narrow = static_cast<float>(value);
        add ? reflection->AddFloat(message, field, narrow) : reflection->SetFloat(message, field, narrow);
        break;
      }
      case FieldDescriptor::CPPTYPE_BOOL: {
        if (!json.is_boolean()) return WrongType(path, "true or false", json);
        const bool value = json.get<bool>();
        add ? reflection->AddBool(message, field, value) : reflection->SetBool(message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        UNMCP_ASSIGN_OR_RETURN(const int value, ReadEnum(json, path, field->enum_type()));
        add ? reflection->AddEnumValue(message, field, value) : reflection->SetEnumValue(message, field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        const bool quantity = field->options().GetExtension(v1::rules).quantity();
        if (!json.is_string() && !(quantity && json.is_number())) {
          return WrongType(path, quantity ? "a quantity such as \"500m\"" : "a string", json);
        }
        std::string value = json.is_string() ? json.get<std::string>() : JsonText(json);
        if (field->type() == FieldDescriptor::TYPE_BYTES && !absl::Base64Unescape(json.get<std::string>(), &value)) {
          return Error(path, "must be base64");
        }
        add ? reflection->AddString(message, field, std::move(value))
            : reflection->SetString(message, field, std::move(value));
        break;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        // A list has no element for null to clear.
        if (json.is_null() && field->message_type() != google::protobuf::Value::descriptor()) {
          return WrongType(path, "an object", json);
        }
        Message* child = add ? reflection->AddMessage(message, field) : reflection->MutableMessage(message, field);
        return ReadMessage(json, path, child);
      }
    }
    return absl::OkStatus();
  }

  const UnknownFields unknown_;
};

// --- Writing ---

Json WriteTimestamp(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%E4Y-%m-%d%ET%H:%M:%E*SZ",
                          absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()),
                          absl::UTCTimeZone());
}

Json WriteDuration(const google::protobuf::Duration& duration) {
  const bool negative = duration.seconds() < 0 || duration.nanos() < 0;
  std::string nanos = absl::StrCat(std::abs(duration.nanos()) + 1'000'000'000).substr(1);
  nanos.erase(nanos.find_last_not_of('0') + 1);
  return absl::StrCat(negative ? "-" : "", std::abs(duration.seconds()), nanos.empty() ? "" : ".", nanos, "s");
}

Json WriteValue(const google::protobuf::Value& value);

Json WriteStruct(const google::protobuf::Struct& fields) {
  Json out = Json::object();
  for (const auto& [key, value] : fields.fields()) out[key] = WriteValue(value);
  return out;
}

Json WriteList(const google::protobuf::ListValue& list) {
  Json out = Json::array();
  for (const auto& value : list.values()) out.push_back(WriteValue(value));
  return out;
}

Json WriteValue(const google::protobuf::Value& value) {
  using google::protobuf::Value;
  constexpr double kExact = 9007199254740992;  // 2^53: a double holds every integer up to here
  switch (value.kind_case()) {
    case Value::kStructValue: return WriteStruct(value.struct_value());
    case Value::kListValue: return WriteList(value.list_value());
    case Value::kStringValue: return value.string_value();
    case Value::kBoolValue: return value.bool_value();
    case Value::kNumberValue: {
      const double number = value.number_value();
      if (std::abs(number) <= kExact && number == std::trunc(number)) return static_cast<int64_t>(number);
      return number;
    }
    default: return nullptr;
  }
}

// A zero says something; an empty text says what its absence says.
bool IsNumberWithoutPresence(const FieldDescriptor* field) {
  return !field->has_presence() && field->cpp_type() != FieldDescriptor::CPPTYPE_STRING;
}

class Writer {
 public:
  explicit Writer(ToJsonOptions options) : options_(options) {}

  Json WriteMessage(const Message& message) const {
    const Descriptor* type = message.GetDescriptor();
    if (type == google::protobuf::Timestamp::descriptor()) {
      return WriteTimestamp(static_cast<const google::protobuf::Timestamp&>(message));
    }
    if (type == google::protobuf::Duration::descriptor()) {
      return WriteDuration(static_cast<const google::protobuf::Duration&>(message));
    }
    if (type == google::protobuf::Struct::descriptor()) {
      return WriteStruct(static_cast<const google::protobuf::Struct&>(message));
    }
    if (type == google::protobuf::Value::descriptor()) {
      return WriteValue(static_cast<const google::protobuf::Value&>(message));
    }
    if (type == google::protobuf::ListValue::descriptor()) {
      return WriteList(static_cast<const google::protobuf::ListValue&>(message));
    }
    if (IsWrapper(type)) return WriteSingle(message, type->field(0), kSingular);

    const Reflection* reflection = message.GetReflection();
    Json out = Json::object();
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      if (field->is_repeated()) {
        if (options_.zeroes || reflection->FieldSize(message, field) > 0) {
          out[field->json_name()] = WriteRepeated(message, field);
        }
      } else if (reflection->HasField(message, field) || (options_.zeroes && IsNumberWithoutPresence(field))) {
        out[field->json_name()] = WriteSingle(message, field, kSingular);
      }
    }
    return out;
  }

 private:
  static constexpr int kSingular = -1;

  Json WriteRepeated(const Message& message, const FieldDescriptor* field) const {
    const Reflection* reflection = message.GetReflection();
    const int size = reflection->FieldSize(message, field);
    Json out = field->is_map() ? Json::object() : Json::array();
    for (int i = 0; i < size; ++i) {
      if (field->is_map()) {
        const Message& entry = reflection->GetRepeatedMessage(message, field, i);
        const Json key = WriteSingle(entry, field->message_type()->map_key(), kSingular);
        out[key.is_string() ? key.get<std::string>() : JsonText(key)] =
            WriteSingle(entry, field->message_type()->map_value(), kSingular);
      } else {
        out.push_back(WriteSingle(message, field, i));
      }
    }
    return out;
  }

  // A singular field, or the element `index` of a repeated one.
  Json WriteSingle(const Message& message, const FieldDescriptor* field, int index) const {
    const Reflection* r = message.GetReflection();
    const bool one = index == kSingular;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return one ? r->GetInt32(message, field) : r->GetRepeatedInt32(message, field, index);
      case FieldDescriptor::CPPTYPE_INT64:
        return one ? r->GetInt64(message, field) : r->GetRepeatedInt64(message, field, index);
      case FieldDescriptor::CPPTYPE_UINT32:
        return one ? r->GetUInt32(message, field) : r->GetRepeatedUInt32(message, field, index);
      case FieldDescriptor::CPPTYPE_UINT64:
        return one ? r->GetUInt64(message, field) : r->GetRepeatedUInt64(message, field, index);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return one ? r->GetDouble(message, field) : r->GetRepeatedDouble(message, field, index);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return one ? r->GetFloat(message, field) : r->GetRepeatedFloat(message, field, index);
      case FieldDescriptor::CPPTYPE_BOOL:
        return one ? r->GetBool(message, field) : r->GetRepeatedBool(message, field, index);
      case FieldDescriptor::CPPTYPE_ENUM: {
        const int number = one ? r->GetEnumValue(message, field) : r->GetRepeatedEnumValue(message, field, index);
        const EnumValueDescriptor* value = field->enum_type()->FindValueByNumber(number);
        // A newer writer's value has no name here.
        return value == nullptr ? Json(number) : Json(EnumWord(value));
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string value = one ? r->GetString(message, field) : r->GetRepeatedString(message, field, index);
        return field->type() == FieldDescriptor::TYPE_BYTES ? absl::Base64Escape(value) : value;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return WriteMessage(one ? r->GetMessage(message, field) : r->GetRepeatedMessage(message, field, index));
    }
    return nullptr;
  }

  const ToJsonOptions options_;
};

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text) {
  // The library would step over a byte order mark; other readers do not.
  if (absl::StartsWith(text, "\xEF\xBB\xBF")) {
    return absl::InvalidArgumentError("not JSON at byte 1: a byte order mark; leave it out");
  }
  DocumentBuilder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return absl::InvalidArgumentError(builder.error());
  return builder.Take();
}

int JsonDepth(const Json& json) {
  if (!json.is_structured()) return 0;
  int deepest = 0;
  for (const Json& child : json) deepest = std::max(deepest, JsonDepth(child));
  return deepest + 1;
}

std::string JsonText(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

absl::Status FromJson(const Json& json, UnknownFields unknown, Message* message) {
  return Reader(unknown).ReadMessage(json, "", message);
}

Json ToJson(const Message& message, ToJsonOptions options) { return Writer(options).WriteMessage(message); }

}  // namespace unmcp
