// The rules of ObjectMeta: what a writer may say in metadata, and how it is
// brought into the one form that is stored.
// Source: k8s.io/apimachinery, pkg/api/validation/objectmeta.go.
//
// Thread safety: functions only.
#ifndef UNMCP_KUBE_EMBEDDED_METADATA_H_
#define UNMCP_KUBE_EMBEDDED_METADATA_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/random.h"
#include "kube/errors.h"
#include "kube/object.h"

namespace unmcp::kube {

inline constexpr char kForegroundFinalizer[] = "foregroundDeletion";
inline constexpr char kOrphanFinalizer[] = "orphan";

// Removes nulls, empty maps and lists, and fields that ObjectMeta does not
// have: two documents that mean the same are then equal.
void NormalizeMetadata(Json& metadata);

// Checks types, labels, annotations' size, owner references and finalizers of
// normalized metadata, and the name (a DNS-1123 subdomain).
std::vector<FieldError> ValidateMetadata(const Json& metadata);

// Takes over from `old` what a writer left out and may not change, into
// `metadata`; the errors name what it changed nevertheless.
std::vector<FieldError> KeepImmutableMetadata(const Json& old, Json& metadata);

// `base` and five characters that nobody can mistake for a word.
std::string GenerateName(const std::string& base, Random* random);

// "2025-06-15T15:06:40Z", as Kubernetes writes times.
std::string FormatTimestamp(absl::Time time);

// Whether `text` is at most 253 characters of dot-separated lower-case words.
bool IsDns1123Subdomain(const std::string& text);
// Whether `text` is at most 63 characters and begins with a letter.
bool IsDns1035Label(const std::string& text);

std::vector<std::string> Finalizers(const Json& metadata);
void SetFinalizers(const std::vector<std::string>& finalizers, Json& metadata);

}  // namespace unmcp::kube

#endif  // UNMCP_KUBE_EMBEDDED_METADATA_H_
