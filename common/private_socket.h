// Unix sockets between unmcp's own processes, which only their user may open.
#ifndef UNMCP_COMMON_PRIVATE_SOCKET_H_
#define UNMCP_COMMON_PRIVATE_SOCKET_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace unmcp {

// sockaddr_un's, less the NUL at its end.
inline constexpr size_t kMaxSocketPath = 107;

// gRPC's address of a Unix socket ("unix:…"), whatever characters are in its
// path.
std::string UnixAddress(const std::string& path);

// The right to listen at a path. Held by an flock on PATH.lock, which the
// kernel lets go of when the process ends, however it ends: so a socket file
// that an earlier process has left is known to be nobody's, and is removed.
//
// Who may connect is a matter of file modes: the socket has 0600, and a
// directory that is made for it 0700.
//
//   UNMCP_ASSIGN_OR_RETURN(auto socket, PrivateSocket::Claim(path, "unmcp-apiserver"));
//   builder.AddListeningPort(socket->address(), grpc::InsecureServerCredentials());
//   UNMCP_RETURN_IF_ERROR(socket->Bind([&] { server = builder.BuildAndStart(); }));
//
// Thread compatible.
class PrivateSocket {
 public:
  // Errors say what to do, and name `who` listens there:
  //   INVALID_ARGUMENT     the path is too long for a socket
  //   FAILED_PRECONDITION  another process, which is named, has it
  //   others, by errno     the directory cannot be made or written
  static absl::StatusOr<std::unique_ptr<PrivateSocket>> Claim(const std::string& path, const std::string& who);
  // Removes the socket. After what listens there is gone.
  ~PrivateSocket();

  const std::string& path() const { return path_; }
  std::string address() const { return UnixAddress(path_); }

  // Runs `listen`, which makes the socket, under a umask that leaves others no
  // way in; nothing when there is no socket then, which is for the caller to
  // notice. The umask is the process's: while this runs, what other threads
  // create gets no permissions for others either.
  absl::Status Bind(absl::FunctionRef<void()> listen);

 private:
  PrivateSocket(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  const std::string path_;
  const int lock_;
};

}  // namespace unmcp

#endif  // UNMCP_COMMON_PRIVATE_SOCKET_H_
