#include "http/url.h"

#include <curl/curl.h>

#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace unmcp::http {
namespace {

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlPtr = std::unique_ptr<CURLU, UrlDeleter>;

// Null when it is no URL.
UrlPtr Parse(absl::string_view text) {
  UrlPtr url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK) return nullptr;
  return url;
}

std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool IsHttp(CURLU* url) {
  const std::string scheme = Part(url, CURLUPART_SCHEME);
  return scheme == "http" || scheme == "https";
}

}  // namespace

absl::StatusOr<std::string> ResolveUrl(absl::string_view base, absl::string_view reference) {
  UrlPtr url = Parse(base);
  // Setting the URL of a handle that has one resolves it.
  if (!url || curl_url_set(url.get(), CURLUPART_URL, std::string(reference).c_str(), 0) != CURLUE_OK ||
      !IsHttp(url.get()) || curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0) != CURLUE_OK) {
    return absl::InvalidArgumentError("it is no http or https URL");
  }
  return Part(url.get(), CURLUPART_URL);
}

std::string Origin(absl::string_view url) {
  const UrlPtr parsed = Parse(url);
  if (!parsed || !IsHttp(parsed.get())) return "";
  return absl::StrCat(Part(parsed.get(), CURLUPART_SCHEME), "://",
                      absl::AsciiStrToLower(Part(parsed.get(), CURLUPART_HOST)), ":",
                      Part(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

bool SameOrigin(absl::string_view a, absl::string_view b) {
  const std::string origin = Origin(a);
  return !origin.empty() && origin == Origin(b);
}

}  // namespace unmcp::http
