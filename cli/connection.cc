#include "cli/connection.h"

#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/api_client.h"
#include "cli/endpoints.h"

namespace unmcp {
namespace {

// Where HTTP usually is on the host of a gRPC address.
std::string HttpBeside(const std::string& grpc) {
  if (absl::StartsWith(grpc, "unix:")) return kDefaultHttp;
  return absl::StrCat("http://", grpc.substr(0, grpc.rfind(':')), ":8080");
}

}  // namespace

std::string CheckServerAddress(const std::string& text) {
  if (absl::StartsWith(text, "unix:") && text.size() > 5) return "";
  const size_t colon = text.rfind(':');
  int port;
  if (!absl::StrContains(text, '/') && colon != std::string::npos && colon > 0 &&
      absl::SimpleAtoi(text.substr(colon + 1), &port) && port > 0 && port <= 65535) {
    return "";
  }
  return absl::StrCat("must be HOST:PORT of unmcp's gRPC API, or unix:PATH, not \"", text, "\"");
}

absl::StatusOr<Connection> FindConnection(const ConnectionOptions& options, Environment environment) {
  std::string server = options.server;
  if (server.empty() && options.data_dir.empty()) server = environment("UNMCP_SERVER").value_or("");
  std::optional<std::string> directory = options.data_dir;
  if (directory->empty()) directory = DefaultDataDir(environment);
  const std::optional<Endpoints> written = directory ? ReadEndpoints(*directory) : std::nullopt;

  if (!server.empty()) {
    if (const std::string problem = CheckServerAddress(server); !problem.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(options.server.empty() ? "UNMCP_SERVER" : "--server", ": ", problem));
    }
    const bool known = written && written->grpc == server && !written->http.empty();
    return Connection{.places = {{server, known ? written->http : HttpBeside(server)}}, .flags = {"--server", server}};
  }
  if (!options.data_dir.empty()) {
    if (!written) {
      return absl::FailedPreconditionError(
          absl::StrCat("no unmcp runs on the data directory ", options.data_dir, ": start it with `unmcp up --data-dir ",
                       options.data_dir, "`, or name its address with --server"));
    }
    std::error_code ignored;
    return Connection{.places = {{written->grpc, written->http}},
                      .data_dir = options.data_dir,
                      .flags = {"--data-dir", std::filesystem::absolute(options.data_dir, ignored).string()}};
  }
  Connection connection{.data_dir = directory.value_or("")};
  if (written) {
    connection.places.push_back({written->grpc, written->http});
    // Others may not have the variable that the default depends on.
    if (environment("XDG_DATA_HOME")) connection.flags = {"--data-dir", *directory};
  }
  if (!written || written->grpc != kDefaultServer) connection.places.push_back({kDefaultServer, kDefaultHttp});
  return connection;
}

}  // namespace unmcp
