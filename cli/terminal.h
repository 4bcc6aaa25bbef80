// What a command may do beside printing its result: colours and progress, and
// those only where a person looks on.
#ifndef UNMCP_CLI_TERMINAL_H_
#define UNMCP_CLI_TERMINAL_H_

#include <optional>
#include <ostream>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace unmcp {

struct Terminal {
  bool colors = false;    // results may be coloured (stdout; NO_COLOR forbids)
  bool progress = false;  // a line may be written over again (stderr)
  int columns = 80;

  // Of this process. TERM=dumb can do neither.
  static Terminal OfProcess(absl::FunctionRef<std::optional<std::string>(const char* name)> environment);
};

// `text` on one line, for a terminal: it may quote what a server wrote, and
// control characters there could do anything to the screen.
std::string OneLine(absl::string_view text);

// How many columns `text` takes: characters, not bytes.
size_t Columns(absl::string_view text);

// The beginning of `text` that fits into so many columns, with "…" where
// something is missing.
std::string Shorten(absl::string_view text, size_t columns);

// One line that says what is waited for, gone without a trace in the end. Does
// nothing where there is no terminal.
//
//   Progress progress(terminal, std::cerr);
//   progress.Show("server \"time\": Starting");
//
// Thread compatible.
class Progress {
 public:
  Progress(const Terminal& terminal, std::ostream& err) : terminal_(terminal), err_(err) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(absl::string_view text);
  // Before anything else is printed.
  void Clear();

 private:
  const Terminal terminal_;
  std::ostream& err_;
  std::string shown_;
};

}  // namespace unmcp

#endif  // UNMCP_CLI_TERMINAL_H_
