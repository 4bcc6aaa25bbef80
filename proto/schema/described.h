// The comments of the proto schema, for documents made from it. Linked
// descriptors have none; what protoc wrote down of the sources is linked in
// beside them.
//
// Thread safety: everything here is thread safe.
#ifndef UNMCP_PROTO_SCHEMA_DESCRIBED_H_
#define UNMCP_PROTO_SCHEMA_DESCRIBED_H_

#include <string>

#include "google/protobuf/descriptor.h"

namespace unmcp {

// The comment above the element, without the signs and blanks of comments; ""
// when there is none, or the element is of another schema.
std::string CommentOf(const google::protobuf::Descriptor* message);
std::string CommentOf(const google::protobuf::FieldDescriptor* field);
std::string CommentOf(const google::protobuf::ServiceDescriptor* service);
std::string CommentOf(const google::protobuf::MethodDescriptor* method);

}  // namespace unmcp

#endif  // UNMCP_PROTO_SCHEMA_DESCRIBED_H_
