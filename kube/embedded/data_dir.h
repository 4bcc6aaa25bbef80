// The directory that one unmcp keeps its state in.
#ifndef UNMCP_KUBE_EMBEDDED_DATA_DIR_H_
#define UNMCP_KUBE_EMBEDDED_DATA_DIR_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace unmcp::kube {

// Holds the directory while it lives, by an exclusive flock on DIR/lock: the
// kernel lets go of it when the process ends, however it ends.
//
// Thread compatible.
class DataDir {
 public:
  // Creates what is missing of the path (mode 0700: Secrets and environments
  // are in there) and locks it. A directory that was open to others and holds
  // nothing but ours is closed to them; one that holds other things stays as it
  // is, and the files in it are 0600 anyway. Errors name the path and what to do:
  //   PERMISSION_DENIED, NOT_FOUND, …  by errno: it cannot be made or written
  //   FAILED_PRECONDITION              another process, which is named, has it
  static absl::StatusOr<std::unique_ptr<DataDir>> Open(const std::string& path);
  ~DataDir();

  const std::string& path() const { return path_; }

 private:
  DataDir(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  const std::string path_;
  const int fd_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_DATA_DIR_H_
