// The embedded cluster's objects on disk: one SQLite table, written through in
// transactions, read once at start.
#ifndef UNMCP_KUBE_EMBEDDED_DATABASE_H_
#define UNMCP_KUBE_EMBEDDED_DATABASE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kube/embedded/store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace unmcp::kube {

// etcd's default quota. A database of this size is a runaway writer; an error
// says so before the disk is full.
inline constexpr int64_t kMaxDatabaseBytes = int64_t{2} << 30;

// In WAL mode with synchronous=NORMAL: a committed write survives the end of
// the process however it comes; a power cut may take the last of them, and
// never leaves half of one.
//
// Thread compatible: one thread at a time.
class Database {
 public:
  struct Options {
    // An existing directory; the file is DIR/state.db.
    std::string dir;
    int64_t max_bytes = kMaxDatabaseBytes;
  };

  // Errors say what to do:
  //   DATA_LOSS            the file is damaged
  //   FAILED_PRECONDITION  a newer unmcp wrote it
  //   RESOURCE_EXHAUSTED   the disk is full
  //   UNAVAILABLE          it cannot be opened, read or written
  static absl::StatusOr<std::unique_ptr<Database>> Open(const Options& options);
  ~Database();

  // Gives every object and the last version.
  absl::StatusOr<uint64_t> Load(absl::FunctionRef<void(const Key&, Json)> add);

  // All of the changes or, with an error, none. RESOURCE_EXHAUSTED when there
  // is no room; a later Write may find some.
  absl::Status Write(const std::vector<Change>& changes, uint64_t version);

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalizer>;

  Database(std::string path, int64_t max_bytes) : path_(std::move(path)), max_bytes_(max_bytes) {}
  absl::Status Prepare(const char* sql, Statement* statement);
  absl::Status Execute(const char* sql);
  absl::Status Initialize();
  absl::StatusOr<int64_t> Integer(const char* sql);
  absl::Status WriteAll(const std::vector<Change>& changes, uint64_t version);
  // Runs a statement that gives no rows, and makes it ready for the next time.
  absl::Status Run(const Statement& statement);
  absl::Status Error(int code) const;

  const std::string path_;
  const int64_t max_bytes_;
  sqlite3* db_ = nullptr;
  Statement put_, remove_, set_version_;
};

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_DATABASE_H_
