#include "kube/embedded/config_objects.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace unmcp::kube {
namespace {

constexpr size_t kMaxKeyLength = 253;

const Json& Member(const Json& object, const char* key) {
  static const Json* const null = new Json;
  auto it = object.find(key);
  return it == object.end() ? *null : *it;
}

// As Go's decoder: line breaks are skipped, padding is required.
std::optional<std::string> Decode(std::string text) {
  text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }), text.end());
  const auto in_alphabet = [](char c) { return absl::ascii_isalnum(c) || c == '+' || c == '/' || c == '='; };
  std::string bytes;
  if (text.size() % 4 != 0 || !std::all_of(text.begin(), text.end(), in_alphabet) ||
      !absl::Base64Unescape(text, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

bool IsKey(const std::string& key) {
  return !key.empty() && key.size() <= kMaxKeyLength && key != "." && key.substr(0, 2) != ".." &&
         std::all_of(key.begin(), key.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

// Go reads null as the empty value of its type.
void ClearNulls(Json& object, const char* field) {
  auto map = object.find(field);
  if (map == object.end()) return;
  if (map->is_object()) {
    for (Json& value : *map) {
      if (value.is_null()) value = "";
    }
  }
  if (map->is_null() || (map->is_object() && map->empty())) object.erase(map);
}

// Adds what is wrong with the map `field`, and the size of its values to `bytes`.
void ValidateMap(const Json& object, const char* field, bool base64, std::vector<FieldError>* errors, size_t* bytes) {
  const Json& map = Member(object, field);
  if (map.is_null()) return;
  if (!map.is_object()) return errors->push_back({field, "Invalid value: must be an object of strings"});
  for (const auto& [key, value] : map.items()) {
    const std::string path = absl::StrCat(field, "[", key, "]");
    if (!IsKey(key)) {
      errors->push_back(InvalidValue(path, key,
                                     "a valid config key must consist of alphanumeric characters, '-', '_' or '.', "
                                     "at most 253, and not begin with '..'"));
    }
    if (!value.is_string()) {
      errors->push_back({path, "Invalid value: must be a string; put numbers and booleans in quotes"});
      continue;
    }
    const std::string& text = value.get_ref<const std::string&>();
    const std::optional<std::string> decoded = base64 ? Decode(text) : text;
    if (!decoded) {
      errors->push_back({path, "Invalid value: illegal base64 data; encode it, or give plain text in stringData"});
    } else {
      *bytes += decoded->size();
    }
  }
}

}  // namespace

void NormalizeConfigObject(const Kind& kind, Json& object) {
  for (const char* field : {"data", "stringData", "binaryData"}) ClearNulls(object, field);
  if (!(kind == SecretKind())) return;
  if (Member(object, "type").is_null() || object["type"] == "") object["type"] = "Opaque";
  if (Member(object, "immutable").is_null()) object.erase("immutable");
  auto plain = object.find("stringData");
  if (plain == object.end() || !plain->is_object()) return;
  const bool strings = std::all_of(plain->begin(), plain->end(), [](const Json& value) { return value.is_string(); });
  if (!strings || !(Member(object, "data").is_null() || object["data"].is_object())) return;
  const Json values = std::move(*plain);
  object.erase(plain);
  for (const auto& [key, value] : values.items()) {
    object["data"][key] = absl::Base64Escape(value.get_ref<const std::string&>());
  }
}

std::vector<FieldError> ValidateConfigObject(const Kind& kind, const Json& object) {
  std::vector<FieldError> errors;
  size_t bytes = 0;
  const bool secret = kind == SecretKind();
  ValidateMap(object, "data", secret, &errors, &bytes);
  // Of a Secret only what is malformed is left of stringData.
  if (secret) ValidateMap(object, "stringData", false, &errors, &bytes);
  if (!secret) ValidateMap(object, "binaryData", true, &errors, &bytes);
  if (const Json& immutable = Member(object, "immutable"); !immutable.is_null() && !immutable.is_boolean()) {
    errors.push_back(InvalidValue("immutable", immutable, "must be true or false"));
  }
  if (secret && !Member(object, "type").is_string()) {
    errors.push_back(InvalidValue("type", Member(object, "type"), "must be a string"));
  }
  if (!secret && errors.empty() && Member(object, "data").is_object() && Member(object, "binaryData").is_object()) {
    for (const auto& [key, value] : object["data"].items()) {
      if (object["binaryData"].contains(key)) {
        errors.push_back(InvalidValue(absl::StrCat("data[", key, "]"), key, "duplicate of key present in binaryData"));
      }
    }
  }
  if (bytes > kMaxConfigBytes) errors.push_back(TooLong("data", kMaxConfigBytes));
  return errors;
}

std::vector<FieldError> ValidateConfigObjectUpdate(const Kind& kind, const Json& old, const Json& object) {
  std::vector<FieldError> errors;
  if (kind == SecretKind() && Member(old, "type") != Member(object, "type")) {
    errors.push_back(InvalidValue("type", Member(object, "type"), "field is immutable"));
  }
  if (Member(old, "immutable") != true) return errors;
  for (const char* field : {"immutable", "data", "binaryData"}) {
    if (Member(old, field) == Member(object, field)) continue;
    errors.push_back(Forbidden(field, "field is immutable when `immutable` is set; create another object"));
  }
  return errors;
}

}  // namespace unmcp::kube
