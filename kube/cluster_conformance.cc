#include "kube/cluster_conformance.h"

#include <algorithm>

namespace unmcp::kube {

// One binary instantiates the suite, another may link it only for its helpers.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ClusterConformance);

const Kind& WidgetKind() {
  static const Kind* const kind = new Kind{"conformance.unmcp.dev", "v1", "widgets", "Widget"};
  return *kind;
}

Json WidgetCrd() {
  const Json schema = Json::parse(R"json({
    "type": "object",
    "properties": {
      "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}}},
      "spec": {
        "type": "object",
        "required": ["size"],
        "properties": {
          "size": {"type": "integer", "minimum": 0, "maximum": 10},
          "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
          "code": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5},
          "note": {"type": "string", "nullable": true},
          "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
          "port": {"x-kubernetes-int-or-string": true},
          "limits": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "integer"}},
          "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
          "env": {
            "type": "array",
            "maxItems": 4,
            "items": {
              "type": "object",
              "required": ["name"],
              "properties": {"name": {"type": "string"}, "value": {"type": "string", "default": "none"}}
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"]
          }
        }
      },
      "status": {
        "type": "object",
        "properties": {"phase": {"type": "string"}, "count": {"type": "integer"}}
      }
    }
  })json");
  return {
      {"apiVersion", "apiextensions.k8s.io/v1"},
      {"kind", "CustomResourceDefinition"},
      {"metadata", R"({"name": "widgets.conformance.unmcp.dev"})"_json},
      {"spec",
       {{"group", "conformance.unmcp.dev"},
        {"scope", "Namespaced"},
        {"names", R"({"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"})"_json},
        {"versions",
         {{{"name", "v1"},
           {"served", true},
           {"storage", true},
           {"subresources", {{"status", Json::object()}}},
           {"schema", {{"openAPIV3Schema", schema}}}}}}}}};
}

Object ClusterConformance::NewWidget(const std::string& name) const {
  Object widget(WidgetKind(), ns_, name);
  widget.json()["spec"]["size"] = 1;
  return widget;
}

Object ClusterConformance::NewPod(const std::string& name) const {
  Object pod(PodKind(), ns_, name);
  pod.json()["spec"] =
      R"({"schedulerName": "nobody", "containers": [{"name": "main", "image": "none.invalid/none"}]})"_json;
  return pod;
}

OwnerReference ClusterConformance::OwnerOf(const Object& owner) {
  return {owner.api_version(), owner.kind(), owner.name(), owner.uid(), true};
}

Object ClusterConformance::MustCreate(const Object& object) {
  absl::StatusOr<Object> created = Create(object);
  EXPECT_TRUE(created.ok()) << created.status();
  return created.ok() ? *created : Object();
}

Object ClusterConformance::MustCreatePod(const Object& object) {
  absl::StatusOr<Object> created = AwaitCreate(cluster_, PodKind(), object);
  EXPECT_TRUE(created.ok()) << created.status();
  return created.ok() ? *created : Object();
}

std::string ClusterConformance::Now() {
  absl::StatusOr<ObjectList> list = List();
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? list->resource_version : "";
}

bool ClusterConformance::WaitUntilGone(const ObjectRef& ref) {
  absl::StatusOr<ObjectList> list = AwaitList(cluster_, ref.kind, ref.ns);
  if (!list.ok()) return false;
  WatchRecorder watch(cluster_, ref.kind, ref.ns, {"", list->resource_version});
  if (AwaitGet(cluster_, ref).status().code() == absl::StatusCode::kNotFound) return true;
  return watch.WaitFor([&](const std::vector<WatchEvent>& events) {
    return std::any_of(events.begin(), events.end(), [&](const WatchEvent& event) {
      return event.type == WatchEventType::kDeleted && event.object.name() == ref.name;
    });
  });
}

std::string ClusterConformance::Message(const absl::Status& status) { return std::string(status.message()); }

std::vector<std::string> ClusterConformance::Story(const std::vector<WatchEvent>& events) {
  std::vector<std::string> story;
  for (const WatchEvent& event : events) {
    const char* type = event.type == WatchEventType::kAdded      ? "ADDED "
                       : event.type == WatchEventType::kModified ? "MODIFIED "
                                                                 : "DELETED ";
    story.push_back(type + event.object.name());
  }
  return story;
}

}  // namespace unmcp::kube
