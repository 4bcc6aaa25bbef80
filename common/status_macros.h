// Early return on error, the only two macros of the project.
//
//   UNMCP_RETURN_IF_ERROR(store->Commit());
//   UNMCP_ASSIGN_OR_RETURN(auto row, store->Find(key));
#ifndef UNMCP_COMMON_STATUS_MACROS_H_
#define UNMCP_COMMON_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define UNMCP_RETURN_IF_ERROR(expr)                       \
  do {                                                    \
    if (absl::Status unmcp_status_ = (expr); !unmcp_status_.ok()) \
      return unmcp_status_;                               \
  } while (false)

#define UNMCP_CONCAT_INNER_(a, b) a##b
#define UNMCP_CONCAT_(a, b) UNMCP_CONCAT_INNER_(a, b)

#define UNMCP_ASSIGN_OR_RETURN(lhs, expr) \
  UNMCP_ASSIGN_OR_RETURN_IMPL_(UNMCP_CONCAT_(unmcp_statusor_, __LINE__), lhs, expr)

#define UNMCP_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                                 \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = *std::move(statusor)

#endif  // UNMCP_COMMON_STATUS_MACROS_H_
