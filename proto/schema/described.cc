#include "proto/schema/described.h"

#include <cstddef>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "google/protobuf/descriptor.pb.h"

namespace unmcp {

// descriptors.cc, written by the build: the FileDescriptorSet of
// //proto/schema:descriptors.
extern const unsigned char kDescriptorSet[];
extern const size_t kDescriptorSetBytes;

namespace {

using google::protobuf::DescriptorPool;

const DescriptorPool& Described() {
  static const DescriptorPool* const pool = [] {
    google::protobuf::FileDescriptorSet files;
    CHECK(files.ParseFromArray(kDescriptorSet, static_cast<int>(kDescriptorSetBytes)));
    auto* built = new DescriptorPool;
    for (const auto& file : files.file()) CHECK(built->BuildFile(file) != nullptr) << file.name();
    return built;
  }();
  return *pool;
}

template <class T>
std::string Comment(const T* element) {
  google::protobuf::SourceLocation location;
  if (element == nullptr || !element->GetSourceLocation(&location)) return "";
  std::vector<std::string> lines = absl::StrSplit(location.leading_comments, '\n');
  for (std::string& line : lines) absl::StripAsciiWhitespace(&line);
  std::string text = absl::StrJoin(lines, "\n");
  absl::StripAsciiWhitespace(&text);
  return text;
}

}  // namespace

std::string CommentOf(const google::protobuf::Descriptor* message) {
  return Comment(Described().FindMessageTypeByName(message->full_name()));
}
std::string CommentOf(const google::protobuf::FieldDescriptor* field) {
  return Comment(Described().FindFieldByName(field->full_name()));
}
std::string CommentOf(const google::protobuf::ServiceDescriptor* service) {
  return Comment(Described().FindServiceByName(service->full_name()));
}
std::string CommentOf(const google::protobuf::MethodDescriptor* method) {
  return Comment(Described().FindMethodByName(method->full_name()));
}

}  // namespace unmcp
