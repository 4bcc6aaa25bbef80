#include "bridge/supervisor_wire.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace unmcp::bridge {
namespace {

// Room for the descriptors of one message, aligned as CMSG_FIRSTHDR wants it.
union ControlBuffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kSpawnFds)];
};

}  // namespace

bool SendCommand(int socket, const Command& command, const CommandFds* fds) {
  iovec iov = {const_cast<Command*>(&command), sizeof(command)};
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  ControlBuffer control = {};
  if (fds != nullptr) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof(control.bytes);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * kSpawnFds);
    int raw[kSpawnFds];
    for (size_t i = 0; i < kSpawnFds; ++i) raw[i] = (*fds)[i].get();
    std::memcpy(CMSG_DATA(header), raw, sizeof(raw));
  }
  ssize_t n;
  do {
    n = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n >= 0;
}

bool ReceiveCommand(int socket, Command* command, CommandFds* fds) {
  iovec iov = {command, sizeof(*command)};
  ControlBuffer control = {};
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  ssize_t n;
  do {
    n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n == 0) errno = 0;
  if (n <= 0) return false;
  size_t at = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count && at < kSpawnFds; ++i) {
      int raw;
      std::memcpy(&raw, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      (*fds)[at++] = Fd(raw);
    }
  }
  return true;
}

}  // namespace unmcp::bridge
