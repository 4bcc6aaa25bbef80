// Whatever the bytes, Scan stays within them, and what it finds lies in them.
// For libFuzzer, and for testing/fuzz_driver.cc where there is none.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "session/envelope.h"
#include "session/json_text.h"

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace unmcp::session;
  // A copy of exactly this size, so that AddressSanitizer sees a step beyond.
  const std::string text(reinterpret_cast<const char*>(data), size);
  Envelope e;
  const Envelope::Kind kind = Scan(text, &e);
  Check(e.offset <= size);
  for (const absl::string_view part :
       {e.jsonrpc, e.id, e.method, e.params, e.result, e.error, e.meta, e.progress_token, e.request_id, e.uri, e.level,
        e.protocol_version, e.capabilities, e.meta_progress_token}) {
    if (part.data() == nullptr) continue;
    Check(!part.empty() && part.data() >= text.data() && part.data() + part.size() <= text.data() + size);
    if (kind == Envelope::Kind::kNotJson) continue;
    // A part of JSON is JSON, and can be read further.
    Envelope inner;
    Check(Scan(part, &inner) != Envelope::Kind::kNotJson);
    FindMember(part, "name");
    CountElements(part);
    StringValue(part);
  }
  return 0;
}
