#include "kube/embedded/embedded_cluster.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "glog/logging.h"
#include "kube/errors.h"

namespace unmcp::kube {
namespace {

// Old Events are looked for this often: fleets make some hundred in between.
constexpr absl::Duration kEventSweepInterval = absl::Minutes(5);
// When the disk refused the garbage collector's writes.
constexpr absl::Duration kGarbageRetry = absl::Seconds(1);

// When an Event was last heard of.
absl::Time EventTime(const Object& event) {
  absl::Time latest = absl::InfinitePast();
  const auto consider = [&](const Json& json, const char* key) {
    absl::Time time;
    auto it = json.find(key);
    if (it != json.end() && it->is_string() &&
        absl::ParseTime(absl::RFC3339_full, it->get<std::string>(), &time, nullptr)) {
      latest = std::max(latest, time);
    }
  };
  consider(event.json(), "lastTimestamp");
  consider(event.json(), "eventTime");
  consider(event.json()["metadata"], "creationTimestamp");
  return latest;
}

class WatchHandle final : public Watch {
 public:
  explicit WatchHandle(std::shared_ptr<WatchState> state) : state_(std::move(state)) {}
  ~WatchHandle() override { state_->cancelled = true; }

 private:
  const std::shared_ptr<WatchState> state_;
};

class FollowHandle final : public Watch {
 public:
  explicit FollowHandle(std::shared_ptr<LogFollow> follow) : follow_(std::move(follow)) {}
  ~FollowHandle() override { follow_->Cancel(); }

 private:
  const std::shared_ptr<LogFollow> follow_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EmbeddedCluster>> EmbeddedCluster::Create(Options options) {
  UNMCP_ASSIGN_OR_RETURN(std::unique_ptr<const Registry> registry, Registry::Create(options.crds));
  UNMCP_ASSIGN_OR_RETURN(std::unique_ptr<DataDir> dir, DataDir::Open(options.data_dir));
  UNMCP_ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                         Database::Open({options.data_dir, options.max_database_bytes}));
  std::unique_ptr<EmbeddedCluster> cluster(
      new EmbeddedCluster(std::move(options), std::move(registry), std::move(dir), std::move(database)));
  const absl::Status loaded = cluster->Load();
  cluster->loop_.Start();  // the destructor relies on it
  UNMCP_RETURN_IF_ERROR(loaded);
  cluster->loop_.Post([cluster = cluster.get()] {
    cluster->CollectGarbage();
    cluster->ExpireEvents();
  });
  return cluster;
}

EmbeddedCluster::EmbeddedCluster(Options options, std::unique_ptr<const Registry> registry,
                                 std::unique_ptr<DataDir> dir, std::unique_ptr<Database> database)
    : now_(std::move(options.now)),
      registry_(std::move(registry)),
      dir_(std::move(dir)),
      database_(std::move(database)),
      api_(&store_, registry_.get(), now_, options.random),
      garbage_(&store_, &api_, registry_.get()),
      loop_("cluster") {}

EmbeddedCluster::~EmbeddedCluster() {
  // One last, empty call: when it has been answered, so have those before it.
  // What callbacks ask for meanwhile is dropped with the loop.
  Notification answered;
  Enqueue({[] {}, [&](absl::Status) { answered.Notify(); }});
  answered.Wait();
  loop_.Stop();
  for (const std::weak_ptr<LogFollow>& weak : follows_) {
    if (const std::shared_ptr<LogFollow> follow = weak.lock()) follow->Cancel();
  }
}

absl::Status EmbeddedCluster::Load() {
  const auto add = [this](const Key& key, Json json) {
    // As an API server reading from etcd: objects written under an older
    // schema are seen under this one.
    Object object(std::move(json));
    const KindInfo* info = registry_->Find(object.api_version(), object.kind());
    if (info != nullptr && info->schema != nullptr) {
      info->schema->Prune(object.json());
      info->schema->FillDefaults(object.json());
    }
    store_.Restore(key, std::move(object));
  };
  UNMCP_ASSIGN_OR_RETURN(const uint64_t version, database_->Load(add));
  store_.RestoreVersion(version);
  garbage_.ObserveAll();
  return absl::OkStatus();
}

void EmbeddedCluster::SetNode(NodeRuntime* node) {
  Notification set;
  Enqueue({[] {},
           [&](absl::Status) {
             node_ = node;
             api_.set_has_node(node != nullptr);
             set.Notify();
           }});
  set.Wait();
}

void EmbeddedCluster::Get(const ObjectRef& ref, Callback<Object> done) {
  Submit<Object>([this, ref] { return api_.Get(ref); }, std::move(done));
}

void EmbeddedCluster::List(const Kind& kind, const std::string& ns, ListOptions options, Callback<ObjectList> done) {
  Submit<ObjectList>([this, kind, ns, options = std::move(options)] { return api_.List(kind, ns, options); },
                     std::move(done));
}

void EmbeddedCluster::Create(const Kind& kind, Object object, Callback<Object> done) {
  Submit<Object>([this, kind, object = std::move(object)] { return api_.Create(kind, object); }, std::move(done));
}

void EmbeddedCluster::Patch(const ObjectRef& ref, Json merge_patch, PatchOptions options, Callback<Object> done) {
  Submit<Object>([this, ref, patch = std::move(merge_patch), options] { return api_.Patch(ref, patch, options); },
                 std::move(done));
}

void EmbeddedCluster::Delete(const ObjectRef& ref, DeleteOptions options, DoneCallback done) {
  Submit<bool>(
      [this, ref, options]() -> absl::StatusOr<bool> {
        UNMCP_RETURN_IF_ERROR(api_.Delete(ref, options));
        return true;
      },
      [done = std::move(done)](absl::StatusOr<bool> deleted) mutable { done(deleted.status()); });
}

std::unique_ptr<Watch> EmbeddedCluster::StartWatch(const Kind& kind, const std::string& ns, WatchOptions options,
                                                   WatchCallbacks callbacks) {
  auto state = std::make_shared<WatchState>();
  state->resource = GroupResource(kind);
  state->ns = ns;
  state->callbacks = std::move(callbacks);
  absl::Status error;
  uint64_t version = 0;
  absl::StatusOr<LabelSelector> selector = LabelSelector::Parse(options.label_selector);
  if (registry_->Find(kind) == nullptr) {
    error = KindNotFound(kind);
  } else if (!selector.ok()) {
    error = selector.status();
  } else if (!absl::SimpleAtoi(options.resource_version, &version)) {
    error = BadRequest(
        absl::StrCat("a watch starts at the resourceVersion of a list, not at \"", options.resource_version, "\""));
  } else {
    state->selector = *std::move(selector);
  }
  // Among the other calls, so that what was written before it is before it.
  Enqueue({[] {},
           [this, state, error, version](absl::Status) {
             if (error.ok()) {
               watches_.Start(state, version, store_);
             } else if (!state->cancelled) {
               state->callbacks.on_end(error);
             }
           }});
  return std::make_unique<WatchHandle>(std::move(state));
}

void EmbeddedCluster::Attach(const ObjectRef& pod, AttachOptions options, Callback<std::unique_ptr<Attachment>> done) {
  SubmitToNode<std::unique_ptr<Attachment>>(
      pod, std::move(done),
      [options = std::move(options)](NodeRuntime* node, const std::string& uid,
                                     Callback<std::unique_ptr<Attachment>> done) mutable {
        node->Attach(uid, std::move(options), std::move(done));
      });
}

void EmbeddedCluster::Logs(const ObjectRef& pod, LogOptions options, Callback<std::string> done) {
  SubmitToNode<std::string>(
      pod, std::move(done),
      [options = std::move(options)](NodeRuntime* node, const std::string& uid, Callback<std::string> done) mutable {
        node->Logs(uid, std::move(options), std::move(done));
      });
}

std::unique_ptr<Watch> EmbeddedCluster::FollowLogs(const ObjectRef& pod, LogOptions options, LogCallbacks callbacks) {
  auto follow = std::make_shared<LogFollow>(&loop_, std::move(callbacks));
  SubmitToNode<bool>(
      pod,
      [follow](absl::StatusOr<bool> begun) {
        if (!begun.ok()) follow->End(begun.status());
      },
      [this, follow, options = std::move(options)](NodeRuntime* node, const std::string& uid,
                                                   Callback<bool> done) mutable {
        std::erase_if(follows_, [](const std::weak_ptr<LogFollow>& other) { return other.expired(); });
        follows_.push_back(follow);
        node->FollowLogs(uid, std::move(options), follow);
        done(true);
      });
  return std::make_unique<FollowHandle>(std::move(follow));
}

void EmbeddedCluster::Enqueue(Call call) {
  loop_.Post([this, call = std::move(call)]() mutable {
    queue_.push_back(std::move(call));
    if (std::exchange(batch_scheduled_, true)) return;
    // Behind the calls that wait already: together they are one transaction.
    loop_.Post([this] { ProcessBatch(); });
  });
}

template <class T>
void EmbeddedCluster::Submit(std::function<absl::StatusOr<T>()> attempt, Callback<T> done) {
  auto outcome = std::make_shared<absl::StatusOr<T>>();
  Enqueue({[outcome, attempt = std::move(attempt)] { *outcome = attempt(); },
           [outcome, done = std::move(done)](absl::Status committed) mutable {
             if (!committed.ok()) *outcome = std::move(committed);
             done(std::move(*outcome));
           }});
}

template <class T>
void EmbeddedCluster::SubmitToNode(const ObjectRef& pod, Callback<T> done,
                                   absl::AnyInvocable<void(NodeRuntime*, const std::string&, Callback<T>)> call) {
  auto found = [this, done = std::move(done), call = std::move(call)](absl::StatusOr<Object> pod) mutable {
    if (!pod.ok()) return done(pod.status());
    if (node_ == nullptr) {
      return done(
          absl::FailedPreconditionError(absl::StrCat("no node runs the containers of pod \"", pod->name(), "\" here")));
    }
    call(node_, pod->uid(), std::move(done));
  };
  Submit<Object>([this, pod] { return api_.Get(pod); }, std::move(found));
}

void EmbeddedCluster::ProcessBatch() {
  std::vector<Call> batch = std::exchange(queue_, {});
  batch_scheduled_ = false;
  for (Call& call : batch) call.attempt();
  if (absl::Status committed = Commit(); committed.ok() || batch.size() == 1) {
    for (Call& call : batch) call.finish(committed);
  } else {
    // Of a batch that finds no room, some may: alone, each gets its own answer.
    for (Call& call : batch) {
      call.attempt();
      call.finish(Commit());
    }
  }
  if (garbage_.has_work()) CollectGarbage();
}

absl::Status EmbeddedCluster::Commit() {
  if (store_.uncommitted().empty()) return absl::OkStatus();
  if (absl::Status written = database_->Write(store_.uncommitted(), store_.version()); !written.ok()) {
    // Each caller is told; the log need not say it for each.
    LOG_EVERY_T(ERROR, 10) << written;
    store_.Rollback();
    return written;
  }
  // Before the callers hear that their write is done: a controller's cache is
  // then rarely behind its own writes.
  for (const Change& change : store_.Commit()) {
    garbage_.Observe(change);
    watches_.Deliver(change);
  }
  return absl::OkStatus();
}

void EmbeddedCluster::CollectGarbage() {
  if (garbage_scheduled_) return;
  garbage_scheduled_ = true;
  Enqueue({[this] { garbage_.Collect(); },
           [this](absl::Status committed) {
             if (!committed.ok()) {
               loop_.After(kGarbageRetry, [this] {
                 garbage_scheduled_ = false;
                 CollectGarbage();
               });
               return;
             }
             garbage_.Committed();
             garbage_scheduled_ = false;
           }});
}

void EmbeddedCluster::ExpireEvents() {
  Enqueue({[this] {
             const absl::Time oldest = now_() - kEventLifetime;
             std::vector<Key> expired;
             store_.ForEach([&](const Key& key, const Object& object) {
               if (key.resource == GroupResource(EventKind()) && EventTime(object) < oldest) expired.push_back(key);
             });
             for (const Key& key : expired) store_.Remove(key);
           },
           [this](absl::Status) { loop_.After(kEventSweepInterval, [this] { ExpireEvents(); }); }});
}

}  // namespace unmcp::kube
