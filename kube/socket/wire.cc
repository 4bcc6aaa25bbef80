#include "kube/socket/wire.h"

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "kube/errors.h"

namespace unmcp::kube::wire {

void ToWire(const Kind& kind, v1::Kind* out) {
  out->set_group(kind.group);
  out->set_version(kind.version);
  out->set_plural(kind.plural);
  out->set_kind(kind.kind);
}

Kind FromWire(const v1::Kind& kind) { return {kind.group(), kind.version(), kind.plural(), kind.kind()}; }

void ToWire(const ObjectRef& ref, v1::ObjectRef* out) {
  ToWire(ref.kind, out->mutable_kind());
  out->set_namespace_(ref.ns);
  out->set_name(ref.name);
}

ObjectRef FromWire(const v1::ObjectRef& ref) { return {FromWire(ref.kind()), ref.namespace_(), ref.name()}; }

absl::Status ToWire(const Json& json, v1::Object* out) {
  // The library throws; nothing of it leaves this function.
  try {
    out->set_json(json.dump());
  } catch (const Json::exception&) {
    return BadRequest("the object has text that is not UTF-8");
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> FromWire(const v1::Object& object) {
  Json json = Json::parse(object.json(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InternalError("what came over the cluster's socket is no JSON");
  return json;
}

absl::StatusOr<Object> ObjectFromWire(const v1::Object& object) {
  UNMCP_ASSIGN_OR_RETURN(Json json, FromWire(object));
  return Object(std::move(json));
}

const char* NameOf(WatchEventType type) {
  switch (type) {
    case WatchEventType::kAdded: return "ADDED";
    case WatchEventType::kModified: return "MODIFIED";
    case WatchEventType::kDeleted: return "DELETED";
    case WatchEventType::kBookmark: return "BOOKMARK";
  }
  return "";
}

absl::StatusOr<WatchEventType> WatchEventTypeFrom(const std::string& name) {
  for (WatchEventType type : {WatchEventType::kAdded, WatchEventType::kModified, WatchEventType::kDeleted,
                              WatchEventType::kBookmark}) {
    if (name == NameOf(type)) return type;
  }
  return absl::InternalError(absl::StrCat("a watch knows no event \"", name, "\""));
}

const char* NameOf(Propagation propagation) {
  switch (propagation) {
    case Propagation::kBackground: return "Background";
    case Propagation::kForeground: return "Foreground";
    case Propagation::kOrphan: return "Orphan";
  }
  return "";
}

absl::StatusOr<Propagation> PropagationFrom(const std::string& name) {
  for (Propagation propagation : {Propagation::kBackground, Propagation::kForeground, Propagation::kOrphan}) {
    if (name == NameOf(propagation)) return propagation;
  }
  return BadRequest(absl::StrCat("propagation is Background, Foreground or Orphan, not \"", name, "\""));
}

grpc::Status Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
  context->AddTrailingMetadata(kAnsweredKey, "1");
  return ToGrpc(absl::Status(status.code(), status.message().substr(0, kMaxMessageBytes)));
}

}  // namespace unmcp::kube::wire
