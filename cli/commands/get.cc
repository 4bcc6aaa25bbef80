#include "cli/commands/get.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace unmcp {
namespace {

std::vector<std::string> Titles(ResourceKind kind, bool wide) {
  return kind == ResourceKind::kServer ? ServerColumns(wide) : PoolColumns(wide);
}

bool IsTable(Format format) { return format == Format::kTable || format == Format::kWide; }

Table NewTable(ResourceKind kind, const GetOptions& options, const Context& context) {
  return Table(Titles(kind, options.format == Format::kWide), options.headers, context.terminal.colors);
}

void PrintRows(const std::vector<Item>& items, Table* table, std::ostream& out) {
  std::vector<std::vector<std::string>> rows;
  for (const Item& item : items) rows.push_back(item.row);
  table->Print(rows, out);
}

absl::StatusOr<Item> Get(ResourceKind kind, const std::string& name, Context& context) {
  if (kind == ResourceKind::kServer) {
    UNMCP_ASSIGN_OR_RETURN(const v1::MCPServer server, context.api.GetServer(name));
    return ToItem(server, context.now());
  }
  UNMCP_ASSIGN_OR_RETURN(const v1::MCPPool pool, context.api.GetPool(name));
  return ToItem(pool, context.now());
}

absl::StatusOr<std::vector<Item>> List(ResourceKind kind, const std::string& pool, Context& context) {
  std::vector<Item> items;
  if (kind == ResourceKind::kServer) {
    v1::ListServersRequest filter;
    filter.set_pool(pool);
    UNMCP_ASSIGN_OR_RETURN(const auto servers, context.api.ListServers(filter));
    for (const v1::MCPServer& server : servers) items.push_back(ToItem(server, context.now()));
  } else {
    UNMCP_ASSIGN_OR_RETURN(const auto pools, context.api.ListPools());
    for (const v1::MCPPool& one : pools) items.push_back(ToItem(one, context.now()));
  }
  return items;
}

// Prints what is there when the watch begins as one table, then each change.
class Watcher {
 public:
  Watcher(const GetOptions& options, Context& context)
      : options_(options),
        context_(context),
        names_(options.resources[0].names),
        table_(NewTable(options.resources[0].kind, options, context)) {}

  absl::Status Run() {
    for (const std::string& name : names_) {
      UNMCP_RETURN_IF_ERROR(Get(options_.resources[0].kind, name, context_).status());
    }
    if (options_.resources[0].kind == ResourceKind::kPool) {
      return context_.api.WatchPools(absl::InfiniteFuture(), [this](const auto& change) { return Take(change); });
    }
    v1::WatchServersRequest filter;
    filter.set_pool(options_.pool);
    return context_.api.WatchServers(filter, absl::InfiniteFuture(),
                                     [this](const auto& change) { return Take(change); });
  }

 private:
  // `Change` is a ServerChange or PoolChange. False when nobody reads any more.
  template <typename Change>
  bool Take(const Change& change) {
    const bool bookmark = change.type() == "BOOKMARK";
    if (!bookmark) {
      if (!names_.empty() && !absl::c_linear_search(names_, change.object().name()) &&
          !absl::c_linear_search(names_, change.object().uid())) {
        return true;
      }
      items_.push_back(ToItem(change.object(), context_.now()));
    }
    synced_ = synced_ || bookmark;
    if (synced_ && !items_.empty()) {
      if (IsTable(options_.format)) {
        PrintRows(items_, &table_, context_.out);
      } else {
        Documents();
      }
      items_.clear();
    }
    return context_.out.good();
  }

  // Each its own document, told apart however many there will be.
  void Documents() {
    for (const Item& item : items_) {
      if (options_.format == Format::kYaml) context_.out << "---\n";
      PrintItems({item}, options_.format, /*as_list=*/false, context_.out);
    }
  }

  const GetOptions& options_;
  Context& context_;
  const std::vector<std::string>& names_;
  Table table_;
  std::vector<Item> items_;
  bool synced_ = false;
};

}  // namespace

absl::Status RunGet(const GetOptions& options, Context& context) {
  if (options.watch) return Watcher(options, context).Run();

  std::vector<std::pair<ResourceKind, std::vector<Item>>> found;
  std::vector<Item> all;
  bool failed = false, listed = false;
  size_t names = 0;
  for (const Resources& resources : options.resources) {
    std::vector<Item> items;
    if (resources.names.empty()) {
      UNMCP_ASSIGN_OR_RETURN(items, List(resources.kind, options.pool, context));
      listed = true;
    }
    for (const std::string& name : resources.names) {
      absl::StatusOr<Item> item = Get(resources.kind, name, context);
      if (item.ok()) {
        items.push_back(*std::move(item));
      } else {
        context.err << ErrorText(item.status()) << std::endl;
        failed = true;
      }
      ++names;
    }
    all.insert(all.end(), items.begin(), items.end());
    found.emplace_back(resources.kind, std::move(items));
  }

  if (!IsTable(options.format)) {
    if (!failed || !all.empty()) PrintItems(all, options.format, listed || names > 1, context.out);
  } else if (all.empty()) {
    if (!failed) context.err << "No resources found in " << context.api.Namespace() << " namespace." << std::endl;
  } else {
    bool first = true;
    for (const auto& [kind, items] : found) {
      if (items.empty()) continue;
      if (!std::exchange(first, false)) context.out << "\n";
      Table table = NewTable(kind, options, context);
      PrintRows(items, &table, context.out);
    }
  }
  return failed ? absl::NotFoundError("") : absl::OkStatus();
}

}  // namespace unmcp
