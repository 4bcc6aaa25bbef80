#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace unmcp {
namespace {

constexpr char kEraseLine[] = "\r\033[K";

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

Terminal Terminal::OfProcess(absl::FunctionRef<std::optional<std::string>(const char* name)> environment) {
  Terminal terminal;
  if (environment("TERM").value_or("dumb") == "dumb") return terminal;
  // no-color.org: present and not empty, whatever it says.
  terminal.colors = isatty(STDOUT_FILENO) == 1 && environment("NO_COLOR").value_or("").empty();
  terminal.progress = isatty(STDERR_FILENO) == 1;
  winsize size;
  if (terminal.progress && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
  }
  return terminal;
}

std::string OneLine(absl::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  absl::StripAsciiWhitespace(&line);
  return line;
}

size_t Columns(absl::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !Continues(c); }));
}

std::string Shorten(absl::string_view text, size_t columns) {
  if (Columns(text) <= columns) return std::string(text);
  size_t end = 0;
  for (size_t column = 0; end < text.size(); ++end) {
    if (!Continues(text[end]) && ++column >= columns) break;
  }
  return absl::StrCat(text.substr(0, end), "…");
}

void Progress::Show(absl::string_view text) {
  if (!terminal_.progress || text == shown_) return;
  shown_ = std::string(text);
  // In the last column some terminals begin the next line.
  err_ << kEraseLine << Shorten(OneLine(text), static_cast<size_t>(std::max(terminal_.columns - 1, 1))) << std::flush;
}

void Progress::Clear() {
  if (shown_.empty()) return;
  shown_.clear();
  err_ << kEraseLine << std::flush;
}

}  // namespace unmcp
