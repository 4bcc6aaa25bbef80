#include "controller/pod_template.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "controller/observed.h"

namespace unmcp::controller {
namespace {

using kube::Json;

constexpr char kOurPrefix[] = "unmcp.dev/";
// Lists that Kubernetes itself merges by name.
constexpr const char* kNamedLists[] = {"containers", "initContainers"};

absl::Status Refused(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

const Json* Find(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  auto it = json.find(key);
  return it == json.end() || it->is_null() ? nullptr : &*it;
}

// labels or annotations.
absl::Status CheckMap(const Json& map, const std::string& path) {
  if (!map.is_object()) return Refused(path, "must be an object");
  for (const auto& [key, value] : map.items()) {
    const std::string entry = absl::StrCat(path, "['", key, "']");
    if (absl::StartsWith(key, kOurPrefix)) return Refused(entry, "is unmcp's to set; leave it out");
    if (!value.is_string() && !value.is_null()) return Refused(entry, "must be a string");
  }
  return absl::OkStatus();
}

absl::Status CheckMetadata(const Json& metadata, const std::string& path) {
  for (const auto& [key, value] : metadata.items()) {
    const std::string field = absl::StrCat(path, ".", key);
    if (key != "labels" && key != "annotations") {
      return Refused(field, "is unmcp's to set, or nobody's; a template's metadata has labels and annotations");
    }
    if (!value.is_null()) UNMCP_RETURN_IF_ERROR(CheckMap(value, field));
  }
  return absl::OkStatus();
}

absl::Status CheckContainers(const Json& containers, const std::string& path) {
  if (!containers.is_array()) return Refused(path, "must be a list");
  std::set<std::string> names;
  for (size_t i = 0; i < containers.size(); ++i) {
    const std::string entry = absl::StrCat(path, "[", i, "]");
    const Json* name = Find(containers[i], "name");
    if (name == nullptr || !name->is_string() || name->get<std::string>().empty()) {
      return Refused(absl::StrCat(entry, ".name"),
                     absl::StrCat("is required: containers are merged by name, and the server's is called \"",
                                  kContainer, "\""));
    }
    if (!names.insert(name->get<std::string>()).second) {
      return Refused(absl::StrCat(entry, ".name"), "is there twice; keep one of the two");
    }
    if (*name != kContainer) continue;
    for (const char* stream : {"stdin", "stdinOnce", "tty"}) {
      if (containers[i].contains(stream)) {
        return Refused(absl::StrCat(entry, ".", stream),
                       "is unmcp's to set, after spec.transport.type; leave it out");
      }
    }
  }
  return absl::OkStatus();
}

void Merge(const Json& upper, Nulls nulls, Json* lower) {
  if (!lower->is_object()) *lower = Json::object();
  for (const auto& [key, value] : upper.items()) {
    if (value.is_object()) {
      Merge(value, nulls, &(*lower)[key]);
    } else if (value.is_null() && nulls == Nulls::kApply) {
      lower->erase(key);
    } else {
      (*lower)[key] = value;
    }
  }
}

void MergeByName(const Json& upper, Nulls nulls, Json* lower) {
  if (!lower->is_array()) *lower = Json::array();
  for (const Json& entry : upper) {
    Json* same = nullptr;
    for (Json& candidate : *lower) {
      if (candidate["name"] == entry["name"]) same = &candidate;
    }
    if (same == nullptr) {
      lower->push_back(Json::object());
      same = &lower->back();
    }
    Merge(entry, nulls, same);
  }
}

}  // namespace

absl::Status CheckPodTemplate(const Json& pod_template, const std::string& path) {
  if (const Json* metadata = Find(pod_template, "metadata")) {
    if (!metadata->is_object()) return Refused(absl::StrCat(path, ".metadata"), "must be an object");
    UNMCP_RETURN_IF_ERROR(CheckMetadata(*metadata, absl::StrCat(path, ".metadata")));
  }
  const Json* spec = Find(pod_template, "spec");
  if (spec == nullptr) return absl::OkStatus();
  if (!spec->is_object()) return Refused(absl::StrCat(path, ".spec"), "must be an object");
  for (const char* list : kNamedLists) {
    const Json* containers = Find(*spec, list);
    if (containers == nullptr) continue;
    UNMCP_RETURN_IF_ERROR(CheckContainers(*containers, absl::StrCat(path, ".spec.", list)));
  }
  return absl::OkStatus();
}

void MergePodTemplate(const Json& upper, Nulls nulls, Json* lower) {
  Json rest = upper;
  Json lists = Json::object();
  if (Find(rest, "spec") != nullptr) {
    for (const char* list : kNamedLists) {
      if (Find(rest["spec"], list) == nullptr) continue;
      lists[list] = rest["spec"][list];
      rest["spec"].erase(list);
    }
  }
  Merge(rest, nulls, lower);
  for (const auto& [list, containers] : lists.items()) MergeByName(containers, nulls, &(*lower)["spec"][list]);
}

}  // namespace unmcp::controller
