// The lines that `unmcp up` prints after "ready …": one for each server, once,
// when it is known what the server is or why it does not run.
//
//   ready http://127.0.0.1:8080
//     everything   Asleep     13 tools    http://127.0.0.1:8080/api/v1/servers/everything/sse
//     broken       Degraded   npx: command not found
#ifndef UNMCP_CLI_SERVER_TABLE_H_
#define UNMCP_CLI_SERVER_TABLE_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kube/object.h"

namespace unmcp {

// Thread compatible.
class ServerTable {
 public:
  // `base_url` is "http://HOST:PORT". `names` are the servers that are
  // expected: columns are as wide as these need.
  ServerTable(std::string base_url, const std::vector<std::string>& names);

  // The line for `server`, without its end, the first time that its status
  // answers; nullopt before that and afterwards.
  std::optional<std::string> Observe(const kube::Object& server);

 private:
  const std::string base_url_;
  size_t name_width_ = 0;
  std::set<std::string> printed_;  // uids
};

}  // namespace unmcp

#endif  // UNMCP_CLI_SERVER_TABLE_H_
