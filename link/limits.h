// The Link's bounds. Both ends are built from the same source, so these are
// part of its protocol.
#ifndef UNMCP_LINK_LIMITS_H_
#define UNMCP_LINK_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace unmcp::link {

// Payload bytes per Data frame: large messages travel in pieces, so that they
// do not hold up small ones behind them on the shared stream.
inline constexpr size_t kPieceBytes = 64 * 1024;

// Payload bytes an exchange may have under way in one direction before the
// receiver gives credit: four pieces keep a fast reader busy, and are what a
// reader that has stopped costs on the far side.
inline constexpr int64_t kInitialCredit = 4 * kPieceBytes;

// Credit is given back in lumps of this size: small messages need none.
inline constexpr int64_t kCreditLump = kPieceBytes;

// A batch is closed when it has grown beyond this: gRPC's default limit of a
// message is 4 MiB, and a batch is held whole on both sides.
inline constexpr size_t kBatchBytes = 256 * 1024;

// The largest message a client may send. 10 MB messages exist in practice
// (images in base64); the gateway has refused what is larger before.
inline constexpr size_t kMaxRequestBytes = 16 * 1024 * 1024;

}  // namespace unmcp::link

#endif  // UNMCP_LINK_LIMITS_H_
