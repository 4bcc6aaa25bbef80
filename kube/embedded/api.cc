#include "kube/embedded/api.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "kube/embedded/builtin.h"
#include "kube/embedded/metadata.h"
#include "kube/errors.h"

namespace unmcp::kube {
namespace {

// As the API server. With five random characters even ten thousand names of
// one base leave a second attempt one chance in a thousand to be needed.
constexpr int kGenerateNameAttempts = 8;

// What generation counts: everything but metadata and a status of its own.
Json SpecPart(const KindInfo& info, const Json& json) {
  Json part = json;
  part.erase("metadata");
  if (info.status_subresource) part.erase("status");
  return part;
}

std::string Text(const Json& json, const char* key) {
  auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

absl::Status CheckKind(const Kind& kind, const Json& json) {
  if (!json.is_object()) return BadRequest("the object is not a JSON object");
  if (Text(json, "apiVersion") != kind.ApiVersion() || Text(json, "kind") != kind.kind) {
    return BadRequest(absl::StrCat("the object must say apiVersion: ", kind.ApiVersion(), " and kind: ", kind.kind,
                                   ", not \"", Text(json, "apiVersion"), "\" and \"", Text(json, "kind"), "\""));
  }
  if (auto metadata = json.find("metadata"); metadata == json.end() || !metadata->is_object()) {
    return BadRequest("the object has no metadata");
  }
  return absl::OkStatus();
}

// Sets when the object is to be gone; a later time than the one there is stays.
void MarkDeleting(absl::Time now, int grace_seconds, Json& metadata) {
  if (metadata.contains("deletionTimestamp")) {
    const Json current = metadata.value("deletionGracePeriodSeconds", Json(0));
    if (!current.is_number_integer() || current <= grace_seconds) return;
    absl::Time deadline;
    if (absl::ParseTime(absl::RFC3339_full, Text(metadata, "deletionTimestamp"), &deadline, nullptr)) {
      now = deadline - absl::Seconds(current.get<int>());
    }
  } else if (metadata.contains("generation")) {
    metadata["generation"] = metadata["generation"].get<int64_t>() + 1;
  }
  metadata["deletionTimestamp"] = FormatTimestamp(now + absl::Seconds(grace_seconds));
  metadata["deletionGracePeriodSeconds"] = grace_seconds;
}

// The finalizers that the propagation leaves: the garbage collector's own two
// say how it is to treat dependents.
std::vector<std::string> FinalizersFor(Propagation propagation, std::vector<std::string> finalizers) {
  finalizers.erase(
      std::remove_if(finalizers.begin(), finalizers.end(),
                     [](const std::string& name) { return name == kForegroundFinalizer || name == kOrphanFinalizer; }),
      finalizers.end());
  if (propagation == Propagation::kForeground) finalizers.push_back(kForegroundFinalizer);
  if (propagation == Propagation::kOrphan) finalizers.push_back(kOrphanFinalizer);
  return finalizers;
}

bool ReadyToGo(const Json& metadata) {
  return metadata.contains("deletionTimestamp") && !metadata.contains("finalizers") &&
         (!metadata.contains("deletionGracePeriodSeconds") || metadata["deletionGracePeriodSeconds"] == 0);
}

}  // namespace

absl::StatusOr<const KindInfo*> Api::Served(const Kind& kind) const {
  const KindInfo* info = registry_->Find(kind);
  if (info == nullptr || !(info->kind.version == kind.version)) return KindNotFound(kind);
  return info;
}

absl::StatusOr<Object> Api::Get(const ObjectRef& ref) const {
  UNMCP_RETURN_IF_ERROR(Served(ref.kind).status());
  const ObjectPtr object = store_->Find(KeyOf(ref));
  if (object == nullptr) return NotFound(ref);
  return *object;
}

absl::StatusOr<ObjectList> Api::List(const Kind& kind, const std::string& ns, const ListOptions& options) const {
  UNMCP_RETURN_IF_ERROR(Served(kind).status());
  return store_->List(GroupResource(kind), ns, options);
}

std::vector<FieldError> Api::Admit(const KindInfo& info, Json& json) const {
  if (info.schema == nullptr) {
    FillBuiltinDefaults(info.kind, json);
    return ValidateBuiltin(info.kind, json);
  }
  info.schema->Prune(json);
  info.schema->FillDefaults(json);
  return info.schema->Validate(json);
}

absl::Status Api::SetName(const KindInfo& info, const std::string& ns, Json& metadata) {
  if (!Text(metadata, "name").empty()) return absl::OkStatus();
  const std::string base = Text(metadata, "generateName");
  if (base.empty()) {
    return Invalid(info.kind, "", {RequiredValue("metadata.name", "name or generateName is required")});
  }
  ObjectRef ref{info.kind, ns, ""};
  for (int attempt = 0; attempt < kGenerateNameAttempts; ++attempt) {
    ref.name = GenerateName(base, random_);
    if (store_->Find(KeyOf(ref)) == nullptr) {
      metadata["name"] = ref.name;
      return absl::OkStatus();
    }
  }
  return AlreadyExists(ref);
}

absl::StatusOr<Object> Api::Create(const Kind& kind, Object object) {
  UNMCP_ASSIGN_OR_RETURN(const KindInfo* info, Served(kind));
  Json& json = object.json();
  UNMCP_RETURN_IF_ERROR(CheckKind(kind, json));
  Json& metadata = json["metadata"];
  NormalizeMetadata(metadata);
  if (metadata.contains("resourceVersion")) {
    return BadRequest("resourceVersion should not be set on objects to be created");
  }
  const std::string ns = object.ns();
  if (ns.empty()) return BadRequest("an empty namespace may not be set during creation");
  for (const char* field : {"uid", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"}) {
    metadata.erase(field);
  }
  UNMCP_RETURN_IF_ERROR(SetName(*info, ns, metadata));
  metadata["uid"] = NewUuid(random_);
  metadata["creationTimestamp"] = FormatTimestamp(now_());
  if (info->counts_generation) metadata["generation"] = 1;
  if (info->status_subresource) json.erase("status");

  std::vector<FieldError> errors = ValidateMetadata(metadata);
  if (errors.empty()) errors = Admit(*info, json);
  const ObjectRef ref{kind, ns, object.name()};
  if (!errors.empty()) return Invalid(kind, ref.name, errors);
  if (const ObjectPtr present = store_->Find(KeyOf(ref)); present != nullptr) {
    if (!present->deleting()) return AlreadyExists(ref);
    return absl::AlreadyExistsError(
        absl::StrCat("object is being deleted: ", std::string(AlreadyExists(ref).message())));
  }
  return Write(KeyOf(ref), std::move(object));
}

absl::StatusOr<Object> Api::Patch(const ObjectRef& ref, const Json& merge_patch, const PatchOptions& options) {
  UNMCP_ASSIGN_OR_RETURN(const KindInfo* info, Served(ref.kind));
  if (!merge_patch.is_object()) return BadRequest("a merge patch is a JSON object");
  const bool status = options.subresource == "status";
  if (!options.subresource.empty() && !(status && info->status_subresource)) {
    return absl::NotFoundError(absl::StrCat("the server could not find the requested resource ",
                                            GroupResource(ref.kind), "/", options.subresource));
  }
  const ObjectPtr current = store_->Find(KeyOf(ref));
  if (current == nullptr) return NotFound(ref);
  const Json& old = current->json();

  Json patched = old;
  patched.merge_patch(merge_patch);
  UNMCP_RETURN_IF_ERROR(CheckKind(ref.kind, patched));
  NormalizeMetadata(patched["metadata"]);
  const std::string version = Text(patched["metadata"], "resourceVersion");
  if (!version.empty() && version != "0" && version != current->resource_version()) return Modified(ref);
  std::vector<FieldError> errors = KeepImmutableMetadata(old["metadata"], patched["metadata"]);

  // Each of the two writers keeps the other's part as it is.
  Json next = std::move(patched);
  if (status) {
    Json only_status = old;
    only_status.erase("status");
    if (next.contains("status")) only_status["status"] = std::move(next["status"]);
    next = std::move(only_status);
  } else if (info->status_subresource) {
    next.erase("status");
    if (old.contains("status")) next["status"] = old["status"];
  }
  if (errors.empty()) errors = ValidateMetadata(next["metadata"]);
  if (errors.empty()) errors = Admit(*info, next);
  if (errors.empty()) errors = ValidateBuiltinUpdate(ref.kind, old, next);
  if (!errors.empty()) return Invalid(ref.kind, ref.name, errors);
  if (next == old) return *current;

  if (info->counts_generation && SpecPart(*info, next) != SpecPart(*info, old)) {
    next["metadata"]["generation"] = current->generation() + 1;
  }
  return Write(KeyOf(ref), Object(std::move(next)));
}

absl::Status Api::Delete(const ObjectRef& ref, const DeleteOptions& options) {
  UNMCP_RETURN_IF_ERROR(Served(ref.kind).status());
  const Key key = KeyOf(ref);
  const ObjectPtr current = store_->Find(key);
  if (current == nullptr) return NotFound(ref);
  if (!options.uid.empty() && options.uid != current->uid()) {
    return Conflict(ref,
                    absl::StrCat("the UID in the precondition (", options.uid, ") does not match the UID in record (",
                                 current->uid(), "). The object might have been deleted and then recreated"));
  }
  if (!options.resource_version.empty() && options.resource_version != current->resource_version()) {
    return Conflict(ref, absl::StrCat("the ResourceVersion in the precondition (", options.resource_version,
                                      ") does not match the ResourceVersion in record (", current->resource_version(),
                                      "). The object might have been modified"));
  }
  int grace = 0;
  if (ref.kind == PodKind() && has_node_) {
    grace = PodGraceSeconds(*current, options.grace_period_seconds ? std::max(0, *options.grace_period_seconds) : -1);
  }
  Object next = *current;
  Json& metadata = next.json()["metadata"];
  SetFinalizers(FinalizersFor(options.propagation, Finalizers(metadata)), metadata);
  MarkDeleting(now_(), grace, metadata);
  if (next.json() == current->json()) return absl::OkStatus();
  return Write(key, std::move(next)).status();
}

absl::StatusOr<Object> Api::Write(const Key& key, Object object) {
  if (ReadyToGo(object.json()["metadata"])) {
    store_->Remove(key);
    return object;
  }
  UNMCP_ASSIGN_OR_RETURN(const ObjectPtr written, store_->Put(key, std::move(object)));
  return *written;
}

}  // namespace unmcp::kube
