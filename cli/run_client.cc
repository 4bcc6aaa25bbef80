// Runs a client command on this process's streams.

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <filesystem>
#include <iostream>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "cli/client_commands.h"
#include "cli/endpoints.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

std::string ThisProgram() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "unmcp" : path.string();
}

absl::Status Run(const ClientCommand& command, Environment environment) {
  UNMCP_ASSIGN_OR_RETURN(const Connection connection, FindConnection(command.connection, environment));
  ApiClient::Options options;
  options.addresses.clear();
  for (const Connection::Place& place : connection.places) options.addresses.push_back(place.grpc);
  if (!connection.data_dir.empty()) {
    options.address_now = [&] {
      const std::optional<Endpoints> endpoints = ReadEndpoints(connection.data_dir);
      return endpoints ? endpoints->grpc : "";
    };
  }
  ApiClient api(std::move(options));
  UNMCP_RETURN_IF_ERROR(api.Connect());
  Context context = {.api = api,
                     .in = std::cin,
                     .out = std::cout,
                     .err = std::cerr,
                     .terminal = Terminal::OfProcess(environment),
                     .program = ThisProgram(),
                     .connection_flags = connection.flags};
  for (const Connection::Place& place : connection.places) {
    if (place.grpc == api.address()) context.http_url = place.http;
  }
  return command.run(context);
}

}  // namespace

int RunClientCommand(const ClientCommand& command, Environment environment) {
  // Whoever reads our output has had enough of it: that is no error to talk
  // about. Not inherited from a parent that ignores it.
  signal(SIGPIPE, SIG_DFL);
  // The library's own messages are for those who debug it.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  const absl::Status status = Run(command, environment);
  if (!status.ok() && !status.message().empty()) std::cerr << ErrorText(status) << std::endl;
  errno = 0;
  if (!std::cout.flush()) {
    std::cerr << "error: cannot write the output" << (errno != 0 ? absl::StrCat(": ", strerror(errno)) : "") << "\n";
    return 1;
  }
  return status.ok() ? 0 : 1;
}

}  // namespace unmcp
