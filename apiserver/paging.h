// Pages of a list that is sorted by name.
#ifndef UNMCP_APISERVER_PAGING_H_
#define UNMCP_APISERVER_PAGING_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "apiserver/directory.h"
#include "apiserver/errors.h"
#include "common/spec_rules.h"

namespace unmcp::apiserver {

// A token is the last name of the page before: what is created or deleted
// between two pages makes no entry of the others appear twice or not at all.
inline std::string PageTokenAfter(absl::string_view name) { return absl::WebSafeBase64Escape(name); }

// What one page may be in bytes, however many were asked for: under what the
// channels between unmcp's parts take (16 MiB), derived fields included.
inline constexpr size_t kMaxPageBytes = 12 * 1024 * 1024;

template <class T>
struct Page {
  std::vector<typename Catalog<T>::Entry> entries;
  std::string next_page_token;  // "": it is the last
};

// `page_size` 0 means all that fit into kMaxPageBytes.
template <class T>
absl::StatusOr<Page<T>> MakePage(const Catalog<T>& catalog, int page_size, const std::string& page_token,
                                 absl::FunctionRef<bool(const T&)> selects, size_t max_bytes = kMaxPageBytes) {
  std::string after;
  if (!page_token.empty() && (!absl::WebSafeBase64Unescape(page_token, &after) || !ValidateName(after).ok())) {
    return BadPageToken();
  }
  Page<T> page;
  size_t bytes = 0;
  for (auto& entry : catalog.List()) {
    if (ResourceOf(*entry).name() <= after || !selects(*entry)) continue;
    bytes += ResourceOf(*entry).ByteSizeLong();
    const bool full = page_size > 0 && page.entries.size() == static_cast<size_t>(page_size);
    if (full || (bytes > max_bytes && !page.entries.empty())) {
      page.next_page_token = PageTokenAfter(ResourceOf(*page.entries.back()).name());
      break;
    }
    page.entries.push_back(std::move(entry));
  }
  return page;
}

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_PAGING_H_
