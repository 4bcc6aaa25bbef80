#include "cli/output.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/terminal.h"
#include "cli/yaml.h"
#include "common/proto_json.h"

namespace unmcp {
namespace {

using Json = nlohmann::json;

constexpr char kApiVersion[] = "unmcp.dev/v1";
constexpr size_t kGap = 3;          // between columns, as kubectl has it
constexpr size_t kMaxCommand = 60;  // a table is for looking at; describe has all of it
constexpr size_t kMaxReason = 80;

// A resource as Kubernetes writes it; `message` is an MCPServer or MCPPool.
template <typename Message>
Json Manifest(const char* kind, const Message& message) {
  Json metadata = {{"name", message.name()}, {"namespace", message.namespace_()}, {"uid", message.uid()},
                   {"resourceVersion", message.resource_version()}, {"generation", message.generation()}};
  if (message.has_created_at()) metadata["creationTimestamp"] = ToJson(message.created_at());
  Json manifest = {{"apiVersion", kApiVersion}, {"kind", kind}, {"metadata", metadata},
                   {"spec", ToJson(message.spec())}};
  if (Json status = ToJson(message.status()); !status.empty()) manifest["status"] = std::move(status);
  return manifest;
}

std::string OrNone(std::string text) { return text.empty() ? "<none>" : text; }

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

// What the server is, in one cell.
std::string Runs(const v1::MCPServerSpec& spec) {
  if (!spec.url().empty()) return spec.url();
  std::vector<std::string> words(spec.command().begin(), spec.command().end());
  words.insert(words.end(), spec.args().begin(), spec.args().end());
  return words.empty() ? spec.image() : absl::StrJoin(words, " ");
}

std::string TransportOf(const v1::MCPServerSpec& spec) {
  if (!spec.transport().type().empty()) return spec.transport().type();
  return spec.url().empty() ? "stdio" : "streamable-http";
}

// Why it is not as somebody wants it: the message of a condition that says so.
std::string Problem(const v1::MCPServerStatus& status) {
  const bool expected_to_run = status.phase() != "Asleep";
  for (const v1::Condition& condition : status.conditions()) {
    if (condition.status() != "False") continue;
    if (condition.type() == "Accepted" || (condition.type() == "Ready" && expected_to_run)) {
      return condition.message().empty() ? condition.reason() : condition.message();
    }
  }
  return "";
}

// SGR parameters; "" leaves the cell as it is.
const char* ColorOf(const std::string& phase) {
  if (phase == "Ready") return "32";
  if (phase == "Degraded" || phase == "Ignored") return "31";
  if (phase == "Waiting" || phase == "Requested" || phase == "Starting" || phase == "Stopping") return "33";
  return "";
}

}  // namespace

std::string HumanDuration(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(absl::ToInt64Seconds(duration), 0);
  const int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24, years = days / 365;
  const auto both = [](int64_t large, const char* large_unit, int64_t small, const char* small_unit) {
    return small == 0 ? absl::StrCat(large, large_unit) : absl::StrCat(large, large_unit, small, small_unit);
  };
  if (seconds < 120) return absl::StrCat(seconds, "s");
  if (minutes < 10) return both(minutes, "m", seconds % 60, "s");
  if (hours < 3) return absl::StrCat(minutes, "m");
  if (hours < 8) return both(hours, "h", minutes % 60, "m");
  if (hours < 48) return absl::StrCat(hours, "h");
  if (days < 8) return both(days, "d", hours % 24, "h");
  if (years < 2) return absl::StrCat(days, "d");
  return years < 8 ? both(years, "y", days % 365, "d") : absl::StrCat(years, "y");
}

std::string Age(const google::protobuf::Timestamp& since, absl::Time now) {
  return since.seconds() == 0 ? "<unknown>" : HumanDuration(now - ToTime(since));
}

std::vector<std::string> ServerColumns(bool wide) {
  std::vector<std::string> titles = {"NAME", "POOL", "PHASE", "TOOLS", "CLIENTS", "AGE"};
  if (wide) titles.insert(titles.end(), {"REQUESTS", "LAST REQUEST", "TRANSPORT", "RUNS", "REASON"});
  return titles;
}

Item ToItem(const v1::MCPServer& server, absl::Time now) {
  const v1::MCPServerStatus& status = server.status();
  return {.id = absl::StrCat("mcpserver.unmcp.dev/", server.name()),
          .manifest = Manifest("MCPServer", server),
          .row = {server.name(), server.spec().pool(), status.phase().empty() ? "<unknown>" : status.phase(),
                  status.has_tool_count() ? absl::StrCat(status.tool_count()) : "<unknown>",
                  absl::StrCat(status.current_connections()), Age(server.created_at(), now),
                  absl::StrCat(status.total_requests()),
                  status.has_last_request_at() ? absl::StrCat(Age(status.last_request_at(), now), " ago") : "<none>",
                  TransportOf(server.spec()), OrNone(Shorten(Runs(server.spec()), kMaxCommand)),
                  OrNone(Shorten(Problem(status), kMaxReason))}};
}

std::vector<std::string> PoolColumns(bool wide) {
  std::vector<std::string> titles = {"NAME", "ACTIVE", "PENDING", "SERVERS", "AGE"};
  if (wide) titles.insert(titles.end(), {"MAX ACTIVE", "MAX SERVERS", "IGNORED", "WARM", "IDLE TIMEOUT"});
  return titles;
}

Item ToItem(const v1::MCPPool& pool, absl::Time now) {
  const v1::MCPPoolSpec& spec = pool.spec();
  const v1::MCPPoolStatus& status = pool.status();
  const auto setting = [](bool set, int value, const char* unit) {
    return set ? absl::StrCat(value, unit) : std::string("<unset>");
  };
  const bool never = spec.default_idle_timeout() == -1;
  return {.id = absl::StrCat("mcppool.unmcp.dev/", pool.name()),
          .manifest = Manifest("MCPPool", pool),
          .row = {pool.name(), absl::StrCat(status.active_servers_count()),
                  absl::StrCat(status.pending_servers_count()), absl::StrCat(status.total_servers_count()),
                  Age(pool.created_at(), now), setting(spec.has_max_servers_active(), spec.max_servers_active(), ""),
                  setting(spec.has_max_servers_limit(), spec.max_servers_limit(), ""),
                  absl::StrCat(status.unmanaged_servers_count()),
                  setting(spec.has_min_servers_warm(), spec.min_servers_warm(), ""),
                  never ? "never" : setting(spec.has_default_idle_timeout(), spec.default_idle_timeout(), "s")}};
}

void Table::Print(const std::vector<std::vector<std::string>>& rows, std::ostream& out) {
  widths_.resize(titles_.size());
  for (size_t i = 0; headers_ && i < titles_.size(); ++i) widths_[i] = std::max(widths_[i], Columns(titles_[i]));
  for (const std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < titles_.size(); ++i) widths_[i] = std::max(widths_[i], Columns(row[i]));
  }
  if (std::exchange(headers_, false)) PrintRow(titles_, false, out);
  for (const std::vector<std::string>& row : rows) PrintRow(row, colors_, out);
  out.flush();
}

void Table::PrintRow(const std::vector<std::string>& row, bool colors, std::ostream& out) const {
  std::string line, padding;
  for (size_t i = 0; i < titles_.size(); ++i) {
    const std::string cell = OneLine(row[i]);
    const std::string color = colors && titles_[i] == "PHASE" ? ColorOf(cell) : "";
    // Nothing stands after the last cell that has something in it.
    if (!cell.empty()) absl::StrAppend(&line, std::exchange(padding, ""));
    absl::StrAppend(&line, color.empty() ? cell : absl::StrCat("\033[", color, "m", cell, "\033[0m"));
    padding.append(widths_[i] + kGap - std::min(Columns(cell), widths_[i]), ' ');
  }
  out << line << "\n";
}

std::string PrettyJson(const Json& json) {
  return json.dump(4, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

void PrintItems(const std::vector<Item>& items, Format format, bool as_list, std::ostream& out) {
  if (format == Format::kName) {
    for (const Item& item : items) out << item.id << "\n";
  } else if (as_list) {
    Json list = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", Json::array()}};
    for (const Item& item : items) list["items"].push_back(item.manifest);
    out << (format == Format::kYaml ? WriteYaml(list) : PrettyJson(list));
  } else {
    for (const Item& item : items) {
      out << (format == Format::kYaml ? (items.size() > 1 ? "---\n" : "") + WriteYaml(item.manifest)
                                      : PrettyJson(item.manifest));
    }
  }
  out.flush();
}

}  // namespace unmcp
