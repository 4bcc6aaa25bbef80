#include "cli/server_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/proto_json.h"
#include "unmcp/v1/resources.pb.h"

namespace unmcp {
namespace {

constexpr size_t kPhaseWidth = 8;   // "Degraded", the longest of the phases that last
constexpr size_t kToolsWidth = 9;   // "999 tools"
constexpr size_t kMaxReason = 300;  // a few lines of a terminal; the log and the status have all of it

// Padded, and apart from the next column.
std::string Cell(const std::string& text, size_t width) {
  return absl::StrCat(text, std::string(text.size() < width ? width - text.size() : 0, ' '), "   ");
}

// A message on one line, for a terminal: it may quote what a server wrote.
std::string OneLine(std::string text) {
  for (char& c : text) {
    if (absl::ascii_iscntrl(c)) c = ' ';
  }
  absl::StripAsciiWhitespace(&text);
  if (text.size() <= kMaxReason) return text;
  size_t end = kMaxReason;
  while ((text[end] & 0xC0) == 0x80) --end;  // not inside a character
  return absl::StrCat(text.substr(0, end), "…");
}

// Why the server does not run, when it does not; else "".
std::string FailureOf(const v1::MCPServerStatus& status) {
  const v1::Condition* failure = nullptr;
  for (const v1::Condition& condition : status.conditions()) {
    if (condition.status() != "False") continue;
    // Refused as it is declared, whatever the phase.
    if (condition.type() == "Accepted") failure = &condition;
    if (condition.type() == "Ready" && failure == nullptr && status.phase() == "Degraded") failure = &condition;
  }
  if (failure != nullptr) return OneLine(failure->message().empty() ? failure->reason() : failure->message());
  if (status.phase() == "Degraded") return "it does not start; the log says why";
  if (status.phase() == "Ignored") return "over the pool's maxServersLimit";
  return "";
}

bool IsTrue(const v1::MCPServerStatus& status, absl::string_view type, absl::string_view reason = "") {
  for (const v1::Condition& condition : status.conditions()) {
    if (condition.type() != type) continue;
    return condition.status() == "True" && (reason.empty() || condition.reason() == reason);
  }
  return false;
}

std::string Tools(int count) { return count == 0 ? "no tools" : absl::StrCat(count, count == 1 ? " tool" : " tools"); }

}  // namespace

ServerTable::ServerTable(std::string base_url, const std::vector<std::string>& names)
    : base_url_(std::move(base_url)) {
  for (const std::string& name : names) name_width_ = std::max(name_width_, name.size());
}

std::optional<std::string> ServerTable::Observe(const kube::Object& object) {
  v1::MCPServerStatus status;
  if (!FromJson(object.status(), UnknownFields::kIgnore, &status).ok()) return std::nullopt;
  // Of an older spec: the controller has not looked yet.
  if (status.observed_generation() != object.generation() || printed_.contains(object.uid())) return std::nullopt;

  const std::string head = absl::StrCat("  ", Cell(object.name(), name_width_), Cell(status.phase(), kPhaseWidth));
  const std::string failure = FailureOf(status);
  // While it starts or stops, another phase follows at once; so it does when a
  // server runs that was started only to learn what it is.
  const bool settled = status.phase() == "Asleep" || status.phase() == "Waiting" ||
                       (status.phase() == "Ready" && !IsTrue(status, "Requested", "Discovery"));
  const bool discovered = settled && IsTrue(status, "Discovered");
  if (failure.empty() && !discovered) return std::nullopt;
  printed_.insert(object.uid());
  if (!failure.empty()) return head + failure;
  return absl::StrCat(head, Cell(Tools(status.tool_count()), kToolsWidth), base_url_, "/api/v1/servers/",
                      object.name(), "/sse");
}

}  // namespace unmcp
