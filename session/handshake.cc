#include "session/handshake.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "session/json_text.h"
#include "session/messages.h"

namespace unmcp::session {
namespace {

constexpr absl::string_view kKnownVersions[] = {kOldestVersion, "2025-03-26", "2025-06-18", kLatestVersion};

}  // namespace

std::string InitializeParams(absl::string_view protocol_version, absl::string_view unmcp_version) {
  return absl::StrCat("{\"protocolVersion\":\"", protocol_version,
                      "\",\"capabilities\":{\"roots\":{\"listChanged\":true},\"sampling\":{},\"elicitation\":{}},"
                      "\"clientInfo\":{\"name\":\"unmcp\",\"version\":",
                      Quote(unmcp_version), "}}");
}

bool MentionsVersion(absl::string_view error) { return absl::StrContains(absl::AsciiStrToLower(error), "version"); }

absl::StatusOr<ServerHello> ServerHello::Parse(absl::string_view result, bool line_breaks) {
  ServerHello hello;
  hello.result = Rewrite(result, {}, line_breaks);
  const absl::string_view raw = hello.result;
  const absl::string_view version = FindMember(raw, "protocolVersion");
  hello.protocol_version = StringValue(version);
  if (hello.protocol_version.empty()) {
    return absl::FailedPreconditionError(
        "the server's answer to initialize has no protocolVersion: is it an MCP server, and does it speak as "
        "spec.transport.type says?");
  }
  hello.version_at = version.data() - raw.data();
  hello.version_size = version.size();
  const absl::string_view info = FindMember(raw, "serverInfo");
  hello.name = StringValue(FindMember(info, "name"));
  hello.version = StringValue(FindMember(info, "version"));
  const absl::string_view capabilities = FindMember(raw, "capabilities");
  hello.tools = absl::StartsWith(FindMember(capabilities, "tools"), "{");
  hello.logging = absl::StartsWith(FindMember(capabilities, "logging"), "{");
  return hello;
}

std::string ServerHello::ResultFor(absl::string_view requested) const {
  const bool known =
      std::find(std::begin(kKnownVersions), std::end(kKnownVersions), requested) != std::end(kKnownVersions);
  // Revisions are dates: older ones compare less.
  if (!known || requested > protocol_version) return result;
  return Rewrite(result, {{absl::string_view(result).substr(version_at, version_size), Quote(requested)}}, false);
}

}  // namespace unmcp::session
