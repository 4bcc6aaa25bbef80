#include "common/private_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace unmcp {
namespace {

absl::Status CannotUse(const std::string& path, const std::string& what, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("socket ", path, ": cannot ", what, ": ", strerror(error),
                                   "; make its directory writable for this user, or name another socket"));
}

// 0700 each, as of data directories: whoever comes first makes them.
absl::Status MakeDirectory(const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    struct stat info;
    if (mkdir(part.c_str(), 0700) == 0 || (stat(part.c_str(), &info) == 0 && S_ISDIR(info.st_mode))) continue;
    return CannotUse(path, absl::StrCat("create ", part), errno);
  }
  return absl::OkStatus();
}

}  // namespace

std::string UnixAddress(const std::string& path) {
  std::string address = "unix:";
  for (const char c : path) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("/-._~", absl::string_view(&c, 1))) {
      address.push_back(c);
    } else {
      absl::StrAppend(&address, "%", absl::BytesToHexString(absl::string_view(&c, 1)));
    }
  }
  return address;
}

absl::StatusOr<std::unique_ptr<PrivateSocket>> PrivateSocket::Claim(const std::string& path, const std::string& who) {
  if (path.size() > kMaxSocketPath) {
    return absl::InvalidArgumentError(absl::StrCat("socket ", path, ": the path of a socket has at most ",
                                                   kMaxSocketPath, " bytes; choose a shorter one"));
  }
  if (absl::Status made = MakeDirectory(path); !made.ok()) return made;
  const std::string lock_path = path + ".lock";
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return CannotUse(path, absl::StrCat("write ", lock_path), errno);
  std::unique_ptr<PrivateSocket> socket(new PrivateSocket(path, lock));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return CannotUse(path, absl::StrCat("lock ", lock_path), errno);
    return absl::FailedPreconditionError(
        absl::StrCat("another ", who, " listens on ", path, ": stop it, or name another socket"));
  }
  unlink(path.c_str());
  return socket;
}

PrivateSocket::~PrivateSocket() {
  // Only whoever has the lock may remove the socket; and the lock's file stays,
  // or two processes could hold a lock on two files of one name.
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0) unlink(path_.c_str());
  close(lock_);
}

absl::Status PrivateSocket::Bind(absl::FunctionRef<void()> listen) {
  const mode_t before = umask(0177);
  listen();
  umask(before);
  if (chmod(path_.c_str(), 0600) != 0 && errno != ENOENT) return CannotUse(path_, "restrict it", errno);
  return absl::OkStatus();
}

}  // namespace unmcp
