#include "kube/embedded/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace unmcp::kube {
namespace {

absl::Status CannotUse(const std::string& path, const std::string& what, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("data directory ", path, ": cannot ", what, ": ", strerror(error),
                                   "; make it writable for this user, or name another with --data-dir"));
}

absl::Status MakeDirectories(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      const int error = errno;
      // Of a read-only parent mkdir may say so before it says "exists".
      struct stat info;
      if (stat(part.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return CannotUse(path, absl::StrCat("create ", part), error);
      }
    }
    if (end == std::string::npos) return absl::OkStatus();
  }
}

// Whether `path` is used by nobody else: it has no files but ours, and sockets.
bool IsOursAlone(const std::string& path) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name != "lock" && !absl::StartsWith(name, "state.db") && !it->is_socket(error)) return false;
  }
  return !error;
}

// Takes from others what they may do with the directory.
absl::Status MakePrivate(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return CannotUse(path, "look at it", errno);
  if ((info.st_mode & 077) == 0 || info.st_uid != geteuid() || !IsOursAlone(path)) return absl::OkStatus();
  if (chmod(path.c_str(), info.st_mode & 0700) != 0) return CannotUse(path, "make it private (chmod 0700)", errno);
  return absl::OkStatus();
}

std::string HolderOf(int fd) {
  char buffer[32];
  const ssize_t size = pread(fd, buffer, sizeof(buffer), 0);
  if (size <= 0) return "";
  return absl::StrCat(" (process ", absl::StripSuffix(std::string(buffer, static_cast<size_t>(size)), "\n"), ")");
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDir>> DataDir::Open(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("the data directory has no name: give one with --data-dir");
  UNMCP_RETURN_IF_ERROR(MakeDirectories(path));
  UNMCP_RETURN_IF_ERROR(MakePrivate(path));
  const std::string lock = path + "/lock";
  const int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return CannotUse(path, absl::StrCat("write ", lock), errno);
  std::unique_ptr<DataDir> dir(new DataDir(path, fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return CannotUse(path, absl::StrCat("lock ", lock), errno);
    return absl::FailedPreconditionError(absl::StrCat("data directory ", path, " is in use by another unmcp",
                                                      HolderOf(fd), ": stop it, or name another with --data-dir"));
  }
  // Only tells people who it is: a full disk is no reason not to start.
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) == 0) (void)!pwrite(fd, pid.data(), pid.size(), 0);
  return dir;
}

DataDir::~DataDir() { close(fd_); }

}  // namespace unmcp::kube
