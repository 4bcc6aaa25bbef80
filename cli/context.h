// What a client command works with. Everything outside the process is here, so
// that a test runs a command as the user does, without a process.
#ifndef UNMCP_CLI_CONTEXT_H_
#define UNMCP_CLI_CONTEXT_H_

#include <functional>
#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/api_client.h"
#include "cli/terminal.h"

namespace unmcp {

// Commands return an error for main to print, with exit code 1; one without a
// message when they have said all there is to say themselves.
struct Context {
  ApiClient& api;    // connected
  std::istream& in;  // what the file "-" is
  std::ostream& out;  // results, and nothing else
  std::ostream& err;  // everything else
  Terminal terminal;
  std::function<absl::Time()> now = absl::Now;
  // Where the messages of `connect` come from and go to.
  int input_fd = 0;
  int output_fd = 1;

  // For configurations of others, who run this command or connect themselves.
  std::string program = "unmcp";               // absolute path
  std::vector<std::string> connection_flags;  // how this command was told where unmcp is
  std::string http_url;                        // http://HOST:PORT
};

}  // namespace unmcp

#endif  // UNMCP_CLI_CONTEXT_H_
