// Which unmcp a client command speaks to.
#ifndef UNMCP_CLI_CONNECTION_H_
#define UNMCP_CLI_CONNECTION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "serve/flags.h"

namespace unmcp {

// --server and --data-dir of client commands; "" when they are not given.
struct ConnectionOptions {
  std::string server;
  std::string data_dir;
};

struct Connection {
  // For ApiClient: where it may be, likeliest first, and where HTTP is beside it.
  struct Place {
    std::string grpc;
    std::string http;
  };
  std::vector<Place> places;
  // The data directory whose unmcp is meant; "" where an address was given.
  std::string data_dir = "";
  // Flags by which another process, in another directory and environment, finds
  // the same unmcp.
  std::vector<std::string> flags;
};

// "" if `text` is HOST:PORT or unix:PATH, else what is wrong.
std::string CheckServerAddress(const std::string& text);

// In this order: --server, $UNMCP_SERVER, what `unmcp up` has written into
// --data-dir or else the default data directory (see endpoints.h), where it
// listens by default. Whatever a directory says may be of yesterday; only
// where the user has not named one is the default tried after it.
//
// INVALID_ARGUMENT for a wrong $UNMCP_SERVER; FAILED_PRECONDITION when nothing
// runs on --data-dir.
absl::StatusOr<Connection> FindConnection(const ConnectionOptions& options, Environment environment);

}  // namespace unmcp

#endif  // UNMCP_CLI_CONNECTION_H_
