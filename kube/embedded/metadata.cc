#include "kube/embedded/metadata.h"

#include <algorithm>
#include <cstdint>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace unmcp::kube {
namespace {

constexpr size_t kMaxSubdomain = 253;              // RFC 1123
constexpr size_t kMaxLabel = 63;                   // RFC 1035; label values too
constexpr size_t kMaxAnnotationBytes = 256 << 10;  // Kubernetes' TotalAnnotationSizeLimitB
constexpr size_t kGeneratedSuffix = 5;
constexpr size_t kMaxGeneratedBase = kMaxLabel - kGeneratedSuffix;

// What else ObjectMeta has, such as selfLink and managedFields, nobody reads here.
const std::set<std::string>& KnownFields() {
  static const auto* const fields = new std::set<std::string>{"annotations",
                                                              "creationTimestamp",
                                                              "deletionGracePeriodSeconds",
                                                              "deletionTimestamp",
                                                              "finalizers",
                                                              "generateName",
                                                              "generation",
                                                              "labels",
                                                              "name",
                                                              "namespace",
                                                              "ownerReferences",
                                                              "resourceVersion",
                                                              "uid"};
  return *fields;
}

bool IsWord(absl::string_view text, absl::string_view inner) {
  if (text.empty() || !absl::ascii_isalnum(text.front()) || !absl::ascii_isalnum(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return absl::ascii_isalnum(c) || inner.find(c) != absl::string_view::npos; });
}

bool HasUpper(const std::string& text) { return std::any_of(text.begin(), text.end(), absl::ascii_isupper); }

// "prefix.example.com/name" or "name".
bool IsQualifiedName(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  if (parts.size() > 2 || (parts.size() == 2 && !IsDns1123Subdomain(parts[0]))) return false;
  return parts.back().size() <= kMaxLabel && IsWord(parts.back(), "-_.");
}

void ValidateStringMap(const Json& metadata, const char* field, bool labels, std::vector<FieldError>* errors) {
  auto map = metadata.find(field);
  if (map == metadata.end()) return;
  const std::string path = absl::StrCat("metadata.", field);
  if (!map->is_object()) {
    errors->push_back(InvalidValue(path, *map, "must be a map from strings to strings"));
    return;
  }
  size_t bytes = 0;
  for (const auto& [key, value] : map->items()) {
    if (!IsQualifiedName(key)) {
      errors->push_back(InvalidValue(path, key,
                                     "a key must be letters, digits, '-', '_' and '.', at most 63, with an "
                                     "optional DNS prefix and '/'"));
    }
    if (!value.is_string()) {
      errors->push_back(InvalidValue(absl::StrCat(path, ".", key), value, "must be of type string"));
      continue;
    }
    const std::string& text = value.get_ref<const std::string&>();
    bytes += key.size() + text.size();
    if (labels && !text.empty() && (text.size() > kMaxLabel || !IsWord(text, "-_."))) {
      errors->push_back(InvalidValue(path, value,
                                     "a valid label must be an empty string or at most 63 letters, digits, "
                                     "'-', '_' and '.', and begin and end with a letter or digit"));
    }
  }
  if (bytes > kMaxAnnotationBytes) errors->push_back(TooLong(path, kMaxAnnotationBytes));
}

void ValidateOwners(const Json& metadata, std::vector<FieldError>* errors) {
  auto owners = metadata.find("ownerReferences");
  if (owners == metadata.end()) return;
  if (!owners->is_array()) {
    errors->push_back(InvalidValue("metadata.ownerReferences", *owners, "must be a list"));
    return;
  }
  int controllers = 0;
  for (size_t i = 0; i < owners->size(); ++i) {
    const Json& owner = (*owners)[i];
    const std::string path = absl::StrCat("metadata.ownerReferences[", i, "]");
    if (!owner.is_object()) {
      errors->push_back(InvalidValue(path, owner, "must be an object"));
      continue;
    }
    for (const char* field : {"apiVersion", "kind", "name", "uid"}) {
      auto value = owner.find(field);
      if (value == owner.end() || !value->is_string() || value->get_ref<const std::string&>().empty()) {
        errors->push_back(RequiredValue(absl::StrCat(path, ".", field), "must not be empty"));
      }
    }
    if (owner.contains("controller") && owner["controller"] == true) ++controllers;
  }
  if (controllers > 1) {
    errors->push_back(
        InvalidValue("metadata.ownerReferences", *owners, "only one reference can have controller set to true"));
  }
}

void ValidateFinalizers(const Json& metadata, std::vector<FieldError>* errors) {
  auto finalizers = metadata.find("finalizers");
  if (finalizers == metadata.end()) return;
  bool valid = finalizers->is_array();
  for (size_t i = 0; valid && i < finalizers->size(); ++i) {
    const Json& name = (*finalizers)[i];
    valid = name.is_string() && IsQualifiedName(name.get<std::string>());
  }
  if (!valid) errors->push_back(InvalidValue("metadata.finalizers", *finalizers, "must be a list of qualified names"));
}

}  // namespace

void NormalizeMetadata(Json& metadata) {
  for (auto it = metadata.begin(); it != metadata.end();) {
    const bool empty = it->is_null() || ((it->is_object() || it->is_array() || it->is_string()) &&
                                         (it->is_string() ? it->get_ref<const std::string&>().empty() : it->empty()));
    it = empty || KnownFields().count(it.key()) == 0 ? metadata.erase(it) : std::next(it);
  }
}

std::vector<FieldError> ValidateMetadata(const Json& metadata) {
  std::vector<FieldError> errors;
  for (const char* field : {"name", "generateName", "namespace", "uid", "resourceVersion"}) {
    auto value = metadata.find(field);
    if (value != metadata.end() && !value->is_string()) {
      errors.push_back(InvalidValue(absl::StrCat("metadata.", field), *value, "must be of type string"));
    }
  }
  if (!errors.empty()) return errors;
  if (auto name = metadata.find("name"); name != metadata.end() && !IsDns1123Subdomain(name->get<std::string>())) {
    errors.push_back(InvalidValue("metadata.name", *name,
                                  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
                                  "'-' or '.', and must start and end with an alphanumeric character"));
  }
  if (auto ns = metadata.find("namespace"); ns != metadata.end() && !IsDns1123Subdomain(ns->get<std::string>())) {
    errors.push_back(InvalidValue("metadata.namespace", *ns, "a lowercase RFC 1123 label is required"));
  }
  ValidateStringMap(metadata, "labels", /*labels=*/true, &errors);
  ValidateStringMap(metadata, "annotations", /*labels=*/false, &errors);
  ValidateOwners(metadata, &errors);
  ValidateFinalizers(metadata, &errors);
  return errors;
}

std::vector<FieldError> KeepImmutableMetadata(const Json& old, Json& metadata) {
  std::vector<FieldError> errors;
  for (const char* field : {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp",
                            "deletionGracePeriodSeconds", "generateName"}) {
    auto was = old.find(field);
    auto is = metadata.find(field);
    if (is == metadata.end()) {
      if (was != old.end()) metadata[field] = *was;
    } else if (was == old.end() || *is != *was) {
      errors.push_back(InvalidValue(absl::StrCat("metadata.", field), *is, "field is immutable"));
    }
  }
  // Others may write them and are not heard.
  for (const char* field : {"generation", "resourceVersion"}) {
    metadata.erase(field);
    if (old.contains(field)) metadata[field] = old[field];
  }
  if (!old.contains("deletionTimestamp")) return errors;
  const std::vector<std::string> before = Finalizers(old);
  for (const std::string& name : Finalizers(metadata)) {
    if (std::find(before.begin(), before.end(), name) == before.end()) {
      errors.push_back(
          Forbidden("metadata.finalizers", "no new finalizers can be added if the object is being deleted"));
      break;
    }
  }
  return errors;
}

std::string GenerateName(const std::string& base, Random* random) {
  // No vowels and no digits that look like letters.
  static constexpr absl::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string name = base.substr(0, kMaxGeneratedBase);
  for (size_t i = 0; i < kGeneratedSuffix; ++i) {
    name += kAlphabet[static_cast<size_t>(random->Uniform() * static_cast<double>(kAlphabet.size()))];
  }
  return name;
}

std::string FormatTimestamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

bool IsDns1123Subdomain(const std::string& text) {
  if (text.size() > kMaxSubdomain || HasUpper(text)) return false;
  for (absl::string_view word : absl::StrSplit(text, '.')) {
    if (!IsWord(word, "-")) return false;
  }
  return true;
}

bool IsDns1035Label(const std::string& text) {
  return text.size() <= kMaxLabel && !HasUpper(text) && IsWord(text, "-") && absl::ascii_isalpha(text.front());
}

std::vector<std::string> Finalizers(const Json& metadata) {
  std::vector<std::string> finalizers;
  auto list = metadata.find("finalizers");
  if (list == metadata.end() || !list->is_array()) return finalizers;
  for (const Json& name : *list) {
    if (name.is_string()) finalizers.push_back(name.get<std::string>());
  }
  return finalizers;
}

void SetFinalizers(const std::vector<std::string>& finalizers, Json& metadata) {
  if (finalizers.empty()) {
    metadata.erase("finalizers");
  } else {
    metadata["finalizers"] = finalizers;
  }
}

}  // namespace unmcp::kube
