#include "apiserver/resource_writer.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apiserver/manifest.h"
#include "common/annotations.h"
#include "common/proto_json.h"
#include "common/spec_rules.h"
#include "common/status_macros.h"
#include "glog/logging.h"
#include "proto/schema/crd.h"

namespace unmcp::apiserver {
namespace {

using kube::Json;

// Of what tells the Secrets of one server apart. 40 random bits: two that
// collide are refused by the cluster, and the write is tried again.
constexpr size_t kSuffixLength = 10;

const kube::Kind& KindOf(const Spec& spec) {
  return std::holds_alternative<v1::MCPServerSpec>(spec) ? kube::MCPServerKind() : kube::MCPPoolKind();
}

absl::Status Validate(const Spec& spec) {
  const auto* server = std::get_if<v1::MCPServerSpec>(&spec);
  return server != nullptr ? ValidateServerSpec(*server) : ValidatePoolSpec(std::get<v1::MCPPoolSpec>(spec));
}

// As the cluster has it: with the defaults of its schema, or it would differ
// from what is there for ever.
Json SpecJson(const Spec& spec) {
  return std::visit(
      [](const auto& message) {
        Json json = ToJson(message);
        FillDefaults(message.GetDescriptor(), &json);
        return json;
      },
      spec);
}

std::optional<Json> PodTemplate(const Json& spec) {
  const Json& holder = spec.contains("serverDefaults") ? spec["serverDefaults"] : spec;
  if (!holder.is_object() || !holder.contains("podTemplate")) return std::nullopt;
  return holder["podTemplate"];
}

Json OwnerJson(const kube::Object& owner, const kube::Kind& kind) {
  return {{"apiVersion", kind.ApiVersion()}, {"kind", kind.kind}, {"name", owner.name()}, {"uid", owner.uid()}};
}

bool IsEncoded(const kube::Object& secret, const std::string& key, const std::string& value) {
  const Json data = secret.json().value("data", Json::object());
  auto it = data.find(key);
  return it != data.end() && *it == absl::Base64Escape(value);
}

absl::Time Created(const kube::Object& object) {
  const Json metadata = object.json().value("metadata", Json::object());
  absl::Time created = absl::InfiniteFuture();
  std::string error;
  absl::ParseTime(absl::RFC3339_full, metadata.value("creationTimestamp", ""), &created, &error);
  return created;
}

kube::Callback<ResourceWriter::Applied> OnlyObject(kube::Callback<kube::Object> done) {
  return [done = std::move(done)](absl::StatusOr<ResourceWriter::Applied> applied) mutable {
    if (!applied.ok()) return done(applied.status());
    done(std::move(applied->object));
  };
}

}  // namespace

Json Difference(const Json& live, const Json& wanted) {
  Json patch = Json::object();
  for (const auto& [key, value] : live.items()) {
    if (!wanted.contains(key)) patch[key] = nullptr;
  }
  for (const auto& [key, value] : wanted.items()) {
    if (!live.contains(key)) {
      // To a merge patch null is what is not there.
      if (!value.is_null()) patch[key] = value;
    } else if (live[key] != value) {
      Json difference = live[key].is_object() && value.is_object() ? Difference(live[key], value) : value;
      if (!difference.is_object() || !difference.empty() || !live[key].is_object()) patch[key] = std::move(difference);
    }
  }
  return patch;
}

// One write. It owns itself through the callback it waits for, of which there
// is never more than one, made by a step's last statement: so it needs no lock.
class ResourceWriter::Write final : public std::enable_shared_from_this<Write> {
 public:
  // What is done when there is no such object, and when there is one.
  enum class Mode { kCreate, kUpdate, kApply };

  Write(const Options& options, Mode mode, kube::ObjectRef ref, Precondition precondition,
        kube::Callback<Applied> done)
      : options_(options),
        mode_(mode),
        ref_(std::move(ref)),
        precondition_(std::move(precondition)),
        wanted_(ref_.kind, ref_.ns, ref_.name),
        done_(std::move(done)) {}

  // Of these, what is to be written: a spec, or a manifest, or a patch.
  void set_spec(Spec spec) { spec_ = std::move(spec); }
  void set_wanted(kube::Object wanted) { wanted_ = std::move(wanted); }
  void set_patch(Json patch) { patch_ = std::move(patch); }

  void Start() {
    if (spec_) {
      if (absl::Status valid = Validate(*spec_); !valid.ok()) return Finish(std::move(valid));
    }
    Attempt();
  }

 private:
  void Attempt() {
    if (mode_ == Mode::kCreate) return WithLive(std::nullopt);
    options_.cluster->Get(ref_, [self = shared_from_this()](absl::StatusOr<kube::Object> live) {
      self->OnLive(std::move(live));
    });
  }

  void OnLive(absl::StatusOr<kube::Object> live) {
    if (absl::IsNotFound(live.status()) && mode_ == Mode::kApply) return WithLive(std::nullopt);
    if (!live.ok()) return Finish(live.status());
    if (!precondition_.uid.empty() && live->uid() != precondition_.uid) {
      return Finish(absl::NotFoundError(absl::StrCat(ref_.kind.kind, " \"", ref_.name, "\" with the uid ",
                                                     precondition_.uid, " has been deleted; another bears its name")));
    }
    if (!precondition_.resource_version.empty() && live->resource_version() != precondition_.resource_version) {
      return Finish(absl::AbortedError(absl::StrCat(
          ref_.kind.kind, " \"", ref_.name, "\" has been written since resourceVersion ",
          precondition_.resource_version, " (it is ", live->resource_version(), "): read it again, and repeat")));
    }
    if (live->deleting()) {
      return Finish(absl::AbortedError(
          absl::StrCat(ref_.kind.kind, " \"", ref_.name, "\" is being deleted; try again when it is gone")));
    }
    WithLive(*std::move(live));
  }

  void WithLive(std::optional<kube::Object> live) {
    live_ = std::move(live);
    if (spec_ && !options_.allow_pod_template) {
      const Json old = live_ ? live_->spec() : Json::object();
      if (PodTemplate(SpecJson(*spec_)) != PodTemplate(old)) {
        return Finish(absl::PermissionDeniedError(
            "podTemplate cannot be written through the API, since it is as good as the right to create any Pod: write "
            "it with kubectl, or start unmcp with --allow-pod-template"));
      }
    }
    if (spec_ && !std::exchange(values_taken_, true)) {
      if (absl::Status taken = TakeValues(); !taken.ok()) return Finish(std::move(taken));
    }
    if (values_.empty()) return WithOwner();
    options_.cluster->List(kube::SecretKind(), ref_.ns, {.label_selector = absl::StrCat(Label(), "=", ref_.name)},
                           [self = shared_from_this()](absl::StatusOr<kube::ObjectList> secrets) {
                             self->OnSecrets(std::move(secrets));
                           });
  }

  // ---- secret values -------------------------------------------------------------

  const char* Label() const { return ref_.kind == kube::MCPServerKind() ? kSecretServerLabel : kSecretPoolLabel; }

  absl::Status TakeValues() {
    std::set<std::string> named = absl::StrSplit(wanted_.annotation(kSecretValuesAnnotation), ',');
    // What was a secret stays one, whoever writes it next.
    if (live_) {
      const std::vector<std::string> before = absl::StrSplit(live_->annotation(kSecretValuesAnnotation), ',');
      named.insert(before.begin(), before.end());
    }
    UNMCP_ASSIGN_OR_RETURN(values_, TakeSecretValues(&*spec_, named));
    size_t bytes = 0;
    for (const SecretValue& value : values_) bytes += value.key.size() + value.value.size();
    if (bytes <= kMaxSecretBytes) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "spec: the values that look secret are over 1 MiB together, which no Secret takes");
  }

  static bool HoldsValues(const kube::Object& secret) {
    return secret.json().value("type", "") == kValuesSecretType && !secret.deleting();
  }

  absl::Status SecretsRefused(const absl::Status& status) const {
    if (!absl::IsPermissionDenied(status)) return status;
    return absl::PermissionDeniedError(absl::StrCat(
        values_.front().path,
        ": looks like a secret, and unmcp may not keep Secrets in this cluster: put it into a Secret yourself, and "
        "refer to it with valueFrom.secretKeyRef of spec.env or spec.headers"));
  }

  void OnSecrets(absl::StatusOr<kube::ObjectList> secrets) {
    if (!secrets.ok()) return Finish(SecretsRefused(secrets.status()));
    unowned_.clear();
    stray_.clear();
    Json fresh = Json::object();
    std::vector<const SecretValue*> moved;
    for (const SecretValue& value : values_) {
      const auto holder = absl::c_find_if(secrets->items, [&](const kube::Object& secret) {
        return HoldsValues(secret) && IsEncoded(secret, value.key, value.value);
      });
      if (holder != secrets->items.end()) {
        ReferTo(value, holder->name(), &*spec_);
      } else {
        fresh[value.key] = absl::Base64Escape(value.value);
        moved.push_back(&value);
      }
    }
    const std::vector<std::string> referred = ReferredSecrets(*spec_);
    const std::vector<std::string> live = LiveSecrets();
    for (const kube::Object& secret : secrets->items) {
      if (!HoldsValues(secret) || !secret.owners().empty()) continue;
      if (absl::c_linear_search(referred, secret.name())) {
        unowned_.push_back(secret.name());
      } else if (!absl::c_linear_search(live, secret.name()) && Created(secret) + kStraySecretAge < options_.now()) {
        stray_.push_back(secret.name());
      }
    }
    if (moved.empty()) return WithOwner();
    const std::string name = absl::StrCat(ref_.name, "-", options_.random->Id128().substr(0, kSuffixLength));
    for (const SecretValue* value : moved) ReferTo(*value, name, &*spec_);
    kube::Object secret(kube::SecretKind(), ref_.ns, name);
    secret.json()["metadata"]["labels"] = {{Label(), ref_.name}};
    secret.json()["type"] = kValuesSecretType;
    secret.json()["data"] = std::move(fresh);
    options_.cluster->Create(kube::SecretKind(), std::move(secret),
                             [self = shared_from_this()](absl::StatusOr<kube::Object> made) {
                               if (!made.ok()) return self->Finish(self->SecretsRefused(made.status()));
                               self->made_.push_back(made->name());
                               self->unowned_.push_back(made->name());
                               self->WithOwner();
                             });
  }

  std::vector<std::string> LiveSecrets() const {
    if (!live_ || !spec_) return {};
    // What cannot be read refers to nothing that can be told.
    Spec live = *spec_;
    std::visit(
        [&](auto& message) {
          message.Clear();
          if (!FromJson(live_->spec(), UnknownFields::kIgnore, &message).ok()) message.Clear();
        },
        live);
    return ReferredSecrets(live);
  }

  // ---- the write itself ------------------------------------------------------------

  // A new server belongs to its pool from the beginning: a pool that is deleted
  // takes it along.
  void WithOwner() {
    if (live_ || ref_.kind != kube::MCPServerKind()) return WriteIt();
    const std::string pool = SpecJson(*spec_).value("pool", "");
    options_.cluster->Get({kube::MCPPoolKind(), ref_.ns, pool},
                          [self = shared_from_this()](absl::StatusOr<kube::Object> pool) {
                            self->wanted_.json()["metadata"].erase("ownerReferences");
                            if (pool.ok() && !pool->deleting()) {
                              self->wanted_.json()["metadata"]["ownerReferences"] =
                                  Json::array({OwnerJson(*pool, kube::MCPPoolKind())});
                            }
                            self->WriteIt();
                          });
  }

  void WriteIt() {
    if (spec_) wanted_.json()["spec"] = SpecJson(*spec_);
    if (!live_) {
      options_.cluster->Create(ref_.kind, wanted_, [self = shared_from_this()](absl::StatusOr<kube::Object> made) {
        self->OnWritten(Change::kCreated, std::move(made));
      });
      return;
    }
    Json patch = patch_.empty() ? Patch() : patch_;
    if (patch.empty()) return OnWritten(Change::kUnchanged, *live_);
    // What is changed was worked out from this version.
    patch["metadata"]["resourceVersion"] = live_->resource_version();
    options_.cluster->Patch(ref_, std::move(patch), {}, [self = shared_from_this()](absl::StatusOr<kube::Object> now) {
      self->OnWritten(Change::kConfigured, std::move(now));
    });
  }

  Json Patch() const {
    Json patch = Json::object();
    const bool resource = spec_.has_value();
    for (const char* part : {"spec", "data", "binaryData"}) {
      if (resource != (absl::string_view(part) == "spec")) continue;
      Json difference = Difference(live_->json().value(part, Json::object()), wanted_.json().value(part, Json::object()));
      if (!difference.empty()) patch[part] = std::move(difference);
    }
    for (const char* part : {"type", "immutable"}) {
      if (wanted_.json().contains(part) && live_->json().value(part, Json()) != wanted_.json()[part]) {
        patch[part] = wanted_.json()[part];
      }
    }
    const Json live_metadata = live_->json().value("metadata", Json::object());
    const Json wanted_metadata = wanted_.json().value("metadata", Json::object());
    for (const char* key : {"labels", "annotations"}) {
      const Json have = live_metadata.value(key, Json::object());
      const Json want = wanted_metadata.value(key, Json::object());
      for (const auto& [name, value] : want.items()) {
        if (!have.contains(name) || have[name] != value) patch["metadata"][key][name] = value;
      }
    }
    return patch;
  }

  void OnWritten(Change change, absl::StatusOr<kube::Object> written) {
    // Somebody created, changed or deleted it between our read and our write.
    const absl::Status status = written.status();
    const bool lost = absl::IsAborted(status) ||
                      (mode_ == Mode::kApply && (absl::IsAlreadyExists(status) || absl::IsNotFound(status)));
    if (lost && mode_ != Mode::kCreate && ++attempts_ < kMaxWriteAttempts) {
      return Attempt();
    }
    if (!written.ok()) return Finish(status);
    applied_ = {change, *std::move(written)};
    if (spec_) {
      const std::vector<std::string> referred = ReferredSecrets(*spec_);
      std::set<std::string> over(stray_.begin(), stray_.end());
      for (const std::string& name : LiveSecrets()) over.insert(name);
      for (const std::string& name : made_) over.insert(name);  // of an attempt that was lost
      for (const std::string& name : referred) over.erase(name);
      over_.assign(over.begin(), over.end());
    }
    OwnNext();
  }

  // ---- afterwards: what fails here is told to the log, and the write stands ----------

  void OwnNext() {
    if (unowned_.empty()) return DeleteNext();
    const std::string name = std::move(unowned_.back());
    unowned_.pop_back();
    options_.cluster->Patch({kube::SecretKind(), ref_.ns, name},
                            {{"metadata", {{"ownerReferences", {OwnerJson(applied_.object, ref_.kind)}}}}}, {},
                            [self = shared_from_this(), name](absl::StatusOr<kube::Object> owned) {
                              LOG_IF(WARNING, !owned.ok()) << "Secret " << name << " of " << self->ref_.name
                                                           << " cannot be given its owner: " << owned.status();
                              self->OwnNext();
                            });
  }

  // Only what was made for values of this very server is deleted: a user may
  // refer to any Secret.
  void DeleteNext() {
    if (over_.empty()) return Answer();
    const std::string name = std::move(over_.back());
    over_.pop_back();
    const kube::ObjectRef ref{kube::SecretKind(), ref_.ns, name};
    options_.cluster->Get(ref, [self = shared_from_this(), ref](absl::StatusOr<kube::Object> secret) {
      const bool ours = secret.ok() && HoldsValues(*secret) && [&] {
        const auto labels = secret->labels();
        auto it = labels.find(self->Label());
        return it != labels.end() && it->second == self->ref_.name;
      }();
      if (!ours) return self->DeleteNext();
      self->options_.cluster->Delete(ref, {.uid = secret->uid()}, [self, ref](absl::Status deleted) {
        LOG_IF(WARNING, !deleted.ok()) << "Secret " << ref.name << ", which nothing refers to any more, cannot be "
                                       << "deleted: " << deleted;
        self->DeleteNext();
      });
    });
  }

  void Finish(absl::Status failed) {
    failed_ = std::move(failed);
    over_ = std::move(made_);
    DeleteNext();
  }

  void Answer() {
    if (failed_.ok()) return done_(std::move(applied_));
    done_(std::move(failed_));
  }

  const Options options_;
  const Mode mode_;
  const kube::ObjectRef ref_;
  const Precondition precondition_;
  std::optional<Spec> spec_;  // of an MCPServer or MCPPool
  kube::Object wanted_;       // without spec, where that is given
  Json patch_ = Json::object();
  kube::Callback<Applied> done_;

  bool values_taken_ = false;
  std::vector<SecretValue> values_;
  int attempts_ = 0;
  // Of the present attempt.
  std::optional<kube::Object> live_;
  std::vector<std::string> unowned_;  // Secrets that are referred to
  std::vector<std::string> stray_;
  // Of all attempts.
  std::vector<std::string> made_;
  // The outcome.
  Applied applied_;
  absl::Status failed_;
  std::vector<std::string> over_;  // Secrets that are to go
};

void ResourceWriter::Create(const std::string& ns, const std::string& name, Spec spec,
                            kube::Callback<kube::Object> done) {
  if (absl::Status valid = ValidateName(name); !valid.ok()) return done(std::move(valid));
  auto write = std::make_shared<Write>(options_, Write::Mode::kCreate, kube::ObjectRef{KindOf(spec), ns, name},
                                       Precondition{}, OnlyObject(std::move(done)));
  write->set_spec(std::move(spec));
  write->Start();
}

void ResourceWriter::Update(const kube::ObjectRef& ref, Precondition precondition, Spec spec,
                            kube::Callback<kube::Object> done) {
  auto write = std::make_shared<Write>(options_, Write::Mode::kUpdate, ref, std::move(precondition),
                                       OnlyObject(std::move(done)));
  write->set_spec(std::move(spec));
  write->Start();
}

void ResourceWriter::Delete(const kube::ObjectRef& ref, Precondition precondition, kube::DoneCallback done) {
  kube::DeleteOptions options;
  options.uid = std::move(precondition.uid);
  options.resource_version = std::move(precondition.resource_version);
  options.propagation = kube::Propagation::kBackground;
  options_.cluster->Delete(ref, std::move(options), std::move(done));
}

void ResourceWriter::Apply(const std::string& ns, const Json& json, kube::Callback<Applied> done) {
  absl::StatusOr<Manifest> manifest = ReadManifest(json, ns);
  if (!manifest.ok()) return done(manifest.status());
  auto write = std::make_shared<Write>(options_, Write::Mode::kApply,
                                       kube::ObjectRef{manifest->kind, ns, manifest->object.name()}, Precondition{},
                                       std::move(done));
  write->set_wanted(std::move(manifest->object));
  if (manifest->spec) write->set_spec(*std::move(manifest->spec));
  write->Start();
}

void ResourceWriter::Start(const kube::ObjectRef& server, Precondition precondition, const std::string& by,
                           kube::Callback<kube::Object> done) {
  auto write = std::make_shared<Write>(options_, Write::Mode::kUpdate, server, std::move(precondition),
                                       OnlyObject(std::move(done)));
  write->set_patch({{"metadata",
                     {{"annotations",
                       {{kStartedAtAnnotation, AnnotationTime(options_.now())}, {kStartedByAnnotation, by}}}}},
                    {"spec", {{"suspend", nullptr}}}});
  write->Start();
}

void ResourceWriter::Stop(const kube::ObjectRef& server, Precondition precondition, const std::string& by,
                          bool suspend, kube::Callback<kube::Object> done) {
  auto write = std::make_shared<Write>(options_, Write::Mode::kUpdate, server, std::move(precondition),
                                       OnlyObject(std::move(done)));
  Json patch = {{"metadata",
                 {{"annotations",
                   {{kStoppedAtAnnotation, AnnotationTime(options_.now())}, {kStoppedByAnnotation, by}}}}}};
  if (suspend) patch["spec"]["suspend"] = true;
  write->set_patch(std::move(patch));
  write->Start();
}

}  // namespace unmcp::apiserver
