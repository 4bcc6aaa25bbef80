// What Scan costs: bazel run -c opt //session:envelope_benchmark
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "session/envelope.h"

namespace unmcp::session {
namespace {

void Run(benchmark::State& state, const std::string& message) {
  Envelope envelope;
  for (auto _ : state) benchmark::DoNotOptimize(Scan(message, &envelope));
  state.SetBytesProcessed(state.iterations() * message.size());
}

void SmallCall(benchmark::State& state) {
  Run(state,
      R"({"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"},)"
      R"("_meta":{"progressToken":17}}})");
}
BENCHMARK(SmallCall);

void StringOf(benchmark::State& state, const std::string& piece) {
  std::string text;
  while (text.size() < 1'000'000) text += piece;
  Run(state,
      absl::StrCat(R"({"result":{"content":[{"type":"image","data":")", text, R"("}]},"jsonrpc":"2.0","id":1})"));
}
void Base64Megabyte(benchmark::State& state) {
  StringOf(state, "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk");
}
BENCHMARK(Base64Megabyte);
// Source code, as people read it through a file server: an escape per line.
void CodeMegabyte(benchmark::State& state) {
  StringOf(state, R"(  for (int i = 0; i < n; ++i) { out << \"x\" << i; }\n)");
}
BENCHMARK(CodeMegabyte);
void GreekMegabyte(benchmark::State& state) {
  StringOf(state, "\xCE\xB5\xCE\xBB\xCE\xBB\xCE\xB7\xCE\xBD\xCE\xB9\xCE\xBA\xCE\xAC ");
}
BENCHMARK(GreekMegabyte);

}  // namespace
}  // namespace unmcp::session
