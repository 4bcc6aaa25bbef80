// Owns a file descriptor.
#ifndef UNMCP_BRIDGE_FD_H_
#define UNMCP_BRIDGE_FD_H_

#include <utility>

namespace unmcp::bridge {

// Closes its descriptor when it is destroyed or assigned to. Thread compatible.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace unmcp::bridge

#endif  // UNMCP_BRIDGE_FD_H_
