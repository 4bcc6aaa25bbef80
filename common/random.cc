#include "common/random.h"

#include <sys/random.h>

#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"

namespace unmcp {
namespace {

class SystemRandom final : public Random {
 public:
  std::string Id128() override {
    char bytes[16];
    Fill(bytes, sizeof(bytes));
    return absl::BytesToHexString(absl::string_view(bytes, sizeof(bytes)));
  }
  double Uniform() override {
    uint64_t bits;
    Fill(&bits, sizeof(bits));
    return static_cast<double>(bits >> 11) * 0x1.0p-53;
  }

 private:
  // getrandom never gives less than asked for, up to 256 bytes.
  static void Fill(void* out, size_t size) {
    PCHECK(getrandom(out, size, 0) == static_cast<ssize_t>(size)) << "getrandom";
  }
};

}  // namespace

Random* Random::System() {
  static SystemRandom* const random = new SystemRandom;
  return random;
}

std::string NewUuid(Random* random) {
  std::string hex = random->Id128();
  hex[12] = '4';
  hex[16] = "89ab"[(hex[16] <= '9' ? hex[16] - '0' : hex[16] - 'a' + 10) & 3];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

}  // namespace unmcp
