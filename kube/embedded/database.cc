#include "kube/embedded/database.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "sqlite3.h"

namespace unmcp::kube {
namespace {

// Of the tables below. A change of them raises it and upgrades older files.
constexpr int64_t kFormat = 1;

constexpr char kCreateTables[] = R"sql(
  BEGIN;
  CREATE TABLE objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL,
    PRIMARY KEY (resource, namespace, name)
  ) WITHOUT ROWID;
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO counters VALUES ('resourceVersion', 0);
  PRAGMA user_version = 1;
  COMMIT;
)sql";

// Secrets are in these files. SQLite gives those beside the database the mode
// that the database has when it makes them. What cannot be done here, SQLite
// says when it opens the file.
void MakePrivate(const std::string& path) {
  if (const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); fd >= 0) close(fd);
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) chmod((path + suffix).c_str(), 0600);
}

void Bind(sqlite3_stmt* statement, int index, const std::string& text) {
  sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

std::string Column(sqlite3_stmt* statement, int index) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
  return text == nullptr ? "" : std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement, index)));
}

}  // namespace

void Database::Finalizer::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const Options& options) {
  std::unique_ptr<Database> database(new Database(options.dir + "/state.db", options.max_bytes));
  MakePrivate(database->path_);
  // No mutexes of SQLite's own: one thread at a time is our contract.
  const int code = sqlite3_open_v2(database->path_.c_str(), &database->db_,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return database->Error(code);
  UNMCP_RETURN_IF_ERROR(database->Initialize());
  return database;
}

Database::~Database() {
  put_.reset();
  remove_.reset();
  set_version_.reset();
  sqlite3_close(db_);
}

absl::Status Database::Initialize() {
  sqlite3_extended_result_codes(db_, 1);
  // The directory is ours alone: no memory shared through a file, which a full
  // disk could take away.
  UNMCP_RETURN_IF_ERROR(Execute("PRAGMA locking_mode = EXCLUSIVE"));
  UNMCP_ASSIGN_OR_RETURN(const int64_t format, Integer("PRAGMA user_version"));
  if (format > kFormat) {
    return absl::FailedPreconditionError(absl::StrCat("database ", path_, " was written by a newer unmcp (format ",
                                                      format, "; this one knows up to ", kFormat,
                                                      "): use that version, or another --data-dir"));
  }
  UNMCP_RETURN_IF_ERROR(Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"));
  if (format == 0) UNMCP_RETURN_IF_ERROR(Execute(kCreateTables));
  Statement check;
  UNMCP_RETURN_IF_ERROR(Prepare("PRAGMA quick_check(1)", &check));
  if (sqlite3_step(check.get()) != SQLITE_ROW || Column(check.get(), 0) != "ok") return Error(SQLITE_CORRUPT);
  check.reset();
  UNMCP_ASSIGN_OR_RETURN(const int64_t page_bytes, Integer("PRAGMA page_size"));
  UNMCP_RETURN_IF_ERROR(Integer(absl::StrCat("PRAGMA max_page_count = ", max_bytes_ / page_bytes).c_str()).status());
  UNMCP_RETURN_IF_ERROR(
      Prepare("INSERT OR REPLACE INTO objects (resource, namespace, name, json) VALUES (?, ?, ?, ?)", &put_));
  UNMCP_RETURN_IF_ERROR(Prepare("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", &remove_));
  return Prepare("UPDATE counters SET value = ? WHERE name = 'resourceVersion'", &set_version_);
}

absl::StatusOr<uint64_t> Database::Load(absl::FunctionRef<void(const Key&, Json)> add) {
  Statement rows;
  UNMCP_RETURN_IF_ERROR(Prepare("SELECT resource, namespace, name, json FROM objects", &rows));
  int code;
  while ((code = sqlite3_step(rows.get())) == SQLITE_ROW) {
    const Key key{Column(rows.get(), 0), Column(rows.get(), 1), Column(rows.get(), 2)};
    Json json = Json::parse(Column(rows.get(), 3), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("metadata") || !json["metadata"].is_object()) return Error(SQLITE_CORRUPT);
    add(key, std::move(json));
  }
  if (code != SQLITE_DONE) return Error(code);
  UNMCP_ASSIGN_OR_RETURN(const int64_t version, Integer("SELECT value FROM counters WHERE name = 'resourceVersion'"));
  return static_cast<uint64_t>(version);
}

absl::Status Database::Write(const std::vector<Change>& changes, uint64_t version) {
  absl::Status written = WriteAll(changes, version);
  // SQLite takes some failed transactions back by itself.
  if (!written.ok() && sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  return written;
}

absl::Status Database::WriteAll(const std::vector<Change>& changes, uint64_t version) {
  UNMCP_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  for (const Change& change : changes) {
    const bool remove = change.type == WatchEventType::kDeleted;
    const Statement& statement = remove ? remove_ : put_;
    Bind(statement.get(), 1, change.key.resource);
    Bind(statement.get(), 2, change.key.ns);
    Bind(statement.get(), 3, change.key.name);
    if (!remove) Bind(statement.get(), 4, change.text);
    UNMCP_RETURN_IF_ERROR(Run(statement));
  }
  sqlite3_bind_int64(set_version_.get(), 1, static_cast<int64_t>(version));
  UNMCP_RETURN_IF_ERROR(Run(set_version_));
  return Execute("COMMIT");
}

absl::Status Database::Run(const Statement& statement) {
  const int code = sqlite3_step(statement.get());
  sqlite3_reset(statement.get());
  sqlite3_clear_bindings(statement.get());
  return code == SQLITE_DONE ? absl::OkStatus() : Error(code);
}

absl::Status Database::Prepare(const char* sql, Statement* statement) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v2(db_, sql, -1, &prepared, nullptr);
  statement->reset(prepared);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::Status Database::Execute(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::StatusOr<int64_t> Database::Integer(const char* sql) {
  Statement statement;
  UNMCP_RETURN_IF_ERROR(Prepare(sql, &statement));
  const int code = sqlite3_step(statement.get());
  if (code != SQLITE_ROW) return Error(code == SQLITE_DONE ? SQLITE_CORRUPT : code);
  return sqlite3_column_int64(statement.get(), 0);
}

absl::Status Database::Error(int code) const {
  const std::string why = sqlite3_errstr(code);
  int primary = code & 0xFF;  // of an extended code
  const int error = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
  if (primary == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT)) primary = SQLITE_FULL;
  switch (primary) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(absl::StrCat("cannot write to ", path_, ": ", why,
                                                       "; make room on its disk (or delete objects, if it has "
                                                       "reached its limit of ",
                                                       max_bytes_ >> 20,
                                                       " MB): work goes on by itself when there is room"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat("database ", path_, " is damaged (", why,
                                              "): put a copy back, or move it away to start with an empty one"));
    default:
      return absl::UnavailableError(
          absl::StrCat("cannot use database ", path_, ": ", why, "; look at its disk and its permissions"));
  }
}

}  // namespace unmcp::kube
