#include "cli/declared.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apiserver/secret_values.h"
#include "cli/import/placeholders.h"
#include "cli/manifest_loader.h"
#include "common/annotations.h"
#include "common/proto_json.h"
#include "glog/logging.h"

namespace unmcp {
namespace {

constexpr char kStars[] = "***";

std::optional<std::string> Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// As the apiserver will keep it, with stars in place of what goes into a Secret.
template <class Message>
void HideSecrets(const kube::Object& object, nlohmann::json* spec) {
  Message message;
  if (!FromJson(*spec, UnknownFields::kIgnore, &message).ok()) return void(*spec = kStars);
  apiserver::Spec taken = std::move(message);
  const std::set<std::string> named = absl::StrSplit(object.annotation(kSecretValuesAnnotation), ',');
  const auto values = apiserver::TakeSecretValues(&taken, named);
  if (!values.ok()) return void(*spec = kStars);
  nlohmann::json hidden = ToJson(std::get<Message>(taken));
  nlohmann::json& lists = std::is_same_v<Message, v1::MCPPoolSpec> ? hidden["serverDefaults"] : hidden;
  for (const apiserver::SecretValue& value : *values) {
    lists[value.is_header ? "headers" : "env"][value.index]["value"] = kStars;
  }
  if (!values->empty()) *spec = std::move(hidden);
}

}  // namespace

absl::StatusOr<std::vector<kube::Object>> LoadDeclared(const std::vector<std::string>& filenames,
                                                       const std::vector<std::string>& inputs, const std::string& ns,
                                                       std::istream& standard_input,
                                                       std::function<void(const std::string& note)> note) {
  std::map<std::string, std::string> given;
  for (const std::string& input : inputs) {
    const size_t equals = input.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return absl::InvalidArgumentError("--input: must be ID=VALUE");
    }
    given[input.substr(0, equals)] = input.substr(equals + 1);
  }
  InputValues::Options options{.given = std::move(given), .environment = Variable};
  // Not standard input, which may be a file; and nobody is asked who does not
  // see the question.
  const int terminal = isatty(STDERR_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC) : -1;
  const absl::Cleanup close_terminal = [terminal] {
    if (terminal >= 0) close(terminal);
  };
  if (terminal >= 0) options.ask = [terminal](const Input& input) { return AskOnTerminal(terminal, input); };
  InputValues values(std::move(options));
  return LoadManifests(filenames, {.ns = ns,
                                   .environment = Variable,
                                   .inputs = &values,
                                   .note = std::move(note),
                                   .standard_input = &standard_input});
}

v1::ApplyRequest ToApplyRequest(const kube::Object& object) {
  v1::ApplyRequest request;
  const absl::Status status = FromJson({{"manifest", object.json()}}, UnknownFields::kReject, &request);
  CHECK(status.ok()) << status;  // any JSON object fits
  return request;
}

nlohmann::json WithoutSecrets(const kube::Object& object) {
  nlohmann::json json = object.json();
  for (const char* data : {"data", "stringData"}) {
    if (object.kind() != kube::SecretKind().kind || !json.contains(data)) continue;
    for (auto& value : json[data]) value = kStars;
  }
  if (!json.contains("spec")) return json;
  if (object.kind() == kube::MCPServerKind().kind) HideSecrets<v1::MCPServerSpec>(object, &json["spec"]);
  if (object.kind() == kube::MCPPoolKind().kind) HideSecrets<v1::MCPPoolSpec>(object, &json["spec"]);
  return json;
}

}  // namespace unmcp
