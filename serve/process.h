// What all of unmcp's programs have in common: how they begin, and how they end.
#ifndef UNMCP_SERVE_PROCESS_H_
#define UNMCP_SERVE_PROCESS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/event_loop.h"

namespace unmcp {

// Thread safety: methods from the main thread.
class Program {
 public:
  virtual ~Program() = default;
  // Begins. What waits for other processes does not wait here.
  virtual absl::Status Start() = 0;
  // Ends in good order, within 8 s.
  virtual void Stop() = 0;
};

// Ends the program with an error. From any thread.
using Fatal = std::function<void(absl::Status why)>;

// Runs a program until SIGINT, SIGTERM or SIGHUP, or until it calls Fatal, and
// answers main's exit code; errors go to stderr after `name`. `create` is
// called before there is a second thread. What does not stop in time is ended:
// whoever stops services kills after 10 s.
//
//   return RunProgram("unmcp-gateway", [&](Fatal) { return GatewayProgram::Create(options); });
int RunProgram(const char* name, absl::FunctionRef<absl::StatusOr<std::unique_ptr<Program>>(Fatal fatal)> create);

// Runs `step` on `loop`, which turns, and waits for the `done` that it is given.
void RunOn(EventLoop* loop, absl::AnyInvocable<void(absl::AnyInvocable<void()> done)> step);

// Where clients reach us.
std::string HostPort(const std::string& host, int port);
std::string HttpUrl(const std::string& host, int port);

// Where parts with the same data directory find each other.
std::string ClusterSocketIn(const std::string& data_dir);
std::string ApiserverSocketIn(const std::string& data_dir);
// An apiserver has two sockets: of its internal services, at the path that it
// is given, and of the API, beside it. Who may use the API is another question
// than who may publish state.
std::string ApiSocketBeside(const std::string& apiserver_socket);

}  // namespace unmcp

#endif  // UNMCP_SERVE_PROCESS_H_
