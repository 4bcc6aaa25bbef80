#include "kube/embedded/limits.h"

#include <cmath>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace unmcp::kube {
namespace {

// Below 2^63 thousandths; a long double holds every integer up to there.
constexpr long double kMaxMillis = 9.2e18L;

// The suffixes that begin with a letter that is no exponent.
std::optional<long double> Multiplier(absl::string_view suffix) {
  static constexpr absl::string_view kNames[] = {"k", "M", "G", "T", "P", "E"};
  if (suffix.empty()) return 1.0L;
  if (suffix == "m") return 1e-3L;
  if (suffix == "u") return 1e-6L;
  if (suffix == "n") return 1e-9L;
  const bool binary = absl::ConsumeSuffix(&suffix, "i");
  for (int i = 0; i < 6; ++i) {
    // "Ki", and yet "k".
    if (suffix != kNames[i] && !(binary && i == 0 && suffix == "K")) continue;
    if (binary && suffix == "k") return std::nullopt;
    return std::pow(binary ? 1024.0L : 1000.0L, i + 1);
  }
  return std::nullopt;
}

absl::StatusOr<int64_t> Amount(const Json& limits, const char* name) {
  auto it = limits.find(name);
  if (it == limits.end() || it->is_null()) return 0;
  const auto millis = ParseQuantityMillis(it->is_string() ? it->get<std::string>() : it->dump());
  if (!millis) {
    return absl::InvalidArgumentError(absl::StrCat("spec.containers[0].resources.limits.", name, ": ", it->dump(),
                                                   " is not a quantity; write it like \"512Mi\" or \"500m\""));
  }
  return *millis;
}

}  // namespace

std::optional<int64_t> ParseQuantityMillis(absl::string_view text) {
  size_t digits = text.find_first_not_of("0123456789.");
  if (digits == absl::string_view::npos) digits = text.size();
  absl::string_view suffix = text.substr(digits);
  // "1e3" and "1E3" are exponents, "1E" is a suffix.
  if (suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E')) {
    digits = text.size();
    suffix = "";
  }
  double number = 0;
  if (digits == 0 || !absl::SimpleAtod(text.substr(0, digits), &number)) return std::nullopt;
  const std::optional<long double> multiplier = Multiplier(suffix);
  if (!multiplier || number < 0) return std::nullopt;
  // 0.1 is a little more than a tenth: that is no reason to round up.
  const long double millis = static_cast<long double>(number) * *multiplier * 1000;
  if (!(millis < kMaxMillis)) return std::nullopt;
  return static_cast<int64_t>(std::ceil(millis * (1 - 1e-15L)));
}

absl::StatusOr<ContainerLimits> LimitsOf(const Json& container) {
  ContainerLimits result;
  auto resources = container.find("resources");
  if (resources == container.end() || !resources->is_object()) return result;
  auto limits = resources->find("limits");
  if (limits == resources->end() || !limits->is_object()) return result;
  const absl::StatusOr<int64_t> memory = Amount(*limits, "memory");
  if (!memory.ok()) return memory.status();
  const absl::StatusOr<int64_t> cpu = Amount(*limits, "cpu");
  if (!cpu.ok()) return cpu.status();
  result.memory_bytes = *memory / 1000;
  result.cpu_millis = *cpu;
  return result;
}

}  // namespace unmcp::kube
