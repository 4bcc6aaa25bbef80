// Annotations of a resource by which one part of unmcp tells another what
// somebody has asked for.
#ifndef UNMCP_COMMON_ANNOTATIONS_H_
#define UNMCP_COMMON_ANNOTATIONS_H_

#include <string>

#include "absl/time/time.h"

namespace unmcp {

// On an MCPServer: when it was last started and stopped by hand, as
// AnnotationTime writes it, and who asked. The apiserver writes them, the
// controller acts on a time that is newer than what it has acted on.
inline constexpr char kStartedAtAnnotation[] = "unmcp.dev/started-at";
inline constexpr char kStartedByAnnotation[] = "unmcp.dev/started-by";
inline constexpr char kStoppedAtAnnotation[] = "unmcp.dev/stopped-at";
inline constexpr char kStoppedByAnnotation[] = "unmcp.dev/stopped-by";

// On an MCPServer: values that are secrets though they do not look like it,
// "env/NAME", "headers/NAME", "args/INDEX" and "url" (what follows its host),
// separated by commas. The apiserver keeps them in a Secret.
inline constexpr char kSecretValuesAnnotation[] = "unmcp.dev/secret-values";

// RFC 3339 in UTC, always with three digits of a second: "2025-05-02T10:15:30.042Z".
inline std::string AnnotationTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

}  // namespace unmcp

#endif  // UNMCP_COMMON_ANNOTATIONS_H_
