#include "cli/endpoints.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/proto_json.h"
#include "serve/process.h"

namespace unmcp {
namespace {

std::string PathIn(const std::string& data_dir) { return data_dir + "/endpoints.json"; }

}  // namespace

std::string ClientAddress(const std::string& host, int port) {
  if (host == "0.0.0.0") return absl::StrCat("127.0.0.1:", port);
  if (host == "::") return absl::StrCat("[::1]:", port);
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::Status WriteEndpoints(const std::string& data_dir, const Endpoints& endpoints) {
  const std::string path = PathIn(data_dir), next = path + ".next";
  std::ofstream(next) << JsonText({{"grpc", endpoints.grpc}, {"http", endpoints.http}, {"pid", endpoints.pid}}) << "\n";
  if (rename(next.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot write ", path, ": ", strerror(errno)));
}

std::optional<Endpoints> ReadEndpoints(const std::string& data_dir) {
  std::ifstream file(PathIn(data_dir));
  if (!file) {
    // Programs of their own share their data directory; the gateway is where it is by default.
    const std::string socket = ApiSocketBeside(ApiserverSocketIn(data_dir));
    std::error_code ignored;
    if (!std::filesystem::exists(socket, ignored)) return std::nullopt;
    return Endpoints{.grpc = "unix:" + std::filesystem::absolute(socket, ignored).string(), .http = kDefaultHttp};
  }
  const auto json = ParseJson(std::string(std::istreambuf_iterator<char>(file), {}));
  if (!json.ok() || !json->is_object()) return std::nullopt;
  const auto text = [&](const char* key) {
    const auto it = json->find(key);
    return it != json->end() && it->is_string() ? it->get<std::string>() : "";
  };
  Endpoints endpoints{.grpc = text("grpc"), .http = text("http")};
  if (const auto pid = json->find("pid"); pid != json->end() && pid->is_number_integer()) endpoints.pid = *pid;
  if (endpoints.grpc.empty()) return std::nullopt;
  return endpoints;
}

void RemoveEndpoints(const std::string& data_dir) { unlink(PathIn(data_dir).c_str()); }

}  // namespace unmcp
