// Runs a libFuzzer entry as a test: the same mutations of a few seeds each time.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main() {
  const std::string seeds[] = {
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":"t"}}})",
      R"({"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}},"jsonrpc":"2.0","id":"\u0061"})",
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":-1.5e+3,"uri":"file:\/\/x"}})",
      "[{\"level\":\"\xC3\xA9\xF0\x9F\x98\x80\"},[[]],true,null]",
  };
  std::mt19937 rng(1);
  for (int i = 0; i < 50'000; ++i) {
    std::string text = seeds[rng() % std::size(seeds)];
    for (int changes = rng() % 6; changes > 0 && !text.empty(); --changes) {
      const size_t at = rng() % text.size();
      switch (rng() % 4) {
        case 0: text[at] = static_cast<char>(rng()); break;
        case 1: text.erase(at, 1 + rng() % 10); break;
        case 2: text.insert(at, text.substr(rng() % text.size(), rng() % 20)); break;
        case 3: text.insert(at, 1, "\"\\{}[]:,u0\n"[rng() % 11]); break;
      }
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }
  return 0;
}
