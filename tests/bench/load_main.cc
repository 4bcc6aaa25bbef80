// The benchmark's load generator; tests/bench/run drives it. Prints one JSON
// object.
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/load.h"

int main(int argc, char** argv) {
  CLI::App app("Load on an MCP bridge over HTTP+SSE, and what it costs");
  app.require_subcommand(1);

  unmcp::bench::LoadOptions options;
  std::string url;
  double seconds = 0, warm_up = 1;
  CLI::App* sse = app.add_subcommand("sse", "Sessions over HTTP+SSE, one call in flight in each");
  sse->add_option("--url", url, "The stream's URL: http://127.0.0.1:PORT/PATH")->required();
  sse->add_option("--sessions", options.sessions, "How many");
  sse->add_option("--seconds", seconds, "How long to measure; 0 only opens the sessions");
  sse->add_option("--warm-up", warm_up, "Seconds of load before that");
  sse->add_option("--payload", options.payload, "Bytes of text in each call");
  sse->add_option("--bridge", options.bridge, "Process whose tree is measured");
  sse->add_option("--exclude", options.exclude, "Name of the processes in that tree that do not count");

  int times = 20, calls = 0;
  std::vector<std::string> command;
  CLI::App* direct = app.add_subcommand("direct", "A stdio server with no bridge");
  direct->add_option("--times", times, "How many starts")->check(CLI::PositiveNumber);
  direct->add_option("--calls", calls, "Calls after the last start");
  direct->add_option("command", command, "The server")->required();
  CLI11_PARSE(app, argc, argv);

  options.measure = absl::Seconds(seconds);
  options.warm_up = absl::Seconds(warm_up);
  if (*sse && !unmcp::bench::ParseUrl(url, options.target)) {
    std::cerr << "load: not of the form http://IPV4:PORT/PATH: " << url << "\n";
    return 2;
  }
  const auto result =
      *sse ? unmcp::bench::RunLoad(options) : unmcp::bench::RunDirect(command, times, calls);
  if (!result.ok()) {
    std::cerr << "load: " << result.status().message() << "\n";
    return 1;
  }
  std::cout << result->dump() << std::endl;
  return 0;
}
