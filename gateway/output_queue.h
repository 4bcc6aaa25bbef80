// What waits to be written to a socket: pieces are gathered until somebody
// flushes, and then leave in as few system calls as the kernel allows.
#ifndef UNMCP_GATEWAY_OUTPUT_QUEUE_H_
#define UNMCP_GATEWAY_OUTPUT_QUEUE_H_

#include <cstddef>
#include <string>
#include <vector>

namespace unmcp::gateway {

// Thread safety: none.
class OutputQueue {
 public:
  // Adds bytes as they are.
  void AddRaw(std::string bytes);
  // Adds bytes of a body. With set_chunked, all that were added since the last
  // Flush become one chunk.
  void AddBody(std::string bytes, size_t credit);
  // Ends the body (with the last chunk, when chunked).
  void EndBody();
  void set_chunked(bool chunked) { chunked_ = chunked; }

  bool empty() const { return pieces_.empty(); }

  struct Result {
    size_t credit = 0;     // of pieces that have left entirely
    bool progress = false;  // a byte was taken
    bool failed = false;    // the socket is broken
  };
  // Writes as much as the socket takes without blocking.
  Result Flush(int fd);

 private:
  struct Piece {
    std::string bytes;
    size_t credit = 0;
  };

  void Add(std::string bytes, size_t credit);
  void CloseChunk();

  std::vector<Piece> pieces_;
  size_t written_ = 0;      // of the first piece
  size_t chunk_begin_ = 0;  // index of the first piece of the open chunk
  size_t chunk_bytes_ = 0;  // 0: no chunk is open
  bool chunked_ = false;
};

}  // namespace unmcp::gateway

#endif  // UNMCP_GATEWAY_OUTPUT_QUEUE_H_
