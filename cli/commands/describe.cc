#include "cli/commands/describe.h"

#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/output.h"
#include "cli/yaml.h"
#include "common/proto_json.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

constexpr size_t kLabelWidth = 15;

// Accumulates a description: "Label:     value" lines and indented sections.
class Page {
 public:
  explicit Page(absl::Time now) : now_(now) {}

  void Line(absl::string_view label, absl::string_view value) {
    const std::string head = absl::StrCat(label, ":");
    absl::StrAppend(&text_, head, std::string(head.size() < kLabelWidth ? kLabelWidth - head.size() : 1, ' '),
                    OneLine(value), "\n");
  }
  void Line(absl::string_view label, int64_t value) { Line(label, absl::StrCat(value)); }

  // "2026-01-31T12:00:00Z (5m3s ago)"; not at all when it is not set.
  void Time(absl::string_view label, const google::protobuf::Timestamp& time) {
    if (time.seconds() == 0) return;
    Line(label, absl::StrCat(ToJson(time).get<std::string>(), " (", Age(time, now_), " ago)"));
  }

  void Spec(const google::protobuf::Message& spec) { Indented("Spec", WriteYaml(ToJson(spec))); }

  void Section(absl::string_view label, std::vector<std::string> titles,
               const std::vector<std::vector<std::string>>& rows) {
    if (rows.empty()) return Line(label, "<none>");
    std::ostringstream table;
    Table(std::move(titles), /*headers=*/true, /*colors=*/false).Print(rows, table);
    Indented(label, table.str());
  }

  void Conditions(const google::protobuf::RepeatedPtrField<v1::Condition>& conditions) {
    std::vector<std::vector<std::string>> rows;
    for (const v1::Condition& condition : conditions) {
      rows.push_back({condition.type(), condition.status(), condition.reason(),
                      Age(condition.last_transition_time(), now_), condition.message()});
    }
    Section("Conditions", {"TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"}, rows);
  }

  const std::string& text() const { return text_; }

 private:
  // Lines that belong to a label.
  void Indented(absl::string_view label, const std::string& lines) {
    absl::StrAppend(&text_, label, ":\n");
    for (absl::string_view line : absl::StrSplit(absl::StripSuffix(lines, "\n"), '\n')) {
      absl::StrAppend(&text_, "  ", line, "\n");
    }
  }

  const absl::Time now_;
  std::string text_;
};

absl::StatusOr<std::string> Describe(const v1::MCPServer& server, Context& context) {
  UNMCP_ASSIGN_OR_RETURN(const auto events, context.api.ListServerEvents(server.uid()));
  const v1::MCPServerStatus& status = server.status();
  Page page(context.now());
  page.Line("Name", server.name());
  page.Line("Namespace", server.namespace_());
  page.Line("UID", server.uid());
  page.Time("Created", server.created_at());
  page.Line("Pool", server.spec().pool());
  page.Line("Phase", status.phase().empty() ? "<unknown>" : status.phase());
  if (status.has_server_info()) {
    page.Line("Server", absl::StrCat(status.server_info().name(), " ", status.server_info().version()));
    page.Line("MCP revision", status.server_info().protocol_version());
  }
  if (status.has_tool_count()) page.Line("Tools", status.tool_count());
  if (!status.address().empty()) page.Line("Address", status.address());
  page.Line("Clients", status.current_connections());
  page.Line("Requests", status.total_requests());
  page.Time("Last request", status.last_request_at());
  page.Line("Starts", status.incarnation());
  page.Time("Started", status.started_at());
  page.Time("Stopped", status.stopped_at());
  page.Spec(server.spec());
  page.Conditions(status.conditions());
  std::vector<std::vector<std::string>> rows;
  for (const v1::ServerEvent& event : events) {
    const std::string age = Age(event.last_seen(), context.now());
    rows.push_back({event.type(), event.reason(), event.count() > 1 ? absl::StrCat(age, " (x", event.count(), ")") : age,
                    event.message()});
  }
  page.Section("Events", {"TYPE", "REASON", "AGE", "MESSAGE"}, rows);
  return page.text();
}

absl::StatusOr<std::string> Describe(const v1::MCPPool& pool, Context& context) {
  v1::ListServersRequest filter;
  filter.set_pool(pool.name());
  UNMCP_ASSIGN_OR_RETURN(const auto servers, context.api.ListServers(filter));
  const v1::MCPPoolStatus& status = pool.status();
  Page page(context.now());
  page.Line("Name", pool.name());
  page.Line("Namespace", pool.namespace_());
  page.Line("UID", pool.uid());
  page.Time("Created", pool.created_at());
  page.Line("Active", absl::StrCat(status.active_servers_count(), " of ", pool.spec().max_servers_active()));
  page.Line("Pending", status.pending_servers_count());
  page.Line("Servers", absl::StrCat(status.total_servers_count(), " of ", pool.spec().max_servers_limit()));
  page.Line("Ignored", status.unmanaged_servers_count());
  page.Spec(pool.spec());
  page.Conditions(status.conditions());
  std::vector<std::vector<std::string>> rows;
  for (const v1::MCPServer& server : servers) rows.push_back(ToItem(server, context.now()).row);
  page.Section("Members", ServerColumns(/*wide=*/false), rows);
  return page.text();
}

}  // namespace

absl::Status RunDescribe(const DescribeOptions& options, Context& context) {
  bool first = true, failed = false;
  const auto print = [&](const absl::StatusOr<std::string>& text) {
    if (!text.ok()) {
      context.err << ErrorText(text.status()) << std::endl;
      failed = true;
      return;
    }
    context.out << (std::exchange(first, false) ? "" : "\n\n") << *text << std::flush;
  };
  for (const Resources& resources : options.resources) {
    const bool is_server = resources.kind == ResourceKind::kServer;
    if (resources.names.empty() && is_server) {
      UNMCP_ASSIGN_OR_RETURN(const auto servers, context.api.ListServers());
      for (const v1::MCPServer& server : servers) print(Describe(server, context));
    } else if (resources.names.empty()) {
      UNMCP_ASSIGN_OR_RETURN(const auto pools, context.api.ListPools());
      for (const v1::MCPPool& pool : pools) print(Describe(pool, context));
    }
    for (const std::string& name : resources.names) {
      if (is_server) {
        const auto server = context.api.GetServer(name);
        print(server.ok() ? Describe(*server, context) : server.status());
      } else {
        const auto pool = context.api.GetPool(name);
        print(pool.ok() ? Describe(*pool, context) : pool.status());
      }
    }
  }
  if (first && !failed) context.err << "No resources found in " << context.api.Namespace() << " namespace." << std::endl;
  return failed ? absl::NotFoundError("") : absl::OkStatus();
}

}  // namespace unmcp
