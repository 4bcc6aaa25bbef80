// ManifestService: objects in the form of Kubernetes (proto/unmcp/v1/manifest_service.proto).
#ifndef UNMCP_APISERVER_MANIFEST_SERVICE_H_
#define UNMCP_APISERVER_MANIFEST_SERVICE_H_

#include "apiserver/api_context.h"
#include "unmcp/v1/manifest_service.grpc.pb.h"

namespace unmcp::apiserver {

// A front of ResourceWriter::Apply.
//
// Thread safety: thread safe.
class ManifestService final : public v1::ManifestService::CallbackService {
 public:
  explicit ManifestService(const ApiContext* context) : context_(*context) {}

 private:
  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* call, const v1::ApplyRequest* request,
                                  v1::ApplyResponse* response) override;

  const ApiContext& context_;
};

}  // namespace unmcp::apiserver

#endif  // UNMCP_APISERVER_MANIFEST_SERVICE_H_
