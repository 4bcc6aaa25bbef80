// The forms in which client commands print what the API holds: tables as
// kubectl has them, and the objects as Kubernetes writes them, which can be
// applied again.
//
// Thread safety: functions are thread safe, Table is thread compatible.
#ifndef UNMCP_CLI_OUTPUT_H_
#define UNMCP_CLI_OUTPUT_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "unmcp/v1/resources.pb.h"

namespace unmcp {

enum class Format { kTable, kWide, kName, kYaml, kJson };

// "45s", "5m3s", "3h", "2d4h": the two units that matter, as kubectl shows ages.
std::string HumanDuration(absl::Duration duration);

// Since a time that may not be set: "<unknown>" then.
std::string Age(const google::protobuf::Timestamp& since, absl::Time now);

// A resource, ready to be printed in any form.
struct Item {
  std::string id;  // mcpserver.unmcp.dev/NAME
  nlohmann::json manifest;
  std::vector<std::string> row;  // for the table of its kind
};
Item ToItem(const v1::MCPServer& server, absl::Time now);
Item ToItem(const v1::MCPPool& pool, absl::Time now);

// Titles for these rows. The first few are always shown, the others when asked
// for (wide).
std::vector<std::string> ServerColumns(bool wide);
std::vector<std::string> PoolColumns(bool wide);

// Aligned columns, as wide as the first rows need; later ones (of a watch) go
// under them. Cells are printed on one line, whatever is in them.
class Table {
 public:
  // Rows may have more cells than there are titles: those are left out.
  // `colors`: cells under PHASE are coloured by what they say.
  Table(std::vector<std::string> titles, bool headers, bool colors)
      : titles_(std::move(titles)), headers_(headers), colors_(colors) {}
  void Print(const std::vector<std::vector<std::string>>& rows, std::ostream& out);

 private:
  void PrintRow(const std::vector<std::string>& row, bool colors, std::ostream& out) const;

  const std::vector<std::string> titles_;
  bool headers_;
  const bool colors_;
  std::vector<size_t> widths_;
};

// JSON over several lines, as `kubectl get -o json`.
std::string PrettyJson(const nlohmann::json& json);

// In form kName, kYaml or kJson. `as_list`: as one document of kind List, which
// is what several objects, or none, are; else each is a document.
void PrintItems(const std::vector<Item>& items, Format format, bool as_list, std::ostream& out);

}  // namespace unmcp

#endif  // UNMCP_CLI_OUTPUT_H_
