#include "tests/bench/load.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/bench/process_tree.h"

namespace unmcp::bench {
namespace {

constexpr char kInitialize[] =
    R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},)"
    R"("clientInfo":{"name":"load","version":"1"}}})";
constexpr char kInitialized[] = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";

// Ids of different sessions never meet: one of the peers sends every answer to
// every session, with the id that the client chose.
constexpr int64_t kIdsPerSession = 100'000'000;

double CpuSeconds() {
  rusage use;
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) { return t.tv_sec + t.tv_usec / 1e6; };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

// The value at a share of the sorted values.
double Percentile(const std::vector<float>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * sorted.size()))];
}

class Load : public SseSession::Listener {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)), clients_(options.sessions) {}
  ~Load() override {
    clients_.clear();
    close(epoll_);
  }

  absl::StatusOr<nlohmann::json> Run() {
    nlohmann::json result;
    if (options_.bridge != 0) Memory("before", result);
    for (int i = 0; i < options_.sessions; ++i) {
      clients_[i].session = std::make_unique<SseSession>(epoll_, options_.target, i, this);
      clients_[i].opened = absl::Now();
      clients_[i].session->Open();
      // A few at a time: this measures bridges, not the kernel's accept queue.
      constexpr int kOpeningAtOnce = 16;
      UntilTrue([&] { return i + 1 - ready_ < kOpeningAtOnce; });
    }
    UntilTrue([&] { return ready_ == options_.sessions; });
    if (!error_.ok()) return error_;
    if (options_.bridge != 0) Memory("open", result);
    result["connect_us"] = absl::ToDoubleMicroseconds(slowest_connect_);
    if (options_.measure > absl::ZeroDuration()) {
      for (Client& client : clients_) Call(client);
      Until(absl::Now() + options_.warm_up);
      Measure(result);
    }
    if (!error_.ok()) return error_;
    return result;
  }

  void OnEndpoint(SseSession& session) override { session.Post(kInitialize); }

  void OnMessage(SseSession& session, std::string_view json) override {
    Client& client = clients_[session.index()];
    if (client.state == State::kInitializing) {
      if (json.find("\"serverInfo\"") == std::string_view::npos) return;
      slowest_connect_ = std::max(slowest_connect_, absl::Now() - client.opened);
      client.state = State::kInitialized;
      if (client.posted) PostInitialized(client);
      return;
    }
    if (json.find(client.id_member) == std::string_view::npos) return;  // another session's
    last_progress_ = absl::Now();
    if (measuring_) latencies_us_.push_back(absl::ToDoubleMicroseconds(last_progress_ - client.sent));
    if (json.find(client.text) == std::string_view::npos) ++wrong_;
    client.answered = true;
    if (client.posted) Call(client);
  }

  void OnPosted(SseSession& session, int status) override {
    if (status < 200 || status > 299) return OnError(session, absl::StrCat("POST: status ", status));
    Client& client = clients_[session.index()];
    client.posted = true;
    if (client.state == State::kInitialized) {
      PostInitialized(client);
    } else if (client.state == State::kReady && !client.ready_counted) {
      client.ready_counted = true;
      ++ready_;
      last_progress_ = absl::Now();
    } else if (client.answered) {
      Call(client);
    }
  }

  void OnError(SseSession& session, const std::string& why) override {
    if (error_.ok()) error_ = absl::UnavailableError(absl::StrCat("session ", session.index(), ": ", why));
  }

 private:
  enum class State { kInitializing, kInitialized, kReady };
  struct Client {
    std::unique_ptr<SseSession> session;
    State state = State::kInitializing;
    absl::Time opened, sent;
    bool posted = false;         // the last POST was answered
    bool answered = false;       // the call's answer has come
    bool ready_counted = false;
    int64_t calls = 0;
    std::string id_member, text, call;  // of the call in flight
  };

  void PostInitialized(Client& client) {
    client.state = State::kReady;
    client.posted = false;
    client.session->Post(kInitialized);
  }

  void Call(Client& client) {
    const int64_t id = (client.session->index() + 1) * kIdsPerSession + ++client.calls;
    client.id_member = absl::StrCat("\"id\":", id);
    client.text = absl::StrCat("call ", id, " ");
    client.text.resize(std::max(client.text.size(), options_.payload), 'x');
    client.call = absl::StrCat(R"({"method":"tools/call","params":{"name":"echo","arguments":{"text":")", client.text,
                               R"("}},"jsonrpc":"2.0",)", client.id_member, "}");
    client.posted = client.answered = false;
    client.sent = absl::Now();
    client.session->Post(client.call);
  }

  // Serves events until `done`, an error, or no progress.
  template <typename Done>
  void UntilTrue(Done done) {
    last_progress_ = absl::Now();
    while (error_.ok() && !done()) {
      constexpr int kEvents = 256;
      epoll_event events[kEvents];
      const int n = epoll_wait(epoll_, events, kEvents, /*timeout=*/100);
      for (int i = 0; i < n; ++i) {
        clients_[events[i].data.u64 >> 1].session->OnReadable(events[i].data.u64 & 1);
      }
      if (n <= 0 && absl::Now() - last_progress_ > options_.patience) {
        error_ = absl::DeadlineExceededError(absl::StrCat("nothing came back for ",
                                                          absl::FormatDuration(options_.patience), "; ", ready_, " of ",
                                                          options_.sessions, " sessions were open"));
      }
    }
  }
  void Until(absl::Time end) {
    UntilTrue([end] { return absl::Now() >= end; });
  }

  void Memory(const std::string& when, nlohmann::json& result) {
    const ProcessTree tree = ReadProcessTree(options_.bridge, options_.exclude);
    result["rss_" + when] = tree.rss_bytes;
    result["pss_" + when] = tree.pss_bytes;
  }

  void Measure(nlohmann::json& result) {
    ProcessTree before, after;
    if (options_.bridge != 0) before = ReadProcessTree(options_.bridge, options_.exclude);
    const double own_before = CpuSeconds();
    const absl::Time begin = absl::Now();
    measuring_ = true;
    Until(begin + options_.measure);
    measuring_ = false;
    const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
    const double own = CpuSeconds() - own_before;
    if (options_.bridge != 0) after = ReadProcessTree(options_.bridge, options_.exclude);

    std::sort(latencies_us_.begin(), latencies_us_.end());
    const double calls = latencies_us_.size();
    result["calls"] = latencies_us_.size();
    result["wrong"] = wrong_;
    result["calls_per_second"] = calls / seconds;
    result["p50_us"] = Percentile(latencies_us_, 0.50);
    result["p99_us"] = Percentile(latencies_us_, 0.99);
    result["max_us"] = Percentile(latencies_us_, 1);
    result["load_cpu_us_per_call"] = own * 1e6 / calls;
    if (options_.bridge == 0) return;
    const auto use = [&](const ThreadUse& end, const ThreadUse& start) {
      nlohmann::json json;
      const double user = (end.user_seconds - start.user_seconds) * 1e6 / calls;
      const double system = (end.system_seconds - start.system_seconds) * 1e6 / calls;
      json["cpu_us_per_call"] = user + system;
      json["user_us_per_call"] = user;
      json["system_us_per_call"] = system;
      json["switches_per_call"] = (end.context_switches - start.context_switches) / calls;
      return json;
    };
    result.update(use(after.total(), before.total()));
    for (const auto& [name, end] : after.threads) result["threads"][name] = use(end, before.threads[name]);
  }

  const LoadOptions options_;
  const int epoll_;
  std::vector<Client> clients_;
  int ready_ = 0;  // sessions that are initialized
  absl::Duration slowest_connect_;
  absl::Time last_progress_;
  bool measuring_ = false;
  int64_t wrong_ = 0;
  std::vector<float> latencies_us_;
  absl::Status error_;
};

// A server whose pipes we hold.
class Child {
 public:
  static absl::StatusOr<std::unique_ptr<Child>> Start(const std::vector<std::string>& command) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
    auto child = std::unique_ptr<Child>(new Child(in[1], out[0]));
    std::vector<char*> argv;
    for (const std::string& arg : command) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    const int error = posix_spawnp(&child->pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", command[0]));
    return child;
  }
  ~Child() {
    close(in_);
    close(out_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }

  // Sends a message and waits for a line.
  absl::Status Exchange(const std::string& message) {
    if (write(in_, message.data(), message.size()) != static_cast<ssize_t>(message.size())) {
      return absl::UnavailableError("the server does not read");
    }
    char buffer[4096];
    ssize_t n;
    do {
      n = read(out_, buffer, sizeof(buffer));
      if (n <= 0) return absl::UnavailableError("the server ended");
    } while (buffer[n - 1] != '\n');
    return absl::OkStatus();
  }

 private:
  Child(int in, int out) : in_(in), out_(out) {}
  const int in_, out_;
  pid_t pid_ = 0;
};

}  // namespace

absl::StatusOr<nlohmann::json> RunLoad(const LoadOptions& options) { return Load(options).Run(); }

absl::StatusOr<nlohmann::json> RunDirect(const std::vector<std::string>& command, int times, int calls) {
  std::vector<float> spawn_us;
  nlohmann::json result;
  for (int i = 0; i < times; ++i) {
    const absl::Time begin = absl::Now();
    auto child = Child::Start(command);
    if (!child.ok()) return child.status();
    if (auto status = (*child)->Exchange(absl::StrCat(kInitialize, "\n")); !status.ok()) return status;
    spawn_us.push_back(absl::ToDoubleMicroseconds(absl::Now() - begin));
    if (i + 1 < times || calls == 0) continue;
    const std::string call = absl::StrCat(
        R"({"method":"tools/call","params":{"name":"echo","arguments":{"text":")", std::string(64, 'x'),
        R"("}},"jsonrpc":"2.0","id":1})", "\n");
    const absl::Time first = absl::Now();
    for (int n = 0; n < calls; ++n) {
      if (auto status = (*child)->Exchange(call); !status.ok()) return status;
    }
    result["calls_per_second"] = calls / absl::ToDoubleSeconds(absl::Now() - first);
  }
  std::sort(spawn_us.begin(), spawn_us.end());
  result["spawn_us"] = Percentile(spawn_us, 0.5);
  return result;
}

}  // namespace unmcp::bench
