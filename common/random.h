// Identifiers that nobody can guess, behind a seam so that tests can.
#ifndef UNMCP_COMMON_RANDOM_H_
#define UNMCP_COMMON_RANDOM_H_

#include <string>

namespace unmcp {

// Thread safety: implementations are thread safe.
class Random {
 public:
  virtual ~Random() = default;
  // 128 random bits as 32 lower-case hexadecimal digits.
  virtual std::string Id128() = 0;
  // Uniform in [0, 1). For jitter.
  virtual double Uniform() = 0;

  // The kernel's generator. Lives for ever.
  static Random* System();
};

// An RFC 4122 version 4 UUID made of Id128's bits.
std::string NewUuid(Random* random);

}  // namespace unmcp

#endif  // UNMCP_COMMON_RANDOM_H_
