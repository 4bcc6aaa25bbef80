// YAML as JSON documents, the way Kubernetes reads and writes it: the types of
// the YAML 1.2 core schema, so "yes" and "on" are words; a number with leading
// zeroes (0755), which YAML 1.1 and 1.2 read differently, stays the text it is.
//
//   UNMCP_ASSIGN_OR_RETURN(auto documents, ParseYaml(text));
//   for (const YamlDocument& document : documents) Use(document.json);
//
// Thread safety: everything here is thread safe.
#ifndef UNMCP_CLI_YAML_H_
#define UNMCP_CLI_YAML_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace unmcp {

// Values in one text, aliases counted where they are used: a few lines of
// aliases of aliases can stand for more than memory holds. A manifest of a
// thousand servers has about 50,000.
inline constexpr int kMaxYamlValues = 200'000;

struct YamlDocument {
  nlohmann::json json;
  // Line, counted from 1, of each value by its path: "" is the document,
  // "spec.env[2].name" the value of that name.
  std::map<std::string, int> lines;

  // Of the value at `path`, or of the nearest one around it.
  int LineOf(std::string path) const;
};

// All documents of a text; empty ones (comments, a trailing "---") are left
// out. Keys are unique, depth is bounded by kMaxJsonDepth.
//
// Errors: INVALID_ARGUMENT, beginning with "line N: ".
absl::StatusOr<std::vector<YamlDocument>> ParseYaml(const std::string& text);

// One document in block style, keys in order, text of several lines as a
// literal block. ParseYaml reads back the same.
std::string WriteYaml(const nlohmann::json& json);

}  // namespace unmcp

#endif  // UNMCP_CLI_YAML_H_
