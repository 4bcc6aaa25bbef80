#include "manifests/generated.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "cli/yaml.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/schema/crd.h"

namespace unmcp {
namespace {

constexpr char kFolder[] = "manifests/crds";

std::string Committed(const std::string& name) {
  std::ifstream file(std::string(kFolder) + "/" + name, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

TEST(GeneratedManifestsTest, CommittedFilesAreFresh) {
  const auto files = GeneratedManifests();
  ASSERT_FALSE(files.empty());
  for (const auto& [name, content] : files) {
    EXPECT_TRUE(Committed(name) == content)
        << "manifests/crds/" << name << " differs from the proto schema; run: bazel run //manifests:generate";
  }
}

// kubectl apply -k installs what kustomization.yaml lists, and nothing else.
TEST(GeneratedManifestsTest, KustomizationListsEveryFile) {
  const auto kustomization = ParseYaml(Committed("kustomization.yaml"));
  ASSERT_TRUE(kustomization.ok()) << kustomization.status();
  const auto listed = kustomization->at(0).json["resources"].get<std::set<std::string>>();
  std::set<std::string> present;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().filename() != "kustomization.yaml") present.insert(entry.path().filename());
  }
  EXPECT_EQ(listed, present);
}

void RemoveDescriptions(nlohmann::json* json) {
  if (json->is_object() && json->contains("description") && (*json)["description"].is_string()) {
    json->erase("description");
  }
  for (nlohmann::json& child : *json) {
    if (child.is_structured()) RemoveDescriptions(&child);
  }
}

// The text is the schema, and not something a YAML reader takes otherwise.
TEST(GeneratedManifestsTest, TextReadsBackAsTheSchema) {
  for (const auto& crd : AllCrds()) {
    const auto read = ParseYaml(Committed(crd["spec"]["names"]["plural"].get<std::string>() + ".yaml"));
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->size(), 1u);
    nlohmann::json plain = read->at(0).json;
    RemoveDescriptions(&plain);
    EXPECT_EQ(plain, crd);
  }
}

}  // namespace
}  // namespace unmcp
