// Where a running unmcp is reached: `unmcp up` says so in its data directory, and
// client commands look there, so that ports need not be told twice. An
// unmcp-apiserver has a socket there.
//
//   DIR/endpoints.json  {"grpc":"127.0.0.1:9090","http":"http://127.0.0.1:8080","pid":123}
//
// Thread safety: functions only.
#ifndef UNMCP_CLI_ENDPOINTS_H_
#define UNMCP_CLI_ENDPOINTS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace unmcp {

// Where HTTP is when nothing else is known.
inline constexpr char kDefaultHttp[] = "http://127.0.0.1:8080";

struct Endpoints {
  std::string grpc;  // HOST:PORT or unix:PATH
  std::string http;  // http://HOST:PORT
  int64_t pid = 0;
};

// HOST:PORT by which a client on this machine reaches what listens on `host`:
// an address that stands for all of them is none that one can connect to.
std::string ClientAddress(const std::string& host, int port);

// Replaces what is there in one step. Errors name the file.
absl::Status WriteEndpoints(const std::string& data_dir, const Endpoints& endpoints);

// What was written last, else the socket that is there; nullopt when there is nothing, or nothing that makes
// sense. Whoever wrote it may have been killed since: a failed connect tells.
std::optional<Endpoints> ReadEndpoints(const std::string& data_dir);

// For a stop in good order.
void RemoveEndpoints(const std::string& data_dir);

}  // namespace unmcp

#endif  // UNMCP_CLI_ENDPOINTS_H_
